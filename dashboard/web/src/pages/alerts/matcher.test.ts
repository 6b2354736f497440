// The server's own examples (pipeline/alerts/matcher.rs), and what only the page does.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatMatcher, formatMatchers, matchersOf, matches, parseMatchers, toggleMatcher } from './matcher';

const check = (text: string, expected: readonly string[] | string) => {
  const found = parseMatchers(text);
  if (typeof expected === 'string') expect(found, text).toContain(expected);
  else expect(typeof found === 'string' ? found : found.map(formatMatcher), text).toEqual(expected);
};

describe('matchers', () => {
  it('are read as Alertmanager writes them', () => {
    check('foo="bar"', ['foo="bar"']);
    check('{foo = "bar", dings != "bums", }', ['foo="bar"', 'dings!="bums"']);
    check('foo=bar,dings=~bums|x', ['foo="bar"', 'dings=~"bums|x"']);
    check('foo="a,b}c",x!~"\\d+"', ['foo="a,b}c"', 'x!~"\\\\d+"']);
    check('"a b"="c\\"d"', ['"a b"="c\\"d"']);
    check('foo=', ['foo=""']);
    check('', []);
  });

  it('say what is wrong', () => {
    check('foo', 'expected =');
    check('foo="bar', 'quote is not closed');
    check('{foo=bar', 'brace');
    check('foo=~"("', 'not a pattern');
    check('a="b" c="d"', 'comma');
  });

  it('are anchored, and what is not there is empty', () => {
    const holds = (text: string) => matches(parseMatchers(text) as never)({ severity: 'page' });
    expect(holds('severity=~"pa.e"')).toBe(true);
    expect(holds('severity=~"pa"')).toBe(false);
    expect(holds('severity=~"(?i)PAGE"')).toBe(true);
    expect(holds('team=""')).toBe(true);
    expect(holds('team!="a",severity="page"')).toBe(true);
    expect(holds('team=~".+"')).toBe(false);
    expect(holds('constructor=""')).toBe(true);
  });

  it('of any labels come back as they were', () => {
    const name = fc.string({ minLength: 1 });
    fc.assert(
      fc.property(fc.dictionary(name, fc.string(), { noNullPrototype: true }), (labels) => {
        expect(parseMatchers(formatMatchers(matchersOf(labels)))).toEqual(matchersOf(labels));
      }),
    );
  });

  it('come and go with a click', () => {
    const once = toggleMatcher('host=~"a|b"', 'severity', 'page');
    expect(once).toBe('host=~"a|b", severity="page"');
    expect(toggleMatcher(once, 'severity', 'page')).toBe('host=~"a|b"');
    expect(toggleMatcher('half="', 'severity', 'page')).toBe('half="');
  });
});
