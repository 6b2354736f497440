// The list's rows: the newest as they come, unless somebody reads (then they stand still and the new ones are counted), and
// older ones below when asked for.
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Problem } from '../../live/frame';
import { type LiveState, useLive } from '../../live/live';
import { QueryError, runQuery } from '../../live/query';
import { bounds, range } from '../../time/range';
import { olderSql, tailSql } from './filter';
import { appendOlder, countNew, type LogRow, logRows } from './rows';

/** Rows of the live list. */
const TAIL = 1000;
/** Rows that one step into the past loads, and all that are kept. */
const STEP = 500;
const MOST = 20_000;

export type Reason = 'button' | 'scroll' | 'hover' | 'open' | 'older';

export interface Tail {
  rows: readonly LogRow[];
  state: LiveState;
  error: Problem | null;
  retry(): void;
  reasons: ReadonlySet<Reason>;
  hold(reason: Reason, on: boolean): void;
  resume(): void;
  /** Since the list was stopped. */
  fresh: { count: number; more: boolean };
  older: { state: 'idle' | 'loading' | 'done' | 'full'; error: Problem | null; load(): void };
}

interface Older {
  rows: readonly LogRow[];
  state: Tail['older']['state'];
  error: Problem | null;
}

const NO_OLDER: Older = { rows: [], state: 'idle', error: null };

export function useTail(condition: string | null): Tail {
  const live = useLive({ sql: tailSql(condition), mode: 'rows', limit: TAIL });
  const [frame, state] = [live.rows.value, live.state.value];
  const newest = useMemo(() => (frame ? logRows(frame) : []), [frame]);
  const question = JSON.stringify([condition, range.value]);
  const [reasons, setReasons] = useState<ReadonlySet<Reason>>(new Set());
  const [stopped, setStopped] = useState<{ question: string; rows: readonly LogRow[] } | null>(null);
  const [older, setOlder] = useState<Older>(NO_OLDER);
  const held = reasons.size > 0;

  useEffect(() => {
    if (!held) setStopped(null);
    else if (stopped?.question !== question && state !== 'loading') setStopped({ question, rows: newest });
  }, [held, stopped, question, state, newest]);

  const hold = useCallback((reason: Reason, on: boolean) => {
    setReasons((had) => {
      if (had.has(reason) === on) return had;
      const next = new Set(had);
      if (on) next.add(reason);
      else next.delete(reason);
      return next;
    });
  }, []);
  useEffect(() => {
    setOlder(NO_OLDER);
    hold('older', false);
  }, [question, hold]);
  const resume = useCallback(() => {
    setReasons(new Set());
    setOlder(NO_OLDER);
  }, []);

  const still = held && stopped?.question === question ? stopped.rows : null;
  const top = still ?? newest;
  const rows = useMemo(() => (older.rows.length > 0 ? appendOlder(top, older.rows) : top), [top, older.rows]);
  const fresh = useMemo(() => (still ? countNew(newest, still) : { count: 0, more: false }), [newest, still]);
  const load = useOlder(condition, question, rows, setOlder, () => hold('older', true));
  const everything =
    older.state === 'idle' && older.rows.length === 0 && frame !== null && !frame.truncated && newest.length < TAIL;
  return {
    rows,
    state,
    error: live.error.value,
    retry: live.retry,
    reasons,
    hold,
    resume,
    fresh,
    older: { state: everything ? 'done' : older.state, error: older.error, load },
  };
}

function useOlder(
  condition: string | null,
  question: string,
  rows: readonly LogRow[],
  setOlder: (change: (had: Older) => Older) => void,
  onStart: () => void,
): () => void {
  const asked = useRef<AbortController | null>(null);
  useEffect(
    () => () => {
      asked.current?.abort();
      asked.current = null;
    },
    [question],
  );
  return () => {
    const last = rows.at(-1);
    if (!last || asked.current) return;
    if (rows.length >= MOST) return setOlder((had) => ({ ...had, state: 'full' }));
    const controller = new AbortController();
    asked.current = controller;
    onStart();
    setOlder((had) => ({ ...had, state: 'loading', error: null }));
    // Those of the same millisecond come again; without room for them nothing new might come.
    const again = rows.filter((row) => Math.floor(row.time) === Math.floor(last.time)).length;
    const sql = olderSql(condition, last.time, bounds(range.peek()).from, STEP + again);
    runQuery(sql, { limit: STEP + again, signal: controller.signal }).then(
      (frame) => {
        if (asked.current !== controller) return;
        asked.current = null;
        const found = logRows(frame);
        const state = found.length < STEP + again ? 'done' : 'idle';
        setOlder((had) => ({ rows: appendOlder(had.rows, found), state, error: null }));
      },
      (error) => {
        if (asked.current !== controller) return;
        asked.current = null;
        const problem = error instanceof QueryError ? error.problem : { kind: 'internal', message: String(error) };
        setOlder((had) => ({ ...had, state: 'idle', error: problem }));
      },
    );
  };
}
