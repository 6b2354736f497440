// Which attributes are columns of the list: those of the rows in it, the most frequent first.
import { useMemo, useState } from 'preact/hooks';
import { Popover } from '../../ui/Popover';
import { parseAttributes } from '../shared/attributes';
import { Icon } from '../shared/icons';
import { Label } from '../shared/Label';
import type { LogRow } from './rows';

const SAMPLE = 200;
const LISTED = 100;

export function attributeKeys(rows: readonly LogRow[]): string[] {
  const counts = new Map<string, number>();
  for (const row of rows.slice(0, SAMPLE)) {
    for (const text of [row.attributes, row.resource]) {
      for (const { key } of parseAttributes(text)) counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([key]) => key);
}

interface Props {
  readonly rows: readonly LogRow[];
  readonly columns: readonly string[];
  readonly onToggle: (key: string) => void;
}

export function ColumnMenu(props: Props) {
  return (
    <Popover
      title="Columns"
      buttonClass="button quiet"
      button={
        <>
          <Icon name="column" /> Columns{props.columns.length > 0 ? ` (${props.columns.length})` : ''}
        </>
      }
    >
      {() => <Choices {...props} />}
    </Popover>
  );
}

function Choices({ rows, columns, onToggle }: Props) {
  const [wanted, setWanted] = useState('');
  const found = useMemo(() => attributeKeys(rows), [rows]);
  const all = [...columns, ...found.filter((key) => !columns.includes(key))];
  const fitting = all.filter((key) => key.toLowerCase().includes(wanted.toLowerCase()));
  return (
    <div class="column-choices">
      <input
        data-first
        class="input"
        type="search"
        aria-label="Find an attribute"
        placeholder="Find an attribute"
        value={wanted}
        onInput={(event) => setWanted(event.currentTarget.value)}
      />
      <div class="list">
        {fitting.slice(0, LISTED).map((key) => (
          <label key={key}>
            <input type="checkbox" checked={columns.includes(key)} onChange={() => onToggle(key)} />
            <Label text={key} class="mono" />
          </label>
        ))}
        {fitting.length === 0 && <p class="hint">No such attribute in these rows.</p>}
        {fitting.length > LISTED && <p class="hint">and {fitting.length - LISTED} more</p>}
      </div>
    </div>
  );
}
