// Line, area, bar and stacked charts: the plot, what the pointer and the keyboard do in it, legend and tooltip.
import { useSignal } from '@preact/signals';
import { useMemo, useRef, useState } from 'preact/hooks';
import type { Frame } from '../live/frame';
import { formatTime } from '../time/format';
import { zoneSignal } from '../time/zone';
import type { ChartProps } from './Chart';
import { unitFormat } from './format';
import { Legend, toggled } from './Legend';
import { assign, chartTheme, HUE_COUNT } from './palette';
import type { TimePlot } from './plot';
import { Buffers, nearest, type SeriesSet, seriesOf } from './series';
import { SeriesContent, type TimeKind } from './series-content';
import { readings, Tooltip } from './Tooltip';
import { usePlot } from './usePlot';
import { currentWindow, hover, pan, scaled, settle, zoomOut } from './viewport';

const WORDS: Record<TimeKind, string> = {
  line: 'line chart',
  area: 'area chart',
  bar: 'bar chart',
  stacked: 'stacked area chart',
};

export function useSeries(frame: Frame, template: string | undefined): SeriesSet {
  const buffers = useMemo(() => new Buffers(), []);
  return useMemo(() => seriesOf(frame, template, buffers), [frame, template, buffers]);
}

const NOTHING: readonly never[] = [];
const NO_COLORS = {};

export function TimeChart(props: ChartProps & { readonly kind: TimeKind }) {
  const { frame, kind, title, unit, percent, colors = NO_COLORS, legend = NOTHING, stepMs = 0 } = props;
  const stacked = kind === 'stacked' || kind === 'bar';
  const whole = useSeries(frame, props.series);
  const order = useRef<readonly string[]>([]);
  const set = useMemo(() => {
    const ranked = ranking(whole, order.current);
    order.current = ranked.series.map(({ name }) => name);
    return stacked ? mutedLast(ranked, colors) : ranked;
  }, [whole, stacked, colors]);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [focus, setFocus] = useState<string | null>(null);
  const spoken = useSignal('');
  const names = set.series.map(({ name }) => name);
  const theme = chartTheme.value;
  const key = JSON.stringify(names);
  const paints = useMemo(() => assign(JSON.parse(key), colors, theme.dark), [key, colors, theme.dark]);
  const { min, max, thresholds, bands } = props;
  const content = useMemo(() => {
    const options = { kind, unit, percent, min, max, thresholds, bands, paints, hidden, focus, theme, stepMs };
    return new SeriesContent(set, options);
  }, [set, kind, unit, percent, min, max, thresholds, bands, paints, hidden, focus, theme, stepMs]);
  const { place, plot } = usePlot(content, props.onZoom);

  const format = unitFormat(unit, percent);
  const say = (time: number) => {
    const reading = readings(set, paints, hidden, time);
    if (!reading) return;
    const values = reading.rows.slice(0, 6).map(({ name, value }) => `${name} ${format(value)}`);
    spoken.value = `${formatTime(reading.at, zoneSignal.value)}: ${values.join(', ')}`;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (!plot || event.target !== event.currentTarget) return;
    if (!moveByKey(event, plot, set, say)) return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div class="chart">
      <div
        ref={place}
        class="plot"
        role="group"
        aria-roledescription={WORDS[kind]}
        aria-label={`${title}: ${names.length} series. Left and right arrow keys read values.`}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onBlur={() => {
          hover.value = null;
        }}
      />
      {plot && <Tooltip plot={plot} set={set} paints={paints} format={format} hidden={hidden} />}
      <span class="visually-hidden" aria-live="polite">
        {spoken}
      </span>
      {(legend.length > 0 || names.length > 1) && (
        <Legend
          set={set}
          paints={paints}
          format={format}
          values={legend}
          hidden={hidden}
          reversed={stacked && names.length <= HUE_COUNT}
          onToggle={(name, only) => setHidden(toggled(hidden, names, name, only))}
          onFocus={setFocus}
        />
      )}
    </div>
  );
}

/**
 * A few series are in the order of their names. Many are in that of their size, the largest first: the others are small print.
 * The order stays as long as the same series are there, for nothing should jump as data comes.
 */
export function ranking(set: SeriesSet, before: readonly string[]): SeriesSet {
  if (set.series.length <= HUE_COUNT) return set;
  const had = new Map(before.map((name, at) => [name, at]));
  if (set.series.length === had.size && set.series.every(({ name }) => had.has(name))) {
    return { ...set, series: set.series.toSorted((a, b) => (had.get(a.name) ?? 0) - (had.get(b.name) ?? 0)) };
  }
  const sizes = new Map(
    set.series.map(({ name, values }) => [
      name,
      values.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : Math.abs(value)), 0),
    ]),
  );
  return { ...set, series: set.series.toSorted((a, b) => (sizes.get(b.name) ?? 0) - (sizes.get(a.name) ?? 0)) };
}

/** What is of no interest (idle, free) lies on top of a stack, so that the rest stands on the ground. */
function mutedLast(set: SeriesSet, colors: Readonly<Record<string, string>>): SeriesSet {
  const muted = (name: string) => Number(colors[name] === 'muted');
  return { ...set, series: set.series.toSorted((a, b) => muted(a.name) - muted(b.name)) };
}

/** True when the key meant something here. */
function moveByKey(event: KeyboardEvent, plot: TimePlot, set: SeriesSet, say: (time: number) => void): boolean {
  const { times } = set;
  const step = event.shiftKey ? 10 : 1;
  const present = hover.peek() ? nearest(times, hover.peek()?.time ?? 0) : times.length;
  const go = (position: number) => {
    const time = times[Math.max(0, Math.min(times.length - 1, position))];
    if (time === undefined) return;
    hover.value = { time, source: plot };
    say(time);
  };
  switch (event.key) {
    case 'ArrowLeft':
      go(present - step);
      return true;
    case 'ArrowRight':
      go(present + step);
      return true;
    case 'Home':
      go(0);
      return true;
    case 'End':
      go(times.length - 1);
      return true;
    case 'PageUp':
      pan(-0.5);
      return true;
    case 'PageDown':
      pan(0.5);
      return true;
    case '+':
    case '=':
      settle(scaled(currentWindow(), 0.5, hover.peek()?.time));
      return true;
    case '-':
      zoomOut();
      return true;
    case 'Escape':
      if (!hover.peek()) return false;
      hover.value = null;
      return true;
    default:
      return false;
  }
}
