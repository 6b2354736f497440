// What pages use: `useLive` for a query that stays up to date, `useStatus` for the pipeline's snapshot.
import { type ReadonlySignal, type Signal, signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { formatRangeQuery, range as pageRange, type Range } from '../time/range';
import { type Ask, type Live, LiveClient, type LiveState } from './client';
import type { Frame, Problem } from './frame';
import type { Mode } from './store';

export type { LiveState } from './client';
export type { Frame, Problem } from './frame';

export interface LiveQuery {
  readonly sql: string;
  /** By default `series`. */
  readonly mode?: Mode | undefined;
  readonly lookback?: string | undefined;
  readonly minStep?: string | undefined;
  readonly vars?: Readonly<Record<string, string | readonly string[]>> | undefined;
  /** CSS pixels that the result is drawn on; decides the step. By default 800. */
  readonly width?: number | undefined;
  readonly limit?: number | undefined;
  /** By default the page's. */
  readonly range?: Range | undefined;
}

export interface LiveResult {
  /** The last result; stays while another is on its way, after an error and while disconnected. */
  readonly rows: ReadonlySignal<Frame | null>;
  readonly state: ReadonlySignal<LiveState>;
  /** Also set, with kind `no_data_yet`, where the state is `empty` because the table does not exist yet. */
  readonly error: ReadonlySignal<Problem | null>;
  readonly stepMs: ReadonlySignal<number>;
  /** Asks again after an error. */
  retry(): void;
}

let client: LiveClient | null = null;

export function liveClient(): LiveClient {
  if (!client) {
    client = new LiveClient(`${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/api/v1/live`);
    client.socket.start();
  }
  return client;
}

/** Widths that differ by less than this share a stream. */
const WIDTH_STEP = 100;

function askOf(query: LiveQuery, range: Range): Ask {
  const { sql, mode = 'series', lookback, minStep, vars, width = 800, limit } = query;
  return {
    query: {
      sql,
      mode,
      ...(lookback !== undefined && { lookback }),
      ...(minStep !== undefined && { min_step: minStep }),
      ...(vars !== undefined && { vars }),
    },
    range: range.kind === 'relative' ? { last: range.last } : formatRangeQuery(range),
    width: Math.min(4000, Math.max(100, Math.ceil(width / WIDTH_STEP) * WIDTH_STEP)),
    ...(limit !== undefined && { limit }),
  };
}

class Result implements LiveResult {
  readonly rows: Signal<Frame | null> = signal(null);
  readonly state: Signal<LiveState> = signal('loading');
  readonly error: Signal<Problem | null> = signal(null);
  readonly stepMs = signal(0);
  #live: Live | null = null;

  follow(ask: Ask): () => void {
    const live = liveClient().acquire(ask);
    this.#live = live;
    const ends = [
      live.state.subscribe((state) => {
        this.state.value = state;
      }),
      live.rows.subscribe((rows) => {
        if (rows) this.rows.value = rows;
      }),
      live.error.subscribe((error) => {
        this.error.value = error;
      }),
      live.stepMs.subscribe((stepMs) => {
        if (stepMs) this.stepMs.value = stepMs;
      }),
    ];
    return () => {
      for (const end of ends) end();
      liveClient().release(live);
      if (this.#live === live) this.#live = null;
    };
  }

  readonly retry = (): void => {
    if (this.#live) liveClient().retry(this.#live);
  };
}

/** A query's result, kept up to date as data arrives. Null asks nothing (state stays `loading`). */
export function useLive(query: LiveQuery | null): LiveResult {
  const result = useMemo(() => new Result(), []);
  const range = query?.range ?? pageRange.value;
  const ask = query && askOf(query, range);
  const key = JSON.stringify(ask);
  useEffect(() => (ask ? result.follow(ask) : undefined), [key]);
  return result;
}

/** The snapshot of GET /api/v1/pipeline, each second when it changed; null before the first. */
export function useStatus<T>(): ReadonlySignal<T | null> {
  const status = useMemo(() => ({ snapshot: signal<T | null>(null) }), []);
  useEffect(() => {
    const { snapshot, close } = liveClient().status();
    const end = snapshot.subscribe((value) => {
      if (value !== null) status.snapshot.value = value as T;
    });
    return () => {
      end();
      close();
    };
  }, [status]);
  return status.snapshot;
}
