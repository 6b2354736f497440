// A real Catchment on ports of its own, and SQL asked of it.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { start } from './children.mjs';
import { binary, REPO } from './parts.mjs';
import { until } from './wait.mjs';

/** The configuration that is built in, with a lake of its own and every port the system's choice or as before. */
function config(lake, boards, ports) {
  const at = (name) => `localhost:${ports[name] ?? 0}`;
  return `yaml:${JSON.stringify({
    extensions: {
      lake: { path: lake },
      dashboard: { endpoint: at('dashboard'), ...(boards && { boards }) },
    },
    receivers: {
      otlp: { protocols: { grpc: { endpoint: at('otlp/grpc') }, http: { endpoint: at('otlp/http') } } },
    },
    service: { telemetry: { logs: { encoding: 'json' }, metrics: { address: 'localhost:0' } } },
  })}`;
}

export class Server {
  #lake = mkdtempSync(join(tmpdir(), 'catchment-page-'));
  #boards;
  #more;
  #addresses = {};
  #child;
  #said = [];

  /** `more` is configuration over the built-in one. */
  static async start({ boards, more } = {}) {
    const server = new Server();
    server.#boards = boards;
    server.#more = more;
    process.on('exit', () => rmSync(server.#lake, { recursive: true, force: true }));
    await server.start();
    return server;
  }

  /** One that runs already. */
  static at(url, otlp) {
    const server = new Server();
    server.#addresses = { dashboard: new URL(url).host, 'otlp/http': new URL(otlp).host };
    return server;
  }

  /** Again on the same ports and lake when it ran before. Returns when it is ready. */
  async start() {
    const ports = Object.fromEntries(
      Object.entries(this.#addresses).map(([name, address]) => [name, address.slice(address.lastIndexOf(':') + 1)]),
    );
    let ready = false;
    const line = (text) => {
      this.#said.push(text);
      if (this.#said.length > 200) this.#said.shift();
      const fields = parsed(text)?.fields ?? {};
      if (fields.message === 'listening') this.#addresses[`${fields.receiver}/${fields.protocol}`] = fields.address;
      if (fields.message === 'serving') this.#addresses[fields.extension] = fields.url.replace(/^https?:\/\/|\/$/g, '');
      if (fields.message === 'ready') ready = true;
    };
    const sources = [join(REPO, 'configs/default.yaml'), config(this.#lake, this.#boards, ports)];
    if (this.#more) sources.push(`yaml:${JSON.stringify(this.#more)}`);
    this.#child = start(binary(), ['run', ...sources.flatMap((source) => ['--config', source])], { line, cwd: REPO });
    const ended = this.#child.ended.then((code) => {
      if (!ready) throw new Error(`Catchment ended with ${code}`);
    });
    await Promise.race([until('Catchment to be ready', () => ready), ended]).catch((error) => {
      throw new Error(`${error.message}:\n${this.#said.join('\n')}`);
    });
  }

  get url() {
    return `http://${this.#addresses.dashboard}`;
  }

  get otlp() {
    return `http://${this.#addresses['otlp/http']}`;
  }

  get pid() {
    return this.#child.pid;
  }

  /** What it said last. */
  get said() {
    return this.#said.join('\n');
  }

  kill() {
    return this.#child.kill();
  }

  async stop() {
    await this.#child.kill('SIGTERM');
    rmSync(this.#lake, { recursive: true, force: true });
  }

  /** Rows as arrays. */
  async sql(sql) {
    const response = await fetch(`${this.url}/api/v1/query`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ sql }),
    });
    const body = await response.json();
    assert(response.ok, `${sql}: ${JSON.stringify(body)}`);
    return body.rows;
  }

  async get(path) {
    const response = await fetch(this.url + path);
    assert(response.ok, `${path}: ${response.status}`);
    return response.json();
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
