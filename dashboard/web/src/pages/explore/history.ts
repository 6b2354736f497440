// Queries that were run in this browser, newest first. Bounded in number and in size: localStorage has 5 MB for everything.

export interface Entry {
  sql: string;
  /** When it was last run, ms since 1970. */
  at: number;
}

export const MAX_ENTRIES = 200;
export const MAX_CHARACTERS = 400_000;

/** The same query run again moves to the front. */
export function addEntry(history: readonly Entry[], sql: string, at: number): Entry[] {
  const trimmed = sql.trim();
  if (!trimmed) return [...history];
  const entries = [{ sql: trimmed, at }, ...history.filter((entry) => entry.sql !== trimmed)].slice(0, MAX_ENTRIES);
  let size = 0;
  return entries.filter((entry, index) => {
    size += entry.sql.length;
    return index === 0 || size <= MAX_CHARACTERS;
  });
}

export const removeEntry = (history: readonly Entry[], sql: string): Entry[] =>
  history.filter((entry) => entry.sql !== sql);

/** All words are in it, in any case and order. */
export function searchEntries(history: readonly Entry[], search: string): Entry[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return history.filter(({ sql }) => words.every((word) => sql.toLowerCase().includes(word)));
}

/** What is stored may be anything: another version wrote it, or a person. */
export function parseHistory(text: string | null): Entry[] {
  let stored: unknown;
  try {
    stored = JSON.parse(text ?? '[]');
  } catch {
    return [];
  }
  if (!Array.isArray(stored)) return [];
  const entries = stored.filter(isEntry).map(({ sql, at }) => ({ sql, at }));
  return entries.reduceRight<Entry[]>((history, { sql, at }) => addEntry(history, sql, at), []);
}

const isEntry = (value: unknown): value is Entry =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Entry).sql === 'string' &&
  Number.isFinite((value as Entry).at);
