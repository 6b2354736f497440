import { describe, expect, it } from 'vitest';
import { type Cells, type ColumnType, cellsFor, type Value } from '../../live/cells';
import { frameOf } from '../../live/frame';
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
