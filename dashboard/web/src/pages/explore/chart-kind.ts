// Which chart fits a result, by the types of its columns.

export type ColumnType = 'time' | 'number' | 'int64' | 'string' | 'boolean' | 'other';
export type Kind = 'line' | 'area' | 'stacked' | 'bar' | 'pie' | 'stat' | 'gauge';

export interface Shape {
  columns: readonly { type: ColumnType }[];
  length: number;
}

const MAX_CATEGORIES = 500;

/** Kinds that can show it, the best first; none when only a table can. */
export function kindsFor({ columns, length }: Shape): Kind[] {
  const count = (type: ColumnType) => columns.filter((column) => column.type === type).length;
  if (length === 0 || count('number') === 0) return [];
  if (count('time') > 0) return length > 1 ? ['line', 'area', 'stacked', 'bar'] : ['stat', 'line'];
  const categories = count('string') + count('boolean') + count('int64');
  if (categories > 0 && count('other') === 0) return length <= MAX_CATEGORIES ? ['bar', 'pie', ...single(length)] : [];
  return categories === 0 && length === 1 ? ['stat', 'gauge'] : [];
}

const single = (length: number): Kind[] => (length === 1 ? ['stat'] : []);

/** Whole rows of a table (`SELECT *`) are to be read, not drawn. */
const MOST_COLUMNS = 8;

/** The wanted kind if it can show the result, else the best one; `null` for a table. */
export function chooseKind(shape: Shape, wanted: string | null): Kind | null {
  const kinds = kindsFor(shape);
  const has = (type: ColumnType) => shape.columns.filter((column) => column.type === type).length;
  // Several figures of one thing are rarely of one scale: over time they are lines, otherwise a table.
  const mixed = has('time') === 0 && has('number') > 1;
  const rows = mixed || shape.columns.length > MOST_COLUMNS || has('other') > 0;
  return kinds.find((kind) => kind === wanted) ?? (rows ? null : (kinds[0] ?? null));
}
