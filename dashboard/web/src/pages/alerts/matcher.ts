// Matchers as Alertmanager writes them: `{alertname="DiskFull", host=~"a|b"}`. The same grammar as the server's (pipeline/alerts/matcher.rs).

export interface Matcher {
  readonly name: string;
  readonly value: string;
  readonly isRegex: boolean;
  readonly isEqual: boolean;
}

export type Labels = Readonly<Record<string, string>>;

const OPERATORS: readonly (readonly [sign: string, isRegex: boolean, isEqual: boolean])[] = [
  ['=~', true, true],
  ['!~', true, false],
  ['!=', false, false],
  ['=', false, true],
];

const equal = (name: string, value: string): Matcher => ({ name, value, isRegex: false, isEqual: true });

export const matchersOf = (labels: Labels): Matcher[] =>
  Object.entries(labels).map(([name, value]) => equal(name, value));

/** One or several, between commas, in braces or without; or what is wrong with them. */
export function parseMatchers(text: string): Matcher[] | string {
  let rest = text.trim();
  if (rest.startsWith('{')) {
    if (!rest.endsWith('}')) return 'the brace is not closed';
    rest = rest.slice(1, -1).trim();
  }
  const matchers: Matcher[] = [];
  while (rest !== '') {
    const read = one(rest);
    if (typeof read === 'string') return read;
    matchers.push(read.matcher);
    rest = read.rest.trimStart();
    if (rest.startsWith(',')) rest = rest.slice(1).trimStart();
    else if (rest !== '') return `expected a comma before “${rest}”`;
  }
  return matchers;
}

function one(text: string): { matcher: Matcher; rest: string } | string {
  const name = word(text, /[=!~,]/);
  if (typeof name === 'string') return name;
  const after = name.rest.trimStart();
  const operator = OPERATORS.find(([sign]) => after.startsWith(sign));
  if (!operator || name.word === '') return `expected =, !=, =~ or !~ after “${name.word}”`;
  const [sign, isRegex, isEqual] = operator;
  const value = word(after.slice(sign.length).trimStart(), /,/);
  if (typeof value === 'string') return value;
  const matcher = { name: name.word, value: value.word, isRegex, isEqual };
  if (isRegex && pattern(value.word) === null) return `“${value.word}” is not a pattern`;
  return { matcher, rest: value.rest };
}

/** Quoted, or up to what ends it. */
function word(text: string, ends: RegExp): { word: string; rest: string } | string {
  if (!text.startsWith('"')) {
    const end = text.search(ends);
    const found = (end < 0 ? text : text.slice(0, end)).trimEnd();
    return found.includes('"') ? `a quote within “${found}”` : { word: found, rest: end < 0 ? '' : text.slice(end) };
  }
  let made = '';
  for (let at = 1; at < text.length; at++) {
    const c = text[at];
    if (c === '"') return { word: made, rest: text.slice(at + 1) };
    if (c !== '\\') {
      made += c;
      continue;
    }
    const next = text[++at];
    if (next === undefined) break;
    // Patterns are full of other escapes: they stay as they are.
    made += next === 'n' ? '\n' : next === '"' || next === '\\' ? next : `\\${next}`;
  }
  return 'the quote is not closed';
}

/** Go's patterns as far as JavaScript has them; null for what is none. */
function pattern(text: string): RegExp | null {
  const [, flags = '', body = ''] = /^(?:\(\?([is]+)\))?([\s\S]*)$/.exec(text) ?? [];
  try {
    return new RegExp(`^(?:${body})$`, `su${flags.includes('i') ? 'i' : ''}`);
  } catch {
    return null;
  }
}

export function matches(matchers: readonly Matcher[]): (labels: Labels) => boolean {
  const tests = matchers.map(({ name, value, isRegex, isEqual }) => {
    const regex = isRegex ? pattern(value) : null;
    return (labels: Labels) => {
      const has = Object.hasOwn(labels, name) ? (labels[name] ?? '') : '';
      return (isRegex ? (regex?.test(has) ?? false) : has === value) === isEqual;
    };
  });
  return (labels) => tests.every((test) => test(labels));
}

const quoted = (text: string): string =>
  `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;

export function formatMatcher({ name, value, isRegex, isEqual }: Matcher): string {
  const sign = OPERATORS.find(([, regex, same]) => regex === isRegex && same === isEqual)?.[0] ?? '=';
  return `${/^[A-Za-z_][\w.]*$/.test(name) ? name : quoted(name)}${sign}${quoted(value)}`;
}

export const formatMatchers = (matchers: readonly Matcher[]): string => matchers.map(formatMatcher).join(', ');

/** With one more, or without it if it is there already; what cannot be read is left for the person to mend. */
export function toggleMatcher(text: string, name: string, value: string): string {
  const had = parseMatchers(text);
  if (typeof had === 'string') return text;
  const added = formatMatcher(equal(name, value));
  const kept = had.filter((matcher) => formatMatcher(matcher) !== added);
  return formatMatchers(kept.length < had.length ? kept : [...had, equal(name, value)]);
}
