// Runs a query: live while it follows the time range, once otherwise.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Frame, Problem } from '../../live/frame';
import { type LiveQuery, type LiveState, useLive } from '../../live/live';
import { QueryError, runQuery } from '../../live/query';
import { isSeries, isTimed, lookbackOf } from './template';

/** Rows that the page takes; a download has all. Of a live table the server gives no more than this. */
export const MOST_ROWS = 5_000;

export interface Run {
  readonly sql: string;
  /** Another run of the same text is another run. */
  readonly turn: number;
}

export interface Outcome {
  frame: Frame | null;
  problem: Problem | null;
  state: 'idle' | 'running' | 'done' | LiveState;
  live: boolean;
  stepMs: number;
  /** Milliseconds from asking to the whole answer, of what is run once. */
  tookMs: number | null;
  cancel(): void;
}

interface Once {
  frame: Frame | null;
  problem: Problem | null;
  state: 'idle' | 'running' | 'done';
  tookMs: number | null;
}

const IDLE: Once = { frame: null, problem: null, state: 'idle', tookMs: null };

export function useRun(run: Run | null, width: number): Outcome {
  const timed = run !== null && isTimed(run.sql);
  const [stopped, setStopped] = useState<Run | null>(null);
  const query = useMemo<LiveQuery | null>(() => {
    if (!run || !timed || stopped === run) return null;
    const lookback = lookbackOf(run.sql);
    const mode = isSeries(run.sql) ? 'series' : 'table';
    return { sql: run.sql, mode, width, limit: MOST_ROWS, ...(lookback && mode === 'series' && { lookback }) };
  }, [run, timed, stopped, width]);
  const live = useLive(query);
  const [once, setOnce] = useState<Once>(IDLE);
  const controller = useRef<AbortController | null>(null);
  useEffect(() => {
    controller.current?.abort();
    controller.current = null;
    if (!run || timed) return setOnce(IDLE);
    const mine = new AbortController();
    controller.current = mine;
    const began = performance.now();
    const took = () => performance.now() - began;
    setOnce((had) => ({ ...had, problem: null, state: 'running', tookMs: null }));
    runQuery(run.sql, { limit: MOST_ROWS, signal: mine.signal }).then(
      (frame) => setOnce({ frame, problem: null, state: 'done', tookMs: took() }),
      (error) => {
        if (controller.current !== mine) return;
        const problem = error instanceof QueryError ? error.problem : { kind: 'internal', message: String(error) };
        const cancelled = problem.kind === 'aborted';
        setOnce((had) => ({
          ...had,
          problem: cancelled ? null : problem,
          state: cancelled ? 'idle' : 'done',
          tookMs: took(),
        }));
      },
    );
    return () => {
      controller.current = null;
      mine.abort();
    };
  }, [run, timed]);

  if (!timed) {
    return { ...once, live: false, stepMs: 0, cancel: () => controller.current?.abort() };
  }
  const error = live.error.value;
  return {
    frame: live.rows.value,
    problem: live.state.value === 'error' || error?.kind === 'no_data_yet' ? error : null,
    state: query ? live.state.value : 'idle',
    live: true,
    stepMs: live.stepMs.value,
    tookMs: null,
    cancel: () => setStopped(run),
  };
}
