// The values under the pointer, beside it, in the chart that it is in.
import { formatTime } from '../time/format';
import { zoneSignal } from '../time/zone';
import type { UnitFormat } from './format';
import { Swatch } from './Legend';
import type { Paint } from './palette';
import type { TimePlot } from './plot';
import { nearest, type SeriesSet, valueNear } from './series';
import { hover } from './viewport';

const MOST_ROWS = 12;

export interface TooltipProps {
  readonly plot: TimePlot;
  readonly set: SeriesSet;
  readonly paints: readonly Paint[];
  readonly format: UnitFormat;
  readonly hidden: ReadonlySet<string>;
}

export interface Reading {
  readonly name: string;
  readonly value: number;
  readonly paint: Paint;
}

/** The series' values at a time, the largest first. */
export function readings(
  set: SeriesSet,
  paints: readonly Paint[],
  hidden: ReadonlySet<string>,
  time: number,
): { at: number; rows: Reading[] } | null {
  const position = nearest(set.times, time);
  if (position < 0) return null;
  const rows = set.series
    .map(({ name, values }, i) => ({ name, value: valueNear(set, values, position), paint: paints[i] as Paint }))
    .filter(({ name, value }) => !hidden.has(name) && !Number.isNaN(value))
    .sort((a, b) => b.value - a.value);
  return { at: set.times[position] as number, rows };
}

export function Tooltip({ plot, set, paints, format, hidden }: TooltipProps) {
  const pointed = hover.value;
  if (pointed?.source !== plot) return null;
  const reading = readings(set, paints, hidden, pointed.time);
  if (!reading || reading.rows.length === 0) return null;
  const x = plot.positionOf(pointed.time);
  const { inner } = plot;
  const left = inner.left + x;
  const flip = x > inner.width / 2;
  const rows = reading.rows.slice(0, MOST_ROWS);
  const more = reading.rows.length - rows.length;
  return (
    <div class={flip ? 'tooltip flip' : 'tooltip'} style={{ left: `${left}px` }} aria-hidden="true">
      <p class="when">{formatTime(reading.at, zoneSignal.value, reading.at % 1000 !== 0)}</p>
      <table>
        <tbody>
          {rows.map(({ name, value, paint }) => (
            <tr key={name}>
              <th>
                <Swatch paint={paint} />
                <bdi>{name}</bdi>
              </th>
              <td>{format(value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {more > 0 && <p class="when">and {more} more</p>}
    </div>
  );
}
