// What became of alerts over time, from the lake's table `alerts`: a row for each change, and bands of one state made of them.
import type { Frame } from '../../live/frame';
import { parseAttributes } from '../shared/attributes';
import { reader } from '../shared/frame-reader';
import { literal } from '../shared/sql';
import type { Labels } from './matcher';
import type { Alert } from './model';

export type Change = 'pending' | 'firing' | 'still_firing' | 'resolved' | 'withdrawn' | 'acknowledged';
export type BandState = 'pending' | 'firing' | 'acknowledged';

export interface HistoryEvent {
  /** Milliseconds. */
  readonly at: number;
  readonly change: Change;
  readonly fingerprint: string;
  readonly labels: Labels;
  /** Since when it has fired, whenever that was. */
  readonly starts: number;
  readonly value: number | null;
}

export interface Band {
  readonly from: number;
  readonly to: number;
  readonly state: BandState;
}

/** Changes that a page takes, the newest first. */
export const MOST_CHANGES = 5_000;

/** "Fires still" is said every minute: of those only the last of each alert. */
export function historySql(fingerprint?: string): string {
  const one =
    fingerprint === undefined ? '' : ` AND json_as_text(attributes, 'alert.fingerprint') = ${literal(fingerprint)}`;
  return `SELECT max(ts) AS ts, change, fingerprint, last_value(attributes ORDER BY ts) AS attributes, last_value(starts ORDER BY ts) AS starts
FROM (
  SELECT ts, attributes, json_as_text(attributes, 'alert.change') AS change,
    json_as_text(attributes, 'alert.fingerprint') AS fingerprint, json_as_text(body, 'startsAt') AS starts
  FROM alerts
  WHERE $range AND event_name = 'alert'${one}
)
GROUP BY change, fingerprint, CASE WHEN change = 'still_firing' THEN NULL ELSE ts END
ORDER BY 1 DESC`;
}

/** Oldest first. */
export function eventsOf(frame: Frame): HistoryEvent[] {
  const [changes, fingerprints, sets, starts] = ['change', 'fingerprint', 'attributes', 'starts'].map((name) =>
    reader(frame, name),
  );
  const events: HistoryEvent[] = [];
  // Many rows are of few alerts, whose labels are read once.
  const read = new Map<string, { labels: Labels; value: number | null }>();
  for (let row = 0; row < frame.length; row++) {
    const text = sets?.text(row) ?? '{}';
    const set = read.get(text) ?? labelsOf(text);
    read.set(text, set);
    events.push({
      at: frame.time?.[row] ?? Number.NaN,
      change: (changes?.text(row) ?? '') as Change,
      fingerprint: fingerprints?.text(row) ?? '',
      starts: Date.parse(starts?.text(row) ?? ''),
      ...set,
    });
  }
  return events.sort((a, b) => a.at - b.at);
}

function labelsOf(text: string): { labels: Labels; value: number | null } {
  const all = parseAttributes(text);
  const value = Number(all.find(({ key }) => key === 'alert.value')?.text ?? Number.NaN);
  const own = all.filter(({ key }) => !key.startsWith('alert.'));
  return {
    labels: Object.fromEntries(own.map(({ key, text }) => [key, text ?? ''])),
    value: Number.isFinite(value) ? value : null,
  };
}

const GONE_ZERO = Date.parse('0001-01-02T00:00:00Z');

/** The bands of one alert within a window, of its events (oldest first) and what it is now. */
export function bandsOf(
  events: readonly HistoryEvent[],
  window: { from: number; to: number },
  now?: Pick<Alert, 'state' | 'since'>,
): Band[] {
  const bands: Band[] = [];
  let open: { from: number; state: BandState } | null = null;
  const push = (from: number, to: number, state: BandState) => {
    const [a, b] = [Math.max(from, window.from), Math.min(to, window.to)];
    if (b > a) bands.push({ from: a, to: b, state });
  };
  const begun = ({ starts, at }: HistoryEvent) => (starts > GONE_ZERO ? Math.min(starts, at) : at);
  for (const event of events) {
    const { at, change } = event;
    // What was before the first that is known.
    if (!open && (change === 'resolved' || change === 'acknowledged')) open = { from: begun(event), state: 'firing' };
    if (!open && change === 'withdrawn') open = { from: begun(event), state: 'pending' };
    if (change === 'still_firing') {
      if (open?.state !== 'pending') open ??= { from: begun(event), state: 'firing' };
      continue;
    }
    if (open) push(open.from, at, open.state);
    open = change === 'resolved' || change === 'withdrawn' ? null : { from: at, state: change };
  }
  if (open) push(open.from, window.to, open.state);
  else if (events.length === 0 && now) {
    const state = now.state === 'pending' || now.state === 'acknowledged' ? now.state : 'firing';
    push(now.since, window.to, state);
  }
  return bands;
}

export interface Lane {
  readonly fingerprint: string;
  readonly labels: Labels;
  readonly name: string;
  readonly events: readonly HistoryEvent[];
  readonly now: Alert | undefined;
  /** How often it began to fire. */
  readonly fired: number;
}

/** One for each alert that there was or is; those of one name together, the names that fired most first. */
export function lanesOf(events: readonly HistoryEvent[], present: readonly Alert[]): Lane[] {
  const of = new Map<string, HistoryEvent[]>();
  for (const event of events) {
    const had = of.get(event.fingerprint);
    if (had) had.push(event);
    else of.set(event.fingerprint, [event]);
  }
  const current = new Map(present.map((alert) => [alert.fingerprint, alert]));
  const lanes: Lane[] = [...of].map(([fingerprint, own]) => {
    const labels = own.at(-1)?.labels ?? {};
    const fired = own.filter(({ change }) => change === 'firing').length;
    return { fingerprint, labels, name: labels.alertname ?? '', events: own, now: current.get(fingerprint), fired };
  });
  for (const now of present) {
    const { fingerprint, labels, name } = now;
    if (!of.has(fingerprint)) lanes.push({ fingerprint, labels, name, events: [], now, fired: 0 });
  }
  const rank = new Map(countsOf(lanes).map(({ name }, at) => [name, at]));
  return lanes.sort(
    (a, b) =>
      (rank.get(a.name) ?? 0) - (rank.get(b.name) ?? 0) ||
      b.fired - a.fired ||
      (a.fingerprint < b.fingerprint ? -1 : 1),
  );
}

/** How often alerts of each name began to fire, and of how many things; most first. */
export function countsOf(lanes: readonly Lane[]): { name: string; fired: number; things: number }[] {
  const counts = new Map<string, { name: string; fired: number; things: number }>();
  for (const { name, fired } of lanes) {
    const had = counts.get(name) ?? { name, fired: 0, things: 0 };
    counts.set(name, { name, fired: had.fired + fired, things: had.things + 1 });
  }
  return [...counts.values()].sort((a, b) => b.fired - a.fired || (a.name < b.name ? -1 : 1));
}
