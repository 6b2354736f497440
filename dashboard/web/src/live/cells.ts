// Growable columns. A column keeps its rows in typed arrays with room at the end, so that a second's worth of new rows costs
// no allocation, and drops old rows at the front by moving an offset; it is compacted when more than half of it is dropped.

export type Value = string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value };

/** What a column holds. `int64` are integers that a double cannot hold: `get` gives their decimal digits. */
export type ColumnType = 'time' | 'number' | 'int64' | 'string' | 'boolean' | 'other';

/** One column of a decoded Arrow batch, before it is appended to a column that lives. */
export type Chunk =
  | { readonly kind: 'number'; readonly data: Float64Array; readonly nulls: Uint8Array | null }
  | { readonly kind: 'text'; readonly codes: Int32Array; readonly words: readonly string[] }
  | { readonly kind: 'any'; readonly data: readonly Value[] };

export interface Cells {
  readonly length: number;
  get(row: number): Value;
  append(chunk: Chunk, rows: Iterable<number> | null): void;
  truncate(length: number): void;
  dropFront(rows: number): void;
}

const LEAST = 64;

export class NumberCells implements Cells {
  #data = new Float64Array(LEAST);
  /** Made when the first NULL comes: a NULL is not a NaN that was measured. */
  #nulls: Uint8Array | null = null;
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** The values, NaN where there is none. A view: valid until the column changes. */
  view(): Float64Array {
    return this.#data.subarray(this.#start, this.#end);
  }

  get(row: number): number | null {
    const at = this.#start + row;
    return this.#nulls?.[at] ? null : (this.#data[at] ?? null);
  }

  append(chunk: Chunk, rows: Iterable<number> | null): void {
    if (chunk.kind !== 'number') return this.#appendOther(chunk, rows);
    if (chunk.nulls && !this.#nulls) this.#nulls = new Uint8Array(this.#data.length);
    if (rows === null) {
      this.#reserve(chunk.data.length);
      this.#data.set(chunk.data, this.#end);
      if (chunk.nulls) this.#nulls?.set(chunk.nulls, this.#end);
      else this.#nulls?.fill(0, this.#end, this.#end + chunk.data.length);
      this.#end += chunk.data.length;
      return;
    }
    for (const row of rows) {
      this.#reserve(1);
      this.#data[this.#end] = chunk.data[row] ?? Number.NaN;
      if (this.#nulls) this.#nulls[this.#end] = chunk.nulls?.[row] ?? 0;
      this.#end++;
    }
  }

  /** A column that held numbers so far and is sent in another form: what is a number stays. */
  #appendOther(chunk: Chunk, rows: Iterable<number> | null): void {
    const length = chunkLength(chunk);
    const data = new Float64Array(length);
    const nulls = new Uint8Array(length);
    for (let row = 0; row < length; row++) {
      const value = chunkValue(chunk, row);
      data[row] = value === null || value === '' ? Number.NaN : Number(value);
      nulls[row] = value === null ? 1 : 0;
    }
    this.append({ kind: 'number', data, nulls }, rows);
  }

  truncate(length: number): void {
    this.#end = Math.min(this.#end, this.#start + length);
  }

  dropFront(rows: number): void {
    this.#start = Math.min(this.#end, this.#start + rows);
    if (this.#start <= this.#data.length / 2) return;
    this.#data.copyWithin(0, this.#start, this.#end);
    this.#nulls?.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }

  #reserve(more: number): void {
    const needed = this.#end + more;
    if (needed <= this.#data.length) return;
    const size = Math.max(LEAST, needed, this.length * 2);
    const data = new Float64Array(size);
    data.set(this.#data.subarray(this.#start, this.#end));
    if (this.#nulls) {
      const nulls = new Uint8Array(size);
      nulls.set(this.#nulls.subarray(this.#start, this.#end));
      this.#nulls = nulls;
    }
    this.#data = data;
    this.#end -= this.#start;
    this.#start = 0;
    if (this.#end + more > size) this.#reserve(more);
  }
}

export class TextCells implements Cells {
  #codes = new Int32Array(LEAST);
  #words: string[] = [];
  #index = new Map<string, number>();
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** Indexes into `words`, -1 for NULL. A view: valid until the column changes. */
  codes(): Int32Array {
    return this.#codes.subarray(this.#start, this.#end);
  }

  get words(): readonly string[] {
    return this.#words;
  }

  get(row: number): string | null {
    const code = this.#codes[this.#start + row];
    return code === undefined || code < 0 ? null : (this.#words[code] ?? null);
  }

  append(chunk: Chunk, rows: Iterable<number> | null): void {
    const count = chunkLength(chunk);
    // Each word of the chunk is looked up once, however many rows have it.
    const known = new Int32Array(chunk.kind === 'text' ? chunk.words.length : 0).fill(-1);
    const code = (row: number): number => {
      if (chunk.kind !== 'text') {
        const value = chunkValue(chunk, row);
        return value === null ? -1 : this.#intern(textOf(value));
      }
      const at = chunk.codes[row] ?? -1;
      if (at < 0) return -1;
      if (known[at] === -1) known[at] = this.#intern(chunk.words[at] ?? '');
      return known[at] ?? -1;
    };
    if (rows === null) {
      this.#reserve(count);
      for (let row = 0; row < count; row++) this.#codes[this.#end++] = code(row);
      return;
    }
    for (const row of rows) {
      this.#reserve(1);
      this.#codes[this.#end++] = code(row);
    }
  }

  truncate(length: number): void {
    this.#end = Math.min(this.#end, this.#start + length);
  }

  dropFront(rows: number): void {
    this.#start = Math.min(this.#end, this.#start + rows);
    if (this.#start > this.#codes.length / 2) this.#compact(this.#codes.length);
  }

  #intern(word: string): number {
    const known = this.#index.get(word);
    if (known !== undefined) return known;
    const code = this.#words.length;
    this.#words.push(word);
    this.#index.set(word, code);
    return code;
  }

  #reserve(more: number): void {
    if (this.#end + more <= this.#codes.length) return;
    this.#compact(Math.max(LEAST, this.length + more, this.length * 2));
  }

  /** Moves the rows to the front, and forgets the words that no row has any more. */
  #compact(size: number): void {
    const codes = new Int32Array(size);
    const words: string[] = [];
    const index = new Map<string, number>();
    const moved = new Int32Array(this.#words.length).fill(-1);
    const length = this.length;
    for (let row = 0; row < length; row++) {
      const old = this.#codes[this.#start + row] ?? -1;
      if (old < 0) {
        codes[row] = -1;
        continue;
      }
      let code = moved[old] ?? -1;
      if (code < 0) {
        code = words.length;
        const word = this.#words[old] ?? '';
        words.push(word);
        index.set(word, code);
        moved[old] = code;
      }
      codes[row] = code;
    }
    this.#codes = codes;
    this.#words = words;
    this.#index = index;
    this.#start = 0;
    this.#end = length;
  }
}

export class AnyCells implements Cells {
  #data: Value[] = [];

  get length(): number {
    return this.#data.length;
  }

  get(row: number): Value {
    return this.#data[row] ?? null;
  }

  append(chunk: Chunk, rows: Iterable<number> | null): void {
    const length = chunkLength(chunk);
    for (const row of rows ?? Array(length).keys()) this.#data.push(chunkValue(chunk, row));
  }

  truncate(length: number): void {
    if (length < this.#data.length) this.#data.length = length;
  }

  dropFront(rows: number): void {
    if (rows > 0) this.#data.splice(0, rows);
  }
}

export function cellsFor(type: ColumnType): Cells {
  if (type === 'time' || type === 'number') return new NumberCells();
  if (type === 'string' || type === 'int64') return new TextCells();
  return new AnyCells();
}

export function chunkLength(chunk: Chunk): number {
  return chunk.kind === 'text' ? chunk.codes.length : chunk.data.length;
}

export function chunkValue(chunk: Chunk, row: number): Value {
  if (chunk.kind === 'number') return chunk.nulls?.[row] ? null : (chunk.data[row] ?? null);
  if (chunk.kind === 'any') return chunk.data[row] ?? null;
  const code = chunk.codes[row] ?? -1;
  return code < 0 ? null : (chunk.words[code] ?? null);
}

export function textOf(value: Value): string {
  return typeof value === 'string'
    ? value
    : value === null
      ? ''
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value);
}
