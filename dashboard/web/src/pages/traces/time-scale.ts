// The part of a trace that is in sight, and its marks. Times are nanoseconds since the trace's start.

export interface Window {
  readonly from: number;
  readonly to: number;
}

/** Nothing is enlarged further: a nanosecond is the smallest there is. */
const LEAST = 10;

export const clampWindow = ({ from, to }: Window, whole: Window): Window => {
  const length = Math.min(whole.to - whole.from, Math.max(LEAST, to - from));
  const start = Math.min(Math.max(from, whole.from), whole.to - length);
  return { from: start, to: start + length };
};

/** Around a point that stays where it is. A factor below one enlarges. */
export function zoom({ from, to }: Window, factor: number, around: number, whole: Window): Window {
  const point = Math.min(Math.max(around, from), to);
  return clampWindow({ from: point - (point - from) * factor, to: point + (to - point) * factor }, whole);
}

export const pan = ({ from, to }: Window, by: number, whole: Window): Window =>
  clampWindow({ from: from + by, to: to + by }, whole);

/** Left and width in shares of the window; null when out of sight. */
export function place(from: number, to: number, window: Window): { left: number; width: number } | null {
  const length = window.to - window.from;
  if (to < window.from || from > window.to) return null;
  const left = Math.max(0, (from - window.from) / length);
  const right = Math.min(1, (to - window.from) / length);
  return { left, width: Math.max(0, right - left) };
}

/** Round times in the window, not more than so many. */
export function ticks({ from, to }: Window, most: number): number[] {
  const step = roundStep((to - from) / Math.max(1, most));
  const first = Math.ceil(from / step);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step);
}

/** 1, 2 or 5 of a power of ten; from a minute on, of minutes and hours. */
export function roundStep(least: number): number {
  for (const step of [60e9, 120e9, 300e9, 600e9, 1200e9, 1800e9, 3600e9, 7200e9, 14_400e9]) {
    if (least > 50e9 && step >= least) return step;
  }
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= least) ?? 10;
  return step * power;
}
