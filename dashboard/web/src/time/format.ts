// Times as text in a zone, and where a time axis has its ticks. ISO order and 24 hours everywhere: nobody reads it wrong.

const formats = new Map<string, Intl.DateTimeFormat>();

function parts(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(zone, format);
  }
  return format;
}

const offsets = new Map<string, number>();
const QUARTER = 15 * 60_000;

/** What a zone's clock is ahead of UTC at a time, in milliseconds. Zones change at quarters of an hour only. */
export function zoneOffset(zone: string, time: number): number {
  if (zone === 'UTC') return 0;
  const quarter = Math.floor(time / QUARTER);
  const key = `${zone} ${quarter}`;
  let offset = offsets.get(key);
  if (offset === undefined) {
    const at = quarter * QUARTER;
    const is: Record<string, number> = {};
    for (const { type, value } of parts(zone).formatToParts(at)) is[type] = Number(value);
    const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = is;
    offset = Date.UTC(year, month - 1, day, hour, minute, second) - at;
    if (offsets.size > 5000) offsets.clear();
    offsets.set(key, offset);
  }
  return offset;
}

/** A zone's clock as if it were UTC, for the arithmetic of dates. */
export function wallClock(zone: string, time: number): Date {
  return new Date(time + zoneOffset(zone, time));
}

/** The time at which a zone's clock shows this (given as if it were UTC). */
export function fromWallClock(zone: string, wall: number): number {
  const guess = wall - zoneOffset(zone, wall);
  return wall - zoneOffset(zone, guess);
}

const two = (value: number) => String(value).padStart(2, '0');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export function formatDate(time: number, zone: string): string {
  const at = wallClock(zone, time);
  return `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
}

/** `14:05:10`, with milliseconds when `fine`. */
export function formatClock(time: number, zone: string, fine = false): string {
  const at = wallClock(zone, time);
  const clock = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
  return fine ? `${clock}.${String(at.getUTCMilliseconds()).padStart(3, '0')}` : clock;
}

/** `2026-11-24 14:05:10`. */
export function formatTime(time: number, zone: string, fine = false): string {
  return `${formatDate(time, zone)} ${formatClock(time, zone, fine)}`;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  1,
  2,
  5,
  10,
  20,
  50,
  100,
  200,
  500,
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14].map((n) => n * DAY),
];

export interface TimeTicks {
  readonly times: readonly number[];
  readonly labels: readonly string[];
}

/** At most `count` ticks at round times of the zone's clock. */
export function timeTicks(from: number, to: number, count: number, zone: string): TimeTicks {
  const least = (to - from) / Math.max(1, count);
  const step = STEPS.find((candidate) => candidate >= least);
  if (step === undefined) return monthTicks(from, to, least, zone);
  const times: number[] = [];
  const first = from + zoneOffset(zone, from);
  // Weeks begin on Monday; the epoch was a Thursday.
  const shift = step >= 7 * DAY ? 4 * DAY : 0;
  for (let wall = Math.ceil((first - shift) / step) * step + shift; times.length <= count + 2; wall += step) {
    const time = fromWallClock(zone, wall);
    if (time > to) break;
    if (time >= from && time !== times.at(-1)) times.push(time);
  }
  return { times, labels: times.map((time, i) => tickLabel(time, step, zone, times[i - 1])) };
}

function tickLabel(time: number, step: number, zone: string, before: number | undefined): string {
  const at = wallClock(zone, time);
  const date = `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}`;
  if (step >= DAY) return date;
  // Where a new day begins on the axis, its date stands in place of midnight.
  if (before !== undefined && at.getUTCHours() + at.getUTCMinutes() + at.getUTCSeconds() === 0) return date;
  if (step >= MINUTE) return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  return formatClock(time, zone, step < SECOND);
}

function monthTicks(from: number, to: number, least: number, zone: string): TimeTicks {
  const months = [1, 2, 3, 6, 12, 24, 60, 120].find((n) => n * 30 * DAY >= least) ?? 240;
  const start = wallClock(zone, from);
  const times: number[] = [];
  const labels: string[] = [];
  const begin = Math.floor((start.getUTCFullYear() * 12 + start.getUTCMonth()) / months) * months;
  for (let month = begin; ; month += months) {
    const time = fromWallClock(zone, Date.UTC(Math.floor(month / 12), month % 12, 1));
    if (time > to) break;
    if (time < from) continue;
    times.push(time);
    labels.push(months >= 12 || month % 12 === 0 ? String(Math.floor(month / 12)) : (MONTHS[month % 12] as string));
  }
  return { times, labels };
}

/** `45 s`, `3 min`, `2 h 5 min`: how long something took or is ago. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 && hours < 10 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d`;
}
