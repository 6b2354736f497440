// Places of the points: time to the right, duration upwards by its logarithm.
import type { Summary } from './summaries';

export interface Point {
  x: number;
  y: number;
  trace: Summary;
}

export interface Scales {
  from: number;
  to: number;
  least: number;
  most: number;
  left: number;
  right: number;
  x(time: number): number;
  y(duration: number): number;
  time(x: number): number;
  duration(y: number): number;
}

const LEFT = 64;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 24;

export function scales(traces: readonly Summary[], from: number, to: number, width: number, height: number): Scales {
  const durations = traces.map(({ duration }) => Math.max(1, duration));
  const least =
    10 **
    Math.floor(
      Math.log10(
        Math.max(
          1,
          durations.reduce((a, b) => Math.min(a, b), 1e15),
        ),
      ),
    );
  const highest = durations.reduce((a, b) => Math.max(a, b), 1);
  const most = Math.max(least * 10, highest * 1.15);
  const [start, end] = traces.length > 0 ? [least, most] : [1e6, 1e9];
  const left = LEFT;
  const right = Math.max(LEFT + 1, width - RIGHT);
  const logs = [Math.log10(start), Math.log10(end)] as const;
  const length = Math.max(1, to - from);
  const bottom = height - BOTTOM;
  return {
    from,
    to,
    least: start,
    most: end,
    left,
    right,
    x: (time) => left + ((time - from) / length) * (right - left),
    y: (duration) => bottom - ((Math.log10(Math.max(1, duration)) - logs[0]) / (logs[1] - logs[0])) * (bottom - TOP),
    time: (x) => from + ((Math.min(right, Math.max(left, x)) - left) / (right - left)) * length,
    duration: (y) =>
      10 ** (logs[0] + ((bottom - Math.min(bottom, Math.max(TOP, y))) / (bottom - TOP)) * (logs[1] - logs[0])),
  };
}

export const points = (traces: readonly Summary[], scale: Scales): Point[] =>
  traces
    .filter(({ time }) => time >= scale.from && time <= scale.to)
    .map((trace) => ({ trace, x: scale.x(trace.time), y: scale.y(trace.duration) }));

/** Powers of ten in sight. */
export function powers({ least, most }: Scales): number[] {
  const first = Math.ceil(Math.log10(least) - 1e-9);
  const last = Math.floor(Math.log10(most) + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => 10 ** (first + index));
}

const REACH = 12;

/** The point under the pointer, or next to it. */
export function nearest(drawn: readonly Point[], x: number, y: number): Point | null {
  let best: Point | null = null;
  let distance = REACH ** 2;
  for (const point of drawn) {
    const far = (point.x - x) ** 2 + (point.y - y) ** 2;
    if (far <= distance) [best, distance] = [point, far];
  }
  return best;
}
