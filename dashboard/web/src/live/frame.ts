// A result as pages and charts see it: columns with types, cells by position, times in milliseconds (UTC).
import { type Cells, type ColumnType, NumberCells, TextCells, textOf, type Value } from './cells';

export type { ColumnType, Value } from './cells';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

/** What went wrong, as the server says it. Kinds that the page makes itself: `offline`, `aborted`. */
export interface Problem {
  readonly kind: string;
  readonly message: string;
  readonly position?: { readonly line: number; readonly column: number };
}

/**
 * One result. A live frame shares its memory with the next one: read it when it is given, and keep none.
 * `from` and `to` are the window in milliseconds (0 where a result has none).
 */
export interface Frame {
  readonly columns: readonly Column[];
  readonly length: number;
  readonly from: number;
  readonly to: number;
  /** There is more than the limit. */
  readonly truncated: boolean;
  /** The first time column in milliseconds; ascending in live results of mode `series` and `rows`. */
  readonly time: Float64Array | null;
  /** Position of the first time column, -1 without one. */
  readonly timeColumn: number;
  get(column: number, row: number): Value;
  /** A column of numbers or times without a copy, NaN for NULL; of another type: null. */
  numbers(column: number): Float64Array | null;
  /** A column of strings as codes into words (-1 is NULL); of another type: null. */
  texts(column: number): { readonly codes: Int32Array; readonly words: readonly string[] } | null;
  /** Position of a column by its name, -1 without one. */
  indexOf(name: string): number;
}

export function frameOf(
  columns: readonly Column[],
  cells: readonly Cells[],
  window: { from: number; to: number; truncated: boolean },
): Frame {
  const timeColumn = columns.findIndex((column) => column.type === 'time');
  const length = cells[0]?.length ?? 0;
  const numbers = (column: number) => {
    const cell = cells[column];
    return cell instanceof NumberCells ? cell.view() : null;
  };
  return {
    columns,
    length,
    ...window,
    timeColumn,
    time: timeColumn < 0 ? null : numbers(timeColumn),
    get: (column, row) => cells[column]?.get(row) ?? null,
    numbers,
    texts: (column) => {
      const cell = cells[column];
      return cell instanceof TextCells ? { codes: cell.codes(), words: cell.words } : null;
    },
    indexOf: (name) => columns.findIndex((column) => column.name === name),
  };
}

/** A cell as text, for labels and keys; display goes through charts/format. */
export function cellText(frame: Frame, column: number, row: number): string {
  return textOf(frame.get(column, row));
}
