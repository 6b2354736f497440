// Where the ticks of a value axis stand: at round numbers of the unit (of KiB, MiB, ... for bytes, of minutes for long times).
import type { UnitFormat } from './format';

/** A step of a round number, at most `count` of which cover the span. */
export function niceStep(span: number, count: number, kind: UnitFormat['kind']): number {
  const rough = span / Math.max(1, count);
  if (!(rough > 0) || !Number.isFinite(rough)) return 1;
  if (kind === 'binary' && rough >= 1) {
    const power = 1024 ** Math.floor(Math.log(rough) / Math.log(1024));
    const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1024];
    return (steps.find((step) => step * power >= rough * 0.9999) ?? 1024) * power;
  }
  if (kind === 'seconds' && rough > 30) {
    const steps = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
    return steps.find((step) => step >= rough) ?? 86400 * decimalStep(rough / 86400);
  }
  return decimalStep(rough);
}

function decimalStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((candidate) => candidate * power >= rough * 0.9999) ?? 10;
  return step * power;
}

export interface Axis {
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly ticks: readonly number[];
}

/**
 * An axis around the data. `min` and `max` are where it ends unless data lies beyond; `zero` makes it begin at zero. Without
 * a fixed end it ends near the data.
 */
export function axisOf(
  data: { readonly min: number; readonly max: number },
  options: { min?: number; max?: number; zero?: boolean; count: number; format: UnitFormat },
): Axis {
  const { format } = options;
  const factor = format.base;
  const known = data.min <= data.max;
  let low = (known ? data.min : 0) * factor;
  let high = (known ? data.max : 1) * factor;
  if (options.zero || (low >= 0 && low <= high * 0.6)) low = Math.min(0, low);
  if (options.zero) high = Math.max(0, high);
  if (options.min !== undefined) low = Math.min(options.min * factor, low);
  if (options.max !== undefined) high = Math.max(options.max * factor, high);
  if (high - low <= Math.abs(high) * 1e-9) {
    // A line that does not move is drawn in the middle, or on the ground when it is zero.
    const room = high === 0 ? 1 : Math.abs(high) * 0.5;
    if (options.max === undefined) high += room;
    if (options.min === undefined && low !== 0) low -= room;
    if (high <= low) high = low + 1;
  }
  // There are no parts of a byte.
  const step = Math.max(format.kind === 'binary' ? 1 : 0, niceStep(high - low, options.count, format.kind));
  const fixedLow = options.min !== undefined && low === options.min * factor;
  const fixedHigh = options.max !== undefined && high === options.max * factor;
  // Ends lie at quarters of a step: near enough to the data, and they do not move with every point.
  const grain = step / 4;
  let min = fixedLow || low === 0 ? low : Math.floor(low / grain + 1e-9) * grain;
  // A little room above, so that the highest value does not lie on the frame.
  let max = fixedHigh ? high : Math.ceil((high + (high - low) * 0.03) / grain - 1e-9) * grain;
  // What lies much nearer together than the smallest step (a byte) rounds to one end: an axis has two.
  if (max <= min) {
    if (fixedHigh && !fixedLow) min = max - grain;
    else max = min + grain;
  }
  const ticks: number[] = [];
  for (let i = Math.ceil(min / step - 1e-6); i * step <= max + step * 1e-6; i++) {
    ticks.push(i === 0 ? 0 : (i * step) / factor);
  }
  return { min: min / factor, max: max / factor, step: step / factor, ticks };
}
