// Reads the catalog; kept for a minute, so that coming back to the page asks for nothing.
import { getJson, runQuery } from '../../live/query';
import { type Catalog, type Column, type Metric, TABLES } from './catalog';

const FRESH_MS = 60_000;

// Refused by the server (storage/sql/guard.rs): no use to offer them.
const REFUSED = /^(repeat|space|[lr]pad|(array|list)_(repeat|resize|range)|gen(erate)?_series|range)$/;

let kept: { at: number; catalog: Promise<Catalog> } | null = null;

export function loadCatalog(now = Date.now()): Promise<Catalog> {
  if (kept && now - kept.at < FRESH_MS) return kept.catalog;
  const catalog = read();
  kept = { at: now, catalog };
  catalog.catch(() => {
    kept = null;
  });
  return catalog;
}

async function read(): Promise<Catalog> {
  const [answer, functions, ...columns] = await Promise.all([
    getJson<{ metrics: Metric[]; truncated: boolean }>('/api/v1/metrics'),
    readFunctions(),
    ...TABLES.map(readColumns),
  ]);
  return {
    metrics: answer.metrics,
    truncated: answer.truncated,
    functions,
    tables: new Map(TABLES.map((table, index) => [table, columns[index] ?? []])),
  };
}

/** A table that cannot be read has no columns to offer; everything else still works. */
async function readColumns(table: string): Promise<Column[]> {
  try {
    const frame = await runQuery(`SELECT * FROM ${table} LIMIT 0`);
    return frame.columns.map(({ name, type }) => ({ name, type }));
  } catch {
    return [];
  }
}

async function readFunctions(): Promise<string[]> {
  try {
    const frame = await runQuery('SELECT DISTINCT routine_name FROM information_schema.routines ORDER BY 1');
    const names = Array.from({ length: frame.length }, (_, row) => String(frame.get(0, row) ?? ''));
    return names.filter((name) => name && !REFUSED.test(name));
  } catch {
    return [];
  }
}
