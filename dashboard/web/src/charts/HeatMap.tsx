// A heat map of histograms over time, with the bucket under the pointer spelled out.
import { useMemo, useState } from 'preact/hooks';
import { formatTime } from '../time/format';
import { zoneSignal } from '../time/zone';
import type { ChartProps } from './Chart';
import { unitFormat } from './format';
import { type Heat, HeatContent, heatOf, heatScale } from './heat';
import { chartTheme } from './palette';
import { nearest } from './series';
import { usePlot } from './usePlot';
import { hover } from './viewport';

export function HeatMap({ frame, title, unit, percent = false, onZoom }: ChartProps) {
  const heat = useMemo(() => heatOf(frame), [frame]);
  const theme = chartTheme.value;
  const content = useMemo(() => new HeatContent(heat, unit, percent, theme), [heat, unit, percent, theme]);
  const { place, plot } = usePlot(content, onZoom);
  const [height, setHeight] = useState(0);
  const pointed = hover.value;
  const over =
    plot && pointed?.source === plot ? describe(heat, pointed.time, plot.valueAt(height), unit, percent) : null;
  const left = plot && pointed ? plot.inner.left + plot.positionOf(pointed.time) : 0;
  const flip = plot !== null && pointed !== null && plot.positionOf(pointed.time) > plot.inner.width / 2;
  const count = unitFormat('');
  return (
    <div class="chart">
      <div
        ref={place}
        class="plot"
        role="img"
        aria-label={`${title}: heat map of ${heat.bounds.length} buckets over time`}
        onPointerMove={(event) => plot && setHeight(event.clientY - plot.over.getBoundingClientRect().top)}
      />
      {over && (
        <div class={flip ? 'tooltip flip' : 'tooltip'} style={{ left: `${left}px` }} aria-hidden="true">
          <p class="when">{formatTime(over.time, zoneSignal.value)}</p>
          <p>
            {over.range}: <strong>{count(over.count)}</strong>
          </p>
        </div>
      )}
      <div class="heat-scale" aria-hidden="true">
        <span>0</span>
        {heatScale(theme.dark).map((color) => (
          <span key={color} class="heat-step" style={{ background: color }} />
        ))}
        <span>{count(heat.most)}</span>
      </div>
    </div>
  );
}

function describe(heat: Heat, time: number, row: number, unit: string | undefined, percent: boolean) {
  const at = nearest(heat.times, time - heat.spacing / 2);
  const bucket = Math.floor(row);
  const upper = heat.bounds[bucket];
  if (at < 0 || upper === undefined) return null;
  const format = unitFormat(unit, percent);
  const lower = heat.bounds[bucket - 1];
  const range =
    lower === undefined
      ? `up to ${format(upper)}`
      : Number.isFinite(upper)
        ? `${format(lower)} to ${format(upper)}`
        : `over ${format(lower)}`;
  return { time: heat.times[at] as number, range, count: heat.counts[at * heat.bounds.length + bucket] as number };
}
