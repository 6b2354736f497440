// One number a series, for charts that show the present: a live series' last point, or the rows of a table.
import type { Frame } from '../live/frame';
import { type Series, type SeriesSet, seriesName, seriesOf } from './series';

export interface Named {
  readonly name: string;
  readonly value: number;
  /** Where the value comes from a series over time. */
  readonly series?: Series;
}

export function lastOf(values: Float64Array): number {
  for (let i = values.length - 1; i >= 0; i--) if (!Number.isNaN(values[i])) return values[i] as number;
  return Number.NaN;
}

export function namedValues(frame: Frame, template: string | undefined): { values: Named[]; set: SeriesSet | null } {
  if (frame.time) {
    const set = seriesOf(frame, template);
    return { values: set.series.map((series) => ({ name: series.name, value: lastOf(series.values), series })), set };
  }
  const values: Named[] = [];
  const numbers = frame.columns.flatMap(({ type }, column) => (type === 'number' ? [column] : []));
  for (let row = 0; row < frame.length; row++) {
    const labels: Record<string, string> = {};
    frame.columns.forEach(({ name, type }, column) => {
      if (type !== 'number') labels[name] = String(frame.get(column, row) ?? '');
    });
    for (const column of numbers) {
      const head = frame.columns[column]?.name ?? '';
      const value = frame.get(column, row);
      const name = seriesName(template, labels, head);
      values.push({
        name: numbers.length > 1 && Object.keys(labels).length > 0 ? `${name} ${head}` : name,
        value: typeof value === 'number' ? value : Number.NaN,
      });
    }
  }
  return { values, set: null };
}

/** The level of the highest threshold that a value has reached. */
export function levelOf<L>(
  value: number,
  thresholds: readonly { readonly value: number; readonly level: L }[],
): L | null {
  let level: L | null = null;
  let reached = Number.NEGATIVE_INFINITY;
  for (const threshold of thresholds) {
    if (!(value >= threshold.value) || threshold.value < reached) continue;
    level = threshold.level;
    reached = threshold.value;
  }
  return level;
}
