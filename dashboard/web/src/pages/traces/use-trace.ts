// Loads a trace, and again when more of its spans arrive: a trace may be looked at while it goes on.
import { useEffect, useState } from 'preact/hooks';
import type { Problem } from '../../live/frame';
import { useLive } from '../../live/live';
import { QueryError, runQuery } from '../../live/query';
import { reader } from '../shared/frame-reader';
import { MOST_SPANS, spanCountSql, traceSql } from './list-query';
import { traceOf } from './load';
import type { Trace } from './span';

/** Spans arrive in many small requests; the trace is not read again for each. */
const PAUSE_MS = 1500;
/** A trace that ended longer ago is whole: nobody looks whether more of it comes. */
const YOUNG_MS = 600_000;

export interface Loaded {
  trace: Trace | null;
  error: Problem | null;
  loading: boolean;
  reload(): void;
}

export function useTrace(id: string, around: number | null): Loaded {
  const [state, setState] = useState<{ trace: Trace | null; error: Problem | null; loading: boolean }>({
    trace: null,
    error: null,
    loading: true,
  });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    setState((had) => ({ trace: had.trace?.id === id ? had.trace : null, error: null, loading: true }));
    runQuery(traceSql(id, around), { limit: MOST_SPANS, signal: controller.signal }).then(
      (frame) => setState({ trace: traceOf(id, frame), error: null, loading: false }),
      (error) => {
        if (controller.signal.aborted) return;
        const problem = error instanceof QueryError ? error.problem : { kind: 'internal', message: String(error) };
        setState((had) => ({ ...had, error: problem, loading: false }));
      },
    );
    return () => controller.abort();
  }, [id, around, turn]);

  const loaded = state.trace?.id === id ? state.trace : null;
  // Near its own time once that is known: to count in all of the lake again and again is too much to ask.
  const near = loaded && loaded.spans.length > 0 ? startOf(loaded) : around;
  const watched = near !== null && isYoung(loaded, near);
  const held = loaded?.spans.length ?? 0;
  const again = () => setTurn((turn) => turn + 1);
  useWhenMore(watched ? spanCountSql(id, near) : null, state.loading || held >= MOST_SPANS ? null : held, again);
  return { ...state, reload: again };
}

/** Calls `again` when the answer to `sql`, a count `n`, grows past what is `held`; `null`: not to be asked now. */
export function useWhenMore(sql: string | null, held: number | null, again: () => void): void {
  const frame = useLive(sql ? { sql, mode: 'table' } : null).rows.value;
  const count = sql && frame && frame.length > 0 ? (reader(frame, 'n').number(0) ?? 0) : 0;
  const more = held !== null && count > held;
  useEffect(() => {
    if (!more) return;
    const timer = setTimeout(again, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [more, count, held]);
}

/** More of it may come. */
export const isYoung = (trace: Trace | null, otherwise: number): boolean =>
  endOf(trace, otherwise) > Date.now() - YOUNG_MS;

/** Milliseconds since 1970. */
export const startOf = (trace: Trace): number => Number(trace.startNanos / 1_000_000n);

function endOf(trace: Trace | null, otherwise: number): number {
  if (!trace || trace.spans.length === 0) return otherwise;
  return startOf(trace) + trace.spans.reduce((most, { end }) => Math.max(most, end), 0) / 1e6;
}
