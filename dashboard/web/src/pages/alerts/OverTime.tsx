// Alerts over the page's range: how often each name fired, and a lane for each alert.
import { useCallback, useMemo, useRef } from 'preact/hooks';
import { useLive } from '../../live/live';
import { navigate, setQuery, search as urlQuery } from '../../router';
import { formatTime, timeTicks } from '../../time/format';
import { zoneSignal } from '../../time/range';
import { EmptyState, ErrorState, Loading } from '../../ui';
import { Label } from '../shared/Label';
import { useFillHeight } from '../shared/use-fill-height';
import { useWidth } from '../shared/use-width';
import { Spaced, useVirtualRows } from '../shared/VirtualList';
import { bandsOf, countsOf, eventsOf, historySql, type Lane, lanesOf, MOST_CHANGES } from './history';
import { formatMatchers, matchersOf, matches, parseMatchers, toggleMatcher } from './matcher';
import { BandTrack, MatchersInput, useWindow } from './parts';
import type { Alerting } from './use-alerting';

const HISTORY = historySql();
const MOST_NAMES = 12;
const LANE_HEIGHT = 30;
/** What the page has below the lanes, CSS pixels. */
const BELOW = 84;
/** Pixels that a label of the time axis needs. */
const TICK = 90;

export function OverTime({ alerting }: { readonly alerting: Alerting }) {
  const text = urlQuery.value.get('q') ?? '';
  const parsed = useMemo(() => parseMatchers(text), [text]);
  const live = useLive({ sql: HISTORY, mode: 'table', limit: MOST_CHANGES });
  const [frame, state, error] = [live.rows.value, live.state.value, live.error.value];
  const events = useMemo(() => (frame ? eventsOf(frame) : []), [frame]);
  const lanes = useMemo(() => {
    const fits = matches(typeof parsed === 'string' ? [] : parsed);
    return lanesOf(events, alerting.all).filter(({ labels }) => fits(labels));
  }, [events, alerting.all, parsed]);
  const pick = (name: string) => setQuery({ q: toggleMatcher(text, 'alertname', name) || null });
  return (
    <>
      <div class="alert-filters" role="search">
        <MatchersInput text={text} invalid={typeof parsed === 'string'} />
        {typeof parsed === 'string' && (
          <p class="mistake" role="alert">
            {parsed}
          </p>
        )}
      </div>
      {frame?.truncated && (
        <p class="notice" role="status">
          There were more than {MOST_CHANGES} changes in this range: the newest are shown.
        </p>
      )}
      {state === 'error' && error && error.kind !== 'no_data_yet' ? (
        <div class="panel-box">
          <ErrorState problem={error} onRetry={live.retry} />
        </div>
      ) : !frame && state === 'loading' ? (
        <Loading />
      ) : lanes.length === 0 ? (
        <div class="panel-box">
          <EmptyState title="Nothing fired in this range">
            History is kept where a pipeline of alerts has the exporter parquet.
          </EmptyState>
        </div>
      ) : (
        <>
          <Counts lanes={lanes} onPick={pick} />
          <Lanes lanes={lanes} />
        </>
      )}
    </>
  );
}

function Counts({ lanes, onPick }: { readonly lanes: readonly Lane[]; readonly onPick: (name: string) => void }) {
  const counts = useMemo(() => countsOf(lanes), [lanes]);
  const most = Math.max(1, counts[0]?.fired ?? 1);
  return (
    <section class="panel-box counts" aria-label="How often they fired">
      <h2>How often they fired</h2>
      <ol>
        {counts.slice(0, MOST_NAMES).map(({ name, fired, things }) => (
          <li key={name}>
            <button type="button" class="text-button" onClick={() => onPick(name)} title="Only alerts of this name">
              <Label text={name || '(no name)'} />
            </button>
            <span class="count-bar" aria-hidden="true">
              <span style={{ width: `${(fired / most) * 100}%` }} />
            </span>
            <span class="figure">
              {fired === 1 ? 'once' : `${fired} times`}
              <span class="hint"> of {things === 1 ? '1 alert' : `${things} alerts`}</span>
            </span>
          </li>
        ))}
      </ol>
      {counts.length > MOST_NAMES && <p class="hint">and {counts.length - MOST_NAMES} other names</p>}
    </section>
  );
}

function Lanes({ lanes }: { readonly lanes: readonly Lane[] }) {
  const scroller = useRef<HTMLDivElement>(null);
  const axis = useRef<HTMLDivElement>(null);
  const height = useFillHeight(scroller, 300, BELOW);
  const width = useWidth(axis, 600);
  const window = useWindow();
  const zone = zoneSignal.value;
  const keyOf = useCallback((index: number) => lanes[index]?.fingerprint ?? String(index), [lanes]);
  const visible = useVirtualRows({ count: lanes.length, keyOf, estimate: LANE_HEIGHT, scroller });
  const ticks = timeTicks(window.from, window.to, Math.max(2, Math.floor(width / TICK)), zone);
  return (
    <section class="panel-box" aria-label="Alerts over time">
      <div class="lane lane-axis" aria-hidden="true">
        <span class="hint">{lanes.length === 1 ? '1 alert' : `${lanes.length} alerts`}</span>
        <div ref={axis} class="axis">
          {ticks.times.map((time, at) => (
            <span
              key={time}
              title={formatTime(time, zone)}
              style={{ insetInlineStart: `${((time - window.from) / (window.to - window.from)) * 100}%` }}
            >
              {ticks.labels[at]}
            </span>
          ))}
        </div>
      </div>
      <div ref={scroller} class="scroll-box" style={{ maxHeight: `${height}px` }}>
        <Spaced rows={visible}>
          {lanes.slice(visible.first, visible.end).map((lane) => (
            <div key={lane.fingerprint} ref={visible.measure(lane.fingerprint)}>
              <LaneRow lane={lane} window={window} />
            </div>
          ))}
        </Spaced>
      </div>
      <p class="hint padded legend">
        <span class="key firing" /> firing <span class="key pending" /> pending <span class="key acknowledged" />{' '}
        acknowledged
      </p>
    </section>
  );
}

function LaneRow({ lane, window }: { readonly lane: Lane; readonly window: { from: number; to: number } }) {
  const { labels, name, events, now } = lane;
  const bands = useMemo(() => bandsOf(events, window, now), [events, window, now]);
  const others = Object.entries(labels).filter(([label]) => label !== 'alertname' && label !== 'severity');
  const said = others.map(([label, value]) => `${label}=${value}`).join(', ');
  const open = () => navigate(`/alerts?${new URLSearchParams({ q: formatMatchers(matchersOf(labels)) })}`);
  return (
    <div class="lane">
      <span class="lane-name">
        {now ? (
          <button type="button" class="text-button" onClick={open}>
            <Label text={name} />
          </button>
        ) : (
          <Label text={name} />
        )}
        <Label text={said} class="hint" />
      </span>
      <BandTrack bands={bands} window={window} label={`${name} ${said}`} />
    </div>
  );
}
