// Processes that end when this one does, however it ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const running = new Set();
const killAll = () => {
  for (const child of running) child.kill('SIGKILL');
};
process.on('exit', killAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    killAll();
    process.exit(1);
  });
}

/** Starts a program; `line` hears what it says, on either stream. */
export function start(program, args, { line = () => {}, ...options } = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  running.add(child);
  const ended = once(child, 'exit').then(([code]) => {
    running.delete(child);
    return code;
  });
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', line);
  return {
    pid: child.pid,
    ended,
    get alive() {
      return running.has(child);
    },
    async kill(signal = 'SIGKILL') {
      if (running.has(child)) child.kill(signal);
      return ended;
    },
  };
}
