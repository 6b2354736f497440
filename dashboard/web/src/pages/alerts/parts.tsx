// What the views have in common: labels that can be clicked, states, lengths of time, bands.
import { useMemo } from 'preact/hooks';
import { exploreHref } from '../../boards/explore-link';
import { Link, setQuery } from '../../router';
import type { Severity } from '../../shell/severity';
import { bounds, range, zoneSignal } from '../../time/range';
import { CopyButton } from '../shared/CopyButton';
import { formatDateTime, formatDuration } from '../shared/format';
import { Label } from '../shared/Label';
import type { Band } from './history';
import type { Labels } from './matcher';
import { useClock } from './use-alerting';

/** Each label a button that filters by it. */
export function LabelChips(props: {
  readonly labels: Labels;
  readonly without?: readonly string[];
  readonly most?: number;
  readonly onPick?: ((name: string, value: string) => void) | undefined;
}) {
  const { labels, without = [], most = 100, onPick } = props;
  const shown = Object.entries(labels).filter(([name]) => !without.includes(name));
  const left = shown.length - most;
  return (
    <ul class="chips" aria-label="Labels">
      {shown.slice(0, most).map(([name, value]) => (
        <li key={name}>
          {onPick ? (
            <button type="button" class="chip" title="Only alerts with this label" onClick={() => onPick(name, value)}>
              <ChipText name={name} value={value} />
            </button>
          ) : (
            <span class="chip">
              <ChipText name={name} value={value} />
            </span>
          )}
        </li>
      ))}
      {left > 0 && <li class="hint">and {left} more</li>}
    </ul>
  );
}

function ChipText({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <>
      <Label text={name} class="name" most={80} />
      <span>=</span>
      <Label text={value} most={160} />
    </>
  );
}

/** A rule's SQL, to read, to copy and to try. */
export function Query({ sql, label }: { readonly sql: string; readonly label: string }) {
  return (
    <div class="query">
      <pre tabIndex={0} role="region" aria-label={label}>
        <code>
          <bdi>{sql}</bdi>
        </code>
      </pre>
      <span class="query-actions">
        <CopyButton text={sql} what="the query" />
        <Link class="button quiet" href={exploreHref({ sql, chart: 'table' })}>
          Open in Explore
        </Link>
      </span>
    </div>
  );
}

/** The filter by labels, kept in the address as `q`. */
export function MatchersInput({ text, invalid }: { readonly text: string; readonly invalid: boolean }) {
  return (
    <input
      class="input mono"
      type="search"
      aria-label="Matchers"
      aria-invalid={invalid}
      placeholder={'alertname="DiskFull", host=~"a|b"'}
      spellcheck={false}
      autocomplete="off"
      value={text}
      onInput={(event) => setQuery({ q: event.currentTarget.value || null }, true)}
    />
  );
}

export function SeverityMark({ severity }: { readonly severity: Severity }) {
  return <span class={`severity ${severity}`}>{severity}</span>;
}

export const ago = (ms: number): string => (ms < 1000 ? 'just now' : formatDuration(Math.round(ms / 1000) * 1e9));

/** `12 min 5 s`, counting; the time itself in its title. */
export function Since({ at, suffix = '' }: { readonly at: number; readonly suffix?: string }) {
  const now = useClock();
  if (!Number.isFinite(at)) return <span>–</span>;
  const length = ago(Math.max(0, now - at));
  return (
    <time dateTime={new Date(at).toISOString()} title={formatDateTime(at, zoneSignal.value)}>
      {length}
      {length === 'just now' ? '' : suffix}
    </time>
  );
}

export const BAND_LEVELS = { firing: 'critical', pending: 'warning', acknowledged: 'accent' } as const;

/** `fires 12 min; pending 5 min`, for who does not see it. */
export function describeBands(bands: readonly Band[]): string {
  if (bands.length === 0) return 'nothing in this range';
  const lengths = new Map<string, { times: number; ms: number }>();
  for (const { state, from, to } of bands) {
    const had = lengths.get(state) ?? { times: 0, ms: 0 };
    lengths.set(state, { times: had.times + 1, ms: had.ms + to - from });
  }
  return [...lengths]
    .map(([state, { times, ms }]) => `${state} ${times === 1 ? 'once' : `${times} times`}, ${ago(ms)} in all`)
    .join('; ');
}

export function BandTrack({
  bands,
  window,
  label,
}: {
  readonly bands: readonly Band[];
  readonly window: { readonly from: number; readonly to: number };
  readonly label: string;
}) {
  const length = window.to - window.from || 1;
  const zone = zoneSignal.value;
  return (
    <div class="band-track" role="img" aria-label={`${label}: ${describeBands(bands)}`}>
      {bands.map(({ from, to, state }) => (
        <span
          key={`${from} ${state}`}
          class={`band ${state}`}
          title={`${state} from ${formatDateTime(from, zone)} to ${formatDateTime(to, zone)}: ${ago(to - from)}`}
          style={{
            insetInlineStart: `${((from - window.from) / length) * 100}%`,
            width: `${((to - from) / length) * 100}%`,
          }}
        />
      ))}
    </div>
  );
}

/** The page's range as it is now; one that slides moves once in a while. */
export function useWindow(everyMs = 5_000): { from: number; to: number } {
  const now = useClock();
  const of = range.value;
  const at = of.kind === 'absolute' ? 0 : Math.ceil(now / everyMs) * everyMs;
  return useMemo(() => bounds(of, at), [of, at]);
}
