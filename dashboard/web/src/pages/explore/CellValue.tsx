// The whole value of the chosen cell, to read and to copy.
import { textOf } from '../../live/cells';
import type { Frame } from '../../live/frame';
import { zoneSignal } from '../../time/range';
import { Button } from '../../ui';
import { prettyJson } from '../shared/attributes';
import { CopyButton } from '../shared/CopyButton';
import { formatDateTime } from '../shared/format';
import { Icon } from '../shared/icons';
import { Label, LongText } from '../shared/Label';

interface Props {
  readonly frame: Frame;
  readonly column: number;
  readonly row: number;
  readonly onClose: () => void;
}

export function CellValue({ frame, column, row, onClose }: Props) {
  const { name, type } = frame.columns[column] ?? { name: '', type: 'other' };
  const value = frame.get(column, row);
  const isTime = type === 'time' && typeof value === 'number';
  const text = isTime ? new Date(value).toISOString() : value === null ? 'null' : textOf(value);
  return (
    <aside class="cell-value" aria-label="The chosen cell">
      <header>
        <Label text={name} class="mono" />
        <CopyButton text={text} what="the value" />
        <Button kind="quiet" icon aria-label="Close the cell" onClick={onClose}>
          <Icon name="close" />
        </Button>
      </header>
      <pre>
        <LongText
          text={isTime ? `${formatDateTime(value, zoneSignal.value)}  ${text}` : (prettyJson(text) ?? text)}
          most={20_000}
        />
      </pre>
    </aside>
  );
}
