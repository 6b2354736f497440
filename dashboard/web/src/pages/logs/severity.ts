// Severities of the OpenTelemetry log data model: six levels of four numbers each, 0 when the sender gave none.

export type Level = 'unset' | 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** From the least to the most severe: the order of stacks and legends. */
export const LEVELS: readonly Level[] = ['unset', 'trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** The lowest number of each level; a level ends where the next begins. */
const FIRST: Readonly<Record<Level, number>> = {
  unset: 0,
  trace: 1,
  debug: 5,
  info: 9,
  warn: 13,
  error: 17,
  fatal: 21,
};
const LAST_NUMBER = 24;

export function levelOf(severityNumber: number | null): Level {
  if (severityNumber === null || !(severityNumber > 0)) return 'unset';
  const index = Math.min(6, Math.floor((severityNumber - 1) / 4) + 1);
  return LEVELS[index] ?? 'unset';
}

/** What a person may write: a level's name, some usual other names, or a number. */
export function severityRange(text: string): { first: number; last: number } | null {
  const name = text.toLowerCase();
  const other: Record<string, Level> = { warning: 'warn', err: 'error', critical: 'fatal', information: 'info' };
  const level = LEVELS.find((level) => level === name) ?? (Object.hasOwn(other, name) ? other[name] : undefined);
  if (level) {
    const next = LEVELS[LEVELS.indexOf(level) + 1];
    return { first: FIRST[level], last: next ? FIRST[next] - 1 : LAST_NUMBER };
  }
  if (!/^\d{1,2}$/.test(text)) return null;
  const number = Number(text);
  return number <= LAST_NUMBER ? { first: number, last: number } : null;
}

/** How many of a group have each level: a column by the name of the level, from the least severe on. */
export const LEVEL_COUNTS_SQL = LEVELS.map((level, index) => {
  const next = LEVELS[index + 1];
  const below = next ? ` AND coalesce(severity_number, 0) < ${FIRST[next]}` : '';
  const above = level === 'unset' ? 'true' : `severity_number >= ${FIRST[level]}`;
  return `count(*) FILTER (WHERE ${above}${below}) AS "${level}"`;
}).join(', ');
