// Why a rule says what it says: its expression at points of time, as the evaluator would have run it then. Each point is the rule's own SQL
// with `$range` put in, so that the chart shows what the rule saw and not something like it.
import { cellsFor } from '../../live/cells';
import { type Column, type Frame, frameOf, type Value } from '../../live/frame';
import { fill } from '../explore/template';
import { type Token, tokenize } from '../explore/tokens';
import { parseAttributes } from '../shared/attributes';
import { timestamp } from '../shared/sql';
import type { Labels } from './matcher';

/** What `$range` is in rules that do not say. */
export const DEFAULT_WINDOW_MS = 300_000;
/** Each is a query of its own. */
export const POINTS = 48;
/** The server takes 32 tables in a statement, and a query in a FROM is one of them. */
const MOST_TABLES = 32;
/** Rows of all points. */
export const MOST_ROWS = 20_000;

const depthAfter = (depth: number, { kind, text }: Token): number =>
  kind !== 'symbol' ? depth : text === '(' ? depth + 1 : text === ')' ? depth - 1 : depth;

const isWord = (token: Token | undefined, ...words: string[]): boolean =>
  token?.kind === 'word' && words.includes(token.text.toUpperCase());

/** Where the outermost HAVING begins and ends, as positions of tokens. */
function having(tokens: readonly Token[]): { from: number; to: number } | null {
  let depth = 0;
  let from = -1;
  for (const [at, token] of tokens.entries()) {
    depth = depthAfter(depth, token);
    if (depth !== 0) continue;
    if (from < 0 && isWord(token, 'HAVING')) from = at;
    else if (from >= 0 && isWord(token, 'ORDER', 'LIMIT', 'OFFSET', 'UNION', 'QUALIFY', 'WINDOW'))
      return { from, to: at };
  }
  return from < 0 ? null : { from, to: tokens.length };
}

const statement = (sql: string): string => sql.trim().replace(/;\s*$/, '');

/** The statement without the condition on its groups: its values also where the rule would not fire. */
export function withoutHaving(sql: string): string {
  const text = statement(sql);
  const tokens = tokenize(text);
  const found = having(tokens);
  if (!found) return text;
  const begin = tokens[found.from]?.from ?? 0;
  const end = tokens[found.to]?.from ?? text.length;
  return `${text.slice(0, begin)}${text.slice(end)}`.trim();
}

/** The numbers that the value is held against: in HAVING, or in a WHERE on `value`. */
export function thresholdsIn(sql: string): number[] {
  const tokens = tokenize(statement(sql)).filter(({ kind }) => kind !== 'comment');
  const found = having(tokens);
  const numbers: number[] = [];
  for (const [at, token] of tokens.entries()) {
    if (token.kind !== 'symbol' || (token.text !== '>' && token.text !== '<')) continue;
    const orEqual = tokens[at + 1]?.text === '=';
    if (tokens[at + 1]?.text === '>') continue;
    let next = at + (orEqual ? 2 : 1);
    const negative = tokens[next]?.text === '-';
    if (negative) next++;
    const number = tokens[next];
    const after = tokens[next + 1];
    const isEnd =
      after === undefined || after.text === ')' || isWord(after, 'AND', 'OR', 'ORDER', 'LIMIT', 'GROUP', 'HAVING');
    const onValue = isWord(tokens[at - 1], 'VALUE');
    const within = found !== null && at > found.from && at < found.to;
    if (number?.kind === 'number' && isEnd && (onValue || within))
      numbers.push(Number(number.text) * (negative ? -1 : 1));
  }
  return [...new Set(numbers)];
}

/** Ends of evaluations within a window: at most `count`, on whole steps, so that asked again they are the same. */
export function pointsIn({ from, to }: { from: number; to: number }, count = POINTS): number[] {
  const least = (to - from) / count / 1000;
  const step = 1000 * Math.max(1, STEPS.find((seconds) => seconds >= least) ?? Math.ceil(least));
  const points: number[] = [];
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) points.push(time);
  return points;
}
const STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** The expression at each of the times, in as few statements as the server takes; newest times first. */
export function whySql(sql: string, points: readonly number[], windowMs: number): string[] {
  const text = withoutHaving(sql);
  const tables = tokenize(text).filter((token) => isWord(token, 'FROM', 'JOIN')).length;
  const each = Math.max(1, Math.floor(MOST_TABLES / (tables + 1)));
  const parts = points.toReversed().map((to) => {
    const filled = fill(text, { from: to - windowMs, to, stepMs: windowMs });
    return `SELECT ${timestamp(to)} AS "evaluated", seen.* FROM (\n${filled}\n) AS seen`;
  });
  return Array.from({ length: Math.ceil(parts.length / each) }, (_, at) =>
    parts.slice(at * each, (at + 1) * each).join('\nUNION ALL\n'),
  );
}

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]+/g, '_');

/** Times and values of the series that an alert is of. Columns that no label is called by say nothing. */
export function pointsOfAlert(frame: Frame, labels: Labels): [time: number, value: number][] {
  const wanted = new Map(Object.entries(labels).map(([name, value]) => [plain(name), value]));
  // As the server has it: the column of that name, or the one that is a number.
  const numbers = frame.columns.flatMap(({ type }, column) => (type === 'number' || type === 'int64' ? [column] : []));
  const named = frame.indexOf('value');
  const valueColumn = named < 0 && numbers.length === 1 ? (numbers[0] ?? -1) : named;
  const others = frame.columns
    .map(({ name, type }, column) => ({ name, type, column }))
    .filter(
      ({ name, type, column }) =>
        column !== valueColumn && column !== frame.timeColumn && type !== 'time' && name !== '',
    );
  const fits = (name: string, value: string) => {
    const is = wanted.get(plain(name));
    return is === undefined || is === value;
  };
  const rows: [number, number][] = [];
  for (let row = 0; row < frame.length; row++) {
    const same = others.every(({ name, column }) => {
      const value = frame.get(column, row);
      if (value === null) return true;
      if (name === 'attributes' || name === 'resource_attributes') {
        return parseAttributes(String(value)).every(({ key, text }) => fits(key, text ?? ''));
      }
      return fits(name, String(value));
    });
    const value = valueColumn < 0 ? null : frame.get(valueColumn, row);
    if (same && value !== null && Number.isFinite(Number(value)))
      rows.push([frame.time?.[row] ?? Number.NaN, Number(value)]);
  }
  return rows;
}

export function frameOfPoints(rows: readonly (readonly [number, number])[]): Frame {
  const columns: Column[] = [
    { name: 't', type: 'time' },
    { name: 'value', type: 'number' },
  ];
  const sorted = [...rows].sort(([a], [b]) => a - b);
  const cells = columns.map(({ type }, column) => {
    const made = cellsFor(type);
    made.append({ kind: 'any', data: sorted.map((row): Value => row[column] ?? null) }, null);
    return made;
  });
  return frameOf(columns, cells, { from: 0, to: 0, truncated: false });
}
