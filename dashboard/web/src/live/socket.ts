// The one WebSocket of the page: opens it, opens it again when it breaks, and lets it go while nobody looks at the page.
import { type ReadonlySignal, signal } from '@preact/signals';
import { Backoff } from './backoff';

/** `asleep`: the page is hidden, on purpose not connected. `waiting`: broken, the next attempt is at `retryAt`. */
export type Connection = 'connecting' | 'open' | 'waiting' | 'asleep';

export interface Handler {
  opened(): void;
  text(message: string): void;
  binary(bytes: ArrayBuffer): void;
  closed(): void;
}

/** A page that was hidden for so long lets its connection go. */
const SLEEP_AFTER_MS = 60_000;
/** Nothing heard for so long while visible: the server is asked whether it is there. A broken path shows no other way. */
const SILENCE_MS = 30_000;

/** A connection that lives for so long is a good one. */
const LASTING_MS = 5_000;

export interface Environment {
  open(url: string): WebSocket;
  random(): number;
  /** Whether the server answers at all. */
  probe(): Promise<boolean>;
}

const browser: Environment = {
  open: (url) => new WebSocket(url),
  random: Math.random,
  probe: async () => {
    try {
      const response = await fetch('/api/v1/boards', { method: 'GET', signal: AbortSignal.timeout(5_000) });
      return response.status < 500;
    } catch {
      return false;
    }
  },
};

export class Socket {
  readonly #state = signal<Connection>('connecting');
  readonly #retryAt = signal(0);
  readonly #backoff: Backoff;
  readonly #environment: Environment;
  readonly #handler: Handler;
  readonly #url: string;
  #socket: WebSocket | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #sleep: ReturnType<typeof setTimeout> | undefined;
  #heard = 0;

  constructor(url: string, handler: Handler, environment: Environment = browser) {
    this.#url = url;
    this.#handler = handler;
    this.#environment = environment;
    this.#backoff = new Backoff(environment.random);
  }

  get state(): ReadonlySignal<Connection> {
    return this.#state;
  }

  get retryAt(): ReadonlySignal<number> {
    return this.#retryAt;
  }

  start(): void {
    document.addEventListener('visibilitychange', this.#seen);
    addEventListener('online', this.#now);
    setInterval(() => this.#watch(), 10_000);
    this.#connect();
  }

  send(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** The server has taken the page in: when that lasts, the next failure is a first one. */
  settled(): void {
    const socket = this.#socket;
    setTimeout(() => {
      if (this.#socket === socket) this.#backoff.succeeded();
    }, LASTING_MS);
  }

  /** Tries again at once. */
  readonly retry = (): void => this.#now();

  readonly #seen = (): void => {
    clearTimeout(this.#sleep);
    if (document.hidden) {
      this.#sleep = setTimeout(() => {
        this.#state.value = 'asleep';
        this.#drop();
      }, SLEEP_AFTER_MS);
    } else if (this.#state.value !== 'open') this.#now();
  };

  readonly #now = (): void => {
    if (this.#state.value === 'open' || this.#state.value === 'connecting') return;
    clearTimeout(this.#retry);
    this.#connect();
  };

  #connect(): void {
    this.#state.value = 'connecting';
    const socket = this.#environment.open(this.#url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onopen = () => {
      this.#heard = Date.now();
      this.#state.value = 'open';
      this.#handler.opened();
    };
    socket.onmessage = ({ data }: MessageEvent) => {
      if (this.#socket !== socket) return;
      this.#heard = Date.now();
      if (typeof data === 'string') this.#handler.text(data);
      else this.#handler.binary(data as ArrayBuffer);
    };
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#handler.closed();
      if (this.#state.value === 'asleep') return;
      const wait = this.#backoff.next();
      this.#state.value = 'waiting';
      this.#retryAt.value = Date.now() + wait;
      this.#retry = setTimeout(() => this.#connect(), wait);
    };
  }

  #drop(): void {
    const socket = this.#socket;
    clearTimeout(this.#retry);
    if (!socket) return;
    this.#socket = null;
    socket.close();
    this.#handler.closed();
  }

  async #watch(): Promise<void> {
    const socket = this.#socket;
    if (!socket || this.#state.value !== 'open' || document.hidden || Date.now() - this.#heard < SILENCE_MS) return;
    if (await this.#environment.probe()) {
      this.#heard = Date.now();
      return;
    }
    if (this.#socket !== socket) return;
    this.#drop();
    this.#state.value = 'waiting';
    this.#now();
  }
}
