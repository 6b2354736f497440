// Applies the frames of one stream: a frame replaces everything from `replace_from` on (null: everything), rows older than
// `from` are dropped, and the rest stays. Nothing here knows of sockets or clocks.
import { type Cells, type Chunk, cellsFor, chunkLength, NumberCells } from './cells';
import type { Decoded } from './decode';
import { type Column, type Frame, frameOf } from './frame';

/** The JSON before a frame's Arrow bytes. Times in milliseconds. */
export interface FrameHeader {
  readonly stream: number;
  readonly replace_from: number | null;
  readonly from: number;
  readonly to: number;
  readonly step_ms: number;
  readonly position: string;
  readonly truncated: boolean;
}

/** `series` and `rows` are kept in order of time; `table` is always whole and keeps the query's order. */
export type Mode = 'series' | 'rows' | 'table';

export class FrameStore {
  #columns: readonly Column[] = [];
  #cells: Cells[] = [];
  #header: FrameHeader | null = null;
  readonly #mode: Mode;
  /** Rows kept, newest first to stay; without it, all of the window. */
  readonly #limit: number;

  constructor(mode: Mode = 'series', limit = Number.POSITIVE_INFINITY) {
    this.#mode = mode;
    this.#limit = limit;
  }

  /** The last frame's header: what a resumption names. */
  get header(): FrameHeader | null {
    return this.#header;
  }

  frame(): Frame | null {
    const header = this.#header;
    return header && frameOf(this.#columns, this.#cells, header);
  }

  /** False when the frame goes on from something that is not held: the caller must ask for the whole result. */
  apply(header: FrameHeader, decoded: Decoded): boolean {
    if (header.replace_from === null || !this.#header) {
      if (header.replace_from !== null) return false;
      this.#reset(decoded);
    } else {
      if (decoded.columns.length > 0 && !this.#fits(decoded)) return false;
      this.#truncateFrom(header.replace_from);
    }
    this.#append(decoded);
    this.#header = header;
    this.#dropBefore(header);
    return true;
  }

  #reset(decoded: Decoded): void {
    this.#columns = decoded.columns.map(({ name, type }) => ({ name, type }));
    this.#cells = decoded.columns.map(({ type }) => cellsFor(type));
  }

  /** The same columns, where integers may have outgrown a double since. */
  #fits(decoded: Decoded): boolean {
    if (decoded.columns.length !== this.#columns.length) return false;
    const compatible = (had: string, comes: string) =>
      had === comes || (had === 'number' && comes === 'int64') || (had === 'int64' && comes === 'number');
    if (
      !this.#columns.every((column, i) => {
        const other = decoded.columns[i];
        return other !== undefined && column.name === other.name && compatible(column.type, other.type);
      })
    )
      return false;
    this.#columns = this.#columns.map((column, i) => {
      if (column.type !== 'number' || decoded.columns[i]?.type !== 'int64') return column;
      const wider = cellsFor('int64');
      const cells = this.#cells[i];
      const data = Array.from({ length: cells?.length ?? 0 }, (_, row) => cells?.get(row) ?? null);
      wider.append({ kind: 'any', data }, null);
      this.#cells[i] = wider;
      return { name: column.name, type: 'int64' };
    });
    return true;
  }

  get #timeColumn(): number {
    return this.#columns.findIndex((column) => column.type === 'time');
  }

  #times(): Float64Array | null {
    const cells = this.#cells[this.#timeColumn];
    return cells instanceof NumberCells ? cells.view() : null;
  }

  #truncateFrom(from: number): void {
    const times = this.#times();
    const length = times ? lowerBound(times, from) : 0;
    for (const cells of this.#cells) cells.truncate(length);
  }

  #dropBefore({ from }: FrameHeader): void {
    const times = this.#times();
    if (!times || this.#mode === 'table') return;
    const old = lowerBound(times, from);
    const surplus = Math.max(0, times.length - this.#limit);
    const rows = Math.max(old, surplus);
    if (rows > 0) for (const cells of this.#cells) cells.dropFront(rows);
  }

  #append(decoded: Decoded): void {
    const time = this.#timeColumn;
    const order = time < 0 || this.#mode === 'table' ? null : ascending(decoded.columns[time]?.chunk);
    decoded.columns.forEach(({ chunk }, i) => {
      this.#cells[i]?.append(chunk, order);
    });
  }
}

/** First position whose value is not below `value`, in ascending `values`. */
export function lowerBound(values: Float64Array, value: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The order that sorts a chunk by time, rows without a time left out; null when it is sorted as it is. */
function ascending(chunk: Chunk | undefined): number[] | null {
  if (chunk?.kind !== 'number') return null;
  const { data } = chunk;
  let sorted = true;
  for (let row = 0; row < data.length; row++) {
    const time = data[row] as number;
    if (Number.isNaN(time) || (row > 0 && time < (data[row - 1] as number))) {
      sorted = false;
      break;
    }
  }
  if (sorted) return null;
  const rows: number[] = [];
  for (let row = 0; row < chunkLength(chunk); row++) if (!Number.isNaN(data[row])) rows.push(row);
  return rows.sort((a, b) => (data[a] as number) - (data[b] as number) || a - b);
}
