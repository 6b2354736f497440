// Draws series on a canvas. Coordinates are device pixels; where there are more points than pixels, each column of pixels gets
// its first, lowest, highest and last value, so that no peak is lost and the work is bounded by the width.
import type { Paint } from './palette';
import type { SeriesSet } from './series';

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Scene {
  readonly box: Box;
  readonly from: number;
  readonly to: number;
  readonly low: number;
  readonly high: number;
  readonly set: SeriesSet;
  readonly paints: readonly Paint[];
  readonly hidden: ReadonlySet<string>;
  /** Drawn in full, the others faint. */
  readonly focus: string | null;
  readonly kind: 'line' | 'area' | 'bar' | 'stacked';
  /** Points farther apart are not joined. Milliseconds. */
  readonly gap: number;
  readonly ratio: number;
  /** Colours are laid on thicker on a dark ground, where they fade more. */
  readonly dark: boolean;
}

/** Points of one series after thinning, in runs that are joined. */
class Run {
  points = new Float32Array(4096);
  length = 0;
  /** Where runs begin, as positions in `points`. */
  starts: number[] = [];

  clear(): void {
    this.length = 0;
    this.starts.length = 0;
  }

  add(x: number, y: number): void {
    if (this.length + 2 > this.points.length) {
      const wider = new Float32Array(this.points.length * 2);
      wider.set(this.points);
      this.points = wider;
    }
    this.points[this.length++] = x;
    this.points[this.length++] = y;
  }
}

const upper = new Run();
const FAINT = 0.18;

export function paint(context: CanvasRenderingContext2D, scene: Scene): void {
  const { box, set } = scene;
  if (set.times.length === 0) return;
  context.save();
  context.beginPath();
  // A line on the frame is seen in full.
  const edge = 2 * scene.ratio;
  context.rect(box.left, box.top - edge, box.width, box.height + 2 * edge);
  context.clip();
  context.lineJoin = 'bevel';
  if (scene.kind === 'stacked') paintStacked(context, scene);
  else if (scene.kind === 'bar') paintBars(context, scene);
  else paintLines(context, scene);
  context.restore();
}

function visible(scene: Scene): { values: Float64Array; paint: Paint; faint: boolean }[] {
  const all = scene.set.series
    .map(({ name, values }, i) => ({
      name,
      values,
      paint: scene.paints[i] as Paint,
      faint: scene.focus !== null && scene.focus !== name,
    }))
    .filter(({ name }) => !scene.hidden.has(name));
  // What is in focus lies on top.
  return scene.focus === null || scene.kind !== 'line' ? all : all.sort((a, b) => Number(b.faint) - Number(a.faint));
}

/** The positions to draw: those in the window and one more on each side, so that lines leave it. */
export function span(times: Float64Array, from: number, to: number): [number, number] {
  let first = 0;
  let last = times.length - 1;
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) < from) low = middle + 1;
    else high = middle;
  }
  first = Math.max(0, low - 1);
  high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) <= to) low = middle + 1;
    else high = middle;
  }
  last = Math.min(times.length - 1, low);
  return [first, last];
}

function trace(scene: Scene, values: Float64Array, run: Run): void {
  const { box, from, to, low, high, gap, set } = scene;
  const { times } = set;
  run.clear();
  let [first, last] = span(times, from, to);
  // A line comes from and goes to the next point that has a value, not only the next time.
  while (first > 0 && Number.isNaN(values[first])) first--;
  while (last < times.length - 1 && Number.isNaN(values[last])) last++;
  const sx = box.width / (to - from);
  const sy = box.height / (high - low || 1);
  const bottom = box.top + box.height;
  const thin = last - first > box.width * 2;
  let before = Number.NEGATIVE_INFINITY;
  let column = Number.NaN;
  let lowest = 0;
  let highest = 0;
  let ending = 0;
  let lowFirst = true;
  const flush = () => {
    if (Number.isNaN(column)) return;
    if (lowest !== highest) {
      run.add(column, lowFirst ? lowest : highest);
      run.add(column, lowFirst ? highest : lowest);
    }
    run.add(column, ending);
    column = Number.NaN;
  };
  for (let i = first; i <= last; i++) {
    const value = values[i] as number;
    if (Number.isNaN(value)) continue;
    const time = times[i] as number;
    const x = box.left + (time - from) * sx;
    const y = bottom - (value - low) * sy;
    if (time - before > gap) {
      flush();
      run.starts.push(run.length);
    }
    before = time;
    if (!thin) {
      run.add(x, y);
      continue;
    }
    const at = Math.floor(x);
    if (at !== column) {
      flush();
      column = at;
      lowest = highest = y;
      run.add(at, y);
    } else if (y < lowest) {
      lowest = y;
      lowFirst = false;
    } else if (y > highest) {
      highest = y;
      lowFirst = true;
    }
    ending = y;
  }
  flush();
}

function eachRun(run: Run, call: (start: number, end: number) => void): void {
  run.starts.forEach((start, i) => {
    call(start, run.starts[i + 1] ?? run.length);
  });
}

function stroke(context: CanvasRenderingContext2D, run: Run, paint: Paint, width: number, ratio: number): void {
  context.strokeStyle = paint.color;
  context.lineWidth = width * ratio;
  context.setLineDash(paint.dash ? paint.dash.map((length) => length * ratio) : []);
  context.beginPath();
  const { points } = run;
  eachRun(run, (start, end) => {
    context.moveTo(points[start] as number, points[start + 1] as number);
    for (let i = start + 2; i < end; i += 2) context.lineTo(points[i] as number, points[i + 1] as number);
  });
  context.stroke();
  context.setLineDash([]);
  // A point without neighbours would be a line of no length: it is drawn as a dot.
  context.fillStyle = paint.color;
  const size = 3 * ratio;
  eachRun(run, (start, end) => {
    if (end - start !== 2) return;
    context.fillRect((points[start] as number) - size / 2, (points[start + 1] as number) - size / 2, size, size);
  });
}

function paintLines(context: CanvasRenderingContext2D, scene: Scene): void {
  const { box, low, high, ratio } = scene;
  const zero = box.top + box.height - ((Math.max(low, Math.min(high, 0)) - low) / (high - low || 1)) * box.height;
  for (const { values, paint, faint } of visible(scene)) {
    context.globalAlpha = faint ? FAINT : 1;
    trace(scene, values, upper);
    if (scene.kind === 'area') {
      const { points } = upper;
      context.fillStyle = paint.color;
      context.globalAlpha = faint ? 0.03 : 0.13;
      context.beginPath();
      eachRun(upper, (start, end) => {
        context.moveTo(points[start] as number, zero);
        for (let i = start; i < end; i += 2) context.lineTo(points[i] as number, points[i + 1] as number);
        context.lineTo(points[end - 2] as number, zero);
        context.closePath();
      });
      context.fill();
      context.globalAlpha = faint ? FAINT : 1;
    }
    stroke(context, upper, paint, 1.5, ratio);
  }
}

/** Sums of the series up to each one, at the positions `first` to `last`. What has no value there counts as its last one, as long as that is not too old. */
export function stack(
  set: SeriesSet,
  shown: readonly Float64Array[],
  first: number,
  last: number,
  gap: number,
): { sums: Float64Array[]; any: Uint8Array } {
  const length = last - first + 1;
  const any = new Uint8Array(length);
  const sums: Float64Array[] = [];
  let below: Float64Array | null = null;
  for (const values of shown) {
    const sum = new Float64Array(length);
    let held = 0;
    let at = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < length; i++) {
      const value = values[first + i] as number;
      const time = set.times[first + i] as number;
      if (!Number.isNaN(value)) {
        held = value;
        at = time;
        any[i] = 1;
      }
      sum[i] = (below?.[i] ?? 0) + (time - at <= gap ? held : 0);
    }
    sums.push(sum);
    below = sum;
  }
  return { sums, any };
}

function paintStacked(context: CanvasRenderingContext2D, scene: Scene): void {
  const { box, from, to, low, high, set, gap, ratio } = scene;
  const shown = visible(scene);
  const [first, last] = span(set.times, from, to);
  const { sums, any } = stack(
    set,
    shown.map(({ values }) => values),
    first,
    last,
    gap,
  );
  const sx = box.width / (to - from);
  const sy = box.height / (high - low || 1);
  const bottom = box.top + box.height;
  const x = (i: number) => box.left + ((set.times[first + i] as number) - from) * sx;
  const y = (value: number) => bottom - (value - low) * sy;
  const total = sums.at(-1);
  if (!total) return;
  const runs = stretches(columns(set.times, total, any, first, box.width / (to - from)), set.times, first, gap);
  shown.forEach(({ paint, faint }, layer) => {
    const top = sums[layer] as Float64Array;
    const under = layer > 0 ? (sums[layer - 1] as Float64Array) : null;
    context.fillStyle = paint.color;
    context.globalAlpha = faint ? 0.12 : scene.dark ? 0.72 : 0.58;
    context.beginPath();
    for (const run of runs) {
      context.moveTo(x(run[0] as number), y(top[run[0] as number] as number));
      for (const i of run) context.lineTo(x(i), y(top[i] as number));
      for (let at = run.length - 1; at >= 0; at--) {
        const i = run[at] as number;
        context.lineTo(x(i), y(under?.[i] ?? 0));
      }
      context.closePath();
    }
    context.fill();
    context.globalAlpha = faint ? FAINT : 1;
    context.strokeStyle = paint.color;
    context.lineWidth = ratio;
    context.beginPath();
    for (const run of runs) {
      run.forEach((i, at) => {
        if (at === 0) context.moveTo(x(i), y(top[i] as number));
        else context.lineTo(x(i), y(top[i] as number));
      });
    }
    context.stroke();
  });
}

/** The positions with data; of those in one column of pixels the one with the highest total. */
function columns(times: Float64Array, total: Float64Array, any: Uint8Array, first: number, pixels: number): number[] {
  const chosen: number[] = [];
  let column = Number.NaN;
  for (let i = 0; i < total.length; i++) {
    if (!any[i]) continue;
    const at = Math.floor((times[first + i] as number) * pixels);
    if (at !== column) {
      chosen.push(i);
      column = at;
    } else if ((total[i] as number) > (total[chosen.at(-1) as number] as number)) chosen[chosen.length - 1] = i;
  }
  return chosen;
}

/** Positions without a gap between them belong together. */
function stretches(positions: readonly number[], times: Float64Array, first: number, gap: number): number[][] {
  const found: number[][] = [];
  let before = Number.NEGATIVE_INFINITY;
  for (const i of positions) {
    const time = times[first + i] as number;
    if (time - before > gap) found.push([]);
    found.at(-1)?.push(i);
    before = time;
  }
  return found;
}

function paintBars(context: CanvasRenderingContext2D, scene: Scene): void {
  const { box, from, to, low, high, set, ratio } = scene;
  const shown = visible(scene);
  const [first, last] = span(set.times, from, to);
  // Bars do not hold a value over a gap.
  const { sums } = stack(
    set,
    shown.map(({ values }) => values),
    first,
    last,
    0,
  );
  const sx = box.width / (to - from);
  const sy = box.height / (high - low || 1);
  const bottom = box.top + box.height;
  const full = (set.spacing || (to - from) / 60) * sx;
  const space = full > 6 * ratio ? Math.max(ratio, Math.round(full * 0.15)) : full > 3 ? 1 : 0;
  const y = (value: number) => Math.round(bottom - (value - low) * sy);
  shown.forEach(({ paint, faint }, layer) => {
    const top = sums[layer] as Float64Array;
    const under = layer > 0 ? (sums[layer - 1] as Float64Array) : null;
    context.fillStyle = paint.color;
    context.globalAlpha = faint ? FAINT : 0.75;
    for (let i = 0; i < top.length; i++) {
      const begin = under?.[i] ?? 0;
      if (top[i] === begin) continue;
      // A bar stands for the time from its point to the next.
      const left = box.left + ((set.times[first + i] as number) - from) * sx;
      const x = Math.round(left);
      const y1 = y(begin);
      const y2 = y(top[i] as number);
      context.fillRect(
        x,
        Math.min(y1, y2),
        Math.max(1, Math.round(left + full) - x - space),
        Math.max(1, Math.abs(y1 - y2)),
      );
    }
  });
}

/** Lowest and highest value that is shown, of the sums where series are stacked. */
export function extent(scene: Omit<Scene, 'low' | 'high' | 'box' | 'ratio' | 'paints' | 'focus' | 'dark'>): {
  min: number;
  max: number;
} {
  const { set, hidden, from, to, kind, gap } = scene;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  const shown = set.series.filter(({ name }) => !hidden.has(name)).map(({ values }) => values);
  if (set.times.length === 0) return { min, max };
  const [first, last] = span(set.times, from, to);
  const stacked = kind === 'stacked' || kind === 'bar';
  const layers = stacked ? stack(set, shown, first, last, kind === 'bar' ? 0 : gap).sums : shown;
  const shift = stacked ? first : 0;
  for (const values of layers) {
    for (let i = first; i <= last; i++) {
      const value = values[i - shift] as number;
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  return { min, max };
}
