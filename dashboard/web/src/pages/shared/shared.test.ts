import { describe, expect, it } from 'vitest';
import { attributeText, parseAttributes, prettyJson } from './attributes';
import { formatBytes, formatDateTime, formatDuration, formatRate, formatShort } from './format';
import { Offsets } from './offsets';
import { clip, printable } from './printable';

const shown = (text: string) =>
  parseAttributes(text).map((attribute) => [attribute.key, attribute.text, attribute.shown]);

describe('attributes', () => {
  it('are text for people and for SQL', () => {
    expect(shown('{"a":"x","b":1,"c":1.0,"d":true,"e":null}')).toEqual([
      ['a', 'x', 'x'],
      ['b', '1', '1'],
      ['c', '1.0', '1.0'],
      ['d', 'true', 'true'],
      ['e', null, 'null'],
    ]);
  });

  it('keep 64-bit integers', () => {
    expect(shown('{"id":9223372036854775807,"list":[-9007199254740993],"s":"9223372036854775807"}')).toEqual([
      ['id', '9223372036854775807', '9223372036854775807'],
      ['list', '[-9007199254740993]', '[\n  -9007199254740993\n]'],
      ['s', '9223372036854775807', '9223372036854775807'],
    ]);
  });

  it('undo the escapes of canonical JSON', () => {
    const [bytes, nan, empty, dollar] = parseAttributes(
      '{"a":{"$bytes":"AAE="},"b":{"$double":"NaN"},"c":{"$empty":true},"$$d":{"$$bytes":"x"}}',
    );
    expect(bytes).toMatchObject({ shown: 'bytes (base64) AAE=', kind: 'special' });
    expect(nan?.shown).toBe('NaN');
    expect(empty?.shown).toBe('empty');
    expect(dollar).toMatchObject({ key: '$d', jsonKey: '$$d', kind: 'nested', shown: '{\n  "$bytes": "x"\n}' });
  });

  it('are none where there is no object', () => {
    for (const text of [null, '', 'x', '[]', '1', '{"a":']) expect(parseAttributes(text)).toEqual([]);
    expect(Object.keys(parseAttributes('{"__proto__":"x"}'))).toHaveLength(1);
  });

  it('are found by key', () => {
    expect(attributeText('{"http.route":"/x","n":[1]}', 'http.route')).toBe('/x');
    expect(attributeText('{"a":"http.route"}', 'http.route')).toBeNull();
    expect(attributeText(null, 'a')).toBeNull();
  });

  it('pretty-print JSON only', () => {
    expect(prettyJson('{"a":[1,{}]}')).toBe('{\n  "a": [\n    1,\n    {}\n  ]\n}');
    expect(prettyJson('plain {text}')).toBeNull();
    expect(prettyJson('{broken')).toBeNull();
  });
});

describe('figures', () => {
  it('have three digits that matter', () => {
    expect([0, 999, 1500, 12_340_000, 1.2e9, 90e9, 7500e9, 90_000e9].map(formatDuration)).toEqual([
      '0 ns',
      '999 ns',
      '1.5 µs',
      '12.3 ms',
      '1.2 s',
      '1 min 30 s',
      '2 h 5 min',
      '1 d 1 h',
    ]);
    expect(formatDuration(-1500)).toBe('-1.5 µs');
    expect(formatDuration(Number.NaN)).toBe('–');
    expect([0, 1023, 1536, 5 * 2 ** 30].map(formatBytes)).toEqual(['0 B', '1,023 B', '1.5 KiB', '5 GiB']);
    expect([null, 0, 0.333, 12.34, 123_456].map(formatRate)).toEqual(['–', '0/s', '0.33/s', '12.3/s', '123.5K/s']);
    expect([9999, 12_345].map(formatShort)).toEqual(['9,999', '12.3K']);
  });

  it('have times in the zone asked for', () => {
    const ms = Date.UTC(2026, 10, 24, 23, 30, 5, 7);
    expect(formatDateTime(ms, 'UTC')).toBe('2026-11-24 23:30:05.007');
    expect(formatDateTime(ms, 'Asia/Kolkata')).toBe('2026-11-25 05:00:05.007');
  });
});

describe('offsets of rows', () => {
  it('find the row at a place, whatever the heights', () => {
    const offsets = new Offsets([10, 20, 0, 30]);
    expect(offsets.total).toBe(60);
    expect([0, 1, 2, 3, 4].map((index) => offsets.of(index))).toEqual([0, 10, 30, 30, 60]);
    expect([-5, 0, 9.9, 10, 29, 30, 59, 60, 1e9].map((place) => offsets.indexAt(place))).toEqual([
      0, 0, 0, 1, 1, 3, 3, 3, 3,
    ]);
    expect(new Offsets([]).indexAt(5)).toBe(0);
    expect(new Offsets([]).total).toBe(0);
  });
});

describe('text that does not show', () => {
  it('is made visible, and terminal colours go', () => {
    expect(printable('\u001b[31mred\u001b[0m\tx\r\ny\u0000\u001b]\u007f')).toBe('red\tx\ny\u2400\u241b]\u2421');
    expect(printable('<img src=x onerror=alert(1)> \u202e😀')).toBe('<img src=x onerror=alert(1)> \u202e😀');
  });

  it('is cut between characters', () => {
    expect(clip('abc', 3)).toBe('abc');
    expect(clip('ab😀c', 3)).toBe('ab…');
  });
});
