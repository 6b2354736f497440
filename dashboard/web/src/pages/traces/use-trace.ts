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
  const watched = near !== null && endOf(loaded, near) > Date.now() - YOUNG_MS;
  const counted = useLive(watched ? { sql: spanCountSql(id, near), mode: 'table' } : null);
  const frame = counted.rows.value;
  const count = frame && frame.length > 0 ? (reader(frame, 'spans').number(0) ?? 0) : 0;
  const held = loaded?.spans.length ?? 0;
  useEffect(() => {
    if (!watched || state.loading || count <= held || held >= MOST_SPANS) return;
    const timer = setTimeout(() => setTurn((turn) => turn + 1), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [watched, count, held, state.loading]);
  return { ...state, reload: () => setTurn((turn) => turn + 1) };
}

/** Milliseconds since 1970. */
export const startOf = (trace: Trace): number => Number(trace.startNanos / 1_000_000n);

function endOf(trace: Trace | null, otherwise: number): number {
  if (!trace || trace.spans.length === 0) return otherwise;
  return startOf(trace) + trace.spans.reduce((most, { end }) => Math.max(most, end), 0) / 1e6;
}
