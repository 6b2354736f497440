// What may come next in a statement. Nothing here knows the editor.

import { type Catalog, columnsOf, writeName } from './catalog';
import { type Token, tokenize } from './tokens';
import { FUNCTIONS, KEYWORDS, PLACEHOLDERS } from './words';

export interface Option {
  label: string;
  /** What is written instead of the label. */
  apply: string;
  kind: 'table' | 'metric' | 'column' | 'attribute' | 'function' | 'keyword' | 'placeholder';
  detail: string;
  info?: string;
}

export interface Completion {
  from: number;
  to: number;
  options: Option[];
}

/** `null` inside of strings, numbers and comments. `asked`: also where nothing is typed yet. */
export function complete(sql: string, at: number, catalog: Catalog, asked: boolean): Completion | null {
  const tokens = tokenize(sql);
  const here = tokens.find((token) => token.from < at && (at < token.to || (at === token.to && goesOn(token))));
  if (here && !isName(here) && here.kind !== 'symbol') return null;
  const word = here && isName(here) ? here : null;
  if (!word && !asked && sql.charAt(at - 1) !== '$') return null;
  const from = word ? word.from : sql.charAt(at - 1) === '$' ? at - 1 : at;
  const to = word?.kind === 'quoted' && !word.open ? word.to : at;
  const typed = sql.slice(from, at);
  const before = tokens.filter((token) => token.to <= from && token.kind !== 'comment');
  const dotted = dottedName(before, from);
  if (dotted && wantsTable(before.slice(0, dotted.index))) return { from: dotted.from, to, options: tables(catalog) };
  const options = typed.startsWith('$') ? PLACEHOLDERS : expected(sql, before, at, catalog);
  return { from, to, options: typed.startsWith('"') ? options.filter(isQuotable) : options };
}

/** Where `system.cpu.` before the cursor begins: metrics are named so, and nobody quotes them while typing. */
function dottedName(before: readonly Token[], at: number): { index: number; from: number } | null {
  let index = before.length;
  let from = at;
  while (before[index - 1]?.text === '.' && before[index - 1]?.to === from && before[index - 2]?.kind === 'word') {
    index -= 2;
    from = before[index]?.from ?? from;
  }
  return index < before.length ? { index, from } : null;
}

/** What is typed at its end belongs to it. */
const goesOn = (token: Token): boolean =>
  isName(token) || token.open || token.kind === 'number' || token.text.startsWith('--');
const isName = (token: Token): boolean => ['word', 'quoted', 'placeholder'].includes(token.kind);
const isQuotable = ({ kind }: Option): boolean => !['keyword', 'function', 'placeholder'].includes(kind);

function expected(sql: string, before: readonly Token[], at: number, catalog: Catalog): Option[] {
  const last = before.at(-1);
  if (last?.text === '.') return columnsFor(tableOf(sql, nameOf(before.at(-2))), catalog);
  if (wantsTable(before)) return tables(catalog);
  const seen = tablesIn(statementAround(sql, at));
  const columns = seen.flatMap((table) => columnsFor(table.name, catalog));
  const known = new Set<string>();
  const once = columns.filter(({ label }) => !known.has(label) && known.add(label));
  return [...once, ...functions(catalog), ...KEYWORDS, ...PLACEHOLDERS];
}

/** FROM, JOIN, and a comma in a list of tables. */
function wantsTable(before: readonly Token[]): boolean {
  let depth = 0;
  for (let index = before.length - 1; index >= 0; index--) {
    const token = before[index];
    if (!token) break;
    if (token.text === ')') depth++;
    if (token.text === '(' && depth-- === 0) return false;
    if (depth > 0) continue;
    const word = token.kind === 'word' ? token.text.toLowerCase() : '';
    const isLast = index === before.length - 1;
    if (word === 'from' || word === 'join') return isLast || before[before.length - 1]?.text === ',';
    if (['select', 'where', 'group', 'order', 'having', 'on', 'limit', 'by', 'using'].includes(word)) return false;
    if (isLast && token.text !== ',') return false;
  }
  return false;
}

interface Named {
  name: string;
  alias: string | null;
}

/** Tables after FROM and JOIN, with their aliases. */
export function tablesIn(sql: string): Named[] {
  const tokens = tokenize(sql).filter((token) => token.kind !== 'comment');
  const found: Named[] = [];
  let list = false;
  tokens.forEach((token, index) => {
    const word = token.kind === 'word' ? token.text.toLowerCase() : token.text;
    if (word === 'from' || word === 'join') list = true;
    else if (!(list && word === ',')) {
      if (token.kind === 'word' && CLAUSES.has(word)) list = false;
      return;
    }
    const table = tokens[index + 1];
    if (!table || (table.kind !== 'word' && table.kind !== 'quoted')) return;
    const next = tokens[index + 2];
    const alias = next?.text.toLowerCase() === 'as' ? tokens[index + 3] : next;
    const isAlias = alias && isName(alias) && !CLAUSES.has(alias.text.toLowerCase());
    found.push({ name: nameOf(table), alias: isAlias ? nameOf(alias) : null });
  });
  return found;
}

const CLAUSES = new Set(
  'where group order having limit on using join left right inner full cross union except intersect window natural offset fetch'.split(
    ' ',
  ),
);

function tableOf(sql: string, name: string): string {
  return tablesIn(sql).find((table) => table.alias === name)?.name ?? name;
}

/** As the server reads it: folded to lower case without quotes. */
function nameOf(token: Token | undefined): string {
  if (!token) return '';
  if (token.kind !== 'quoted') return token.text.toLowerCase();
  return token.text.slice(1, token.open ? undefined : -1).replaceAll('""', '"');
}

function statementAround(sql: string, at: number): string {
  const ends = tokenize(sql).filter((token) => token.text === ';');
  const from = ends.filter((token) => token.to <= at).at(-1)?.to ?? 0;
  const to = ends.find((token) => token.from >= at)?.from ?? sql.length;
  return sql.slice(from, to);
}

function tables(catalog: Catalog): Option[] {
  const names = [...catalog.tables.keys()].map((name) => ({
    label: name,
    apply: writeName(name),
    kind: 'table' as const,
    detail: 'table',
  }));
  const metrics = catalog.metrics.map(({ name, type, unit, description }) => ({
    label: name,
    apply: writeName(name),
    kind: 'metric' as const,
    detail: [type.replaceAll('_', ' '), unit].filter(Boolean).join(', '),
    info: description,
  }));
  return [...names, ...metrics];
}

const columnsFor = (table: string, catalog: Catalog): Option[] =>
  columnsOf(catalog, table).map(({ name, type }) => ({
    label: name,
    apply: writeName(name),
    kind: type === 'attribute' ? 'attribute' : 'column',
    detail: type,
  }));

function functions(catalog: Catalog): Option[] {
  const known = new Map(FUNCTIONS.map((option) => [option.label, option]));
  const others = catalog.functions
    .filter((name) => !known.has(name))
    .map((name) => ({ label: name, apply: `${name}(`, kind: 'function' as const, detail: 'function' }));
  return [...known.values(), ...others];
}
