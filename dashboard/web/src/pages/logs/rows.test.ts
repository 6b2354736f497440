import { describe, expect, it } from 'vitest';
import { type Cells, type ColumnType, cellsFor, type Value } from '../../live/cells';
import { frameOf } from '../../live/frame';
import { nonEmpty, total } from './bars-frame';
import { appendOlder, countNew, logRows } from './rows';

const TYPES: Record<string, ColumnType> = {
  ts: 'time',
  severity_number: 'number',
  time_unix_nano: 'int64',
  body: 'string',
};

function frame(rows: Record<string, Value>[]) {
  const columns = Object.entries(TYPES).map(([name, type]) => ({ name, type }));
  const cells: Cells[] = columns.map(({ name, type }) => {
    const made = cellsFor(type);
    made.append({ kind: 'any', data: rows.map((row) => row[name] ?? null) }, null);
    return made;
  });
  return frameOf(columns, cells, { from: 0, to: 0, truncated: false });
}

const record = (nanos: bigint, body: string) => ({
  ts: Number(nanos / 1000n) / 1000,
  severity_number: 17,
  time_unix_nano: String(nanos),
  body,
});

const NOW = 1_700_000_000_000_000_000n;

describe('rows of logs', () => {
  it('are newest first, to the nanosecond', () => {
    const rows = logRows(
      frame([record(NOW, 'a'), record(NOW + 2n, 'c'), record(NOW + 1n, 'b'), record(NOW + 5000n, 'd')]),
    );
    expect(rows.map((row) => row.body)).toEqual(['d', 'c', 'b', 'a']);
    expect(rows[0]).toMatchObject({ level: 'error', nanos: String(NOW + 5000n), service: '' });
  });

  it('keep equal records apart', () => {
    const rows = logRows(frame([record(NOW, 'a'), record(NOW, 'a'), record(NOW, 'b')]));
    expect(new Set(rows.map((row) => row.key)).size).toBe(3);
  });

  it('are continued by older ones without a gap or a double', () => {
    const all = [record(NOW, 'a'), record(NOW, 'a'), record(NOW, 'b'), record(NOW + 1000n, 'c')];
    const shown = logRows(frame(all.slice(1)));
    const older = logRows(frame([record(NOW - 1000n, 'z'), ...all.slice(0, 3)]));
    expect(
      appendOlder(shown, older)
        .map((row) => row.body)
        .sort(),
    ).toEqual(['a', 'a', 'b', 'c', 'z']);
  });

  it('are counted while the list is stopped', () => {
    const stopped = logRows(frame([record(NOW, 'a'), record(NOW, 'a')]));
    const live = (...more: ReturnType<typeof record>[]) =>
      logRows(frame([record(NOW, 'a'), record(NOW, 'a'), ...more]));
    expect(countNew(live(), stopped)).toEqual({ count: 0, more: false });
    expect(countNew(live(record(NOW, 'b'), record(NOW + 9000n, 'c'), record(NOW - 9000n, 'late')), stopped).count).toBe(
      2,
    );
    expect(countNew(logRows(frame([record(NOW + 1000n, 'x')])), stopped)).toEqual({ count: 1, more: true });
    expect(countNew(live(), [])).toEqual({ count: 2, more: false });
  });
});

describe('counts by level', () => {
  it('leave out levels that nothing has', () => {
    const types = { t: 'time', debug: 'number', info: 'number', error: 'number' } as const;
    const rows = [
      { t: 1, debug: 0, info: 2, error: 0 },
      { t: 2, debug: 0, info: 3, error: 1 },
    ];
    const columns = Object.entries(types).map(([name, type]) => ({ name, type }));
    const cells = columns.map(({ name, type }) => {
      const made = cellsFor(type);
      made.append({ kind: 'any', data: rows.map((row) => row[name as keyof typeof row]) }, null);
      return made;
    });
    const whole = frameOf(columns, cells, { from: 0, to: 0, truncated: false });
    const shown = nonEmpty(whole);
    expect(total(whole)).toBe(6);
    expect(shown.columns.map(({ name }) => name)).toEqual(['t', 'info', 'error']);
    expect([shown.get(1, 1), shown.get(2, 1), shown.indexOf('error'), shown.timeColumn]).toEqual([3, 1, 2, 0]);
    expect([...(shown.numbers(2) ?? [])]).toEqual([0, 1]);
  });
});
