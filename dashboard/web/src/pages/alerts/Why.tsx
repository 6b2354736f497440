// Why an alert fires: the rule's query, and what it gave over the page's range, with what it is held against.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { problemOf } from '../../boards/board';
import { Chart, type Threshold } from '../../charts/Chart';
import type { Frame, Problem } from '../../live/frame';
import { runQuery } from '../../live/query';
import { formatDuration } from '../../time/range';
import { paused } from '../../time/refresh';
import { EmptyState, ErrorState, Loading } from '../../ui';
import { short } from './AlertList';
import type { Band, HistoryEvent } from './history';
import type { Alert } from './model';
import { BAND_LEVELS, Query, useWindow } from './parts';
import { DEFAULT_WINDOW_MS, frameOfPoints, MOST_ROWS, pointsIn, pointsOfAlert, thresholdsIn, whySql } from './why';

interface Props {
  readonly alert: Alert;
  readonly rule: NonNullable<Alert['rule']>;
  readonly events: readonly HistoryEvent[];
  readonly bands: readonly Band[];
}

const HEIGHT = 190;

export function Why({ alert, rule: { rule }, events, bands }: Props) {
  const windowMs = rule.window ? rule.window * 1000 : DEFAULT_WINDOW_MS;
  const thresholds = useMemo(() => rule.thresholds ?? thresholdsIn(rule.query), [rule]);
  return (
    <section aria-label="Why" class="why">
      <h3>Why</h3>
      <Query sql={rule.query} label="The rule's query" />
      <p class="hint">
        <code>$range</code> is the last {formatDuration(windowMs)}
        {thresholds.length > 0 && `; held against ${thresholds.map(short).join(' and ')}`}
        {rule.duration ? `; for ${formatDuration(rule.duration * 1000)} before it fires` : ''}. The chart has what the
        query gave at each time{thresholds.length > 0 ? '; the broken line is the threshold' : ''}, and behind it when
        the alert was pending, firing or acknowledged.
      </p>
      <Values
        alert={alert}
        query={rule.query}
        windowMs={windowMs}
        thresholds={thresholds}
        events={events}
        bands={bands}
      />
    </section>
  );
}

interface ValuesProps extends Omit<Props, 'rule'> {
  readonly query: string;
  readonly windowMs: number;
  readonly thresholds: readonly number[];
}

function Values({ alert, query, windowMs, thresholds, events, bands }: ValuesProps) {
  const { frames, problem, retry } = useValues(query, windowMs);
  const frame = useMemo(() => {
    const computed = frames?.flatMap((one) => pointsOfAlert(one, alert.labels)) ?? [];
    if (computed.length > 0) return frameOfPoints(computed);
    // What was written down when it changed, for want of better.
    const recorded = events.flatMap(({ at, value }): [number, number][] => (value === null ? [] : [[at, value]]));
    return frames || problem ? frameOfPoints(recorded) : null;
  }, [frames, problem, alert.labels, events]);
  const lines = useMemo(() => thresholds.map((value): Threshold => ({ value, level: 'critical' })), [thresholds]);
  const shown = useMemo(() => bands.map(({ state, ...band }) => ({ ...band, level: BAND_LEVELS[state] })), [bands]);
  if (!frame) return <Loading label="Running the query" />;
  if (frame.length === 0) {
    if (problem) return <ErrorState problem={problem} onRetry={retry} />;
    return <EmptyState title="No value in this range">The query gave nothing for these labels.</EmptyState>;
  }
  // The threshold is in sight, however far the values are from it.
  const values = frame.numbers(1) ?? new Float64Array(0);
  const most = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const least = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const [high, low] = [Math.max(...thresholds), Math.min(...thresholds)];
  return (
    <>
      {problem && (
        <p class="hint">
          The query cannot be asked for the past ({problem.message}); these are the values that were written down.
        </p>
      )}
      <Chart
        kind="line"
        title={`Value of ${alert.name}`}
        frame={frame}
        height={HEIGHT}
        thresholds={lines}
        bands={shown}
        max={thresholds.length > 0 && high > most ? high + (high - Math.min(least, low)) * 0.08 : undefined}
        min={thresholds.length > 0 && low < least ? low - (Math.max(most, high) - low) * 0.08 : undefined}
      />
    </>
  );
}

interface Result {
  readonly frames: readonly Frame[] | null;
  readonly problem: Problem | null;
}

const EVERY_MS = 30_000;

/** The query at points of the page's range; anew as the range slides. */
function useValues(query: string, windowMs: number) {
  const window = useWindow(EVERY_MS);
  const points = useMemo(() => pointsIn(window), [window]);
  const [turn, setTurn] = useState(0);
  const [result, setResult] = useState<Result>({ frames: null, problem: null });
  const asked = useRef('');
  useEffect(() => {
    const key = JSON.stringify([query, points, windowMs, turn]);
    if (key === asked.current || (paused.peek() && asked.current !== '')) return;
    asked.current = key;
    const controller = new AbortController();
    const run = async () => {
      const frames: Frame[] = [];
      for (const sql of whySql(query, points, windowMs)) {
        frames.push(await runQuery(sql, { limit: MOST_ROWS, signal: controller.signal }));
      }
      return frames;
    };
    run().then(
      (frames) => setResult({ frames, problem: null }),
      (error) => {
        if (!controller.signal.aborted) setResult((had) => ({ frames: had.frames, problem: problemOf(error) }));
      },
    );
    return () => controller.abort();
  }, [query, points, windowMs, turn]);
  return { ...result, retry: () => setTurn(turn + 1) };
}
