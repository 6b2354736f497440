// Bars of a table's rows, lying: for results without a time.
import { useMemo } from 'preact/hooks';
import type { ChartProps } from './Chart';
import { unitFormat } from './format';
import { chartTheme, colorOf } from './palette';
import { levelOf, namedValues } from './values';

const MOST = 50;

export function CategoryBars({ frame, title, series, unit, percent, max, colors = {}, thresholds = [] }: ChartProps) {
  const { values } = useMemo(() => namedValues(frame, series), [frame, series]);
  const format = unitFormat(unit, percent);
  const { dark } = chartTheme.value;
  const most = Math.max(max ?? 0, ...values.map(({ value }) => (Number.isFinite(value) ? Math.abs(value) : 0))) || 1;
  const shown = values.slice(0, MOST);
  return (
    <div class="category-bars">
      <table aria-label={title}>
        <tbody>
          {shown.map(({ name, value }, i) => {
            const chosen = colors[name];
            const level = levelOf(value, thresholds);
            const color =
              (chosen === undefined ? null : colorOf(chosen, dark)) ?? (level ? colorOf(level, dark) : null);
            return (
              <tr key={i}>
                <th scope="row" title={name}>
                  <bdi>{name}</bdi>
                </th>
                <td class="category-track">
                  <span
                    class="category-bar"
                    style={{
                      width: `${(Math.abs(value) / most) * 100 || 0}%`,
                      ...(color !== null && { background: color }),
                    }}
                  />
                </td>
                <td class="category-value">{format(value)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {values.length > MOST && <p class="legend-note">and {values.length - MOST} more rows</p>}
    </div>
  );
}
