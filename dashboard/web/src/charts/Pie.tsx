// Shares of a whole: a ring, with its names, values and percentages beside it.
import { useMemo, useState } from 'preact/hooks';
import type { ChartProps } from './Chart';
import { unitFormat } from './format';
import { Swatch, toggled } from './Legend';
import { assign, chartTheme, type Paint } from './palette';
import { namedValues } from './values';

/** Smaller shares than these are one slice: they could be seen neither apart nor at all. */
const MOST_SLICES = 12;
const OTHERS = 'others';
const OUTER = 46;
const INNER = 29;

interface Slice {
  readonly name: string;
  readonly value: number;
}

function slices(values: readonly Slice[]): Slice[] {
  const all = values.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value);
  if (all.length <= MOST_SLICES) return all;
  const rest = all.slice(MOST_SLICES - 1).reduce((sum, { value }) => sum + value, 0);
  return [...all.slice(0, MOST_SLICES - 1), { name: OTHERS, value: rest }];
}

function ring(from: number, to: number): string {
  // A whole circle has no end: it stops just short of its beginning.
  const end = Math.min(to, from + 0.99999);
  const point = (share: number, radius: number) => {
    const angle = (share - 0.25) * 2 * Math.PI;
    return `${(50 + radius * Math.cos(angle)).toFixed(3)} ${(50 + radius * Math.sin(angle)).toFixed(3)}`;
  };
  const large = end - from > 0.5 ? 1 : 0;
  return `M${point(from, OUTER)}A${OUTER} ${OUTER} 0 ${large} 1 ${point(end, OUTER)}L${point(end, INNER)}A${INNER} ${INNER} 0 ${large} 0 ${point(from, INNER)}Z`;
}

export function PieChart({ frame, series, unit, percent, colors = {}, title }: ChartProps) {
  const { values } = useMemo(() => namedValues(frame, series), [frame, series]);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [focus, setFocus] = useState<string | null>(null);
  const all = slices(values);
  const names = all.map(({ name }) => name);
  const paints = assign(names, { [OTHERS]: 'muted', ...colors }, chartTheme.value.dark);
  const shown = all.filter(({ name }) => !hidden.has(name));
  const total = shown.reduce((sum, { value }) => sum + value, 0);
  const format = unitFormat(unit, percent);
  const share = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 });
  let at = 0;
  return (
    <div class="pie">
      <svg viewBox="0 0 100 100" aria-hidden="true">
        {shown.map(({ name, value }) => {
          const from = at;
          at += value / total;
          const paint = paints[names.indexOf(name)] as Paint;
          return (
            <path
              key={name}
              class={focus !== null && focus !== name ? 'slice faint' : 'slice'}
              style={{ fill: paint.color }}
              d={ring(from, at)}
              onPointerEnter={() => setFocus(name)}
              onPointerLeave={() => setFocus(null)}
            />
          );
        })}
        <text class="pie-total" x="50" y="53">
          {format(total)}
        </text>
      </svg>
      <div class="legend table">
        <table aria-label={title}>
          <tbody>
            {all.map(({ name, value }, i) => (
              <tr key={name} class={hidden.has(name) ? 'off' : focus === name ? 'focus' : ''}>
                <th scope="row">
                  <button
                    type="button"
                    class="series-name"
                    aria-pressed={!hidden.has(name)}
                    title={name}
                    onClick={(event) =>
                      setHidden(
                        toggled(hidden, names, name, event.shiftKey || event.ctrlKey || event.metaKey || event.altKey),
                      )
                    }
                    onPointerEnter={() => setFocus(name)}
                    onPointerLeave={() => setFocus(null)}
                  >
                    <Swatch paint={paints[i] as Paint} />
                    <bdi>{name}</bdi>
                  </button>
                </th>
                <td>{format(value)}</td>
                <td>{hidden.has(name) ? '' : share.format(value / total)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
