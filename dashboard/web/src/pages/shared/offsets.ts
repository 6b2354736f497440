// Where rows of different heights begin.

export class Offsets {
  readonly #starts: Float64Array;

  constructor(heights: ArrayLike<number>) {
    this.#starts = new Float64Array(heights.length + 1);
    for (let index = 0; index < heights.length; index++) {
      this.#starts[index + 1] = (this.#starts[index] ?? 0) + (heights[index] ?? 0);
    }
  }

  get total(): number {
    return this.#starts.at(-1) ?? 0;
  }

  /** The start of a row; that of the row after the last is the end. */
  of(index: number): number {
    return this.#starts[index] ?? this.total;
  }

  /** The last row that begins at the place or before it; always one of the rows, 0 when there is none. */
  indexAt(place: number): number {
    let low = 0;
    let high = Math.max(0, this.#starts.length - 2);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
