// A small table; a head that begins with `>` is of a column of figures.
import type { ComponentChildren } from 'preact';

interface Props {
  readonly caption: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly ComponentChildren[])[];
}

export function SimpleTable({ caption, head, rows }: Props) {
  const side = head.map((name) => (name.startsWith('>') ? 'figure' : ''));
  return (
    <section class="panel-box simple-table" aria-label={caption} tabIndex={0}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {head.map((name, column) => (
              <th key={name} scope="col" class={side[column]}>
                {name.replace(/^>/, '')}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((cells, row) => (
            <tr key={row}>
              {cells.map((cell, column) =>
                column === 0 ? (
                  <th key={head[column]} scope="row">
                    {cell}
                  </th>
                ) : (
                  <td key={head[column]} class={side[column]}>
                    {cell}
                  </td>
                ),
              )}
            </tr>
          ))}
          {rows.length === 0 && (
            <tr>
              <td colSpan={head.length} class="hint">
                none
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </section>
  );
}
