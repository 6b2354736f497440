// A board's variables: their values come from a query, what is chosen is in the URL (`var-host=a&var-host=b`), and nothing
// chosen means all of a multi-valued one, or the first of another.
import { type Signal, signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { Problem } from '../live/frame';
import { useLive } from '../live/live';
import { search, setQuery } from '../router';
import { panelQuery, type Variable } from './board';

export interface VariableState {
  /** Null until they are known. */
  readonly values: readonly string[] | null;
  readonly problem: Problem | null;
}

/** By variable name. */
export type VariableStates = Signal<Readonly<Record<string, VariableState>>>;

/** A choice among more is none. */
const MOST_VALUES = 1_000;

export const parameter = (name: string): string => `var-${name}`;

export function chosenValues(name: string, query: URLSearchParams): readonly string[] {
  return query.getAll(parameter(name));
}

export function chooseValues(name: string, values: readonly string[]): void {
  setQuery({ [parameter(name)]: values.length > 0 ? values : null }, true);
}

/** What a query is asked with; null as long as it is not known. */
export function effective(
  { name, multi }: Variable,
  state: VariableState | undefined,
  query: URLSearchParams,
): string | readonly string[] | null {
  const chosen = chosenValues(name, query);
  if (multi) return chosen.length > 0 ? chosen : (state?.values ?? null);
  return chosen[0] ?? state?.values?.[0] ?? null;
}

/** The variables that a statement uses; null while one of them is not known, with which one. */
export function varsFor(
  names: ReadonlySet<string>,
  variables: readonly Variable[],
  states: Readonly<Record<string, VariableState>>,
  query: URLSearchParams,
): { vars: Record<string, string | readonly string[]> } | { missing: Variable } {
  const vars: Record<string, string | readonly string[]> = {};
  for (const variable of variables) {
    if (!names.has(variable.name)) continue;
    const value = effective(variable, states[variable.name], query);
    if (value === null || value.length === 0) return { missing: variable };
    vars[variable.name] = value;
  }
  return { vars };
}

export function useVariableStates(): VariableStates {
  return useMemo(() => signal<Readonly<Record<string, VariableState>>>({}), []);
}

/** Keeps one variable's values up to date. */
export function useVariable(variable: Variable, states: VariableStates): void {
  const { sql, lookback, min_step: minStep } = panelQuery(variable.query);
  const { rows, error } = useLive({ sql, mode: 'table', lookback, minStep, limit: MOST_VALUES });
  const frame = rows.value;
  const problem = error.value;
  useEffect(() => {
    const values = frame
      ? [...new Set(Array.from({ length: frame.length }, (_, row) => frame.get(0, row)))].flatMap((value) =>
          value === null ? [] : [String(value)],
        )
      : null;
    const had = states.peek()[variable.name];
    if (had && JSON.stringify(had.values) === JSON.stringify(values) && had.problem === problem) return;
    states.value = { ...states.peek(), [variable.name]: { values, problem } };
  }, [frame, problem, variable.name, states]);
}

/** For a link that shows the same choice. */
export function variableQuery(): [string, string][] {
  return [...search.peek()].filter(([name]) => name.startsWith('var-'));
}
