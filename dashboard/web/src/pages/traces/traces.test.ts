import { describe, expect, it } from 'vitest';
import { type Cells, type ColumnType, cellsFor, type Value } from '../../live/cells';
import { frameOf } from '../../live/frame';
import { filterOf, parseAround, parseDuration, spanCountSql, traceSql, tracesSql } from './list-query';
import { traceOf } from './load';
import { clampWindow, pan, place, roundStep, ticks, zoom } from './time-scale';

const sql = (query: Record<string, string>) => tracesSql(filterOf(new URLSearchParams(query)));

describe('the list of traces', () => {
  it('asks for all of the range without a filter', () => {
    expect(sql({})).toContain('WHERE $range AND trace_id IS NOT NULL GROUP BY trace_id ORDER BY ts DESC LIMIT 1000');
  });

  it('filters by one span that fits, and by the whole trace', () => {
    const query = sql({
      service: 'a',
      operation: 'b',
      min: '1.5s',
      max: '1m',
      errors: 'true',
      q: 'GET code=5 -x',
      sort: 'longest',
    });
    expect(query).toContain(
      "count(*) FILTER (WHERE service_name = 'a' AND name = 'b' AND contains(lower(name), 'get') AND NOT contains(lower(name), 'x') AND coalesce(",
    );
    expect(query).toContain('count(*) FILTER (WHERE status_code = 2) > 0');
    expect(query).toContain('>= 1500000000 AND (max(end_time_unix_nano) - min(start_time_unix_nano)) <= 60000000000');
    expect(query).toContain('ORDER BY duration DESC');
  });

  it('lets nothing out of its quotes', () => {
    const hostile = "x'; DROP TABLE spans; --";
    for (const query of [
      sql({ service: hostile, operation: hostile, q: `"${hostile}" a="${hostile}"`, sort: hostile, min: hostile }),
      traceSql(hostile, null),
      spanCountSql(hostile, null),
    ]) {
      const withoutLiterals = query.replace(/'(?:[^']|'')*'/g, '');
      expect(withoutLiterals).not.toMatch(/drop table|;|--/i);
    }
  });

  it('reads durations and moments', () => {
    expect(['250ms', '1.5s', '2m', '7', '10µs', '3 h', '5ns'].map(parseDuration)).toEqual([
      250e6, 1.5e9, 120e9, 7e6, 10e3, 10_800e9, 5,
    ]);
    for (const text of ['', 'x', '-1ms', '1 fortnight', '1e9', '9'.repeat(30), 'constructor', '1constructor']) {
      expect(parseDuration(text), text).toBeNull();
    }
    expect(parseAround('1700000000000')).toBe(1_700_000_000_000);
    for (const text of [null, '', 'x', '99999999999999', '-1700000000000']) expect(parseAround(text)).toBeNull();
    expect(traceSql('AB', 1_700_000_000_000)).toContain(
      "trace_id = 'ab' AND ts >= TIMESTAMP '2023-11-13T22:13:20.000Z'",
    );
  });
});

describe('a trace from its rows', () => {
  const types: Record<string, ColumnType> = {
    span_id: 'string',
    parent_span_id: 'string',
    name: 'string',
    service_name: 'string',
    kind: 'number',
    start_time_unix_nano: 'int64',
    end_time_unix_nano: 'int64',
    status_code: 'number',
    events: 'other',
    links: 'other',
  };
  const frame = (rows: Record<string, Value>[]) => {
    const columns = Object.entries(types).map(([name, type]) => ({ name, type }));
    const cells: Cells[] = columns.map(({ name, type }) => {
      const made = cellsFor(type);
      made.append({ kind: 'any', data: rows.map((row) => row[name] ?? null) }, null);
      return made;
    });
    return frameOf(columns, cells, { from: 0, to: 0, truncated: false });
  };

  it('has exact times since its start', () => {
    const trace = traceOf(
      't',
      frame([
        {
          span_id: 'b',
          parent_span_id: 'a',
          name: 'n',
          start_time_unix_nano: '1700000000000000003',
          end_time_unix_nano: '1700000000000000010',
          events: [{ time_unix_nano: '1700000000000000005', name: 'e', attributes: '{"x":1}' }, null, 'nonsense'],
          links: [{ trace_id: 'tt', span_id: 'ss', attributes: null }],
        },
        {
          span_id: 'a',
          name: 'm',
          start_time_unix_nano: '1700000000000000001',
          end_time_unix_nano: '1699999999999999999',
          status_code: 2,
        },
      ]),
    );
    expect(trace.startNanos).toBe(1_700_000_000_000_000_001n);
    expect(trace.spans[0]).toMatchObject({ id: 'b', parentId: 'a', start: 2, end: 9, service: null, attributes: '{}' });
    expect(trace.spans[0]?.events).toEqual([{ time: 4, name: 'e', attributes: '{"x":1}' }]);
    expect(trace.spans[0]?.links).toEqual([{ traceId: 'tt', spanId: 'ss', attributes: '{}' }]);
    expect(trace.spans[1]).toMatchObject({ parentId: null, start: 0, end: 0, status: 2 });
  });

  it('may have no rows', () => {
    expect(traceOf('t', frame([]))).toMatchObject({ spans: [], startNanos: 0n });
  });
});

describe('the time in sight', () => {
  const whole = { from: 0, to: 1000 };

  it('is enlarged around a point and stays inside', () => {
    expect(zoom(whole, 0.5, 500, whole)).toEqual({ from: 250, to: 750 });
    expect(zoom(whole, 0.5, 0, whole)).toEqual({ from: 0, to: 500 });
    expect(zoom({ from: 0, to: 500 }, 4, 250, whole)).toEqual(whole);
    expect(zoom({ from: 0, to: 10 }, 0.01, 5, whole)).toEqual({ from: 4.95, to: 14.95 });
    expect(pan({ from: 900, to: 1000 }, 50, whole)).toEqual({ from: 900, to: 1000 });
    expect(clampWindow({ from: -5, to: 5000 }, whole)).toEqual(whole);
  });

  it('has bars in shares of it', () => {
    expect(place(250, 500, { from: 0, to: 1000 })).toEqual({ left: 0.25, width: 0.25 });
    expect(place(-100, 2000, { from: 0, to: 1000 })).toEqual({ left: 0, width: 1 });
    expect(place(5, 5, { from: 0, to: 10 })).toEqual({ left: 0.5, width: 0 });
    expect(place(20, 30, { from: 0, to: 10 })).toBeNull();
  });

  it('has round marks', () => {
    expect(ticks({ from: 0, to: 1000 }, 5)).toEqual([0, 200, 400, 600, 800, 1000]);
    expect(ticks({ from: 130, to: 170 }, 4)).toEqual([130, 140, 150, 160, 170]);
    expect(roundStep(70e9)).toBe(120e9);
    expect(roundStep(0.2)).toBe(1);
    expect(ticks({ from: 0, to: 1e15 }, 5).length).toBeLessThanOrEqual(7);
  });
});
