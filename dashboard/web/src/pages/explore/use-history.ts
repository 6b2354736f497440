// The history in localStorage, the same in all tabs.
import { useEffect, useState } from 'preact/hooks';
import { readStored, writeStored } from '../shared/stored';
import { addEntry, type Entry, parseHistory, removeEntry } from './history';

const NAME = 'explore.history';

export interface History {
  entries: readonly Entry[];
  add(sql: string): void;
  remove(sql: string): void;
  clear(): void;
}

export function useHistory(): History {
  const [entries, setEntries] = useState<readonly Entry[]>(() => parseHistory(readStored(NAME)));
  useEffect(() => {
    const other = (event: StorageEvent) => {
      if (event.key?.endsWith(NAME)) setEntries(parseHistory(event.newValue));
    };
    addEventListener('storage', other);
    return () => removeEventListener('storage', other);
  }, []);
  // What another tab has added since is kept.
  const change = (make: (had: Entry[]) => Entry[]) => {
    const next = make(parseHistory(readStored(NAME) ?? JSON.stringify(entries)));
    setEntries(next);
    writeStored(NAME, JSON.stringify(next));
  };
  return {
    entries,
    add: (sql) => change((had) => addEntry(had, sql, Date.now())),
    remove: (sql) => change((had) => removeEntry(had, sql)),
    clear: () => change(() => []),
  };
}
