import { describe, expect, it } from 'vitest';
import { type Catalog, metricQuery, searchMetrics, writeName } from './catalog';
import { complete, tablesIn } from './complete';
import { tokenize } from './tokens';

const metric = (name: string, type: string, attributes: string[] = [], series = 3) => ({
  name,
  type,
  unit: 's',
  description: 'About it',
  series,
  attributes,
});

const catalog: Catalog = {
  tables: new Map([
    [
      'logs',
      [
        { name: 'ts', type: 'timestamp' },
        { name: 'body', type: 'string' },
      ],
    ],
    [
      'metrics',
      [
        { name: 'ts', type: 'timestamp' },
        { name: 'metric_name', type: 'string' },
        { name: 'value', type: 'number' },
      ],
    ],
  ]),
  metrics: [metric('system.cpu.time', 'sum', ['cpu', 'state.of mind', 'value'])],
  truncated: false,
  functions: ['abs', 'count'],
};

/** `|` is the cursor. */
function at(text: string, asked = true) {
  const cursor = text.indexOf('|');
  const result = complete(text.replace('|', ''), cursor, catalog, asked);
  return result && { ...result, labels: result.options.map((option) => option.label) };
}

describe('completion', () => {
  it('gives tables and metrics after FROM and JOIN', () => {
    for (const text of ['SELECT * FROM |', 'SELECT * FROM lo|', 'SELECT * FROM logs JOIN |', 'SELECT * FROM logs, |']) {
      expect(at(text)?.labels, text).toEqual(['logs', 'metrics', 'system.cpu.time']);
    }
    expect(at('SELECT * FROM |')?.options[2]?.apply).toBe('"system.cpu.time"');
    expect(at('SELECT a, | FROM logs')?.labels).toContain('body');
    expect(at('SELECT count(*) FROM logs GROUP BY 1, |')?.labels).toContain('body');
  });

  it('replaces a dotted name without quotes whole, where a table is wanted', () => {
    expect(at('SELECT * FROM system.cp|')).toMatchObject({ from: 14, to: 23 });
    expect(at('SELECT * FROM system.cpu.|')?.labels).toContain('system.cpu.time');
    expect(at('SELECT * FROM logs l JOIN system.|')?.labels).toContain('system.cpu.time');
    expect(at('SELECT l.| FROM logs l')?.labels).toEqual(['ts', 'body']);
    expect(at('SELECT * FROM logs l WHERE l.b|')?.labels).toEqual(['ts', 'body']);
  });

  it('replaces a quoted name whole', () => {
    expect(at('SELECT * FROM "system.c|"')).toMatchObject({ from: 14, to: 24 });
    expect(at('SELECT * FROM "system.c|')).toMatchObject({ from: 14, to: 23 });
    expect(at('SELECT * FROM "system.c|"')?.labels).toContain('system.cpu.time');
  });

  it('gives the columns of the tables named, attributes first', () => {
    const result = at('SELECT | FROM "system.cpu.time"');
    expect(result?.labels.slice(0, 4)).toEqual(['cpu', 'state.of mind', 'ts', 'value']);
    expect(result?.options[1]?.apply).toBe('"state.of mind"');
    expect(result?.labels).toContain('histogram_quantile');
    expect(result?.labels).toContain('abs');
    expect(result?.labels.filter((label) => label === 'count')).toHaveLength(1);
    expect(at('SELECT l.| FROM logs AS l')?.labels).toEqual(['ts', 'body']);
    expect(at('SELECT logs.| FROM logs')?.labels).toEqual(['ts', 'body']);
    expect(at('SELECT | FROM logs; SELECT * FROM metrics')?.labels).not.toContain('value');
  });

  it('gives placeholders after $', () => {
    expect(at('SELECT * FROM logs WHERE $|')).toMatchObject({ from: 25 });
    expect(at('SELECT * FROM logs WHERE $ra|')?.labels).toEqual(['$range', '$from', '$to', '$step', '$step_seconds']);
  });

  it('is silent in strings, numbers and comments', () => {
    for (const text of ["SELECT 'a| b'", 'SELECT -- a|', 'SELECT /* a| */', 'SELECT 12|3', "SELECT 'a|"]) {
      expect(at(text), text).toBeNull();
    }
    expect(at('SELECT |', false)).toBeNull();
    expect(at('SELECT c|', false)).not.toBeNull();
  });

  it('reads tables and aliases', () => {
    expect(tablesIn('SELECT * FROM Logs l JOIN "a""b" AS "B" ON true, x WHERE 1 IN (SELECT 1 FROM t)')).toEqual([
      { name: 'logs', alias: 'l' },
      { name: 'a"b', alias: 'B' },
      { name: 't', alias: null },
    ]);
  });
});

describe('queries for a metric', () => {
  it('quote what they must', () => {
    expect(writeName('cpu')).toBe('cpu');
    expect(writeName('user')).toBe('"user"');
    expect(writeName('Cpu')).toBe('"Cpu"');
    expect(writeName('http.route')).toBe('"http.route"');
    const hostile = metric('x"; DROP TABLE logs; --', 'gauge', ['"', "'", '*/']);
    const words = tokenize(metricQuery(hostile, false))
      .filter((token) => token.kind === 'word')
      .map((token) => token.text);
    expect(words).not.toContain('DROP');
  });

  it('fit its type', () => {
    expect(metricQuery(metric('m', 'gauge', ['a']), false)).toBe(
      'SELECT date_bin($step, ts) AS t, a, avg(value) AS value\nFROM "m"\nWHERE $range\nGROUP BY 1, 2\nORDER BY 1',
    );
    expect(metricQuery(metric('m', 'sum', ['a']), true)).toContain('sum(increase(value)) / $step_seconds');
    expect(metricQuery(metric('m', 'sum', ['a']), false)).toContain('avg(value)');
    expect(metricQuery(metric('m', 'histogram', ['a']), false)).toContain(
      'histogram_quantile(0.95, increase(bucket_counts), ',
    );
    expect(metricQuery(metric('m', 'gauge', ['a'], 5000), false)).toContain('GROUP BY 1\n');
  });

  it('are found by name, description and attribute', () => {
    expect(searchMetrics(catalog.metrics, 'CPU about')).toHaveLength(1);
    expect(searchMetrics(catalog.metrics, 'mind')).toHaveLength(1);
    expect(searchMetrics(catalog.metrics, 'disk')).toHaveLength(0);
  });
});
