// SQL cut into tokens, as far as completion and placeholders need it: the server's dialect is PostgreSQL's.

export type TokenKind = 'word' | 'quoted' | 'string' | 'number' | 'comment' | 'placeholder' | 'symbol';

export interface Token {
  kind: TokenKind;
  /** As written, quotes included. */
  text: string;
  from: number;
  to: number;
  /** A string, a quoted name or a comment that does not end. */
  open: boolean;
}

const PATTERNS: readonly [TokenKind, RegExp][] = [
  ['comment', /--[^\n]*/y],
  // E'..' has backslash escapes; the others only double their quote.
  ['string', /[eE]'(?:[^'\\]|''|\\[\s\S])*(?:'|$)/y],
  ['string', /(?:[bBnNxX]|[uU]&)?'(?:[^']|'')*(?:'|$)/y],
  ['quoted', /"(?:[^"]|"")*(?:"|$)/y],
  ['string', /\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$(?:[\s\S]*?\$\1\$|[\s\S]*$)/y],
  ['placeholder', /\$\w+/y],
  ['number', /(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y],
  ['word', /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y],
];

export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < sql.length) {
    const space = matchAt(/\s+/y, sql, at);
    if (space) {
      at += space.length;
      continue;
    }
    const token = blockComment(sql, at) ?? tokenAt(sql, at);
    tokens.push(token);
    at = token.to;
  }
  return tokens;
}

function matchAt(pattern: RegExp, text: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? null;
}

function tokenAt(sql: string, from: number): Token {
  for (const [kind, pattern] of PATTERNS) {
    const text = matchAt(pattern, sql, from);
    if (text) return { kind, text, from, to: from + text.length, open: isOpen(kind, text) };
  }
  const text = String.fromCodePoint(sql.codePointAt(from) ?? 0);
  return { kind: 'symbol', text, from, to: from + text.length, open: false };
}

function isOpen(kind: TokenKind, text: string): boolean {
  if (kind === 'quoted') return text.length < 2 || !text.endsWith('"');
  if (kind !== 'string') return false;
  if (text.startsWith('$')) {
    const tag = /^\$\w*\$/.exec(text)?.[0] ?? '';
    return text.length < 2 * tag.length || !text.endsWith(tag);
  }
  return !text.endsWith("'") || text.indexOf("'") === text.length - 1;
}

/** They nest. */
function blockComment(sql: string, from: number): Token | null {
  if (!sql.startsWith('/*', from)) return null;
  let depth = 0;
  let at = from;
  while (at < sql.length) {
    if (sql.startsWith('/*', at)) {
      depth++;
      at += 2;
    } else if (sql.startsWith('*/', at)) {
      depth--;
      at += 2;
      if (depth === 0) break;
    } else {
      at++;
    }
  }
  return { kind: 'comment', text: sql.slice(from, at), from, to: at, open: depth > 0 };
}

/** Names of the placeholders in a statement, without `$`. */
export function placeholders(sql: string): Set<string> {
  return new Set(tokenize(sql).flatMap(({ kind, text }) => (kind === 'placeholder' ? [text.slice(1)] : [])));
}
