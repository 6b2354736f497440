// What is searched for: in the URL, so that a link carries it. A search with a mistake changes nothing until it is mended.
import { useMemo, useRef } from 'preact/hooks';
import { setQuery, search as urlQuery } from '../../router';
import { searchSql } from './filter';
import { addCondition, type Mistake, parseSearch } from './parse';

export interface Searching {
  text: string;
  mistakes: readonly Mistake[];
  /** SQL; null for everything. */
  condition: string | null;
  set(text: string): void;
  filter(key: string, operator: '=' | '!=', value: string | null): void;
}

export function useSearch(): Searching {
  const text = urlQuery.value.get('q') ?? '';
  const good = useRef<string | null>(null);
  const parsed = useMemo(() => parseSearch(text), [text]);
  if (parsed.mistakes.length === 0) good.current = searchSql(parsed);
  const set = (next: string) => setQuery({ q: next.trim() ? next : null }, true);
  return {
    text,
    mistakes: parsed.mistakes,
    condition: good.current,
    set,
    filter: (key, operator, value) => {
      const next = addCondition(text, key, operator, value);
      // A filter is a step that one may want to take back; what is typed is not.
      setQuery({ q: next }, false);
    },
  };
}
