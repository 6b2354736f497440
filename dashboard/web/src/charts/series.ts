// From rows (time, labels, values) to series over one axis of times.
import type { Frame } from '../live/frame';
import { columnsOf, type Group, groupRows, highest, labelsOf, positions, timeOrder } from './rows';

export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** One value a time of the set, NaN where it has none. */
  readonly values: Float64Array;
}

export interface SeriesSet {
  /** Ascending milliseconds. */
  readonly times: Float64Array;
  readonly series: readonly Series[];
  /** Series that are not drawn because there are too many. */
  readonly left: number;
  /** Milliseconds that usually lie between two points of a series. */
  readonly spacing: number;
}

/** More than this nobody tells apart, and drawing them costs. */
export const MOST_SERIES = 100;
/** Numbers that a set holds: series whose points have no times in common would take one for each time of all of them. */
const MOST_VALUES = 2_000_000;
const NONE: SeriesSet = { times: new Float64Array(0), series: [], left: 0, spacing: 0 };

/** `{state} of {cpu}` with the labels put in; a label that is not there is empty. */
export function seriesName(
  template: string | undefined,
  labels: Readonly<Record<string, string>>,
  column: string,
): string {
  if (template !== undefined)
    return template
      .replace(/\{([^{}]+)\}/g, (_, label: string) => (Object.hasOwn(labels, label) ? (labels[label] ?? '') : ''))
      .trim();
  const values = Object.values(labels).filter((value) => value !== '');
  return values.length > 0 ? values.join(' · ') : column;
}

/** Memory that a chart uses again for each frame, so that a second's new rows leave no garbage of a whole window. */
export class Buffers {
  readonly #pool: Float64Array[] = [];
  #used = 0;

  begin(): void {
    this.#used = 0;
  }

  take(length: number): Float64Array {
    let buffer = this.#pool[this.#used];
    if (!buffer || buffer.length < length) {
      buffer = new Float64Array(Math.max(64, Math.ceil(length * 1.25)));
      this.#pool[this.#used] = buffer;
    }
    this.#used++;
    return buffer.subarray(0, length);
  }
}

/** `template` names series from their labels. With `buffers`, the set made with them before is overwritten. */
export function seriesOf(frame: Frame, template?: string, buffers = new Buffers()): SeriesSet {
  buffers.begin();
  const order = timeOrder(frame);
  if (!order) return NONE;
  const { values: valueColumns, labels: labelColumns } = columnsOf(frame);
  const { of, groups } = groupRows(frame, labelColumns);
  const kept = highest(groups, MOST_SERIES / Math.max(1, valueColumns.length), frame, valueColumns[0], of);
  const { at, times } = positions(frame, order, buffers, MOST_VALUES / Math.max(1, kept.length * valueColumns.length));
  const slot = new Int32Array(groups.length).fill(-1);
  kept.forEach((key, i) => {
    slot[key] = i;
  });

  const made: Series[] = [];
  for (const column of valueColumns) {
    const values = kept.map(() => buffers.take(times.length).fill(Number.NaN));
    fill(values, frame.numbers(column) as Float64Array, at, (row) => slot[of[row] as number] as number);
    const head = valueColumns.length > 1 ? (frame.columns[column]?.name ?? '') : null;
    kept.forEach((key, i) => {
      const labels = labelsOf(frame, labelColumns, (groups[key] as Group).row);
      made.push({ name: nameOf(template, labels, head, frame, column), labels, values: values[i] as Float64Array });
    });
  }
  // Labels come in any order; columns in the one that the query chose.
  const all = labelColumns.length > 0 ? unique(made).sort((a, b) => compareNames(a.name, b.name)) : unique(made);
  const left = Math.max(0, groups.length * valueColumns.length - made.length);
  return { times, series: all, left, spacing: spacingOf(times, times.length, all) };
}

/** Of two values that fall on one position (where times were made coarser) the more extreme is drawn. */
function fill(
  values: readonly Float64Array[],
  numbers: Float64Array,
  at: Int32Array,
  slot: (row: number) => number,
): void {
  for (let row = 0; row < numbers.length; row++) {
    const into = values[slot(row)];
    const position = at[row] as number;
    const value = numbers[row] as number;
    if (into === undefined || position < 0 || Number.isNaN(value)) continue;
    const had = into[position] as number;
    if (Number.isNaN(had) || Math.abs(value) > Math.abs(had)) into[position] = value;
  }
}

function nameOf(
  template: string | undefined,
  labels: Readonly<Record<string, string>>,
  head: string | null,
  frame: Frame,
  column: number,
): string {
  const own = frame.columns[column]?.name ?? '';
  if (head === null) return seriesName(template, labels, own);
  if (Object.keys(labels).length === 0) return head;
  const name = seriesName(template, labels, own);
  return name.includes(head) ? name : `${name} ${head}`;
}

const collator = new Intl.Collator('en', { numeric: true });
export const compareNames = (a: string, b: string): number => collator.compare(a, b);

/** Two series of one name (a template that leaves a label out) get their labels behind the name. */
function unique(series: Series[]): Series[] {
  const seen = new Map<string, number>();
  for (const { name } of series) seen.set(name, (seen.get(name) ?? 0) + 1);
  return series.map((one) => {
    if (seen.get(one.name) === 1) return one;
    const labels = Object.entries(one.labels).map(([label, value]) => `${label}=${value}`);
    return { ...one, name: `${one.name} {${labels.join(', ')}}` };
  });
}

/** The median distance of neighbouring points of some series: a few hundred samples say it well enough. */
function spacingOf(times: Float64Array, count: number, series: readonly Series[]): number {
  const gaps: number[] = [];
  for (const { values } of series.slice(0, 8)) {
    let before = -1;
    for (let i = 0; i < count && gaps.length < 512; i++) {
      if (Number.isNaN(values[i])) continue;
      if (before >= 0) gaps.push((times[i] as number) - (times[before] as number));
      before = i;
    }
  }
  if (gaps.length === 0) return 0;
  gaps.sort((a, b) => a - b);
  return gaps[gaps.length >> 1] as number;
}

export interface Stats {
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  readonly last: number;
}

/** Over the points from `from` to `to`; NaN where there are none. */
export function statsOf(times: Float64Array, values: Float64Array, from: number, to: number): Stats {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let count = 0;
  let last = Number.NaN;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    const time = times[i] as number;
    if (Number.isNaN(value) || time < from || time > to) continue;
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    count++;
    last = value;
  }
  return count === 0
    ? { min: Number.NaN, mean: Number.NaN, max: Number.NaN, last }
    : { min, mean: sum / count, max, last };
}

/** Position of the time nearest to `time`, -1 without any. */
export function nearest(times: Float64Array, time: number): number {
  if (times.length === 0) return -1;
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) < time) low = middle + 1;
    else high = middle;
  }
  if (low > 0 && time - (times[low - 1] as number) <= (times[low] as number) - time) return low - 1;
  return low;
}

/** The value of a series at or around a position: the nearest point within `reach` milliseconds, NaN without one. */
export function valueNear({ times, spacing }: SeriesSet, values: Float64Array, at: number): number {
  const here = values[at] as number;
  if (!Number.isNaN(here)) return here;
  const time = times[at] as number;
  for (let step = 1; step < 64; step++) {
    for (const i of [at - step, at + step]) {
      const value = values[i];
      if (value !== undefined && !Number.isNaN(value) && Math.abs((times[i] as number) - time) <= spacing) return value;
    }
  }
  return Number.NaN;
}
