import { describe, expect, it } from 'vitest';
import { type ColumnType, chooseKind, kindsFor } from './chart-kind';
import { addEntry, MAX_CHARACTERS, MAX_ENTRIES, parseHistory, removeEntry, searchEntries } from './history';
import { fill, isSeries, isTimed, lookbackOf, stepFor } from './template';
import { placeholders, tokenize } from './tokens';

const kinds = (sql: string) => tokenize(sql).map(({ kind, text }) => `${kind}:${text}`);

describe('tokens', () => {
  it('are those of the dialect', () => {
    expect(kinds(`SELECT a."b""c", 'it''s' -- $no\n FROM t /* a /* b */ $no */ WHERE $range AND x>=1.5e3`)).toEqual([
      'word:SELECT',
      'word:a',
      'symbol:.',
      'quoted:"b""c"',
      'symbol:,',
      "string:'it''s'",
      'comment:-- $no',
      'word:FROM',
      'word:t',
      'comment:/* a /* b */ $no */',
      'word:WHERE',
      'placeholder:$range',
      'word:AND',
      'word:x',
      'symbol:>',
      'symbol:=',
      'number:1.5e3',
    ]);
    expect(kinds(`$$ '$range $$ $tag$ $$ $tag$ E'\\'$x' U&'$x'`).map((token) => token.split(':')[0])).toEqual(
      Array(4).fill('string'),
    );
  });

  it('may be open', () => {
    expect(tokenize(`'a`).at(-1)?.open).toBe(true);
    expect(tokenize(`'`).at(-1)?.open).toBe(true);
    expect(tokenize(`''`).at(-1)?.open).toBe(false);
    expect(tokenize(`"a`).at(-1)?.open).toBe(true);
    expect(tokenize(`/* a`).at(-1)?.open).toBe(true);
    expect(tokenize(`$$ a`).at(-1)?.open).toBe(true);
    expect(tokenize(`$$ a $$`).at(-1)?.open).toBe(false);
  });

  it('cover any text without a gap but white space', () => {
    for (const text of [`a'b"c$d/*e`, '😀 $ $1 $$', '<img src=x onerror=alert(1)>', '\u202e"', "\\' -- "]) {
      let at = 0;
      for (const token of tokenize(text)) {
        expect(text.slice(at, token.from).trim()).toBe('');
        expect(text.slice(token.from, token.to)).toBe(token.text);
        at = token.to;
      }
      expect(text.slice(at).trim()).toBe('');
    }
  });
});

describe('placeholders', () => {
  const window = { from: 0, to: 60_000, stepMs: 1000 };

  it('are found outside of strings and comments only', () => {
    expect([...placeholders(`SELECT '$range', "$from" -- $to\n FROM logs WHERE $step`)]).toEqual(['step']);
    expect(isTimed('SELECT 1')).toBe(false);
    expect(isTimed('SELECT 1 WHERE $range')).toBe(true);
    expect(isTimed("SELECT '$range'")).toBe(false);
  });

  it('are filled in as the server does', () => {
    expect(
      fill(`SELECT '$range', date_bin($step, ts) FROM t WHERE $range AND x < $step_seconds AND $other`, window),
    ).toBe(
      `SELECT '$range', date_bin(INTERVAL '1 seconds', ts) FROM t WHERE (ts >= TIMESTAMP '1970-01-01T00:00:00.000Z' AND ` +
        `ts < TIMESTAMP '1970-01-01T00:01:00.000Z') AND x < 1.0 AND $other`,
    );
    expect(fill('$from $to', window)).toBe(`TIMESTAMP '1970-01-01T00:00:00.000Z' TIMESTAMP '1970-01-01T00:01:00.000Z'`);
  });

  it('tell a series that grows at its end from a table', () => {
    expect(isSeries('SELECT date_bin($step, ts), count(*) FROM logs WHERE $range GROUP BY 1')).toBe(true);
    expect(isSeries('SELECT date_bin($step, ts), count(*) FROM logs WHERE $range GROUP BY 1 LIMIT 3')).toBe(false);
    expect(isSeries('SELECT count(*) FROM logs WHERE $range')).toBe(false);
    const binned = (what: string) => `SELECT date_bin($step, ts), ${what} FROM m WHERE $range GROUP BY 1`;
    expect(isSeries(binned('sum(sum(value)) OVER (ORDER BY 1)'))).toBe(false);
    const counter = binned('counter_delta(value, lag(value) OVER (PARTITION BY series_id ORDER BY ts))');
    expect([isSeries(counter), lookbackOf(counter), lookbackOf(binned('1'))]).toEqual([true, '5m', undefined]);
  });

  it('have the step of the ladder with at most one bucket a pixel', () => {
    expect(stepFor(15 * 60_000, 900)).toBe(1000);
    expect(stepFor(15 * 60_000, 800)).toBe(2000);
    expect(stepFor(86_400_000, 800)).toBe(120_000);
    expect(stepFor(60_000, 1)).toBe(1000);
  });
});

describe('history', () => {
  it('is bounded, newest first, and has a query once', () => {
    let history = addEntry([], ' SELECT 1 ', 1);
    history = addEntry(addEntry(history, 'SELECT 2', 2), 'SELECT 1', 3);
    expect(history).toEqual([
      { sql: 'SELECT 1', at: 3 },
      { sql: 'SELECT 2', at: 2 },
    ]);
    expect(addEntry(history, '  ', 4)).toEqual(history);
    expect(removeEntry(history, 'SELECT 1')).toEqual([{ sql: 'SELECT 2', at: 2 }]);
    for (let i = 0; i < 300; i++) history = addEntry(history, `SELECT ${i}`, i);
    expect(history).toHaveLength(MAX_ENTRIES);
    for (let i = 0; i < 20; i++) history = addEntry(history, `${i}${'x'.repeat(60_000)}`, i);
    expect(history.reduce((sum, { sql }) => sum + sql.length, 0)).toBeLessThanOrEqual(MAX_CHARACTERS);
  });

  it('is searched by words', () => {
    const history = addEntry(addEntry([], 'SELECT * FROM logs', 1), 'SELECT * FROM spans', 2);
    expect(searchEntries(history, 'LOGS select')).toHaveLength(1);
    expect(searchEntries(history, '')).toHaveLength(2);
    expect(searchEntries(history, 'x')).toHaveLength(0);
  });

  it('reads what it wrote and survives what it did not', () => {
    const history = addEntry(addEntry([], 'SELECT 1', 1), 'SELECT 2', 2);
    expect(parseHistory(JSON.stringify(history))).toEqual(history);
    for (const text of [null, '', '{', '{}', 'null', '[1, null, {}, {"sql": 5, "at": 1}, {"sql": "x"}]']) {
      expect(parseHistory(text)).toEqual([]);
    }
  });
});

describe('the kind of a chart', () => {
  const shape = (length: number, ...types: ColumnType[]) => ({ length, columns: types.map((type) => ({ type })) });

  it('follows the columns', () => {
    expect(chooseKind(shape(10, 'time', 'number'), null)).toBe('line');
    expect(chooseKind(shape(10, 'time', 'string', 'number'), 'stacked')).toBe('stacked');
    expect(chooseKind(shape(10, 'string', 'number'), null)).toBe('bar');
    expect(chooseKind(shape(10, 'string', 'number'), 'line')).toBe('bar');
    expect(chooseKind(shape(1, 'number'), null)).toBe('stat');
    expect(chooseKind(shape(10, 'string', 'string'), null)).toBeNull();
    expect(chooseKind(shape(0, 'time', 'number'), null)).toBeNull();
    expect(chooseKind(shape(10, 'string', 'number', 'number'), null)).toBeNull();
    expect(kindsFor(shape(5000, 'string', 'number'))).toEqual([]);
    const wide = shape(10, 'time', 'number', ...Array<ColumnType>(8).fill('string'));
    expect([chooseKind(wide, null), chooseKind(wide, 'line')]).toEqual([null, 'line']);
  });
});
