// Subscriptions: equal ones are one, what was held is resumed after a break, and results are given out once a frame of the
// screen. `FrameStore` says what a result is; `Socket` says when there is a connection.
import { batch, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import { decodeArrow } from './decode';
import type { Frame, Problem } from './frame';
import { type ServerMessage, splitFrame, type WireQuery, type WireRange } from './protocol';
import { type Environment, Socket } from './socket';
import { FrameStore } from './store';

export type LiveState = 'loading' | 'ok' | 'empty' | 'error' | 'disconnected';

export interface Ask {
  readonly query: WireQuery;
  readonly range: WireRange;
  readonly width: number;
  readonly limit?: number;
}

export interface Live {
  readonly rows: ReadonlySignal<Frame | null>;
  readonly state: ReadonlySignal<LiveState>;
  readonly error: ReadonlySignal<Problem | null>;
  readonly stepMs: ReadonlySignal<number>;
}

/** `live`: frames as they come. `once`: one frame, then nothing until the next `refresh`. */
export type Delivery = 'live' | 'once';

interface Entry extends Live {
  readonly key: string;
  readonly ask: Ask;
  readonly rows: Signal<Frame | null>;
  readonly state: Signal<LiveState>;
  readonly error: Signal<Problem | null>;
  readonly stepMs: Signal<number>;
  users: number;
  /** Of the last subscribe message; 0: not subscribed. */
  id: number;
  /** 0 until the server has named it. */
  stream: number;
  store: FrameStore;
  /** The log that the store's position is of. */
  log: string;
  left: number;
}

/** Results that nobody shows any more are kept for a return to the page: so many, for so long. */
const KEPT = 48;
const KEPT_MS = 120_000;
/** Results that come within so long are drawn together. */
const GATHER_MS = 40;
/** A break shorter than this is not shown. */
const GRACE_MS = 1_500;

/** The server's number of rows where none is named. */
const DEFAULT_ROWS = 500;

function storeFor({ query, limit = DEFAULT_ROWS }: Ask): FrameStore {
  return query.mode === 'rows' ? new FrameStore('rows', limit) : new FrameStore(query.mode);
}

export class LiveClient {
  readonly socket: Socket;
  readonly version = signal('');
  readonly #entries = new Map<string, Entry>();
  readonly #ids = new Map<number, Entry>();
  readonly #status = new Map<number, Signal<unknown>>();
  readonly #dirty = new Set<Entry>();
  #delivery: Delivery = 'live';
  #log = '';
  #greeted = false;
  /** Not connected for longer than the grace. */
  #lost = false;
  #lastId = 0;
  #frame = 0;
  #gathering: ReturnType<typeof setTimeout> | undefined;
  #grace: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, environment?: Environment) {
    const handler = {
      opened: () => {},
      text: (message: string) => this.#text(JSON.parse(message) as ServerMessage),
      binary: (bytes: ArrayBuffer) => this.#binary(bytes),
      closed: () => this.#closed(),
    };
    this.socket = new Socket(url, handler, environment);
  }

  /** The result of a query, shared by all that ask the same. `release` it when it is shown no more. */
  acquire(ask: Ask): Live {
    const key = JSON.stringify(ask);
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = {
        key,
        ask,
        rows: signal(null),
        state: signal<LiveState>(this.#lost ? 'disconnected' : 'loading'),
        error: signal(null),
        stepMs: signal(0),
        users: 0,
        id: 0,
        stream: 0,
        store: storeFor(ask),
        log: '',
        left: 0,
      };
      this.#entries.set(key, entry);
    }
    entry.users++;
    if (entry.users === 1) this.#subscribe(entry);
    return entry;
  }

  release(live: Live): void {
    const entry = live as Entry;
    if (--entry.users > 0) return;
    this.#unsubscribe(entry);
    entry.left = Date.now();
    this.#forget();
  }

  /** The pipeline's snapshot, each second when it changed. The function ends it. */
  status(): { snapshot: ReadonlySignal<unknown>; close(): void } {
    const snapshot = signal<unknown>(null);
    const id = ++this.#lastId;
    this.#status.set(id, snapshot);
    if (this.#greeted) this.socket.send({ op: 'subscribe', id, status: true });
    return {
      snapshot,
      close: () => {
        this.#status.delete(id);
        this.socket.send({ op: 'unsubscribe', id });
      },
    };
  }

  deliver(delivery: Delivery): void {
    if (this.#delivery === delivery) return;
    this.#delivery = delivery;
    for (const entry of this.#used()) {
      if (delivery === 'live' && entry.id === 0) this.#subscribe(entry);
      else if (delivery === 'once' && entry.stream !== 0 && entry.store.header) this.#unsubscribe(entry);
    }
  }

  /** Brings every result that is shown up to date. */
  refresh(): void {
    for (const entry of this.#used()) if (entry.id === 0) this.#subscribe(entry);
  }

  /** Asks again after an error. */
  retry(live: Live): void {
    const entry = live as Entry;
    this.#unsubscribe(entry);
    entry.state.value = 'loading';
    entry.error.value = null;
    if (entry.users > 0) this.#subscribe(entry);
  }

  *#used(): Iterable<Entry> {
    for (const entry of this.#entries.values()) if (entry.users > 0) yield entry;
  }

  #subscribe(entry: Entry, resume = true): void {
    if (!this.#greeted) return;
    entry.id = ++this.#lastId;
    entry.stream = 0;
    this.#ids.set(entry.id, entry);
    const held = entry.store.header;
    const { query, range, width, limit } = entry.ask;
    this.socket.send({
      op: 'subscribe',
      id: entry.id,
      query,
      range,
      width,
      ...(limit !== undefined && { limit }),
      ...(resume &&
        held &&
        entry.log === this.#log && {
          resume: { position: held.position, log: entry.log, step_ms: held.step_ms, to: held.to },
        }),
    });
  }

  #unsubscribe(entry: Entry): void {
    if (entry.id === 0) return;
    this.socket.send({ op: 'unsubscribe', id: entry.id });
    this.#ids.delete(entry.id);
    entry.id = 0;
    entry.stream = 0;
  }

  #forget(): void {
    const idle = [...this.#entries.values()].filter((entry) => entry.users === 0).sort((a, b) => b.left - a.left);
    const now = Date.now();
    idle.forEach((entry, i) => {
      if (i >= KEPT || now - entry.left > KEPT_MS) this.#entries.delete(entry.key);
    });
  }

  #text(message: ServerMessage): void {
    if (message.op === 'hello') return this.#hello(message.version, message.log);
    if (message.op === 'status') {
      const snapshot = this.#status.get(message.id);
      if (snapshot) snapshot.value = message.snapshot;
      return;
    }
    const entry = message.id === undefined ? undefined : this.#ids.get(message.id);
    if (!entry) return;
    if (message.op === 'subscribed') return this.#subscribed(entry, message.stream, message.step_ms);
    batch(() => {
      entry.error.value = message.error;
      entry.state.value = message.error.kind === 'no_data_yet' ? 'empty' : 'error';
    });
  }

  #hello(version: string, log: string): void {
    clearTimeout(this.#grace);
    this.#log = log;
    this.#greeted = true;
    this.#lost = false;
    this.version.value = version;
    this.socket.settled();
    for (const entry of this.#used()) {
      if (entry.store.header) this.#show(entry);
      else entry.state.value = 'loading';
      if (this.#delivery === 'live' || !entry.store.header) this.#subscribe(entry);
    }
    for (const id of this.#status.keys()) this.socket.send({ op: 'subscribe', id, status: true });
  }

  /**
   * Two subscriptions can turn out to be one stream (they differ in what does not matter to it). They then share one store:
   * a tail that was made for what one of them holds must never be applied to the older rows of the other.
   */
  #subscribed(entry: Entry, stream: number, stepMs: number): void {
    const others = [...this.#ids.values()].filter((other) => other !== entry && other.stream !== 0);
    const same = others.find((other) => other.stream === stream);
    if (same) entry.store = same.store;
    else if (others.some((other) => other.store === entry.store)) {
      entry.store = storeFor(entry.ask);
    }
    entry.stream = stream;
    entry.stepMs.value = stepMs;
    if (same?.store.header) this.#changed(entry);
  }

  #binary(buffer: ArrayBuffer): void {
    const { header, arrow } = splitFrame(buffer);
    const entries = [...this.#ids.values()].filter((entry) => entry.stream === header.stream);
    if (entries.length === 0) return;
    const decoded = decodeArrow(arrow);
    for (const store of new Set(entries.map((entry) => entry.store))) {
      const applied = store.apply(header, decoded);
      for (const entry of entries) {
        if (entry.store !== store) continue;
        if (applied) this.#changed(entry);
        else {
          this.#unsubscribe(entry);
          entry.store = storeFor(entry.ask);
          this.#subscribe(entry, false);
        }
      }
    }
  }

  #changed(entry: Entry): void {
    entry.log = this.#log;
    this.#dirty.add(entry);
    if (this.#delivery === 'once') this.#unsubscribe(entry);
    // A first result is shown at once; of the others those that come together, since each picture of a page costs.
    if (entry.rows.value === null) this.#draw();
    else if (!this.#gathering) this.#gathering = setTimeout(() => this.#draw(), GATHER_MS);
  }

  #draw(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const changed = [...this.#dirty];
      this.#dirty.clear();
      batch(() => {
        for (const each of changed) this.#show(each);
      });
    });
  }

  #show(entry: Entry): void {
    const frame = entry.store.frame();
    if (!frame) return;
    entry.rows.value = frame;
    entry.error.value = null;
    entry.state.value = frame.length > 0 ? 'ok' : 'empty';
  }

  #closed(): void {
    this.#greeted = false;
    this.#ids.clear();
    for (const entry of this.#entries.values()) {
      entry.id = 0;
      entry.stream = 0;
    }
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => {
      this.#lost = true;
      batch(() => {
        for (const entry of this.#entries.values()) entry.state.value = 'disconnected';
      });
    }, GRACE_MS);
  }
}
