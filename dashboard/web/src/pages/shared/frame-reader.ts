// Rows of a result by the names of their columns, in the types that the queries of these pages ask for.
import type { Frame } from '../../live/frame';

export interface RowReader {
  text(row: number): string | null;
  number(row: number): number | null;
  /** An integer of 64 bits. */
  integer(row: number): bigint | null;
}

export function reader(frame: Frame, name: string): RowReader {
  const column = frame.indexOf(name);
  const value = (row: number) => (column < 0 ? null : frame.get(column, row));
  return {
    text: (row) => {
      const got = value(row);
      return got === null ? null : typeof got === 'object' ? JSON.stringify(got) : String(got);
    },
    number: (row) => {
      const got = value(row);
      return got === null || got === '' || Number.isNaN(Number(got)) ? null : Number(got);
    },
    integer: (row) => {
      const got = value(row);
      return (typeof got === 'number' && Number.isSafeInteger(got)) || (typeof got === 'string' && /^-?\d+$/.test(got))
        ? BigInt(got)
        : null;
    },
  };
}
