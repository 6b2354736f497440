// A chart over time as a table: a row for each time, a column for each series, the newest first.
import { useMemo } from 'preact/hooks';
import { NumberCells } from '../live/cells';
import { type Frame, frameOf } from '../live/frame';
import { type ColumnStyle, DataTable } from './DataTable';
import { type SeriesSet, seriesOf } from './series';

export function tableOf({ times, series }: SeriesSet, { from, to, truncated }: Frame): Frame {
  const columns = [
    { name: 'time', type: 'time' as const },
    ...series.map(({ name }) => ({ name, type: 'number' as const })),
  ];
  const cells = [times, ...series.map(({ values }) => values)].map((data) => {
    const made = new NumberCells();
    // A series without a point at a time of another has none there: that is no NaN that was measured.
    made.append({ kind: 'number', data, nulls: Uint8Array.from(data, (value) => Number(Number.isNaN(value))) }, null);
    return made;
  });
  return frameOf(columns, cells, { from, to, truncated });
}

interface SeriesTableProps {
  readonly frame: Frame;
  readonly title: string;
  readonly series?: string | undefined;
  readonly unit?: string | undefined;
  readonly percent?: boolean | undefined;
}

export function SeriesTable({ frame, title, series, unit, percent }: SeriesTableProps) {
  const table = useMemo(() => tableOf(seriesOf(frame, series), frame), [frame, series]);
  const styles = useMemo(() => {
    const style: ColumnStyle = { ...(unit !== undefined && { unit }), ...(percent !== undefined && { percent }) };
    return new Map(table.columns.map(({ name }) => [name, style]));
  }, [table, unit, percent]);
  return <DataTable frame={table} caption={title} columns={styles} newestFirst />;
}
