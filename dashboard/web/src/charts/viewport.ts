// What all charts of a page share: the window of time they show, the time under the pointer, and one loop that draws them. A
// chart is drawn when its data changed, or when the sliding window has moved by a pixel of its: never otherwise.
import { effect, signal } from '@preact/signals';
import { serverNow } from '../time/clock';
import { absolute, bounds, formatDuration, type Range, range, relative, setRange } from '../time/range';
import { paused } from '../time/refresh';

export interface Window {
  readonly from: number;
  readonly to: number;
}

/** While the pointer pans or zooms: shown, not yet asked of the server. */
export const moving = signal<Window | null>(null);

/** The time under the pointer, in every chart; `source` is the chart that it is in. */
export const hover = signal<{ readonly time: number; readonly source: object | null } | null>(null);

let stopped = 0;
effect(() => {
  stopped = paused.value ? serverNow() : 0;
});

export function now(): number {
  return stopped || serverNow();
}

export function currentWindow(): Window {
  return moving.peek() ?? bounds(range.peek(), now());
}

export interface Drawable {
  /** Device pixels of its time axis. */
  readonly width: number;
  readonly visible: boolean;
  draw(window: Window): void;
  point(): void;
}

const charts = new Set<Drawable>();
const dirty = new Set<Drawable>();
/** The end of the window that a chart was last drawn for. */
const drawn = new WeakMap<Drawable, number>();
let scheduled = 0;
let wake: ReturnType<typeof setTimeout> | undefined;
let pointed = false;
/** However short the window, it slides in steps of no less than this. */
const FASTEST_MS = 40;
/** Drawing that takes longer goes on in the next frame, so that the page stays smooth when all charts get data at once. */
const FRAME_MS = 2;

function schedule(): void {
  if (scheduled === 0) scheduled = requestAnimationFrame(frame);
}

function frame(): void {
  scheduled = 0;
  const window = currentWindow();
  const length = window.to - window.from;
  // Moved by hand, all charts go together.
  const until = moving.peek() ? Number.POSITIVE_INFINITY : performance.now() + FRAME_MS;
  for (const chart of charts) {
    // Off the screen a chart is drawn once, so that it is not blank when it comes into view, or on paper.
    if (!chart.visible && drawn.has(chart)) continue;
    const moved = Math.abs(window.to - (drawn.get(chart) ?? 0)) * chart.width;
    if (!dirty.has(chart) && moved < length) continue;
    if (performance.now() > until) {
      schedule();
      break;
    }
    dirty.delete(chart);
    drawn.set(chart, window.to);
    chart.draw(window);
  }
  if (pointed) {
    pointed = false;
    for (const chart of charts) if (chart.visible) chart.point();
  }
  rest(length);
}

/** Nothing runs until the window has moved by a pixel of the widest chart. */
function rest(length: number): void {
  clearTimeout(wake);
  if (range.peek().kind !== 'relative' || paused.peek() || moving.peek()) return;
  let widest = 0;
  for (const chart of charts) if (chart.visible) widest = Math.max(widest, chart.width);
  if (widest > 0) wake = setTimeout(schedule, Math.max(FASTEST_MS, length / widest));
}

export function join(chart: Drawable): () => void {
  charts.add(chart);
  invalidate(chart);
  return () => {
    charts.delete(chart);
    dirty.delete(chart);
  };
}

export function invalidate(chart: Drawable): void {
  dirty.add(chart);
  schedule();
}

function invalidateAll(): void {
  for (const chart of charts) dirty.add(chart);
  schedule();
}

effect(() => {
  range.value;
  moving.value;
  paused.value;
  invalidateAll();
});
effect(() => {
  hover.value;
  pointed = true;
  schedule();
});

/** The longest and shortest windows that make sense, in milliseconds. */
const SHORTEST = 1_000;
const LONGEST = 20 * 366 * 86_400_000;

/** A window as the page's range; one that ends now goes on sliding if it did. */
export function settle(window: Window): void {
  moving.value = null;
  setRange(absolute(Math.round(window.from), Math.round(window.to)));
}

export function scaled({ from, to }: Window, factor: number, around = (from + to) / 2): Window {
  const length = Math.min(LONGEST, Math.max(SHORTEST, (to - from) * factor));
  const share = (around - from) / (to - from);
  return { from: around - share * length, to: around + (1 - share) * length };
}

/** Twice the window: a sliding one stays sliding. */
export function zoomOut(): void {
  const present: Range = range.peek();
  if (present.kind === 'relative') {
    const doubled = DOUBLED.find(([, ms]) => ms > present.lastMs * 1.5);
    if (doubled) setRange({ kind: 'relative', last: doubled[0], lastMs: doubled[1] });
    return;
  }
  const wider = scaled(present, 2);
  settle({ from: wider.from, to: Math.min(wider.to, Math.max(now(), present.to)) });
}

const DOUBLED: readonly (readonly [string, number])[] = (
  [
    ['1m', 1],
    ['2m', 2],
    ['5m', 5],
    ['15m', 15],
    ['30m', 30],
    ['1h', 60],
    ['3h', 180],
    ['6h', 360],
    ['12h', 720],
    ['24h', 1440],
    ['2d', 2880],
    ['7d', 10080],
    ['14d', 20160],
    ['30d', 43200],
    ['90d', 129600],
    ['365d', 525600],
  ] as const
).map(([last, minutes]) => [last, minutes * 60_000]);

/** Moves the window by a share of its length; negative is back in time. One that comes up to now slides again. */
export function pan(share: number): void {
  const window = currentWindow();
  const by = (window.to - window.from) * share;
  settleMoved({ from: window.from + by, to: window.to + by });
}

/** A window that was moved, not cut out of the one before. */
export function settleMoved(window: Window): void {
  const length = window.to - window.from;
  if (window.to < now() - length * NEARLY) return settle(window);
  moving.value = null;
  const sliding = relative(formatDuration(length));
  if (sliding) setRange(sliding);
}

/** Of a window's length: as good as now. */
const NEARLY = 0.01;
