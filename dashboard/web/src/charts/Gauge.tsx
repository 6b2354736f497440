// How far a value has come between its ends: an arc with its thresholds.
import { useMemo } from 'preact/hooks';
import type { ChartProps } from './Chart';
import { unitFormat } from './format';
import { levelOf, namedValues } from './values';

/** The arc runs over three quarters of a circle, open at the bottom. */
const START = Math.PI * 0.75;
const SWEEP = Math.PI * 1.5;
const RADIUS = 42;

function arc(from: number, to: number, radius: number): string {
  const point = (share: number) => {
    const angle = START + SWEEP * share;
    return `${(50 + radius * Math.cos(angle)).toFixed(2)} ${(50 + radius * Math.sin(angle)).toFixed(2)}`;
  };
  const large = (to - from) * SWEEP > Math.PI ? 1 : 0;
  return `M${point(from)}A${radius} ${radius} 0 ${large} 1 ${point(to)}`;
}

export function GaugeChart({ frame, series, unit, percent, min = 0, max, thresholds = [], title }: ChartProps) {
  const { values } = useMemo(() => namedValues(frame, series), [frame, series]);
  const format = unitFormat(unit, percent);
  const known = values.filter(({ value }) => Number.isFinite(value)).map(({ value }) => value);
  const top =
    max ?? (percent ? (unit === '%' ? 100 : 1) : Math.max(1e-9, ...known, ...thresholds.map(({ value }) => value)));
  const share = (value: number) => Math.max(0, Math.min(1, (value - min) / (top - min || 1)));
  return (
    <ul class="gauges" aria-label={title} tabIndex={values.length > 4 ? 0 : undefined}>
      {values.slice(0, 24).map(({ name, value }) => {
        const level = levelOf(value, thresholds);
        return (
          <li key={name} class={level ? `gauge ${level}` : 'gauge'}>
            <svg viewBox="0 0 100 86" aria-hidden="true">
              <path class="gauge-track" d={arc(0, 1, RADIUS)} />
              {thresholds.map((threshold) => (
                <path
                  key={threshold.value}
                  class={`gauge-mark ${threshold.level}`}
                  d={arc(share(threshold.value), 1, RADIUS + 6)}
                />
              ))}
              {share(value) > 0.001 && <path class="gauge-value" d={arc(0, share(value), RADIUS)} />}
            </svg>
            <span class="gauge-text">{format(value)}</span>
            {values.length > 1 && (
              <span class="gauge-name" title={name}>
                <bdi>{name}</bdi>
              </span>
            )}
            {level && level !== 'ok' && <span class="visually-hidden">({level})</span>}
          </li>
        );
      })}
    </ul>
  );
}
