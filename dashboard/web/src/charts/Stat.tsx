// Single values, large, each with the line of its past below it.
import { useMemo } from 'preact/hooks';
import type { ChartProps } from './Chart';
import { unitFormat } from './format';
import { levelOf, namedValues } from './values';
import { currentWindow, type Window } from './viewport';

const WIDTH = 200;
const HEIGHT = 40;

export function StatChart({ frame, series, unit, percent, thresholds = [], title }: ChartProps) {
  const { values, set } = useMemo(() => namedValues(frame, series), [frame, series]);
  const format = unitFormat(unit, percent);
  if (values.length === 0) return null;
  const window = currentWindow();
  return (
    <ul class="stats" aria-label={title} tabIndex={values.length > 4 ? 0 : undefined}>
      {values.slice(0, 24).map(({ name, value, series: past }) => {
        const level = levelOf(value, thresholds);
        return (
          <li key={name} class={level ? `stat ${level}` : 'stat'}>
            <span class="stat-value">{format(value)}</span>
            {values.length > 1 && (
              <span class="stat-name" title={name}>
                <bdi>{name}</bdi>
              </span>
            )}
            {level && level !== 'ok' && <span class="visually-hidden">({level})</span>}
            {past && set && <Sparkline times={set.times} values={past.values} window={window} />}
          </li>
        );
      })}
    </ul>
  );
}

export function Sparkline(props: {
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly window: Window;
}) {
  const { line, area } = path(props.times, props.values, props.window);
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="spark-area" d={area} />
      <path class="spark-line" d={line} />
    </svg>
  );
}

/** At most two points a unit of width: lowest and highest of each. */
function path(times: Float64Array, values: Float64Array, { from, to }: Window): { line: string; area: string } {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if ((times[i] as number) < from || Number.isNaN(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return { line: '', area: '' };
  if (low >= 0 && low < high * 0.6) low = 0;
  const span = high - low || Math.abs(high) || 1;
  const points: [number, number][] = [];
  let column = -1;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    const x = (((times[i] as number) - from) / (to - from)) * WIDTH;
    if (Number.isNaN(value) || x < 0) continue;
    const y = HEIGHT - 2 - ((value - low) / span) * (HEIGHT - 4);
    const before = points.at(-1);
    if (before && Math.floor(x) === column && points.length > 2 * column) before[1] = Math.min(before[1], y);
    else points.push([x, y]);
    column = Math.floor(x);
  }
  const line = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
  const first = points[0];
  const last = points.at(-1);
  return first && last
    ? { line, area: `${line}L${last[0].toFixed(1)} ${HEIGHT}L${first[0].toFixed(1)} ${HEIGHT}Z` }
    : { line, area: '' };
}
