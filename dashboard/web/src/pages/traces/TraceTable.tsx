// The traces as rows; each is a link to its spans.
import { useCallback, useMemo, useRef } from 'preact/hooks';
import { Link } from '../../router';
import { zoneSignal } from '../../time/range';
import { formatCount, formatDateTime, formatDuration, formatTime } from '../shared/format';
import { Icon } from '../shared/icons';
import { Label } from '../shared/Label';
import { useFillHeight } from '../shared/use-fill-height';
import { Spaced, useVirtualRows } from '../shared/VirtualList';
import { NO_SERVICE } from './colors';
import type { Summary } from './summaries';

const ROW_HEIGHT = 34;

export const traceAddress = ({ id, time }: Summary): string =>
  `/traces/${encodeURIComponent(id)}${Number.isFinite(time) ? `?at=${Math.floor(time)}` : ''}`;

export function TraceTable({ traces, withDate }: { readonly traces: readonly Summary[]; readonly withDate: boolean }) {
  const scroller = useRef<HTMLDivElement>(null);
  const height = useFillHeight(scroller, 280);
  const keyOf = useCallback((row: number) => traces[row]?.id ?? String(row), [traces]);
  const rows = useVirtualRows({ count: traces.length, keyOf, estimate: ROW_HEIGHT, scroller });
  const long = useMemo(() => longDuration(traces), [traces]);
  return (
    <div class="trace-table" style={withDate ? { '--start': '174px' } : undefined}>
      <div class="trace-row header" aria-hidden="true">
        {['Start', 'Root', 'Duration', 'Spans', 'Services', 'Errors'].map((name) => (
          <span key={name} class={name.toLowerCase()}>
            {name}
          </span>
        ))}
      </div>
      <div ref={scroller} class="scroll-box" role="list" aria-label="Traces" style={{ height: `${height}px` }}>
        <Spaced rows={rows}>
          {traces.slice(rows.first, rows.end).map((trace, offset) => (
            <Row
              key={trace.id}
              trace={trace}
              long={long}
              withDate={withDate}
              index={rows.first + offset}
              count={traces.length}
              measure={rows.measure(trace.id)}
            />
          ))}
        </Spaced>
      </div>
    </div>
  );
}

/** What fills the bar: one trace in twenty is longer. The very longest would leave nothing of the others. */
function longDuration(traces: readonly Summary[]): number {
  const sorted = traces.map(({ duration }) => duration).sort((a, b) => a - b);
  return Math.max(1, sorted[Math.floor(sorted.length * 0.95)] ?? 1);
}

interface RowProps {
  readonly trace: Summary;
  readonly long: number;
  readonly withDate: boolean;
  readonly index: number;
  readonly count: number;
  readonly measure: (element: HTMLElement | null) => void;
}

function Row({ trace, long, withDate, index, count, measure }: RowProps) {
  const zone = zoneSignal.value;
  return (
    <div ref={measure} role="listitem" aria-posinset={index + 1} aria-setsize={count} class="trace-item">
      <Link href={traceAddress(trace)} class="trace-row">
        <span class="start">{(withDate ? formatDateTime : formatTime)(trace.time, zone)}</span>
        <span class="root">
          <Label text={trace.service ?? NO_SERVICE} class="service" />{' '}
          <Label text={trace.name || '(no name)'} class="operation" />
        </span>
        <span class="duration">
          <span class="length" style={{ width: `${Math.min(1, trace.duration / long) * 100}%` }} />
          <span>{formatDuration(trace.duration)}</span>
        </span>
        <span class="spans">
          {formatCount(trace.spans)}
          <span class="unit"> span{trace.spans === 1 ? '' : 's'}</span>
        </span>
        <span class="services">
          {formatCount(trace.services)}
          <span class="unit"> service{trace.services === 1 ? '' : 's'}</span>
        </span>
        <span class="errors">
          {trace.errors > 0 && (
            <>
              <Icon name="error" size={14} /> {formatCount(trace.errors)}
              <span class="unit"> error{trace.errors === 1 ? '' : 's'}</span>
            </>
          )}
        </span>
      </Link>
    </div>
  );
}
