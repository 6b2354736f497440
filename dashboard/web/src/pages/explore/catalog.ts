// What there is to ask about: the lake's tables, the metrics with their attributes, the functions.

import { identifier, literal } from '../shared/sql';

export interface Column {
  name: string;
  type: string;
}

export interface Metric {
  name: string;
  type: string;
  unit: string;
  description: string;
  series: number;
  attributes: string[];
}

export interface Catalog {
  /** By table name. */
  tables: Map<string, Column[]>;
  metrics: Metric[];
  /** There are more metrics than the answer has. */
  truncated: boolean;
  functions: string[];
}

export const TABLES = ['metrics', 'histograms', 'exp_histograms', 'summaries', 'logs', 'spans', 'series'] as const;

/** The table whose columns a metric's view has besides its attributes. */
const TABLE_OF: Readonly<Record<string, (typeof TABLES)[number]>> = {
  gauge: 'metrics',
  sum: 'metrics',
  histogram: 'histograms',
  exponential_histogram: 'exp_histograms',
  summary: 'summaries',
};

export function columnsOf(catalog: Catalog, name: string): Column[] {
  const table = catalog.tables.get(name);
  if (table) return table;
  const metric = catalog.metrics.find((metric) => metric.name === name);
  if (!metric) return [];
  const own = catalog.tables.get(TABLE_OF[metric.type] ?? '') ?? [];
  const taken = new Set(own.map((column) => column.name));
  const attributes = metric.attributes.filter((key) => !taken.has(key)).map((name) => ({ name, type: 'attribute' }));
  return [...attributes, ...own.filter((column) => column.name !== 'metric_name')];
}

const PLAIN_NAME = /^[a-z_][a-z0-9_]*$/;
// Words that cannot stand as a name without quotes.
const RESERVED = new Set(
  'all and any array as asc between both by case cast check constraint create cross current_date default desc distinct else end except exists false fetch for foreign from full grant group having in inner intersect interval into is join lateral leading left like limit natural not null offset on only or order outer primary references right select set similar some table then timestamp to trailing true union unique user using when where window with'.split(
    ' ',
  ),
);

/** A name as SQL, with quotes where it needs them. */
export const writeName = (name: string): string =>
  PLAIN_NAME.test(name) && !RESERVED.has(name) ? name : identifier(name);

/** More series than this are asked for together. */
const MAX_SERIES = 30;
const MAX_LABELS = 4;

/** A sensible first query for a metric. `monotonic`: the sum is a counter. */
export function metricQuery(metric: Metric, monotonic: boolean): string {
  const view = identifier(metric.name);
  const labels = metric.series <= MAX_SERIES ? metric.attributes.slice(0, MAX_LABELS).map(writeName) : [];
  const list = labels.map((label) => `, ${label}`).join('');
  const groups = ['1', ...labels.map((_, index) => String(index + 2))].join(', ');
  const point = (value: string) =>
    `SELECT date_bin($step, ts) AS t${list}, ${value}\nFROM ${view}\nWHERE $range\nGROUP BY ${groups}\nORDER BY 1`;
  const quantiles = (call: (q: number) => string) =>
    `SELECT date_bin($step, ts) AS t, ${[50, 95, 99].map((p) => `${call(p / 100)} AS p${p}`).join(', ')}\nFROM ${view}\nWHERE $range\nGROUP BY 1\nORDER BY 1`;
  switch (metric.type) {
    case 'sum':
      return monotonic ? point('sum(increase(value)) / $step_seconds AS per_second') : point('avg(value) AS value');
    case 'histogram':
      return quantiles((q) => `histogram_quantile(${q}, increase(bucket_counts), explicit_bounds)`);
    case 'exponential_histogram':
      return quantiles((q) => `exp_histogram_quantile(${q}, increase(buckets))`);
    case 'summary':
      return point('sum("sum") / sum("count") AS mean');
    default:
      return point('avg(value) AS value');
  }
}

/** Whether a sum is a counter: its newest point says so. */
export const monotonicSql = (metric: string): string =>
  `SELECT is_monotonic FROM metrics WHERE metric_name = ${literal(metric)} AND is_monotonic IS NOT NULL LIMIT 1`;

/** Metrics whose name, description or an attribute has all the words. */
export function searchMetrics(metrics: readonly Metric[], search: string): Metric[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [...metrics];
  return metrics.filter(({ name, description, attributes }) => {
    const text = `${name} ${description} ${attributes.join(' ')}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
