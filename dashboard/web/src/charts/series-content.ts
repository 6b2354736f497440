// Series as the content of a plot, with their thresholds.
import { unitFormat } from './format';
import { extent, paint } from './painter';
import type { Paint, Theme } from './palette';
import type { Content, Geometry } from './plot';
import type { SeriesSet } from './series';
import { axisOf } from './ticks';
import type { Window } from './viewport';

export type Level = 'ok' | 'warning' | 'critical';

export interface Threshold {
  readonly value: number;
  readonly level: Level;
}

/** A stretch of time in which something was so, behind the series. */
export interface Band {
  readonly from: number;
  readonly to: number;
  readonly level: Level | 'accent';
}

export type TimeKind = 'line' | 'area' | 'bar' | 'stacked';

export interface SeriesOptions {
  readonly kind: TimeKind;
  readonly unit?: string | undefined;
  readonly percent?: boolean | undefined;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly thresholds?: readonly Threshold[] | undefined;
  readonly bands?: readonly Band[] | undefined;
  readonly paints: readonly Paint[];
  readonly hidden: ReadonlySet<string>;
  readonly focus: string | null;
  readonly theme: Theme;
  readonly stepMs: number;
}

/** CSS pixels between ticks of the value axis. */
const Y_TICK = 30;
const Y_MOST = 8;

export class SeriesContent implements Content {
  readonly #set: SeriesSet;
  readonly #options: SeriesOptions;

  constructor(set: SeriesSet, options: SeriesOptions) {
    this.#set = set;
    this.#options = options;
  }

  get newest(): number {
    return this.#set.times.at(-1) ?? Number.NaN;
  }

  /** A point that is missing once is a slow collection; twice is a gap. */
  get #gap(): number {
    return Math.max(this.#set.spacing, this.#options.stepMs) * 2.5;
  }

  axis(window: Window, height: number) {
    const { kind, min, max, unit, percent, hidden } = this.#options;
    const data = extent({ set: this.#set, hidden, kind, gap: this.#gap, ...window });
    const format = unitFormat(unit, percent);
    const count = Math.min(Y_MOST, Math.max(2, Math.floor(height / Y_TICK)));
    const axis = axisOf(data, { min, max, zero: kind !== 'line', count, format });
    return { ...axis, labels: format.ticks(axis.ticks, axis.step) };
  }

  paint(context: CanvasRenderingContext2D, { box, window, axis, ratio }: Geometry): void {
    const { kind, paints, hidden, focus, theme, thresholds = [], bands = [] } = this.#options;
    const { min: low, max: high } = axis;
    const { dark } = theme;
    const gap = this.#gap;
    context.save();
    for (const { from, to, level } of bands) {
      const x = (time: number) => box.left + ((time - window.from) / (window.to - window.from)) * box.width;
      const left = Math.max(box.left, x(from));
      const width = Math.min(box.left + box.width, x(to)) - left;
      if (width <= 0) continue;
      context.fillStyle = theme[level];
      context.globalAlpha = 0.14;
      context.fillRect(left, box.top, Math.max(ratio, width), box.height);
      context.globalAlpha = 0.8;
      context.fillRect(left, box.top, Math.max(ratio, width), 2 * ratio);
    }
    context.restore();
    paint(context, { box, ...window, low, high, set: this.#set, paints, hidden, focus, kind, gap, ratio, dark });
    context.save();
    context.lineWidth = ratio;
    context.setLineDash([4 * ratio, 4 * ratio]);
    for (const { value, level } of thresholds) {
      if (value < low || value > high) continue;
      const y = Math.round(box.top + box.height - ((value - low) / (high - low)) * box.height) + 0.5;
      context.strokeStyle = theme[level];
      context.beginPath();
      context.moveTo(box.left, y);
      context.lineTo(box.left + box.width, y);
      context.stroke();
    }
    context.restore();
  }
}
