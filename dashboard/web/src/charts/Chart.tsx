// One chart of a result, of any kind. It fills its place, or has the height it is given.
import type { Frame } from '../live/frame';
import { EmptyState } from '../ui';
import { CategoryBars } from './CategoryBars';
import { type CellLink, DataTable } from './DataTable';
import { GaugeChart } from './Gauge';
import { HeatMap } from './HeatMap';
import type { LegendValue } from './Legend';
import { PieChart } from './Pie';
import { StatChart } from './Stat';
import type { Band, Threshold } from './series-content';
import { TimeChart } from './TimeChart';

export type { CellLink, ColumnStyle } from './DataTable';
export { DataTable } from './DataTable';
export type { LegendValue } from './Legend';
export type { Band, Level, Threshold } from './series-content';

export const CHART_KINDS = ['line', 'area', 'bar', 'stacked', 'pie', 'gauge', 'table', 'stat', 'heatmap'] as const;
export type ChartKind = (typeof CHART_KINDS)[number];

export interface ChartProps {
  readonly kind: ChartKind;
  readonly frame: Frame;
  /** What the chart shows, for its table and for screen readers. */
  readonly title: string;
  /** UCUM, as OTLP has it: `By`, `By/s`, `s`, `{request}/s`, `1`. */
  readonly unit?: string | undefined;
  /** Of a value of unit `1`: 0.5 is shown as 50 %. */
  readonly percent?: boolean | undefined;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** How a series is named, from its label columns: `{state}`. By default all labels. */
  readonly series?: string | undefined;
  /** Colours by series name: a name of the palette (`blue`, `muted`, ...). */
  readonly colors?: Readonly<Record<string, string>> | undefined;
  readonly thresholds?: readonly Threshold[] | undefined;
  readonly bands?: readonly Band[] | undefined;
  readonly legend?: readonly LegendValue[] | undefined;
  /** CSS pixels. By default, that of its place. */
  readonly height?: number | undefined;
  /** Milliseconds between points, which says where a line is broken. */
  readonly stepMs?: number | undefined;
  readonly links?: readonly CellLink[] | undefined;
  /** A range was drawn with the pointer. By default it becomes the page's. */
  readonly onZoom?: ((from: number, to: number) => void) | undefined;
}

export function Chart(props: ChartProps) {
  const { height } = props;
  const style = height === undefined ? undefined : { height: `${height}px` };
  return (
    <div class="chart-box" style={style}>
      <Kind {...props} />
    </div>
  );
}

const OVER_TIME = new Set<ChartKind>(['line', 'area', 'stacked', 'heatmap']);

function Kind(props: ChartProps) {
  const { kind, frame } = props;
  if (OVER_TIME.has(kind) && frame.columns.length > 0 && !frame.time) {
    return (
      <EmptyState title="No column is a time">A {kind} chart needs a timestamp column; a table does not.</EmptyState>
    );
  }
  if (kind === 'bar' && !frame.time) return <CategoryBars {...props} />;
  switch (kind) {
    case 'line':
    case 'area':
    case 'bar':
    case 'stacked':
      return <TimeChart {...props} kind={kind} />;
    case 'heatmap':
      return <HeatMap {...props} />;
    case 'pie':
      return <PieChart {...props} />;
    case 'gauge':
      return <GaugeChart {...props} />;
    case 'stat':
      return <StatChart {...props} />;
    default:
      return (
        <DataTable frame={frame} caption={props.title} unit={props.unit} percent={props.percent} links={props.links} />
      );
  }
}
