// The page's time range and zone. Both live in the URL (`?from=now-15m&to=now&tz=UTC`), so that a link shows what its sender saw
// and the back button undoes a zoom.
import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { search, setQuery } from '../router';

/** `relative` ends now and slides; `absolute` stands still. Milliseconds. */
export type Range =
  | { readonly kind: 'relative'; readonly last: string; readonly lastMs: number }
  | { readonly kind: 'absolute'; readonly from: number; readonly to: number };

const UNITS: Record<string, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
export const DEFAULT_RANGE: Range = { kind: 'relative', last: '15m', lastMs: 9e5 };

/** `15m`, `1h30m`, `7d` in milliseconds; null when it is none. */
export function parseDuration(text: string): number | null {
  const compact = text.trim().toLowerCase();
  if (!/^(\d+(\.\d+)?(ms|[smhdw])\s*)+$/.test(compact)) return null;
  let total = 0;
  for (const [, amount, unit] of compact.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) {
    total += Number(amount) * (unit === 'ms' ? 1 : (UNITS[unit as string] ?? 0));
  }
  return total > 0 ? total : null;
}

export function relative(last: string): Range | null {
  const lastMs = parseDuration(last);
  return lastMs === null ? null : { kind: 'relative', last: last.trim().toLowerCase().replace(/\s+/g, ''), lastMs };
}

/** In the largest unit that says it exactly. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  const [unit, length] = [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
    ['s', 1],
  ].find(([, size]) => seconds % (size as number) === 0) as [string, number];
  return `${seconds / length}${unit}`;
}

export function absolute(from: number, to: number): Range {
  return { kind: 'absolute', from: Math.min(from, to), to: Math.max(from, to) };
}

/** The range of `?from=..&to=..`, null when they say none. */
export function parseRange(from: string | null, to: string | null): Range | null {
  if (!from) return null;
  const sliding = /^now-(.+)$/.exec(from);
  if (sliding && (to === null || to === 'now')) return relative(sliding[1] as string);
  const start = parseInstant(from);
  const end = to === null || to === 'now' ? Date.now() : parseInstant(to);
  return start === null || end === null || start === end ? null : absolute(start, end);
}

function parseInstant(text: string): number | null {
  const time = /^\d{11,14}$/.test(text) ? Number(text) : Date.parse(text);
  return Number.isFinite(time) ? time : null;
}

export function formatRangeQuery(range: Range): { from: string; to: string } {
  if (range.kind === 'relative') return { from: `now-${range.last}`, to: 'now' };
  return { from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() };
}

function rangeOfUrl(): Range {
  const query = search.value;
  return parseRange(query.get('from'), query.get('to')) ?? DEFAULT_RANGE;
}

const held = signal<Range>(DEFAULT_RANGE);
/** The page's range. The same object as long as it is the same range. */
export const range: ReadonlySignal<Range> = computed(() => {
  const next = rangeOfUrl();
  const had = held.peek();
  if (JSON.stringify(had) === JSON.stringify(next)) return had;
  held.value = next;
  return next;
});

/** A new entry in the history, so that back returns to the range before; `replace` makes none. */
export function setRange(next: Range, replace = false): void {
  setQuery(formatRangeQuery(next), replace);
}

/** The range's ends right now, in milliseconds. */
export function bounds(of: Range, now = Date.now()): { from: number; to: number } {
  return of.kind === 'absolute' ? { from: of.from, to: of.to } : { from: now - of.lastMs, to: now };
}
export { zoneSignal } from './zone';
