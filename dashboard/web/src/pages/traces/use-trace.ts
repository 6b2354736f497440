// Loads a trace, and again when more of its spans arrive: a trace may be looked at while it goes on.
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Problem } from '../../live/frame';
import { useLive } from '../../live/live';
import { QueryError, runQuery } from '../../live/query';
import { reader } from '../shared/frame-reader';
import { MOST_SPANS, spanCountSql, traceSql } from './list-query';
import { traceOf } from './load';
import type { Trace } from './span';

/** Spans arrive in many small requests; the trace is not read again for each. */
const PAUSE_MS = 1500;

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

  const counted = useLive(useMemo(() => ({ sql: spanCountSql(id, around), mode: 'table' as const }), [id, around]));
  const frame = counted.rows.value;
  const count = frame && frame.length > 0 ? (reader(frame, 'spans').number(0) ?? 0) : 0;
  const held = state.trace?.id === id ? state.trace.spans.length : 0;
  useEffect(() => {
    if (state.loading || count <= held || held >= MOST_SPANS) return;
    const timer = setTimeout(() => setTurn((turn) => turn + 1), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [count, held, state.loading]);
  return { ...state, reload: () => setTurn((turn) => turn + 1) };
}
