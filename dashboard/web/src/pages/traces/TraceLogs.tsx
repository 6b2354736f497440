// The records of a trace, or of one of its spans.
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Problem } from '../../live/frame';
import { QueryError, runQuery } from '../../live/query';
import { Link } from '../../router';
import { zoneSignal } from '../../time/range';
import { ErrorState, Loading } from '../../ui';
import { traceLogCountSql, traceLogsSql } from '../logs/filter';
import { LogDetails } from '../logs/LogDetails';
import { type LogRow, logRows } from '../logs/rows';
import { formatTime } from '../shared/format';
import { Icon } from '../shared/icons';
import { clip, printable } from '../shared/printable';
import type { Trace } from './span';
import { isYoung, startOf, useWhenMore } from './use-trace';

const MOST = 2000;

export interface TraceRecords {
  rows: readonly LogRow[] | null;
  error: Problem | null;
  truncated: boolean;
}

/** Read again when more of them arrive: a service sends its logs and its spans at different times. */
export function useTraceLogs(trace: Trace): TraceRecords {
  const start = startOf(trace);
  const [state, setState] = useState<TraceRecords>({ rows: null, error: null, truncated: false });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    runQuery(traceLogsSql(trace.id, start, MOST), { limit: MOST, signal: controller.signal }).then(
      (frame) => setState({ rows: logRows(frame).reverse(), error: null, truncated: frame.length >= MOST }),
      (error) => {
        if (controller.signal.aborted) return;
        const problem = error instanceof QueryError ? error.problem : { kind: 'internal', message: String(error) };
        setState({ rows: null, error: problem, truncated: false });
      },
    );
    return () => controller.abort();
  }, [trace, start, turn]);
  const held = state.truncated ? null : (state.rows?.length ?? null);
  useWhenMore(isYoung(trace, start) ? traceLogCountSql(trace.id, start) : null, held, () =>
    setTurn((turn) => turn + 1),
  );
  return state;
}

interface Props {
  readonly records: TraceRecords;
  readonly traceId: string;
  /** Only those of this span. */
  readonly spanId?: string | null;
}

const FIRST = 200;

export function TraceLogs({ records, traceId, spanId }: Props) {
  const { rows, error, truncated } = records;
  const [opened, setOpened] = useState<string | null>(null);
  const [all, setAll] = useState(false);
  const fitting = useMemo(() => (rows ?? []).filter((row) => !spanId || row.spanId === spanId), [rows, spanId]);
  if (error) return <ErrorState problem={error} />;
  if (!rows) return <Loading />;
  const shown = all ? fitting : fitting.slice(0, FIRST);
  return (
    <div class="trace-logs log-list">
      {fitting.length === 0 && <p class="hint">No log records {spanId ? 'of this span' : 'of this trace'}.</p>}
      {shown.map((row) => (
        <div key={row.key} class="log-item">
          <button
            type="button"
            class={`trace-log level-${row.level}`}
            aria-expanded={opened === row.key}
            onClick={() => setOpened(opened === row.key ? null : row.key)}
          >
            <Icon name="chevron" size={12} />
            <time>{formatTime(row.time, zoneSignal.value)}</time>
            <span class="level">{row.level}</span>
            <bdi>{printable(clip(row.body ?? row.eventName, 600))}</bdi>
          </button>
          {opened === row.key && <LogDetails row={row} />}
        </div>
      ))}
      {shown.length < fitting.length && (
        <button type="button" class="text-button" onClick={() => setAll(true)}>
          Show all {fitting.length}
        </button>
      )}
      <p class="hint">
        {truncated && `The first ${MOST}. `}
        <Link href={`/logs?q=${encodeURIComponent(`trace_id=${traceId}${spanId ? ` span_id=${spanId}` : ''}`)}`}>
          Open in Logs
        </Link>
      </p>
    </div>
  );
}
