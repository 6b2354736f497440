// Counts by level as the chart gets them: levels that nothing has would only fill the legend.
import type { Frame } from '../../live/frame';

const isCount = (frame: Frame, column: number): boolean => frame.columns[column]?.type === 'number';

export function total(frame: Frame): number {
  let sum = 0;
  for (let column = 0; column < frame.columns.length; column++) {
    if (isCount(frame, column)) for (const count of frame.numbers(column) ?? []) sum += count || 0;
  }
  return sum;
}

/** The same result without the columns that are zero throughout. A view: valid as long as the frame is. */
export function nonEmpty(frame: Frame): Frame {
  const kept = frame.columns.flatMap((_, column) =>
    !isCount(frame, column) || frame.numbers(column)?.some((count) => count > 0) ? [column] : [],
  );
  const at = (column: number) => kept[column] ?? -1;
  const columns = kept.flatMap((column) => frame.columns[column] ?? []);
  return {
    columns,
    length: frame.length,
    from: frame.from,
    to: frame.to,
    truncated: frame.truncated,
    time: frame.time,
    timeColumn: kept.indexOf(frame.timeColumn),
    get: (column, row) => frame.get(at(column), row),
    numbers: (column) => frame.numbers(at(column)),
    texts: (column) => frame.texts(at(column)),
    indexOf: (name) => columns.findIndex((column) => column.name === name),
  };
}
