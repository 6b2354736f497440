import { describe, expect, it } from 'vitest';
import { barsSql, olderSql, searchSql, tailSql } from './filter';
import { parseSearch } from './parse';
import { levelOf } from './severity';

const sql = (text: string) => searchSql(parseSearch(text));

describe('a search as SQL', () => {
  it('is nothing for an empty search', () => {
    expect(sql('')).toBeNull();
    expect(tailSql(null)).toMatch(/ FROM logs WHERE \$range$/);
  });

  it('joins terms by AND, and values of one key by OR', () => {
    expect(sql('timeout service=a service=b')).toBe("contains(lower(body), 'timeout') AND service_name IN ('a', 'b')");
    expect(sql('-x')).toBe("NOT coalesce(contains(lower(body), 'x'), false)");
    expect(sql('user!=7')).toBe(
      "coalesce(json_as_text(attributes, 'user'), json_as_text(resource_attributes, 'user')) IS DISTINCT FROM '7'",
    );
    expect(sql('trace_id=AB span_id!=CD')).toBe("span_id IS DISTINCT FROM 'cd' AND trace_id = 'ab'");
    expect(sql('host=* host!=*')).toBe('host_name IS NOT NULL AND host_name IS NULL');
  });

  it('filters by severity', () => {
    expect(sql('severity=warn')).toBe('coalesce(severity_number, 0) BETWEEN 13 AND 16');
    expect(sql('severity>warn')).toBe('coalesce(severity_number, 0) > 16');
    expect(sql('severity<=9')).toBe('coalesce(severity_number, 0) <= 9');
    expect(sql('severity!=unset')).toBe('coalesce(severity_number, 0) NOT BETWEEN 0 AND 0');
  });

  // Taking out every literal must leave only what we wrote ourselves.
  it('lets nothing out of its quotes', () => {
    const hostile = [
      "';DROP TABLE logs;--",
      "' OR '1'='1",
      "\\' OR 1=1 --",
      '$range',
      '/*',
      '"',
      "a''b",
      '<img onerror>',
    ];
    const frame = /^[\w\s(),.=]*$/;
    for (const text of hostile) {
      const quoted = `"${text.replace(/["\\]/g, '\\$&')}"`;
      for (const search of [
        quoted,
        `-${quoted}`,
        `a=${quoted}`,
        `a!=${quoted}`,
        `${quoted}=b`,
        `${quoted}=${quoted}`,
      ]) {
        const condition = sql(search);
        expect(condition).not.toBeNull();
        const withoutLiterals = (condition ?? '').replace(/'(?:[^']|'')*'/g, 'literal');
        expect(withoutLiterals, search).toMatch(frame);
      }
    }
  });
});

describe('queries of the page', () => {
  it('ask for bars by level', () => {
    const query = barsSql("service_name = 'a'");
    expect(query).toContain('date_bin($step, ts) AS t');
    expect(query).toContain('count(*) FILTER (WHERE true AND coalesce(severity_number, 0) < 1) AS "unset"');
    expect(query).toContain(
      'count(*) FILTER (WHERE severity_number >= 17 AND coalesce(severity_number, 0) < 21) AS "error"',
    );
    expect(query).toContain('count(*) FILTER (WHERE severity_number >= 21) AS "fatal"');
    expect(query).toContain("WHERE $range AND service_name = 'a' GROUP BY");
  });

  it('ask for older rows, the last millisecond whole', () => {
    const query = olderSql(null, 1500.25, 0, 200);
    expect(query).toContain("ts >= TIMESTAMP '1970-01-01T00:00:00.000Z' AND ts < TIMESTAMP '1970-01-01T00:00:01.501Z'");
    expect(query).toMatch(/ORDER BY ts DESC LIMIT 200$/);
  });
});

describe('levels', () => {
  it('are those of the data model', () => {
    const of = [null, 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 99, -1, Number.NaN].map(levelOf);
    expect(of).toEqual([
      'unset',
      'unset',
      'trace',
      'trace',
      'debug',
      'debug',
      'info',
      'info',
      'warn',
      'warn',
      'error',
      'error',
      'fatal',
      'fatal',
      'fatal',
      'unset',
      'unset',
    ]);
  });
});
