// From rows (time, labels, values) to series over one axis of times.
import type { Frame } from '../live/frame';

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

interface Group {
  readonly row: number;
  readonly key: number;
}

/** Numbers rows by their label columns: rows with the same labels have the same number. */
function group(frame: Frame, labels: readonly number[]): { of: Int32Array; groups: Group[] } {
  const of = new Int32Array(frame.length);
  if (labels.length === 0) return { of, groups: frame.length > 0 ? [{ row: 0, key: 0 }] : [] };
  let count = 1;
  for (const column of labels) {
    const texts = frame.texts(column);
    const next = new Map<number, number>();
    const width = texts ? texts.words.length + 1 : 0;
    const own = new Map<string, number>();
    for (let row = 0; row < frame.length; row++) {
      let code: number;
      if (texts) code = (texts.codes[row] as number) + 1;
      else {
        const text = String(frame.get(column, row));
        code = own.get(text) ?? own.size;
        own.set(text, code);
      }
      // `count` groups so far times what this column tells apart: exact in a double for any result that fits in memory.
      const key = (of[row] as number) * (texts ? width : frame.length + 1) + code;
      let number = next.get(key);
      if (number === undefined) {
        number = next.size;
        next.set(key, number);
      }
      of[row] = number;
    }
    count = next.size;
  }
  const groups: Group[] = new Array(count);
  const seen = new Uint8Array(count);
  for (let row = 0; row < frame.length; row++) {
    const key = of[row] as number;
    if (seen[key]) continue;
    seen[key] = 1;
    groups[key] = { row, key };
  }
  return { of, groups };
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
  const order = sorted(frame);
  if (!order) return NONE;
  const time = frame.time as Float64Array;
  const valueColumns: number[] = [];
  const labelColumns: number[] = [];
  frame.columns.forEach(({ type }, column) => {
    if (type === 'number') valueColumns.push(column);
    else if (type === 'string' || type === 'boolean' || type === 'int64') labelColumns.push(column);
  });
  const { of, groups } = group(frame, labelColumns);

  // Positions of rows on the common axis.
  const at = new Int32Array(frame.length);
  const times = buffers.take(frame.length);
  let count = 0;
  for (let i = 0; i < frame.length; i++) {
    const row = order === 'as is' ? i : (order[i] as number);
    const value = time[row] as number;
    if (Number.isNaN(value)) {
      at[row] = -1;
      continue;
    }
    if (count === 0 || times[count - 1] !== value) times[count++] = value;
    at[row] = count - 1;
  }

  const made: Series[] = [];
  const total = groups.length * valueColumns.length;
  const kept = keep(groups, MOST_SERIES / Math.max(1, valueColumns.length), frame, valueColumns[0], of);
  const slot = new Int32Array(groups.length).fill(-1);
  kept.forEach((key, i) => {
    slot[key] = i;
  });
  for (const column of valueColumns) {
    const numbers = frame.numbers(column);
    if (!numbers) continue;
    const values = kept.map(() => buffers.take(count).fill(Number.NaN));
    for (let row = 0; row < frame.length; row++) {
      const to = slot[of[row] as number] as number;
      if (to >= 0 && (at[row] as number) >= 0) (values[to] as Float64Array)[at[row] as number] = numbers[row] as number;
    }
    const columnName = frame.columns[column]?.name ?? '';
    kept.forEach((key, i) => {
      const row = (groups[key] as Group).row;
      const labels: Record<string, string> = {};
      for (const label of labelColumns) {
        const value = frame.get(label, row);
        labels[frame.columns[label]?.name ?? ''] = value === null ? '' : String(value);
      }
      let name = seriesName(template, labels, columnName);
      if (valueColumns.length > 1 && labelColumns.length > 0 && !name.includes(columnName))
        name = `${name} ${columnName}`;
      if (valueColumns.length > 1 && labelColumns.length === 0) name = columnName;
      made.push({ name, labels, values: values[i] as Float64Array });
    });
  }
  // Labels come in any order; columns in the one that the query chose.
  const all = labelColumns.length > 0 ? unique(made).sort((a, b) => compareNames(a.name, b.name)) : unique(made);
  return {
    times: times.subarray(0, count),
    series: all,
    left: Math.max(0, total - made.length),
    spacing: spacingOf(times, count, all),
  };
}

const collator = new Intl.Collator('en', { numeric: true });
export const compareNames = (a: string, b: string): number => collator.compare(a, b);

/** The order of rows by time; null when there is nothing to draw. */
function sorted(frame: Frame): 'as is' | Uint32Array | null {
  const { time } = frame;
  if (!time || frame.length === 0) return null;
  let ascending = true;
  for (let row = 1; row < time.length && ascending; row++)
    ascending = (time[row] as number) >= (time[row - 1] as number);
  if (ascending) return 'as is';
  const order = new Uint32Array(frame.length);
  for (let row = 0; row < order.length; row++) order[row] = row;
  return order.sort((a, b) => (time[a] as number) - (time[b] as number));
}

/** The groups to draw: all, or those that reach highest. */
function keep(
  groups: readonly Group[],
  most: number,
  frame: Frame,
  column: number | undefined,
  of: Int32Array,
): number[] {
  const keys = groups.map(({ key }) => key);
  const numbers = column === undefined ? null : frame.numbers(column);
  if (keys.length <= most || !numbers) return keys;
  const top = new Float64Array(groups.length).fill(Number.NEGATIVE_INFINITY);
  for (let row = 0; row < frame.length; row++) {
    const key = of[row] as number;
    if ((numbers[row] as number) > (top[key] as number)) top[key] = numbers[row] as number;
  }
  return keys.sort((a, b) => (top[b] as number) - (top[a] as number)).slice(0, Math.floor(most));
}

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
