// Rows of a result by their time and their labels: the groundwork of series.ts.
import type { Frame } from '../live/frame';

export interface Group {
  readonly row: number;
  readonly key: number;
}

/** Numbers rows by their label columns: rows with the same labels have the same number. */
export function groupRows(frame: Frame, labels: readonly number[]): { of: Int32Array; groups: Group[] } {
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

/** The order of rows by time; null when there is nothing to draw. */
export function timeOrder(frame: Frame): 'as is' | Uint32Array | null {
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
export function highest(
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

export function columnsOf(frame: Frame): { values: number[]; labels: number[] } {
  const values: number[] = [];
  const labels: number[] = [];
  frame.columns.forEach(({ type }, column) => {
    if (type === 'number') values.push(column);
    else if (type === 'string' || type === 'boolean' || type === 'int64') labels.push(column);
  });
  return { values, labels };
}

export function labelsOf(frame: Frame, columns: readonly number[], row: number): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const column of columns) {
    const value = frame.get(column, row);
    labels[frame.columns[column]?.name ?? ''] = value === null ? '' : String(value);
  }
  return labels;
}

/** Coarser times are this many over all. */
const COARSE = 4_000;

/** The distinct times, ascending, and each row's position among them (-1 without a time); coarser where there are more than `most`. */
export function positions(
  frame: Frame,
  order: 'as is' | Uint32Array,
  buffers: { take(length: number): Float64Array },
  most: number,
): { at: Int32Array; times: Float64Array } {
  const time = frame.time as Float64Array;
  const at = new Int32Array(frame.length);
  const times = buffers.take(frame.length);
  const place = (quantum: number): number => {
    let count = 0;
    for (let i = 0; i < frame.length; i++) {
      const row = order === 'as is' ? i : (order[i] as number);
      const exact = time[row] as number;
      if (Number.isNaN(exact)) {
        at[row] = -1;
        continue;
      }
      const value = quantum > 0 ? Math.floor(exact / quantum) * quantum : exact;
      if (count === 0 || times[count - 1] !== value) times[count++] = value;
      at[row] = count - 1;
    }
    return count;
  };
  let count = place(0);
  if (count > Math.max(COARSE, most)) count = place(((times[count - 1] as number) - (times[0] as number)) / COARSE);
  return { at, times: times.subarray(0, count) };
}
