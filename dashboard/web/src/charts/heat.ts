// Histograms over time as cells: for each time and bucket, how many. Three shapes of a result are understood:
// a column of upper bounds (`le`, `bound`, `bucket`: numbers or text, `+Inf` for the last) with a number a row, or lists of
// counts and bounds (`bucket_counts`, `explicit_bounds`) as the histogram tables hold them.
import type { Frame } from '../live/frame';
import { unitFormat } from './format';
import type { Theme } from './palette';
import type { Content, Geometry } from './plot';
import type { Axis } from './ticks';
import type { Window } from './viewport';

export interface Heat {
  readonly times: Float64Array;
  /** Upper bounds, ascending; the last may be infinite. */
  readonly bounds: readonly number[];
  /** Time after time, a value a bucket. */
  readonly counts: Float64Array;
  readonly most: number;
  readonly spacing: number;
}

const BOUND = /^(le|bound|bounds|bucket|upper|upper_bound)$/i;
const EMPTY: Heat = { times: new Float64Array(0), bounds: [], counts: new Float64Array(0), most: 0, spacing: 0 };

interface Cell {
  readonly time: number;
  readonly bound: number;
  readonly count: number;
}

function* cells(frame: Frame): Iterable<Cell> {
  const time = frame.time;
  if (!time) return;
  const counts = frame.columns.findIndex(({ name, type }) => type === 'other' && /counts?$/i.test(name));
  const lists = frame.columns.findIndex(({ name, type }) => type === 'other' && /bounds$/i.test(name));
  if (counts >= 0 && lists >= 0) {
    for (let row = 0; row < frame.length; row++) {
      const values = frame.get(counts, row);
      const bounds = frame.get(lists, row);
      if (!Array.isArray(values) || !Array.isArray(bounds)) continue;
      for (let i = 0; i < values.length; i++) {
        const bound = i < bounds.length ? Number(bounds[i]) : Number.POSITIVE_INFINITY;
        yield { time: time[row] as number, bound, count: Number(values[i]) };
      }
    }
    return;
  }
  const named = frame.columns.findIndex(({ name }) => BOUND.test(name));
  const numbers = frame.columns.flatMap(({ type }, column) => (type === 'number' && column !== named ? [column] : []));
  const value = numbers.at(-1);
  const bound =
    named >= 0
      ? named
      : frame.columns.findIndex(({ type }, i) => i !== value && (type === 'number' || type === 'string'));
  if (value === undefined || bound < 0) return;
  for (let row = 0; row < frame.length; row++) {
    const upper = frame.get(bound, row);
    const parsed =
      typeof upper === 'string' && /^\+?inf/i.test(upper)
        ? Number.POSITIVE_INFINITY
        : Number(upper ?? Number.POSITIVE_INFINITY);
    yield { time: time[row] as number, bound: parsed, count: Number(frame.get(value, row) ?? 0) };
  }
}

export function heatOf(frame: Frame): Heat {
  const all = [...cells(frame)].filter(
    ({ time, bound, count }) => !Number.isNaN(time + bound + count) || bound === Number.POSITIVE_INFINITY,
  );
  if (all.length === 0) return EMPTY;
  const bounds = [...new Set(all.map(({ bound }) => bound))].sort((a, b) => a - b);
  const times = Float64Array.from(new Set(all.map(({ time }) => time))).sort();
  const row = new Map(bounds.map((bound, i) => [bound, i]));
  const column = new Map(Array.from(times, (time, i) => [time, i]));
  const counts = new Float64Array(times.length * bounds.length);
  let most = 0;
  for (const { time, bound, count } of all) {
    const at = (column.get(time) ?? 0) * bounds.length + (row.get(bound) ?? 0);
    counts[at] = (counts[at] as number) + (Number.isNaN(count) ? 0 : count);
    most = Math.max(most, counts[at] as number);
  }
  let spacing = Number.POSITIVE_INFINITY;
  for (let i = 1; i < times.length; i++) spacing = Math.min(spacing, (times[i] as number) - (times[i - 1] as number));
  return { times, bounds, counts, most, spacing: Number.isFinite(spacing) ? spacing : 0 };
}

/** One hue from near the surface to full, by the square root: few still show beside many. */
const SCALE = {
  light: ['#e3f1f5', '#b5dbe5', '#7fbfd0', '#459db5', '#187a96', '#0b566d', '#06394a'],
  dark: ['#17303a', '#1b4856', '#1f667a', '#28879f', '#46a9c0', '#83cbdb', '#c9edf4'],
};

export function shade(share: number, dark: boolean): string {
  const scale = SCALE[dark ? 'dark' : 'light'];
  return scale[Math.min(scale.length - 1, Math.floor(Math.sqrt(share) * scale.length))] as string;
}

export const heatScale = (dark: boolean): readonly string[] => SCALE[dark ? 'dark' : 'light'];

export class HeatContent implements Content {
  readonly #heat: Heat;
  readonly #theme: Theme;
  readonly #format: (value: number) => string;

  constructor(heat: Heat, unit: string | undefined, percent: boolean, theme: Theme) {
    this.#heat = heat;
    this.#theme = theme;
    this.#format = unitFormat(unit, percent);
  }

  get newest(): number {
    return this.#heat.times.at(-1) ?? Number.NaN;
  }

  /** Buckets are rows of one height: their bounds grow by factors, so a linear axis would squeeze most of them together. */
  axis(_: Window, height: number): Axis & { readonly labels: readonly string[] } {
    const { bounds } = this.#heat;
    const rows = Math.max(1, bounds.length);
    const every = Math.max(1, Math.ceil((rows * 20) / height));
    const ticks = bounds.flatMap((_bound, i) => ((rows - 1 - i) % every === 0 ? [i + 1] : []));
    const labels = ticks.map((tick) => this.#format(bounds[tick - 1] as number));
    return { min: 0, max: rows, step: 1, ticks, labels };
  }

  paint(context: CanvasRenderingContext2D, { box, window }: Geometry): void {
    const { times, bounds, counts, most, spacing } = this.#heat;
    if (most === 0) return;
    context.save();
    context.beginPath();
    context.rect(box.left, box.top, box.width, box.height);
    context.clip();
    const scale = box.width / (window.to - window.from);
    const row = box.height / bounds.length;
    const wide = Math.max(1, spacing * scale);
    for (let i = 0; i < times.length; i++) {
      const x = box.left + ((times[i] as number) - window.from) * scale;
      if (x + wide < box.left || x > box.left + box.width) continue;
      const left = Math.round(x);
      const width = Math.max(1, Math.round(x + wide) - left - (wide > 8 ? 1 : 0));
      for (let j = 0; j < bounds.length; j++) {
        const count = counts[i * bounds.length + j] as number;
        if (!(count > 0)) continue;
        context.fillStyle = shade(count / most, this.#theme.dark);
        const top = Math.round(box.top + box.height - (j + 1) * row);
        context.fillRect(
          left,
          top,
          width,
          Math.max(1, Math.round(box.top + box.height - j * row) - top - (row > 6 ? 1 : 0)),
        );
      }
    }
    context.restore();
  }
}
