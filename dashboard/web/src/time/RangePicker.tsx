// The page's time range: the usual ones at a click, any other typed, and the zone that times are shown in.
import { useState } from 'preact/hooks';
import { Icon } from '../ui/Icon';
import { moveFocus } from '../ui/Menu';
import { Popover } from '../ui/Popover';
import { formatDate, formatTime, fromWallClock, wallClock } from './format';
import { parseTyped, type Typed } from './parse';
import { absolute, bounds, parseDuration, type Range, range, relative, setRange } from './range';
import { isZone, LOCAL_ZONE, setZone, zoneSignal } from './zone';

const RELATIVE: readonly (readonly [string, string])[] = [
  ['1m', 'Last minute'],
  ['5m', 'Last 5 minutes'],
  ['15m', 'Last 15 minutes'],
  ['30m', 'Last 30 minutes'],
  ['1h', 'Last hour'],
  ['3h', 'Last 3 hours'],
  ['6h', 'Last 6 hours'],
  ['12h', 'Last 12 hours'],
  ['24h', 'Last 24 hours'],
  ['2d', 'Last 2 days'],
  ['7d', 'Last 7 days'],
  ['30d', 'Last 30 days'],
  ['90d', 'Last 90 days'],
];
const DAY = 86_400_000;

/** Ranges that begin at midnight of the zone. */
function days(zone: string, now: number): { label: string; range: Range }[] {
  const today = fromWallClock(zone, Math.floor(wallClock(zone, now).getTime() / DAY) * DAY);
  const yesterday = fromWallClock(zone, wallClock(zone, today).getTime() - DAY);
  return [
    { label: 'Today so far', range: absolute(today, now) },
    { label: 'Yesterday', range: absolute(yesterday, today) },
  ];
}

/** What the button says. */
export function describeRange(of: Range, zone: string): string {
  if (of.kind === 'relative') return RELATIVE.find(([last]) => last === of.last)?.[1] ?? `Last ${of.last}`;
  const from = formatTime(of.from, zone);
  const to = formatTime(of.to, zone);
  return formatDate(of.from, zone) === formatDate(of.to, zone) ? `${from} – ${to.slice(11)}` : `${from} – ${to}`;
}

export function RangePicker() {
  const zone = zoneSignal.value;
  const text = describeRange(range.value, zone);
  const elsewhere = zone !== LOCAL_ZONE;
  return (
    <Popover
      id="range-picker"
      label={`Time range: ${text}${elsewhere ? ` ${zone}` : ''}`}
      title="Time range (t)"
      buttonClass="button range-button"
      button={
        <>
          <Icon name="clock" size={16} />
          <span class="range-text">{text}</span> {elsewhere && <span class="zone-mark">{zone}</span>}
          <Icon name="chevron" size={14} />
        </>
      }
    >
      {(close) => <Panel close={close} />}
    </Popover>
  );
}

function Panel({ close }: { readonly close: () => void }) {
  const zone = zoneSignal.value;
  const present = range.value;
  const choose = (next: Range) => {
    setRange(next);
    close();
  };
  return (
    <div class="range-panel">
      <div class="range-list" role="group" aria-label="Usual ranges" onKeyDown={(event) => moveFocus(event, 'button')}>
        {RELATIVE.map(([last, label]) => {
          const is = present.kind === 'relative' && present.last === last;
          const made = relative(last);
          return (
            <button
              key={last}
              type="button"
              aria-current={is ? 'true' : undefined}
              onClick={() => made && choose(made)}
            >
              <span>{label}</span>
              {is && <Icon name="check" size={14} />}
            </button>
          );
        })}
        {days(zone, Date.now()).map(({ label, range: made }) => (
          <button key={label} type="button" onClick={() => choose(made)}>
            {label}
          </button>
        ))}
      </div>
      <div class="range-typed">
        <TypedRange onChoose={choose} />
        <ZoneField />
      </div>
    </div>
  );
}

function TypedRange({ onChoose }: { readonly onChoose: (range: Range) => void }) {
  const zone = zoneSignal.value;
  const present = range.peek();
  const ends = bounds(present);
  const sliding = present.kind === 'relative';
  const [from, setFrom] = useState(sliding ? `now-${present.last}` : formatTime(ends.from, zone));
  const [to, setTo] = useState(sliding ? 'now' : formatTime(ends.to, zone));
  const [mistake, setMistake] = useState('');
  const apply = (event: Event) => {
    event.preventDefault();
    const made = rangeOfTyped(from, to, zone, Date.now());
    if (typeof made === 'string') setMistake(made);
    else onChoose(made);
  };
  return (
    <form onSubmit={apply}>
      <label>
        From
        <input
          class="input"
          value={from}
          spellcheck={false}
          autocomplete="off"
          onInput={(event) => setFrom(event.currentTarget.value)}
        />
      </label>
      <label>
        To
        <input
          class="input"
          value={to}
          spellcheck={false}
          autocomplete="off"
          onInput={(event) => setTo(event.currentTarget.value)}
        />
      </label>
      <p class="hint">
        <code>2026-11-24 14:05</code>, <code>14:05</code>, <code>now-6h</code> or <code>now</code>
      </p>
      {mistake && (
        <p class="mistake" role="alert">
          {mistake}
        </p>
      )}
      <button type="submit" class="button primary">
        Show this range
      </button>
    </form>
  );
}

/** A range, or what is wrong with what was typed. */
export function rangeOfTyped(from: string, to: string, zone: string, now: number): Range | string {
  const start = parseTyped(from, zone, now);
  const end = parseTyped(to, zone, now);
  if (!start) return `“${from}” is not a time`;
  if (!end) return `“${to}” is not a time`;
  if (start.kind === 'now' && start.ago !== null && end.kind === 'now' && end.ago === null) {
    return relative(start.ago) ?? `“${from}” is not a time`;
  }
  const instant = (typed: Typed) =>
    typed.kind === 'instant' ? typed.time : now - (parseDuration(typed.ago ?? '') ?? 0);
  const a = instant(start);
  const b = instant(end);
  return a < b ? absolute(a, b) : 'The range ends before it begins';
}

function ZoneField() {
  const zone = zoneSignal.value;
  const [text, setText] = useState(zone);
  const known = isZone(text.trim());
  const choose = (next: string) => {
    setText(next);
    if (isZone(next.trim())) setZone(next.trim());
  };
  return (
    <div class="zone-field">
      <label>
        Time zone
        <input
          class="input"
          list="zones"
          value={text}
          spellcheck={false}
          autocomplete="off"
          aria-invalid={!known}
          onInput={(event) => setText(event.currentTarget.value)}
          onChange={(event) => choose(event.currentTarget.value)}
        />
      </label>
      <datalist id="zones">
        {zones().map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <div class="toolbar">
        <button type="button" class="button" aria-pressed={zone === LOCAL_ZONE} onClick={() => choose(LOCAL_ZONE)}>
          Local
        </button>
        {LOCAL_ZONE !== 'UTC' && (
          <button type="button" class="button" aria-pressed={zone === 'UTC'} onClick={() => choose('UTC')}>
            UTC
          </button>
        )}
      </div>
    </div>
  );
}

let names: readonly string[] | null = null;
function zones(): readonly string[] {
  names ??= ['UTC', ...Intl.supportedValuesOf('timeZone')];
  return names;
}
