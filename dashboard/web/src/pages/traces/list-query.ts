// What traces are asked for, from the address, and the SQL for it.
import { searchSql } from '../logs/filter';
import { parseSearch } from '../logs/parse';
import { and, contains, identifier, integer, literal, timestamp } from '../shared/sql';
import { STATUS_ERROR } from './span';

export const SORTS = ['newest', 'longest', 'errors', 'spans'] as const;
export type Sort = (typeof SORTS)[number];

export interface Filter {
  service: string;
  operation: string;
  /** Nanoseconds. */
  least: number | null;
  most: number | null;
  errors: boolean;
  /** Words of a span's name, and `key=value` of its attributes. */
  search: string;
  sort: Sort;
}

export const MOST_TRACES = 1000;

const SCALE: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  min: 60e9,
  h: 3600e9,
};

/** `250ms`, `1.5s`, `2m`; a number alone is milliseconds. Null for what is none. */
export function parseDuration(text: string): number | null {
  const [, amount, unit = 'ms'] = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-zµ]+)?\s*$/i.exec(text) ?? [];
  const scale = Object.hasOwn(SCALE, unit.toLowerCase()) ? SCALE[unit.toLowerCase()] : undefined;
  if (amount === undefined || scale === undefined) return null;
  const nanoseconds = Math.round(Number(amount) * scale);
  return Number.isSafeInteger(nanoseconds) ? nanoseconds : null;
}

export function filterOf(query: URLSearchParams): Filter {
  const sort = query.get('sort');
  return {
    service: query.get('service') ?? '',
    operation: query.get('operation') ?? '',
    least: parseDuration(query.get('min') ?? ''),
    most: parseDuration(query.get('max') ?? ''),
    errors: query.get('errors') === 'true',
    search: query.get('q') ?? '',
    sort: SORTS.find((one) => one === sort) ?? 'newest',
  };
}

const ORDER: Readonly<Record<Sort, string>> = {
  newest: 'ts DESC',
  longest: 'duration DESC',
  errors: 'errors DESC, ts DESC',
  spans: 'spans DESC',
};

/** One span of the trace must fit service, operation and search together. */
function spanCondition({ service, operation, search }: Filter): string | null {
  const parsed = parseSearch(search);
  const terms = parsed.terms.filter((term) => term.kind !== 'text' && term.kind !== 'severity');
  const texts = parsed.terms.flatMap((term) => {
    if (term.kind !== 'text') return [];
    const found = contains('name', term.text);
    return [term.negated ? `NOT ${found}` : found];
  });
  const conditions = [
    service && `service_name = ${literal(service)}`,
    operation && `name = ${literal(operation)}`,
    ...texts,
    searchSql({ terms, mistakes: [] }),
  ].filter(Boolean);
  return conditions.length > 0 ? and(...conditions) : null;
}

/** A row for each trace, aggregated from its spans in the range. */
export function tracesSql(filter: Filter): string {
  const fits = spanCondition(filter);
  const having = [
    fits && `count(*) FILTER (WHERE ${fits}) > 0`,
    filter.errors && `count(*) FILTER (WHERE status_code = ${STATUS_ERROR}) > 0`,
    filter.least !== null && `${LENGTH} >= ${integer(filter.least)}`,
    filter.most !== null && `${LENGTH} <= ${integer(filter.most)}`,
  ].filter(Boolean);
  return `SELECT trace_id, min(ts) AS ts, ${LENGTH} AS duration, count(*) AS spans, count(*) FILTER (WHERE status_code = ${STATUS_ERROR}) AS errors, count(DISTINCT service_name) AS services, ${first('service_name')} AS service, ${first('name')} AS name FROM spans WHERE $range AND trace_id IS NOT NULL GROUP BY trace_id${having.length > 0 ? ` HAVING ${having.join(' AND ')}` : ''} ORDER BY ${ORDER[filter.sort]} LIMIT ${integer(MOST_TRACES)}`;
}

const LENGTH = '(max(end_time_unix_nano) - min(start_time_unix_nano))';

/** Of the trace's root, or of its earliest span where the root is not there. */
const first = (column: string): string =>
  `first_value(${identifier(column)} ORDER BY parent_span_id IS NOT NULL, start_time_unix_nano)`;

/** Services with their operations, the busiest first. */
export const operationsSql = (from: number, to: number): string =>
  `SELECT service_name, name, count(*) AS spans FROM spans WHERE ts >= ${timestamp(from)} AND ts < ${timestamp(to)} GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 2000`;

const SPAN_COLUMNS =
  'ts, span_id, parent_span_id, name, service_name, kind, start_time_unix_nano, end_time_unix_nano, status_code, status_message, attributes, resource_attributes, scope_name, scope_version, trace_state, events, links, dropped_attributes_count, dropped_events_count, dropped_links_count';

export const MOST_SPANS = 20_000;
/** A link that says when: the trace is looked for a day around it, not in the whole lake. */
const AROUND_MS = 86_400_000;

export function traceSql(traceId: string, around: number | null): string {
  return `SELECT ${SPAN_COLUMNS} FROM spans WHERE ${ofTrace(traceId, around)} ORDER BY start_time_unix_nano LIMIT ${integer(MOST_SPANS)}`;
}

/** Changes when spans of the trace arrive. */
export const spanCountSql = (traceId: string, around: number | null): string =>
  `SELECT count(*) AS n FROM spans WHERE ${ofTrace(traceId, around)}`;

function ofTrace(traceId: string, around: number | null): string {
  return and(
    `trace_id = ${literal(traceId.toLowerCase())}`,
    around !== null && `ts >= ${timestamp(around - AROUND_MS)} AND ts < ${timestamp(around + AROUND_MS)}`,
  );
}

/** `null` for what is no time near ours: a link may say anything. */
export function parseAround(text: string | null): number | null {
  const ms = text && /^\d{12,14}$/.test(text) ? Number(text) : null;
  return ms !== null && ms < 8e13 ? ms : null;
}
