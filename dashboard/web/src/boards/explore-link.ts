// The address that opens a query in Explore, with its variables put in and the page's range.
import { namesIn } from './board';

export interface ExploreLink {
  readonly sql: string;
  readonly chart?: string;
  readonly unit?: string;
  readonly vars?: Readonly<Record<string, string | readonly string[]>>;
}

const quote = (value: string): string => `'${value.replace(/'/g, "''")}'`;

/** Explore has no variables: their values become literals, as the server would write them. */
export function withVars(sql: string, vars: Readonly<Record<string, string | readonly string[]>>): string {
  const names = namesIn(sql);
  return sql.replace(/\$([A-Za-z_][A-Za-z0-9_]*)/g, (whole, name: string) => {
    const value = names.has(name) ? vars[name] : undefined;
    if (value === undefined) return whole;
    return typeof value === 'string' ? quote(value) : `(${value.map(quote).join(', ')})`;
  });
}

export function exploreHref({ sql, chart, vars = {} }: ExploreLink): string {
  const query = new URLSearchParams({ sql: withVars(sql, vars) });
  if (chart !== undefined) query.set('chart', chart);
  return `/explore?${query}`;
}
