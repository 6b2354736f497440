// `$range`, `$from`, `$to`, `$step` and `$step_seconds`: what makes a query follow the page's time range. A live
// subscription has them filled in by the server; for what is run once (a download) it is done here, in the same way.

import { timestamp } from '../shared/sql';
import { placeholders, tokenize } from './tokens';

export interface Window {
  /** Milliseconds since 1970. */
  from: number;
  to: number;
  stepMs: number;
}

const TIMED = ['range', 'from', 'to', 'step', 'step_seconds'];

/** The query follows the time range. */
export const isTimed = (sql: string): boolean => TIMED.some((name) => placeholders(sql).has(name));

const words = (sql: string): Set<string> =>
  new Set(tokenize(sql).flatMap(({ kind, text }) => (kind === 'word' ? [text.toLowerCase()] : [])));

/**
 * The result has points of time that only ever change at the end: it can be continued instead of asked for again. Window
 * functions look at other points, which a continuation does not have; `counter_delta` looks at the one before, and that
 * `lookback` covers.
 */
export function isSeries(sql: string): boolean {
  const used = words(sql);
  const binned = placeholders(sql).has('step') && used.has('date_bin');
  return binned && !used.has('limit') && (!used.has('over') || used.has('counter_delta'));
}

/** How far before the range a continued result must look: past the interval at which counters are usually reported. */
export const lookbackOf = (sql: string): string | undefined => (words(sql).has('counter_delta') ? '5m' : undefined);

const seconds = (ms: number): string => {
  const text = String(ms / 1000);
  return text.includes('.') ? text : `${text}.0`;
};

export function fill(sql: string, { from, to, stepMs }: Window): string {
  const values: Record<string, string> = {
    range: `(ts >= ${timestamp(from)} AND ts < ${timestamp(to)})`,
    from: timestamp(from),
    to: timestamp(to),
    step: `INTERVAL '${stepMs / 1000} seconds'`,
    step_seconds: seconds(stepMs),
  };
  let filled = '';
  let done = 0;
  for (const token of tokenize(sql)) {
    const name = token.text.slice(1);
    if (token.kind !== 'placeholder' || !Object.hasOwn(values, name)) continue;
    filled += sql.slice(done, token.from) + values[name];
    done = token.to;
  }
  return filled + sql.slice(done);
}

const LADDER_SECONDS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
  2_592_000,
];

/** The server's ladder: the smallest step with at most one bucket a pixel. */
export function stepFor(rangeMs: number, width: number): number {
  const pixels = Math.min(4000, Math.max(100, width));
  const least = rangeMs / pixels / 1000;
  return 1000 * (LADDER_SECONDS.find((step) => step >= least) ?? LADDER_SECONDS.at(-1) ?? 1);
}
