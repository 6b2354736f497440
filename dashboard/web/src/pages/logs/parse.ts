// The search box of Logs, read into terms.
//
//   refused "connection reset"      the body contains both, in any case
//   -healthz                        ... and does not contain this
//   http.route=/pay  code!=200      an attribute of the record or of its resource, as text; quote what has spaces
//   user.id=*  user.id!=*           it is there, it is not there
//   severity>=warn                  by level or number: = != > >= < <=
//
// Terms are joined by AND; several `=` of one key are alternatives.

import { severityRange } from './severity';

export type Operator = '=' | '!=' | '>' | '>=' | '<' | '<=';

export type Term =
  | { kind: 'text'; text: string; negated: boolean }
  | { kind: 'attribute'; key: string; operator: '=' | '!='; value: string }
  | { kind: 'exists'; key: string; negated: boolean }
  | { kind: 'severity'; operator: Operator; first: number; last: number };

export interface Mistake {
  message: string;
  /** Where in the text, from 0. */
  from: number;
  to: number;
}

export interface Search {
  terms: Term[];
  mistakes: Mistake[];
}

/** The server takes 64 KiB of SQL; a search needs a small part of it. */
export const MAX_SEARCH = 8192;

// What a key may be without quotes. No `:` or `/`, so that a URL with a query is text.
const BARE_KEY = /^[A-Za-z_][\w.-]*/;
const OPERATOR = /^(!=|>=|<=|=|>|<)/;
const SEVERITY = new Set(['severity', 'level']);

export function parseSearch(text: string): Search {
  const search: Search = { terms: [], mistakes: [] };
  if (text.length > MAX_SEARCH) {
    search.mistakes.push({
      message: `a search has at most ${MAX_SEARCH} characters`,
      from: MAX_SEARCH,
      to: text.length,
    });
    return search;
  }
  const reader = new Reader(text);
  for (reader.skipSpace(); !reader.done(); reader.skipSpace()) readTerm(reader, search);
  return search;
}

function readTerm(reader: Reader, search: Search): void {
  const from = reader.at;
  const negated = reader.take(/^-(?=\S)/) !== null;
  const quoted = reader.peek() === '"';
  const key = quoted ? reader.quoted(search) : reader.take(BARE_KEY);
  const operator = key === null ? null : (reader.take(OPERATOR) as Operator | null);
  if (key === null || operator === null) {
    const text = (key ?? '') + (quoted ? '' : reader.bare());
    if (text) search.terms.push({ kind: 'text', text, negated });
    return;
  }
  const valueQuoted = reader.peek() === '"';
  const value = valueQuoted ? reader.quoted(search) : reader.bare();
  const mistake = (message: string) => search.mistakes.push({ message, from, to: reader.at });
  if (negated) {
    mistake(`write ${key}!=${value || '...'} for "is not"`);
  } else if (SEVERITY.has(key.toLowerCase()) && !quoted) {
    const range = severityRange(value);
    if (range) search.terms.push({ kind: 'severity', operator, ...range });
    else mistake(`no severity "${value}": trace, debug, info, warn, error, fatal, or 1 to 24`);
  } else if (operator !== '=' && operator !== '!=') {
    mistake(`${operator} is for severity; attributes take = and !=`);
  } else if (value === '' && !valueQuoted) {
    mistake(`a value is missing after ${key}${operator} (${key}${operator}"" for an empty one)`);
  } else if (value === '*' && !valueQuoted) {
    search.terms.push({ kind: 'exists', key, negated: operator === '!=' });
  } else {
    search.terms.push({ kind: 'attribute', key, operator, value });
  }
}

class Reader {
  at = 0;
  constructor(readonly text: string) {}

  done(): boolean {
    return this.at >= this.text.length;
  }

  peek(): string {
    return this.text.charAt(this.at);
  }

  take(pattern: RegExp): string | null {
    const found = pattern.exec(this.text.slice(this.at));
    if (!found) return null;
    this.at += found[0].length;
    return found[0];
  }

  skipSpace(): void {
    this.take(/^\s+/);
  }

  /** Up to the next space. */
  bare(): string {
    return this.take(/^\S+/) ?? '';
  }

  /** `"..."` with `\"` and `\\`. */
  quoted(search: Search): string {
    const from = this.at;
    const body = this.take(/^"(?:[^"\\]|\\[\s\S])*/) ?? '';
    if (this.take(/^"/) === null) {
      search.mistakes.push({ message: 'a closing " is missing', from, to: this.text.length });
      this.at = this.text.length;
    }
    return body.slice(1).replace(/\\([\s\S])/g, '$1');
  }
}

const needsQuotes = (text: string): boolean => text === '' || text === '*' || /[\s"]/.test(text);
const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** A condition as a person would write it, for filters made by a click. */
export function writeCondition(key: string, operator: '=' | '!=', value: string | null): string {
  const bareKey = BARE_KEY.exec(key)?.[0] === key && !SEVERITY.has(key.toLowerCase());
  const name = bareKey ? key : quote(key);
  if (value === null) return `${name}${operator}*`;
  return `${name}${operator}${needsQuotes(value) ? quote(value) : value}`;
}

/** The search with one more condition; its opposite, if it is there, is taken out. */
export function addCondition(search: string, key: string, operator: '=' | '!=', value: string | null): string {
  const wanted = writeCondition(key, operator, value);
  const opposite = writeCondition(key, operator === '=' ? '!=' : '=', value);
  const parts = splitTerms(search).filter((part) => part !== opposite);
  if (!parts.includes(wanted)) parts.push(wanted);
  return parts.join(' ');
}

/** The terms as written. */
export function splitTerms(search: string): string[] {
  const reader = new Reader(search);
  const parts: string[] = [];
  for (reader.skipSpace(); !reader.done(); reader.skipSpace()) {
    const from = reader.at;
    readTerm(reader, { terms: [], mistakes: [] });
    parts.push(search.slice(from, reader.at));
  }
  return parts;
}
