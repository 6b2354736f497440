// How many records there were when, by severity.
import { useMemo, useRef } from 'preact/hooks';
import { Chart } from '../../charts/Chart';
import { useLive } from '../../live/live';
import { EmptyState, ErrorState, Loading } from '../../ui';
import { formatCount } from '../shared/format';
import { useWidth } from '../shared/use-width';
import { nonEmpty, total } from './bars-frame';
import { barsSql } from './filter';

// As the field has them: red is wrong, yellow asks to be looked at.
const LEVEL_COLORS = {
  unset: 'muted',
  trace: 'teal',
  debug: 'blue',
  info: 'green',
  warn: 'yellow',
  error: 'red',
  fatal: 'purple',
} as const;

/** The legend takes two lines where it is narrow. */
const NARROW = 500;
const HEIGHT = 110;
const NARROW_HEIGHT = 150;

export function SeverityBars({ condition }: { readonly condition: string | null }) {
  const place = useRef<HTMLDivElement>(null);
  const width = useWidth(place, 800);
  const height = width < NARROW ? NARROW_HEIGHT : HEIGHT;
  // A bar is wider than a pixel.
  const live = useLive({ sql: barsSql(condition), mode: 'series', width: Math.max(100, width / 8) });
  const [frame, state, error] = [live.rows.value, live.state.value, live.error.value];
  const shown = useMemo(() => frame && nonEmpty(frame), [frame]);
  return (
    <section class="panel-box severity-bars" aria-label="Records over time" ref={place}>
      <p class="hint total" role="status">
        {frame && state !== 'error' ? `${formatCount(total(frame))} records` : ''}
      </p>
      <div style={{ height: `${height}px` }}>
        {state === 'error' && error ? (
          <ErrorState problem={error} onRetry={live.retry} />
        ) : !frame && state === 'loading' ? (
          <Loading />
        ) : !shown || shown.length === 0 ? (
          <EmptyState title="No records in this range" />
        ) : (
          <Chart
            kind="bar"
            title="Records by severity"
            frame={shown}
            colors={LEVEL_COLORS}
            height={height}
            stepMs={live.stepMs.value}
          />
        )}
      </div>
    </section>
  );
}
