// Rates between snapshots. A window, not the last two: what is scraped every ten seconds would else read as nothing most of
// the time and as ten times too much once.

import type { Counts, Snapshot, Stage } from './snapshot';

export const WINDOW_MS = 30_000;

/** Counters that a rate is made of: `undefined` where the snapshot does not have the component. */
export type Counter = (snapshot: Snapshot) => number | undefined;

export class Rates {
  #kept: readonly Snapshot[] = [];

  /** The same figures with a newer snapshot; what came before a restart of the server is forgotten. */
  with(snapshot: Snapshot): Rates {
    const rates = new Rates();
    const same = this.#kept.filter(
      (kept) =>
        kept.started_unix_ms === snapshot.started_unix_ms &&
        kept.now_unix_ms < snapshot.now_unix_ms &&
        kept.now_unix_ms >= snapshot.now_unix_ms - WINDOW_MS,
    );
    rates.#kept = [...same, snapshot];
    return rates;
  }

  /** Per second; `null` until two snapshots have it. */
  perSecond(counter: Counter): number | null {
    const last = this.#kept.at(-1);
    const first = this.#kept.find((snapshot) => counter(snapshot) !== undefined);
    if (!last || !first) return null;
    const seconds = (last.now_unix_ms - first.now_unix_ms) / 1000;
    const [from, to] = [counter(first), counter(last)];
    if (seconds <= 0 || from === undefined || to === undefined) return null;
    // A reload that replaced the component starts its counter again.
    return to >= from ? (to - from) / seconds : null;
  }

  /** Whether the counter went up within the window. */
  rising(counter: Counter): boolean {
    return (this.perSecond(counter) ?? 0) > 0;
  }
}

export const receiver = (id: string, field: 'accepted_items' | 'refused_items'): Counter => {
  return (snapshot) => snapshot.receivers.find((one) => one.id === id)?.[field];
};

/** A processor, or a connector, which is in no pipeline: the server then says `''`. */
export interface StageRef {
  readonly id: string;
  readonly pipeline: string;
}

export function findStage({ processors, connectors }: Snapshot, { id, pipeline }: StageRef): Stage | undefined {
  return pipeline === ''
    ? connectors.find((one) => one.id === id)
    : processors.find((one) => one.id === id && one.pipeline === pipeline);
}

export const sum = (counts: Counts): number => Object.values(counts).reduce((all, one) => all + one, 0);

export type StageField = 'incoming_items' | 'outgoing_items' | 'refused_items' | 'taken_out_items' | 'put_in_items';

export const stage = (ref: StageRef, field: StageField): Counter => {
  return (snapshot) => {
    const value = findStage(snapshot, ref)?.[field];
    return typeof value === 'object' ? sum(value) : value;
  };
};

export const exporter = (id: string, field: 'exported_items' | 'lost_items' | 'retries'): Counter => {
  return (snapshot) => snapshot.exporters.find((one) => one.id === id)?.[field];
};

export const log = (
  field: 'appended_records' | 'appended_bytes' | 'refused_requests' | 'lost_items' | 'fsyncs',
): Counter => {
  return (snapshot) => snapshot.log[field];
};
