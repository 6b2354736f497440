// Frames for tests, from rows.
import { type Cells, cellsFor } from './cells';
import { type Column, type ColumnType, type Frame, frameOf, type Value } from './frame';

export function frameFrom(types: Readonly<Record<string, ColumnType>>, rows: readonly (readonly Value[])[]): Frame {
  const columns: Column[] = Object.entries(types).map(([name, type]) => ({ name, type }));
  const cells: Cells[] = columns.map(({ type }, column) => {
    const made = cellsFor(type);
    made.append({ kind: 'any', data: rows.map((row) => row[column] ?? null) }, null);
    return made;
  });
  return frameOf(columns, cells, { from: 0, to: 0, truncated: false });
}
