// How long a silence is to last: the usual lengths, and any other as it is typed.
import { formatDate, fromWallClock, wallClock } from '../../time/format';
import { parseTyped } from '../../time/parse';
import { formatDuration, parseDuration } from '../../time/range';

export interface Preset {
  readonly value: string;
  readonly label: string;
}

export const PRESETS: readonly Preset[] = [
  { value: '1h', label: '1 hour' },
  { value: '4h', label: '4 hours' },
  { value: '1d', label: '1 day' },
  { value: 'monday', label: 'until Monday' },
];
export const OTHER = 'other';

const DAY = 86_400_000;
/** When people are back, by the clock of the page's zone. */
const MORNING = 9 * 3_600_000;

/** The next Monday at nine; on a Monday, that of the next week. */
export function nextMonday(now: number, zone: string): number {
  const wall = wallClock(zone, now);
  const days = ((8 - wall.getUTCDay()) % 7 || 7) * DAY;
  const midnight = Math.floor(wall.getTime() / DAY) * DAY;
  return fromWallClock(zone, midnight + days + MORNING);
}

/** The end of a silence that begins now; or what is wrong with what was typed. */
export function endOf(preset: string, typed: string, now: number, zone: string): number | string {
  if (preset === 'monday') return nextMonday(now, zone);
  const length = parseDuration(preset === OTHER ? typed : preset);
  if (length !== null) return now + length;
  const instant = parseTyped(typed, zone, now);
  if (instant?.kind !== 'instant') return `“${typed}” is no length (90m, 2d) and no time (2026-11-24 14:05)`;
  return instant.time > now ? instant.time : 'That is past: a silence ends in the future';
}

/** `4h`, or the time where it is not a round length. */
export function describeEnd(end: number, now: number, zone: string): string {
  const minutes = Math.round((end - now) / 60_000);
  if (minutes < 2 * 1440) return `for ${formatDuration(Math.max(1, minutes) * 60_000)}`;
  const at = wallClock(zone, end).toISOString().slice(11, 16);
  return `until ${formatDate(end, zone)} ${at}`;
}
