import { describe, expect, it } from 'vitest';
import { frameFrom } from '../../live/frame.fixture';
import { bandsOf, type Change, countsOf, eventsOf, type HistoryEvent, lanesOf } from './history';
import { DEFAULT_WINDOW_MS, frameOfPoints, pointsIn, pointsOfAlert, thresholdsIn, whySql, withoutHaving } from './why';

const event = (at: number, change: Change, starts = at): HistoryEvent => ({
  at,
  change,
  fingerprint: 'f',
  labels: { alertname: 'A' },
  starts,
  value: null,
});
const window = { from: 1000, to: 2000 };
const bands = (...events: HistoryEvent[]) =>
  bandsOf(events, window).map(({ from, to, state }) => `${state} ${from}-${to}`);

describe('bands', () => {
  it('lie between changes', () => {
    expect(
      bands(event(1100, 'pending'), event(1200, 'firing'), event(1500, 'acknowledged'), event(1700, 'resolved')),
    ).toEqual(['pending 1100-1200', 'firing 1200-1500', 'acknowledged 1500-1700']);
  });

  it('begin before the range where the first change says so', () => {
    expect(bands(event(1300, 'resolved', 200))).toEqual(['firing 1000-1300']);
    expect(bands(event(1300, 'withdrawn', 1100))).toEqual(['pending 1100-1300']);
    expect(bands(event(1400, 'acknowledged', 200), event(1500, 'resolved', 200))).toEqual([
      'firing 1000-1400',
      'acknowledged 1400-1500',
    ]);
    expect(bands(event(1900, 'still_firing', 500))).toEqual(['firing 1000-2000']);
  });

  it('are open at the end, and not broken by what is said again', () => {
    expect(bands(event(1200, 'firing'), event(1800, 'still_firing', 1200))).toEqual(['firing 1200-2000']);
    expect(bands(event(1200, 'acknowledged', 1100), event(1800, 'still_firing', 1100))).toEqual([
      'firing 1100-1200',
      'acknowledged 1200-2000',
    ]);
    expect(bands(event(1100, 'pending'), event(1200, 'withdrawn'))).toEqual(['pending 1100-1200']);
  });

  it('are what it is now, where nothing changed in the range', () => {
    expect(bandsOf([], window, { state: 'silenced', since: 10 })).toEqual([{ from: 1000, to: 2000, state: 'firing' }]);
    expect(bandsOf([], window)).toEqual([]);
  });
});

describe('history', () => {
  it('is read from rows, oldest first, hostile ones too', () => {
    const set = (name: string, more = {}) =>
      JSON.stringify({ alertname: name, __proto__x: '1', 'alert.change': 'firing', ...more });
    const frame = frameFrom(
      { ts: 'time', change: 'string', fingerprint: 'string', attributes: 'string', starts: 'string' },
      [
        [2000, 'resolved', 'a', set('A'), '1970-01-01T00:00:01Z'],
        [1000, 'firing', 'a', set('A', { 'alert.value': 0.5 }), '1970-01-01T00:00:01Z'],
        [1500, 'firing', 'b', 'no json', null],
      ],
    );
    const events = eventsOf(frame);
    expect(events.map(({ at, change, value }) => [at, change, value])).toEqual([
      [1000, 'firing', 0.5],
      [1500, 'firing', null],
      [2000, 'resolved', null],
    ]);
    expect(events[0]?.labels).toEqual({ alertname: 'A', __proto__x: '1' });
    const lanes = lanesOf(events, []);
    expect(lanes.map(({ fingerprint, fired, events }) => [fingerprint, fired, events.length])).toEqual([
      ['b', 1, 1],
      ['a', 1, 2],
    ]);
    expect(countsOf(lanes)).toEqual([
      { name: '', fired: 1, things: 1 },
      { name: 'A', fired: 1, things: 1 },
    ]);
  });
});

describe('why', () => {
  const DISK =
    'SELECT host_name, max(value) AS value FROM "disk" WHERE $range GROUP BY 1 HAVING max(value) > 0.9 ORDER BY 1;';
  it('asks also for what the rule leaves out', () => {
    expect(withoutHaving(DISK)).toBe(
      'SELECT host_name, max(value) AS value FROM "disk" WHERE $range GROUP BY 1 ORDER BY 1',
    );
    expect(withoutHaving("SELECT 'HAVING' AS x")).toBe("SELECT 'HAVING' AS x");
    const inner = 'SELECT * FROM (SELECT 1 HAVING 2 > 1) AS q';
    expect(withoutHaving(inner)).toBe(inner);
  });

  it('finds what the value is held against', () => {
    expect(thresholdsIn(DISK)).toEqual([0.9]);
    expect(thresholdsIn('SELECT x, value FROM q WHERE $range AND value < -2.5')).toEqual([-2.5]);
    expect(thresholdsIn('SELECT a FROM q WHERE $range GROUP BY 1 HAVING avg(v) > 1 OR avg(v) <= 0.5')).toEqual([
      1, 0.5,
    ]);
    expect(thresholdsIn('SELECT count(*) AS value FROM q WHERE $range AND size > 100')).toEqual([]);
    expect(thresholdsIn("SELECT 1 AS value FROM q WHERE name = 'value > 5'")).toEqual([]);
    expect(thresholdsIn('SELECT a FROM q GROUP BY 1 HAVING max(v) > 2 * avg(w)')).toEqual([]);
  });

  it('is the rule at each time, with its own window', () => {
    const [sql = '', ...more] = whySql(
      'SELECT avg(value) AS value FROM "x" WHERE $range',
      [600_000, 660_000],
      DEFAULT_WINDOW_MS,
    );
    expect(more).toEqual([]);
    expect(sql.split('UNION ALL')).toHaveLength(2);
    expect(sql).toContain("ts >= TIMESTAMP '1970-01-01T00:05:00.000Z' AND ts < TIMESTAMP '1970-01-01T00:10:00.000Z'");
    expect(sql).toContain("ts >= TIMESTAMP '1970-01-01T00:06:00.000Z' AND ts < TIMESTAMP '1970-01-01T00:11:00.000Z'");
  });

  it('has few points, at the same times when asked again', () => {
    const points = pointsIn({ from: 1_000_123, to: 4_600_123 });
    expect(points.length).toBeLessThanOrEqual(49);
    expect(points.every((time) => time % 120_000 === 0)).toBe(true);
    expect(pointsIn({ from: 0, to: 400 * 86_400_000 }).length).toBeLessThanOrEqual(49);
  });

  it('shows the series that the alert is of', () => {
    const frame = frameFrom({ evaluated: 'time', host_name: 'string', attributes: 'string', value: 'number' }, [
      [2000, 'a', '{"mount.point":"/"}', 2],
      [1000, 'a', '{"mount.point":"/"}', 1],
      [1000, 'b', '{"mount.point":"/"}', 7],
      [1000, 'a', '{"mount.point":"/tmp"}', 8],
      [3000, 'a', '{"mount.point":"/"}', null],
    ]);
    const points = pointsOfAlert(frame, { alertname: 'Disk', host_name: 'a', mount_point: '/' });
    const own = frameOfPoints(points);
    expect([own.numbers(0), own.numbers(1)].map((values) => [...(values ?? [])])).toEqual([
      [1000, 2000],
      [1, 2],
    ]);
    const count = frameFrom({ evaluated: 'time', n: 'number' }, [[1000, 5]]);
    expect(pointsOfAlert(count, { alertname: 'Count' })).toEqual([[1000, 5]]);
  });

  it('names no more tables in a statement than the server takes', () => {
    const sql = 'SELECT a.v AS value FROM (SELECT v FROM x WHERE $range) AS a JOIN y ON true';
    const statements = whySql(
      sql,
      Array.from({ length: 48 }, (_, at) => at * 1000),
      1000,
    );
    expect(statements.map((statement) => statement.split('UNION ALL').length)).toEqual([8, 8, 8, 8, 8, 8]);
  });
});
