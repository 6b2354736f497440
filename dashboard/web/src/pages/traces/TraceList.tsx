// The traces of the range: filters, a picture of their durations, the list.
import { useMemo, useState } from 'preact/hooks';
import { useLive } from '../../live/live';
import { Link, navigate, setQuery, search as urlQuery } from '../../router';
import { absolute, bounds, formatRangeQuery, range } from '../../time/range';
import { Button, EmptyState, ErrorState, Loading, Toolbar } from '../../ui';
import { formatCount } from '../shared/format';
import { Icon } from '../shared/icons';
import { LiveState } from '../shared/LiveState';
import { filterOf, MOST_TRACES, tracesSql } from './list-query';
import { Scatter } from './Scatter';
import { summariesOf } from './summaries';
import { TraceFilters } from './TraceFilters';
import { TraceTable, traceAddress } from './TraceTable';
import { useOperations } from './use-operations';

const FIRST_WORDS = {
  newest: 'The newest',
  longest: 'The longest',
  errors: 'The first',
  spans: 'The largest',
} as const;
const HALF_DAY = 43_200_000;

export function TraceList() {
  const filter = filterOf(urlQuery.value);
  const sql = tracesSql(filter);
  const live = useLive({ sql, mode: 'table', limit: MOST_TRACES });
  const known = useOperations();
  const [frame, state, error] = [live.rows.value, live.state.value, live.error.value];
  const newest = useMemo(() => (frame ? { traces: summariesOf(frame), ...limits(frame) } : null), [frame]);
  const [stopped, setStopped] = useState<{ sql: string; shown: typeof newest } | null>(null);
  const shown = stopped?.sql === sql ? stopped.shown : newest;
  const paused = shown !== newest || stopped?.sql === sql;
  return (
    <div class="page traces">
      <h1>Traces</h1>
      <TraceFilters filter={filter} operations={known} />
      {state === 'error' && error ? (
        <ErrorState problem={error} onRetry={live.retry} />
      ) : !shown ? (
        state === 'disconnected' ? (
          <EmptyState title="Disconnected">Catchment does not answer; trying again.</EmptyState>
        ) : state === 'empty' ? (
          <Nothing />
        ) : (
          <Loading />
        )
      ) : (
        <>
          <section class="panel-box" aria-label="Durations">
            <Toolbar label="The list">
              <LiveState state={state} stopped={paused ? 'Paused' : null} past={range.value.kind === 'absolute'} />
              {/* While another filter's traces are awaited, what is shown is not what would be kept. */}
              <Button
                kind="quiet"
                disabled={!paused && state === 'loading'}
                onClick={() => setStopped(paused ? null : { sql, shown: newest })}
              >
                <Icon name={paused ? 'play' : 'pause'} /> {paused ? 'Resume' : 'Pause'}
              </Button>
              <span class="hint" role="status">
                {shown.traces.length >= MOST_TRACES
                  ? `${FIRST_WORDS[filter.sort]} ${formatCount(MOST_TRACES)} traces`
                  : `${formatCount(shown.traces.length)} traces`}
              </span>
              <span class="grow" />
              <Link class="button quiet" href={`/explore?sql=${encodeURIComponent(sql)}`}>
                As SQL
              </Link>
            </Toolbar>
            {shown.traces.length > 0 && (
              <Scatter
                traces={shown.traces}
                from={shown.from}
                to={shown.to}
                onOpen={(trace) => navigate(traceAddress(trace))}
                onSelect={narrow}
              />
            )}
          </section>
          {shown.traces.length > 0 ? (
            <section class="panel-box">
              <TraceTable traces={shown.traces} withDate={needsDate()} />
            </section>
          ) : (
            <Nothing />
          )}
        </>
      )}
    </div>
  );
}

function limits(frame: { from: number; to: number }): { from: number; to: number } {
  // A result without a window is of the page's range.
  return frame.to > 0 ? { from: frame.from, to: frame.to } : bounds(range.peek());
}

function narrow({ from, to, least, most }: { from: number; to: number; least: number; most: number }): void {
  const duration = (nanoseconds: number) => `${Math.round(nanoseconds / 1000)}us`;
  setQuery({
    ...formatRangeQuery(absolute(Math.floor(from), Math.ceil(to))),
    min: duration(least),
    max: duration(most),
  });
}

function needsDate(): boolean {
  const of = range.value;
  return of.kind === 'absolute' || of.lastMs > HALF_DAY;
}

function Nothing() {
  return (
    <EmptyState title="No traces">
      <span>
        Nothing in this range fits. Spans arrive over OTLP; <Link href="/pipelines">Pipelines</Link> shows where this
        instance listens.
      </span>
    </EmptyState>
  );
}
