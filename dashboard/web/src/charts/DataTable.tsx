// A result as a table.

import { textOf } from '../live/cells';
import type { ColumnType, Frame } from '../live/frame';

export interface DataTableProps {
  readonly frame: Frame;
  readonly caption?: string;
  readonly unit?: string;
  readonly percent?: boolean;
  /** Links of cells: app-internal addresses with `{column}` in them. */
  readonly links?: readonly { readonly column: string; readonly to: string }[];
}

const right = (type: ColumnType) => type === 'number' || type === 'int64';

export function DataTable({ frame, caption }: DataTableProps) {
  const rows = Array.from({ length: Math.min(frame.length, 500) }, (_, row) => row);
  return (
    <table class="data-table">
      {caption && <caption class="visually-hidden">{caption}</caption>}
      <thead>
        <tr>
          {frame.columns.map(({ name, type }) => (
            <th key={name} scope="col" class={right(type) ? 'right' : ''}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row}>
            {frame.columns.map(({ name, type }, column) => (
              <td key={name} class={right(type) ? 'right' : ''}>
                {textOf(frame.get(column, row))}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
