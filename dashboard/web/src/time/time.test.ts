// Times in zones: what Intl says is the oracle.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAge, formatTime, fromWallClock, timeTicks, zoneOffset } from './format';
import { parseTyped } from './parse';
import { rangeOfTyped } from './RangePicker';
import { parseDuration, parseRange, relative } from './range';

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Pacific/Apia',
];
const zone = fc.constantFrom(...ZONES);
const instant = fc.integer({ min: Date.UTC(2000, 0), max: Date.UTC(2040, 0) });

describe('times in zones', () => {
  it('are those of Intl', () => {
    fc.assert(
      fc.property(zone, instant, (timeZone, time) => {
        const expected = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' }).format(
          time,
        );
        expect(formatTime(time, timeZone)).toBe(expected);
      }),
    );
  });

  it('come back from the wall clock, but for the hour that a clock shows twice', () => {
    fc.assert(
      fc.property(zone, instant, (timeZone, time) => {
        const wall = time + zoneOffset(timeZone, time);
        const back = fromWallClock(timeZone, wall);
        expect(back + zoneOffset(timeZone, back)).toBe(wall);
      }),
    );
  });

  it('have ticks in order, in the window, not too many, and round on the wall clock', () => {
    const length = fc.integer({ min: 10, max: 400 * 86_400_000 });
    fc.assert(
      fc.property(zone, instant, length, fc.integer({ min: 2, max: 14 }), (timeZone, from, span, count) => {
        const { times, labels } = timeTicks(from, from + span, count, timeZone);
        expect(labels.length).toBe(times.length);
        expect(times.length).toBeLessThanOrEqual(count + 2);
        times.forEach((time, i) => {
          expect(time).toBeGreaterThanOrEqual(from);
          expect(time).toBeLessThanOrEqual(from + span);
          if (i > 0) expect(time).toBeGreaterThan(times[i - 1] as number);
        });
        if (span > 20 * 86_400_000) {
          for (const time of times) expect(formatTime(time, timeZone).slice(11)).toMatch(/^0[01]:00:00$/);
        }
      }),
    );
  });

  it('has ticks at full hours through a change of clocks', () => {
    const { labels } = timeTicks(Date.UTC(2026, 9, 24, 22), Date.UTC(2026, 9, 25, 4), 7, 'Europe/Berlin');
    expect(labels[0]).toBe('00:00');
    expect(labels).toContain('03:00');
  });

  it('puts the date where a day begins', () => {
    expect(timeTicks(Date.UTC(2026, 10, 23, 18), Date.UTC(2026, 10, 24, 6), 4, 'UTC').labels).toEqual([
      '18:00',
      '21:00',
      '24 Nov',
      '03:00',
      '06:00',
    ]);
  });

  it('says how long', () => {
    expect([999, 61_000, 3_700_000, 7.4 * 3_600_000, 72 * 3_600_000].map(formatAge)).toEqual([
      '1 s',
      '1 min',
      '1 h 1 min',
      '7 h 24 min',
      '3 d',
    ]);
  });
});

describe('what is typed', () => {
  const now = Date.UTC(2026, 10, 24, 12, 0, 0);
  it.each([
    ['now', { kind: 'now', ago: null }],
    ['now-1h30m', { kind: 'now', ago: '1h30m' }],
    ['-2d', { kind: 'now', ago: '2d' }],
    ['15m', { kind: 'now', ago: '15m' }],
    ['2026-11-24 14:05', { kind: 'instant', time: Date.UTC(2026, 10, 24, 13, 5) }],
    ['2026-11-24', { kind: 'instant', time: Date.UTC(2026, 10, 23, 23) }],
    ['2026-11-24T14:05:10.250', { kind: 'instant', time: Date.UTC(2026, 10, 24, 13, 5, 10, 250) }],
    ['14:05', { kind: 'instant', time: Date.UTC(2026, 10, 24, 13, 5) }],
    ['2026-11-24T14:05:00Z', { kind: 'instant', time: Date.UTC(2026, 10, 24, 14, 5) }],
    ['1795528800000', { kind: 'instant', time: 1795528800000 }],
    ['2026-02-30', null],
    ['24:00', null],
    ['yesterday', null],
    ['', null],
  ])('%s', (text, expected) => {
    expect(parseTyped(text, 'Europe/Berlin', now)).toEqual(expected);
  });

  it('makes a sliding range of an end that is now, and says what is wrong', () => {
    expect(rangeOfTyped('now-6h', 'now', 'UTC', now)).toEqual(relative('6h'));
    expect(rangeOfTyped('now-6h', 'now-1h', 'UTC', now)).toEqual({
      kind: 'absolute',
      from: now - 216e5,
      to: now - 36e5,
    });
    expect(rangeOfTyped('now', 'now-1h', 'UTC', now)).toMatch(/ends before/);
    expect(rangeOfTyped('x', 'now', 'UTC', now)).toMatch(/“x”/);
  });

  it('reads durations and ranges of addresses', () => {
    expect(['1h30m', '500ms', '7d', '0s', '1x', '', '-1h'].map(parseDuration)).toEqual([
      54e5,
      500,
      6048e5,
      null,
      null,
      null,
      null,
    ]);
    expect(parseRange('now-15m', 'now')).toEqual(relative('15m'));
    expect(parseRange('2026-11-24T00:00:00Z', '2026-11-24T01:00:00Z')).toEqual({
      kind: 'absolute',
      from: Date.UTC(2026, 10, 24),
      to: Date.UTC(2026, 10, 24, 1),
    });
    expect([parseRange(null, null), parseRange('x', 'y'), parseRange('now-', 'now')]).toEqual([null, null, null]);
  });
});
