// Names, colours and figures of a chart's series. A click hides or shows one; with a modifier key it shows only that one.

import { formatClock } from '../time/format';
import { zoneSignal } from '../time/zone';
import type { UnitFormat } from './format';
import type { Paint } from './palette';
import { nearest, type Series, type SeriesSet, statsOf, valueNear } from './series';
import { currentWindow, hover } from './viewport';

export type LegendValue = 'min' | 'mean' | 'max' | 'last';

export interface LegendProps {
  readonly set: SeriesSet;
  readonly paints: readonly Paint[];
  readonly format: UnitFormat;
  readonly values: readonly LegendValue[];
  readonly hidden: ReadonlySet<string>;
  /** From the top of a stack to its bottom. */
  readonly reversed?: boolean;
  readonly onToggle: (name: string, only: boolean) => void;
  readonly onFocus: (name: string | null) => void;
}

export function Swatch({ paint }: { readonly paint: Paint }) {
  return (
    <span class={paint.dash ? 'swatch dashed' : 'swatch'} style={{ '--swatch': paint.color }} aria-hidden="true" />
  );
}

export function Legend(props: LegendProps) {
  const { set, values } = props;
  if (set.series.length === 0) return null;
  if (props.reversed) {
    const turned = { ...set, series: set.series.toReversed() };
    return <Legend {...props} set={turned} paints={props.paints.toReversed()} reversed={false} />;
  }
  return (
    <div class={values.length > 0 ? 'legend table' : 'legend'}>
      {values.length > 0 ? <LegendTable {...props} /> : <LegendList {...props} />}
      {set.left > 0 && <p class="legend-note">and {set.left} more series that are not drawn</p>}
    </div>
  );
}

function LegendList(props: LegendProps) {
  return (
    <ul>
      {props.set.series.map((series, i) => (
        <li key={series.name}>
          <Name {...props} series={series} paint={props.paints[i] as Paint} />
        </li>
      ))}
    </ul>
  );
}

function LegendTable(props: LegendProps) {
  const { set, values, format, hidden } = props;
  const { from, to } = currentWindow();
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">
            <span class="visually-hidden">Series</span>
          </th>
          {values.map((value) => (
            <th key={value} scope="col" data-value={value}>
              {value === 'last' ? <LastHead set={set} /> : value}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {set.series.map((series, i) => {
          const stats = statsOf(set.times, series.values, from, to);
          return (
            <tr key={series.name} class={hidden.has(series.name) ? 'off' : ''}>
              <th scope="row">
                <Name {...props} series={series} paint={props.paints[i] as Paint} />
              </th>
              {values.map((value) => (
                <td key={value} data-value={value}>
                  {value === 'last' ? (
                    <LastValue set={set} series={series} format={format} last={stats.last} />
                  ) : (
                    format(stats[value])
                  )}
                </td>
              ))}
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** While a time is pointed at, in any chart, the column shows the values there. */
function LastHead({ set }: { readonly set: SeriesSet }) {
  const at = hover.value;
  const time = at ? set.times[nearest(set.times, at.time)] : undefined;
  return time === undefined ? <>last</> : <span class="pointed">{formatClock(time, zoneSignal.value)}</span>;
}

function LastValue(props: { set: SeriesSet; series: Series; format: UnitFormat; last: number }) {
  const at = hover.value;
  if (!at) return <>{props.format(props.last)}</>;
  const position = nearest(props.set.times, at.time);
  const value = position < 0 ? Number.NaN : valueNear(props.set, props.series.values, position);
  return <span class="pointed">{props.format(value)}</span>;
}

function Name(props: LegendProps & { readonly series: Series; readonly paint: Paint }) {
  const { series, paint, hidden, onToggle, onFocus } = props;
  const { name } = series;
  return (
    <button
      type="button"
      class="series-name"
      aria-pressed={!hidden.has(name)}
      title={name}
      onClick={(event) => onToggle(name, event.shiftKey || event.ctrlKey || event.metaKey || event.altKey)}
      onKeyDown={(event) => {
        // Browsers do not agree on whether a modifier and Enter is a click.
        if (event.key !== 'Enter' || !(event.shiftKey || event.ctrlKey || event.metaKey || event.altKey)) return;
        event.preventDefault();
        onToggle(name, true);
      }}
      onPointerEnter={() => onFocus(name)}
      onPointerLeave={() => onFocus(null)}
      onFocus={() => onFocus(name)}
      onBlur={() => onFocus(null)}
    >
      <Swatch paint={paint} />
      <bdi>{name}</bdi>
    </button>
  );
}

/** Hides or shows one; `only`: shows one alone, or all again when it was alone. */
export function toggled(hidden: ReadonlySet<string>, all: readonly string[], name: string, only: boolean): Set<string> {
  if (only) {
    const alone = !hidden.has(name) && all.every((other) => other === name || hidden.has(other));
    return new Set(alone ? [] : all.filter((other) => other !== name));
  }
  const next = new Set(hidden);
  if (!next.delete(name)) next.add(name);
  return next;
}
