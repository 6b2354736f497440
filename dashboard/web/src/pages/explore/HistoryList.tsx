// Queries run before in this browser.
import { useState } from 'preact/hooks';
import { zoneSignal } from '../../time/range';
import { Button, EmptyState } from '../../ui';
import { formatDate, formatTime } from '../shared/format';
import { Icon } from '../shared/icons';
import { clip } from '../shared/printable';
import { type Entry, searchEntries } from './history';

interface Props {
  readonly history: readonly Entry[];
  readonly onPick: (sql: string) => void;
  readonly onRemove: (sql: string) => void;
  readonly onClear: () => void;
}

export function HistoryList({ history, onPick, onRemove, onClear }: Props) {
  const [search, setSearch] = useState('');
  const found = searchEntries(history, search);
  if (history.length === 0)
    return <EmptyState title="Nothing was run yet">Queries that ran are kept in this browser.</EmptyState>;
  return (
    <div class="history-list">
      <input
        class="input"
        type="search"
        aria-label="Find a query"
        placeholder="Find a query"
        value={search}
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      <ul class="scroll-box">
        {found.map(({ sql, at }) => (
          <li key={sql}>
            <button type="button" class="pick" onClick={() => onPick(sql)}>
              <bdi class="mono">{clip(sql, 300)}</bdi>
              <span class="hint">
                {formatDate(at, zoneSignal.value)} {formatTime(at, zoneSignal.value).slice(0, 5)}
              </span>
            </button>
            <button
              type="button"
              class="mini"
              aria-label={`Delete the query ${clip(sql, 60)}`}
              title="Delete"
              onClick={() => onRemove(sql)}
            >
              <Icon name="trash" size={14} />
            </button>
          </li>
        ))}
        {found.length === 0 && <li class="hint">None with these words.</li>}
      </ul>
      <Button kind="quiet" onClick={onClear}>
        <Icon name="trash" /> Delete all
      </Button>
    </div>
  );
}
