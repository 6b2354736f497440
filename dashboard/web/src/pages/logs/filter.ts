// A search as SQL over the table `logs`, and the queries of the page.

import { and, attribute, contains, integer, literal, timestamp } from '../shared/sql';
import type { Search, Term } from './parse';
import { LEVEL_COUNTS_SQL } from './severity';

/** Names that are the record's own columns, not attributes. */
const FIELDS: Readonly<Record<string, string>> = {
  body: 'body',
  service: 'service_name',
  host: 'host_name',
  trace_id: 'trace_id',
  span_id: 'span_id',
  event_name: 'event_name',
  scope: 'scope_name',
  severity_text: 'severity_text',
};

const fieldSql = (key: string): string => (Object.hasOwn(FIELDS, key) && FIELDS[key]) || attribute(key);

type AttributeTerm = Extract<Term, { kind: 'attribute' }>;

/** The condition of a search; `null` when it asks for everything. */
export function searchSql(search: Search): string | null {
  const conditions: string[] = [];
  const equal = new Map<string, string[]>();
  for (const term of search.terms) {
    if (term.kind === 'attribute' && term.operator === '=') {
      equal.set(term.key, [...(equal.get(term.key) ?? []), term.value]);
    } else {
      conditions.push(termSql(term));
    }
  }
  for (const [key, values] of equal) conditions.push(isOneOf(key, values));
  return conditions.length > 0 ? conditions.join(' AND ') : null;
}

/** Ids are kept in lower case, and written in either. */
const valueSql = (key: string, value: string): string =>
  literal(key === 'trace_id' || key === 'span_id' ? value.toLowerCase() : value);

function isOneOf(key: string, values: string[]): string {
  const list = values.map((value) => valueSql(key, value));
  return list.length === 1 ? `${fieldSql(key)} = ${list[0]}` : `${fieldSql(key)} IN (${list.join(', ')})`;
}

function termSql(term: Term): string {
  switch (term.kind) {
    case 'text':
      // A record without a body does not contain the text.
      return term.negated ? `NOT coalesce(${contains('body', term.text)}, false)` : contains('body', term.text);
    case 'attribute':
      return attributeSql(term);
    case 'exists':
      return `${fieldSql(term.key)} IS ${term.negated ? '' : 'NOT '}NULL`;
    case 'severity':
      return severitySql(term);
  }
}

const attributeSql = ({ key, operator, value }: AttributeTerm): string =>
  // A record without the attribute is not one with that value.
  operator === '=' ? isOneOf(key, [value]) : `${fieldSql(key)} IS DISTINCT FROM ${valueSql(key, value)}`;

function severitySql({ operator, first, last }: Extract<Term, { kind: 'severity' }>): string {
  const number = 'coalesce(severity_number, 0)';
  switch (operator) {
    case '=':
      return `${number} BETWEEN ${integer(first)} AND ${integer(last)}`;
    case '!=':
      return `${number} NOT BETWEEN ${integer(first)} AND ${integer(last)}`;
    case '>':
      return `${number} > ${integer(last)}`;
    case '>=':
      return `${number} >= ${integer(first)}`;
    case '<':
      return `${number} < ${integer(first)}`;
    case '<=':
      return `${number} <= ${integer(last)}`;
  }
}

/** What a row of the list needs. `ts` first: it is the time of the rows. */
export const LOG_COLUMNS = [
  'ts',
  'severity_number',
  'severity_text',
  'service_name',
  'body',
  'body_is_json',
  'event_name',
  'attributes',
  'resource_attributes',
  'scope_name',
  'scope_version',
  'scope_attributes',
  'trace_id',
  'span_id',
  'time_unix_nano',
  'observed_time_unix_nano',
] as const;

const SELECT = `SELECT ${LOG_COLUMNS.join(', ')} FROM logs`;

/** The newest rows of the range, for a live subscription in the mode `rows`. */
export const tailSql = (condition: string | null): string => `${SELECT} WHERE ${and('$range', condition)}`;

/** Rows up to a moment (it included: rows that share it with the oldest shown may be missing), newest first. */
export function olderSql(condition: string | null, until: number, from: number, limit: number): string {
  // The lake's times are microseconds, these are milliseconds: up to the end of this one.
  const time = `ts >= ${timestamp(Math.floor(from))} AND ts < ${timestamp(Math.floor(until) + 1)}`;
  return `${SELECT} WHERE ${and(time, condition)} ORDER BY ts DESC LIMIT ${integer(limit)}`;
}

/** Records by time, a column for each level. */
export const barsSql = (condition: string | null): string =>
  `SELECT date_bin($step, ts) AS t, ${LEVEL_COUNTS_SQL} FROM logs WHERE ${and('$range', condition)} GROUP BY 1`;

const DAY_MS = 86_400_000;

/** The records of a trace, oldest first. Within a day of its start: all of the lake would be read otherwise. */
export function traceLogsSql(traceId: string, start: number, limit: number): string {
  return `${SELECT} WHERE ${ofTrace(traceId, start)} ORDER BY time_unix_nano LIMIT ${integer(limit)}`;
}

export const traceLogCountSql = (traceId: string, start: number): string =>
  `SELECT count(*) AS n FROM logs WHERE ${ofTrace(traceId, start)}`;

function ofTrace(traceId: string, start: number): string {
  const near = `ts >= ${timestamp(start - DAY_MS)} AND ts < ${timestamp(start + DAY_MS)}`;
  return `${near} AND trace_id = ${literal(traceId)}`;
}
