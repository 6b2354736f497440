// What people type for a time: `now`, `now-1h`, `2026-11-24 14:05`, `14:05` (today), or milliseconds since 1970.
import { fromWallClock, wallClock } from './format';
import { parseDuration } from './range';

export type Typed =
  | { readonly kind: 'now'; readonly ago: string | null }
  | { readonly kind: 'instant'; readonly time: number };

export function parseTyped(text: string, zone: string, now: number): Typed | null {
  const typed = text.trim();
  if (/^now$/i.test(typed)) return { kind: 'now', ago: null };
  const ago = /^(?:now)?\s*-\s*(.+)$/i.exec(typed)?.[1] ?? (parseDuration(typed) !== null ? typed : null);
  if (ago !== null)
    return parseDuration(ago) === null ? null : { kind: 'now', ago: ago.replace(/\s+/g, '').toLowerCase() };
  if (/^\d{12,14}$/.test(typed)) return { kind: 'instant', time: Number(typed) };
  if (/[zZ]$|[+-]\d\d:?\d\d$/.test(typed) && typed.includes(':')) {
    const time = Date.parse(typed.replace(' ', 'T'));
    return Number.isFinite(time) ? { kind: 'instant', time } : null;
  }
  const parts = /^(?:(\d{4})-(\d{1,2})-(\d{1,2}))?(?:[ T]+)?(?:(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?)?$/.exec(
    typed,
  );
  if (!parts || typed === '') return null;
  const [, year, month, day, hour = '0', minute = '0', second = '0', milli = '0'] = parts;
  const today = wallClock(zone, now);
  const date =
    year === undefined
      ? [today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate()]
      : [Number(year), Number(month) - 1, Number(day)];
  const [y, m, d] = date as [number, number, number];
  const wall = Date.UTC(y, m, d, Number(hour), Number(minute), Number(second), Number(milli.padEnd(3, '0')));
  const is = new Date(wall);
  const valid =
    is.getUTCMonth() === m && is.getUTCDate() === d && Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60;
  return valid ? { kind: 'instant', time: fromWallClock(zone, wall) } : null;
}
