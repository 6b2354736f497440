// The client against a server in memory that follows the protocol: connections break at any moment, the server restarts, and
// what the page holds in the end is what the server holds.
import { float64, TimeUnit, tableFromArrays, tableToIPC, timestamp } from '@uwdata/flechette';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Ask, LiveClient } from './client';
import type { Environment } from './socket';

interface Message {
  readonly op: string;
  readonly id: number;
  readonly status?: boolean;
  readonly resume?: { readonly position: string; readonly log: string; readonly step_ms: number };
  readonly query?: { readonly sql: string };
}

/** One stream for each statement; every point has a position, as every record of the log has. */
class Server {
  log = 'log-1';
  down = false;
  attempts = 0;
  points: { t: number; value: number; position: number }[] = [];
  position = 0;
  connections = new Set<FakeSocket>();
  /** Resumptions and whole results that were asked for. */
  resumed = 0;
  whole = 0;
  #streams = 0;

  append(t: number, value: number): void {
    this.points.push({ t, value, position: ++this.position });
    for (const socket of this.connections) for (const sub of socket.subs.values()) this.#tail(socket, sub);
  }

  rows(from = Number.NEGATIVE_INFINITY): [number, number][] {
    const latest = new Map<number, number>();
    for (const { t, value } of this.points) latest.set(t, value);
    return [...latest].filter(([t]) => t >= from).sort(([a], [b]) => a - b);
  }

  receive(socket: FakeSocket, message: Message): void {
    if (message.op === 'unsubscribe') {
      socket.subs.delete(message.id);
      socket.ended.add(message.id);
    }
    if (message.op !== 'subscribe' || message.status) return;
    const sql = message.query?.sql ?? '';
    let stream = socket.streams.get(sql);
    if (stream === undefined) {
      stream = ++this.#streams;
      socket.streams.set(sql, stream);
    }
    socket.text({ op: 'subscribed', id: message.id, stream, step_ms: 10 });
    const { resume } = message;
    const sub = {
      stream,
      sent: resume && resume.log === this.log && resume.step_ms === 10 ? Number(resume.position) : -1,
    };
    if (sub.sent >= 0) this.resumed++;
    else this.whole++;
    // The first answer takes a while, in which frames for others of the same stream overtake it.
    setTimeout(() => {
      if (socket.readyState !== 1) return;
      socket.subs.set(message.id, sub);
      if (!socket.ended.has(message.id)) this.#tail(socket, sub, true);
      else socket.subs.delete(message.id);
    }, 30);
  }

  #tail(socket: FakeSocket, sub: { stream: number; sent: number }, first = false): void {
    const changed = this.points.filter(({ position }) => position > sub.sent).map(({ t }) => t);
    if (changed.length === 0 && !first) return;
    const from = sub.sent < 0 ? null : Math.min(...changed, 1e9);
    sub.sent = this.position;
    const rows = this.rows(from ?? undefined);
    socket.frame(
      {
        stream: sub.stream,
        replace_from: from,
        from: -1,
        to: 1e6,
        step_ms: 10,
        position: String(this.position),
        truncated: false,
      },
      rows,
    );
  }

  /** Everything of the process is gone; the log stays. */
  restart(): void {
    for (const socket of [...this.connections]) socket.drop();
  }
}

class FakeSocket {
  onopen?: () => void;
  onclose?: () => void;
  onmessage?: (event: { data: unknown }) => void;
  binaryType = '';
  readyState = 0;
  readonly subs = new Map<number, { stream: number; sent: number }>();
  readonly streams = new Map<string, number>();
  readonly ended = new Set<number>();

  constructor(readonly server: Server) {
    setTimeout(() => {
      if (this.readyState !== 0) return;
      server.attempts++;
      if (server.down) return this.drop();
      this.readyState = 1;
      server.connections.add(this);
      this.onopen?.();
      this.text({ op: 'hello', version: '0.1.0', log: server.log });
    }, 1);
  }

  send(text: string): void {
    if (this.readyState === 1) this.server.receive(this, JSON.parse(text));
  }

  text(message: object): void {
    if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify(message) });
  }

  frame(header: object, rows: readonly [number, number][]): void {
    const table = tableFromArrays(
      { t: rows.map(([t]) => t), value: rows.map(([, value]) => value) },
      { types: { t: timestamp(TimeUnit.MICROSECOND, 'UTC'), value: float64() } },
    );
    const arrow = tableToIPC(table, { format: 'stream' }) as Uint8Array;
    const json = new TextEncoder().encode(JSON.stringify(header));
    const bytes = new Uint8Array(4 + json.length + arrow.length);
    new DataView(bytes.buffer).setUint32(0, json.length, true);
    bytes.set(json, 4);
    bytes.set(arrow, 4 + json.length);
    if (this.readyState === 1) this.onmessage?.({ data: bytes.buffer });
  }

  drop(): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.server.connections.delete(this);
    this.onclose?.();
  }

  close(): void {
    this.drop();
  }
}

const ask = (sql: string, width = 800): Ask => ({ query: { sql, mode: 'series' }, range: { last: '15m' }, width });

function connect(server: Server, random = () => 0.5) {
  const environment: Environment = {
    open: () => new FakeSocket(server) as unknown as WebSocket,
    random,
    probe: async () => true,
  };
  const client = new LiveClient('ws://test/', environment);
  client.socket.start();
  return client;
}

function shown(live: {
  rows: { value: { length: number; get(c: number, r: number): unknown } | null };
}): [number, number][] {
  const frame = live.rows.value;
  return frame
    ? Array.from({ length: frame.length }, (_, row) => [frame.get(0, row) as number, frame.get(1, row) as number])
    : [];
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('LiveClient', () => {
  it('holds what the server holds, through breaks, restarts, late data and a page that comes and goes', async () => {
    const step = fc.oneof(
      fc.record({
        do: fc.constant('append' as const),
        t: fc.integer({ min: 0, max: 60 }),
        value: fc.integer({ min: 0, max: 999 }),
      }),
      fc.record({
        do: fc.constantFrom(
          'break' as const,
          'restart' as const,
          'other log' as const,
          'leave' as const,
          'return' as const,
          'second' as const,
          'second leaves' as const,
          'pause' as const,
          'go on' as const,
        ),
      }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 2000 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 50 }), async (steps) => {
        const server = new Server();
        const client = connect(server);
        let live = client.acquire(ask('a'));
        let here = true;
        // The same stream from another width: the two share what is held.
        let second: ReturnType<typeof client.acquire> | null = null;
        for (const one of steps) {
          if (one.do === 'append') server.append(one.t * 10, one.value);
          else if (one.do === 'wait') await vi.advanceTimersByTimeAsync(one.ms);
          else if (one.do === 'break') for (const socket of [...server.connections]) socket.drop();
          else if (one.do === 'restart') server.restart();
          else if (one.do === 'other log') {
            server.log += 'x';
            server.points = [];
            server.position = 0;
            server.restart();
          } else if (one.do === 'leave' && here) {
            client.release(live);
            here = false;
          } else if (one.do === 'return' && !here) {
            live = client.acquire(ask('a'));
            here = true;
          } else if (one.do === 'second') second ??= client.acquire(ask('a', 400));
          else if (one.do === 'second leaves' && second) {
            client.release(second);
            second = null;
          } else if (one.do === 'pause') client.deliver('once');
          else if (one.do === 'go on') client.deliver('live');
        }
        client.deliver('live');
        if (!here) live = client.acquire(ask('a'));
        await vi.advanceTimersByTimeAsync(20_000);
        expect(shown(live)).toEqual(server.rows());
        if (second) expect(shown(second)).toEqual(server.rows());
        vi.clearAllTimers();
      }),
      { numRuns: 150 },
    );
  }, 30_000);

  it('asks only for what changed after a break, and for everything of another log', async () => {
    const server = new Server();
    const client = connect(server);
    server.append(10, 1);
    const live = client.acquire(ask('a'));
    await vi.advanceTimersByTimeAsync(100);
    server.restart();
    server.append(20, 2);
    await vi.advanceTimersByTimeAsync(5000);
    expect([server.whole, server.resumed, shown(live)]).toEqual([
      1,
      1,
      [
        [10, 1],
        [20, 2],
      ],
    ]);
    server.log = 'log-2';
    server.restart();
    await vi.advanceTimersByTimeAsync(5000);
    expect([server.whole, server.resumed]).toEqual([2, 1]);
  });

  it('does not take a tail made for one subscription as the answer to an older one of the same stream', async () => {
    const server = new Server();
    const client = connect(server);
    client.acquire(ask('a'));
    const other = client.acquire(ask('a', 400));
    server.append(10, 1);
    await vi.advanceTimersByTimeAsync(100);
    client.release(other);
    server.append(20, 2);
    const back = client.acquire(ask('a', 400));
    await vi.advanceTimersByTimeAsync(10);
    // Its own answer is still being made when a tail for the first one comes, and then the connection breaks.
    server.append(30, 3);
    await vi.advanceTimersByTimeAsync(1);
    server.restart();
    await vi.advanceTimersByTimeAsync(5000);
    expect(shown(back)).toEqual([
      [10, 1],
      [20, 2],
      [30, 3],
    ]);
  });

  it('shares equal questions, and asks once', async () => {
    const server = new Server();
    const client = connect(server);
    const first = client.acquire(ask('a'));
    const second = client.acquire(ask('a'));
    await vi.advanceTimersByTimeAsync(50);
    expect([first === second, server.whole]).toEqual([true, 1]);
    client.release(first);
    server.append(10, 1);
    await vi.advanceTimersByTimeAsync(50);
    expect(shown(second)).toEqual([[10, 1]]);
    client.release(second);
    expect([...server.connections][0]?.subs.size).toBe(0);
  });

  it('says that it is not connected after a while, keeps what it holds, and never tries in step with others', async () => {
    const server = new Server();
    const waits: number[] = [];
    const client = connect(server, () => 0.9);
    server.append(10, 1);
    const live = client.acquire(ask('a'));
    await vi.advanceTimersByTimeAsync(100);
    client.socket.retryAt.subscribe((at) => at && waits.push(Math.round(at - Date.now())));
    server.down = true;
    server.restart();
    await vi.advanceTimersByTimeAsync(1000);
    expect(live.state.value).toBe('ok');
    await vi.advanceTimersByTimeAsync(120_000);
    expect([live.state.value, shown(live)]).toEqual(['disconnected', [[10, 1]]]);
    expect(Math.max(...waits)).toBeLessThanOrEqual(15_000);
    server.down = false;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(live.state.value).toBe('ok');
  });

  it('waits longer each time, also where a server takes connections and lets them go', async () => {
    const server = new Server();
    connect(server, () => 1);
    const kill = setInterval(() => server.restart(), 100);
    await vi.advanceTimersByTimeAsync(120_000);
    clearInterval(kill);
    expect(server.attempts).toBeLessThan(20);
  });

  it('hands on errors, and ends them with the next frame', async () => {
    const server = new Server();
    const client = connect(server);
    const live = client.acquire(ask('a'));
    await vi.advanceTimersByTimeAsync(50);
    const [socket] = server.connections;
    const [id] = [...(socket?.subs.keys() ?? [])];
    socket?.text({ op: 'error', id, error: { kind: 'no_data_yet', message: 'no such metric yet' } });
    expect([live.state.value, live.error.value?.kind]).toEqual(['empty', 'no_data_yet']);
    socket?.text({ op: 'error', id, error: { kind: 'timeout', message: 'late' } });
    expect(live.state.value).toBe('error');
    server.append(10, 1);
    await vi.advanceTimersByTimeAsync(50);
    expect([live.state.value, live.error.value]).toEqual(['ok', null]);
  });
});
