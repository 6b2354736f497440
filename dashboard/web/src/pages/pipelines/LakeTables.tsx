// What the lake holds: rows in memory, and in files.
import { zoneSignal } from '../../time/range';
import { ErrorState } from '../../ui';
import { formatBytes, formatCount, formatDateTime, formatDuration } from '../shared/format';
import { Icon } from '../shared/icons';
import { LongText } from '../shared/Label';
import { SimpleTable } from './SimpleTable';
import { useLake } from './use-pipeline';

export function LakeTables() {
  const { lake, error } = useLake();
  // An instance without a lake says so with this kind, and has no tables to show.
  if (!lake)
    return error && error.kind !== 'unavailable' && error.kind !== 'not_found' ? <ErrorState problem={error} /> : null;
  return (
    <>
      {lake.last_flush_error !== null && (
        <p class="notice bad">
          <Icon name="error" /> The last flush failed: <LongText text={lake.last_flush_error} most={500} />
        </p>
      )}
      <SimpleTable
        caption="The lake"
        head={['Table', '>Hot rows', '>Hot bytes', '>Files', '>Rows in files', '>Bytes in files']}
        rows={lake.tables.map((table) => [
          table.name,
          formatCount(table.hot_rows),
          formatBytes(table.hot_bytes),
          formatCount(table.files),
          formatCount(table.file_rows),
          formatBytes(table.file_bytes),
        ])}
      />
      <p class="hint">
        {lake.last_flush_unix_ms === null
          ? 'Nothing was flushed to files yet. '
          : `Flushed to files at ${formatDateTime(lake.last_flush_unix_ms, zoneSignal.value)}${
              lake.last_flush_seconds === null ? '' : ` in ${formatDuration(lake.last_flush_seconds * 1e9)}`
            }. `}
        In files up to log position {formatCount(lake.durable_position)}, visible to SQL up to{' '}
        {formatCount(lake.appended_position)}.
      </p>
    </>
  );
}
