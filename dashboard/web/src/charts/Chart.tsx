// One chart of a result, of any kind.
import type { Frame } from '../live/frame';
import { DataTable } from './DataTable';

export type ChartKind = 'line' | 'area' | 'bar' | 'stacked' | 'pie' | 'gauge' | 'table' | 'stat' | 'heatmap';
export type LegendValue = 'min' | 'mean' | 'max' | 'last';
export type Level = 'ok' | 'warning' | 'critical';

export interface Threshold {
  readonly value: number;
  readonly level: Level;
}

export interface ChartProps {
  readonly kind: ChartKind;
  readonly frame: Frame;
  /** What the chart shows, for its table and for screen readers. */
  readonly title: string;
  /** UCUM, as OTLP has it: `By`, `By/s`, `s`, `{request}/s`, `1`. */
  readonly unit?: string;
  /** Of a value of unit `1`: 0.5 is shown as 50 %. */
  readonly percent?: boolean;
  readonly min?: number;
  readonly max?: number;
  /** How a series is named, from its label columns: `{state}`. By default all labels. */
  readonly series?: string;
  /** Colours by series name: a name of the palette (`blue`, `muted`, ...). */
  readonly colors?: Readonly<Record<string, string>>;
  readonly thresholds?: readonly Threshold[];
  readonly legend?: readonly LegendValue[];
  /** CSS pixels. By default, that of its place. */
  readonly height?: number;
  /** Milliseconds between points, which says where a line is broken. */
  readonly stepMs?: number;
  readonly links?: readonly { readonly column: string; readonly to: string }[];
  /** A range was drawn with the pointer. By default it becomes the page's. */
  readonly onZoom?: (from: number, to: number) => void;
}

export function Chart({ frame, title }: ChartProps) {
  // Until the chart kinds are here, every chart is its table.
  return <DataTable frame={frame} caption={title} />;
}
