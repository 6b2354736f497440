// One chart over time: uPlot keeps its canvas, scales and axes; what is drawn in it is a `Content` (series, heat map), since that
// may have holes, stacks and more points than pixels. Not a component: it is never made again for new data.
import uPlot from 'uplot';
import { type TimeTicks, timeTicks } from '../time/format';
import type { Box } from './painter';
import type { Theme } from './palette';
import type { Axis } from './ticks';
import { type Drawable, hover, invalidate, join, type Window } from './viewport';

/** Where a content draws: `box` in device pixels, of which there are `ratio` to a CSS pixel. */
export interface Geometry {
  readonly box: Box;
  readonly window: Window;
  readonly axis: Axis;
  readonly ratio: number;
}

export interface Content {
  /** Time of the last point of its data; NaN without one. */
  readonly newest: number;
  /** The value axis for a window, on so many CSS pixels. */
  axis(window: Window, height: number): Axis & { readonly labels: readonly string[] };
  paint(context: CanvasRenderingContext2D, geometry: Geometry): void;
}

declare global {
  /** For measurements (tests/page/bench): told of every drawing, with the time of the newest point that is drawn. */
  var catchmentDrawn: ((over: HTMLElement, newest: number) => void) | undefined;
}

export interface Look {
  readonly zone: string;
  readonly theme: Theme;
}

/** The same for every chart, so that the charts of a column stand in line. CSS pixels. */
const Y_AXIS = 58;
const X_AXIS = 22;
/** CSS pixels that a label of the time axis needs. */
const X_LABEL = 62;

export class TimePlot implements Drawable {
  readonly over: HTMLElement;
  readonly #plot: uPlot;
  readonly #line: HTMLElement;
  readonly #leave: () => void;
  #content: Content;
  #look: Look;
  #axis: Axis & { readonly labels: readonly string[] } = { min: 0, max: 1, step: 1, ticks: [], labels: [] };
  #ticks: TimeTicks = { times: [], labels: [] };
  #window: Window = { from: 0, to: 1 };
  #position = -1;
  visible = true;

  constructor(place: HTMLElement, width: number, height: number, content: Content, look: Look) {
    this.#content = content;
    this.#look = look;
    const color = (name: 'text2' | 'grid') => () => this.#look.theme[name];
    const axis = {
      stroke: color('text2'),
      font: `11px ${look.theme.font}`,
      grid: { stroke: color('grid'), width: 1 },
      ticks: { show: false },
    };
    this.#plot = new uPlot(
      {
        width,
        height,
        ms: 1,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        select: { show: false, left: 0, top: 0, width: 0, height: 0 },
        scales: {
          x: { time: false, range: (_, min, max) => [min, max] },
          y: { range: () => [this.#axis.min, this.#axis.max] },
        },
        series: [{}],
        axes: [
          {
            ...axis,
            size: X_AXIS,
            gap: 4,
            splits: () => [...this.#ticks.times],
            values: () => [...this.#ticks.labels],
          },
          {
            ...axis,
            scale: 'y',
            size: Y_AXIS,
            gap: 6,
            splits: () => [...this.#axis.ticks],
            values: () => [...this.#axis.labels],
          },
        ],
        hooks: {
          draw: [
            ({ ctx, bbox }) => {
              this.#content.paint(ctx, { box: bbox, window: this.#window, axis: this.#axis, ratio: uPlot.pxRatio });
              globalThis.catchmentDrawn?.(this.over, this.#content.newest);
            },
          ],
        },
      },
      [[0, 1]],
      place,
    );
    this.over = this.#plot.over;
    this.#line = document.createElement('div');
    this.#line.className = 'crosshair';
    this.#line.hidden = true;
    this.over.append(this.#line);
    this.#leave = join(this);
  }

  get width(): number {
    return this.#plot.bbox.width;
  }

  /** The plot without its axes, in CSS pixels of its place. Not asked of the document: that would lay it out at every move. */
  get inner(): Box {
    const { left, top, width, height } = this.#plot.bbox;
    const ratio = uPlot.pxRatio;
    return { left: left / ratio, top: top / ratio, width: width / ratio || 1, height: height / ratio || 1 };
  }

  update(content: Content, look: Look): void {
    this.#content = content;
    this.#look = look;
    invalidate(this);
  }

  show(visible: boolean): void {
    this.visible = visible;
    if (visible) invalidate(this);
  }

  resize(width: number, height: number): void {
    if (this.#plot.width !== width || this.#plot.height !== height) this.#plot.setSize({ width, height });
    invalidate(this);
  }

  destroy(): void {
    this.#leave();
    this.#plot.destroy();
  }

  draw(window: Window): void {
    this.#window = window;
    const { width, height } = this.inner;
    this.#axis = this.#content.axis(window, height);
    const room = Math.max(2, Math.floor(width / X_LABEL));
    this.#ticks = timeTicks(window.from, window.to, room, this.#look.zone);
    this.#plot.setScale('x', { min: window.from, max: window.to });
    this.point();
  }

  /** The time at a position in the plot, CSS pixels from its left. */
  timeAt(x: number): number {
    const { from, to } = this.#window;
    return from + (x / this.inner.width) * (to - from);
  }

  positionOf(time: number): number {
    const { from, to } = this.#window;
    return ((time - from) / (to - from)) * this.inner.width;
  }

  /** The value at a height in the plot, CSS pixels from its top. */
  valueAt(y: number): number {
    const { min, max } = this.#axis;
    return max - (y / this.inner.height) * (max - min);
  }

  point(): void {
    const at = hover.peek();
    const x = at ? this.positionOf(at.time) : -1;
    const shown = at !== null && x >= 0 && x <= this.inner.width;
    const position = shown ? Math.round(x) : -1;
    if (position === this.#position) return;
    this.#position = position;
    this.#line.hidden = !shown;
    if (shown) this.#line.style.transform = `translateX(${position}px)`;
  }
}
