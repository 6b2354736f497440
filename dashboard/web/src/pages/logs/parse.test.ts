import { describe, expect, it } from 'vitest';
import { addCondition, MAX_SEARCH, parseSearch, splitTerms, writeCondition } from './parse';

const terms = (text: string) => {
  const search = parseSearch(text);
  expect(search.mistakes).toEqual([]);
  return search.terms;
};
const mistakes = (text: string) => parseSearch(text).mistakes;

describe('a search', () => {
  it('has words and phrases, negated ones too', () => {
    expect(terms('refused "connection reset" -healthz')).toEqual([
      { kind: 'text', text: 'refused', negated: false },
      { kind: 'text', text: 'connection reset', negated: false },
      { kind: 'text', text: 'healthz', negated: true },
    ]);
    expect(terms('  ')).toEqual([]);
    expect(terms('a - b')).toContainEqual({ kind: 'text', text: '-', negated: false });
  });

  it('has attributes', () => {
    expect(terms('http.route=/pay/{id} code!=200')).toEqual([
      { kind: 'attribute', key: 'http.route', operator: '=', value: '/pay/{id}' },
      { kind: 'attribute', key: 'code', operator: '!=', value: '200' },
    ]);
    expect(terms('"my key"="a \\"b\\" \\\\ c"')).toEqual([
      { kind: 'attribute', key: 'my key', operator: '=', value: 'a "b" \\ c' },
    ]);
    expect(terms('a=x=y')).toEqual([{ kind: 'attribute', key: 'a', operator: '=', value: 'x=y' }]);
    expect(terms('a=*  b!=* c="*" d=""')).toEqual([
      { kind: 'exists', key: 'a', negated: false },
      { kind: 'exists', key: 'b', negated: true },
      { kind: 'attribute', key: 'c', operator: '=', value: '*' },
      { kind: 'attribute', key: 'd', operator: '=', value: '' },
    ]);
  });

  it('takes a URL with a query as text', () => {
    expect(terms('http://shop/?id=7')).toEqual([{ kind: 'text', text: 'http://shop/?id=7', negated: false }]);
  });

  it('has severities', () => {
    expect(terms('severity>=warn level=ERROR severity<13 severity!=critical')).toEqual([
      { kind: 'severity', operator: '>=', first: 13, last: 16 },
      { kind: 'severity', operator: '=', first: 17, last: 20 },
      { kind: 'severity', operator: '<', first: 13, last: 13 },
      { kind: 'severity', operator: '!=', first: 21, last: 24 },
    ]);
  });

  it('says what is wrong and where', () => {
    expect(mistakes('severity=loud')).toMatchObject([{ from: 0, to: 13 }]);
    expect(mistakes('a b>5')).toMatchObject([{ from: 2, to: 5 }]);
    expect(mistakes('a "b')).toMatchObject([{ from: 2, to: 4 }]);
    expect(mistakes('a=')).toHaveLength(1);
    expect(mistakes('-a=b')).toHaveLength(1);
    expect(mistakes('x'.repeat(MAX_SEARCH + 1))).toHaveLength(1);
  });

  it('survives anything', () => {
    for (const text of ['"', '=', '!=', '-', '--', '"\\', '="', 'a="', "';--", '\u202ea', '\ud800', '"a"=', '-"']) {
      expect(() => parseSearch(text)).not.toThrow();
    }
  });
});

describe('conditions made by a click', () => {
  const values = [
    'simple',
    'two words',
    '"',
    '\\',
    '*',
    '',
    'a"b\\c',
    "O'Brien",
    '<img src=x onerror=alert(1)>',
    '-x',
    '\n',
  ];
  const keys = ['http.route', 'my key', 'severity', 'a=b', 'x"y', '../../etc', 'a\\b'];

  it('read back as what they were made of', () => {
    for (const key of keys) {
      for (const value of values) {
        expect(terms(writeCondition(key, '=', value))).toEqual([{ kind: 'attribute', key, operator: '=', value }]);
        expect(terms(writeCondition(key, '!=', value))).toEqual([{ kind: 'attribute', key, operator: '!=', value }]);
      }
      expect(terms(writeCondition(key, '=', null))).toEqual([{ kind: 'exists', key, negated: false }]);
    }
  });

  it('are added once, and take the place of their opposite', () => {
    expect(addCondition('', 'a', '=', 'b')).toBe('a=b');
    expect(addCondition('x  "y z"', 'a', '=', 'b c')).toBe('x "y z" a="b c"');
    expect(addCondition('x a=b', 'a', '=', 'b')).toBe('x a=b');
    expect(addCondition('x a=b', 'a', '!=', 'b')).toBe('x a!=b');
  });

  it('keep the terms as written', () => {
    expect(splitTerms(' -a  b="c d"   severity>=warn ')).toEqual(['-a', 'b="c d"', 'severity>=warn']);
  });
});
