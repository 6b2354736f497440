// The records, newest first. Only those in sight are in the page; a row opens to all of its record.

import { useCallback, useRef } from 'preact/hooks';
import { zoneSignal } from '../../time/range';
import type { AttributeActions } from '../shared/AttributeTable';
import { attributeText } from '../shared/attributes';
import type { ElementRef } from '../shared/element-ref';
import { formatDateTime, formatTime } from '../shared/format';
import { Icon } from '../shared/icons';
import { Label } from '../shared/Label';
import { clip, printable } from '../shared/printable';
import { Spaced, useVirtualRows } from '../shared/VirtualList';
import { LogDetails } from './LogDetails';
import type { LogRow } from './rows';

export interface LogListProps extends AttributeActions {
  readonly rows: readonly LogRow[];
  readonly columns: readonly string[];
  readonly wrap: boolean;
  readonly withDate: boolean;
  readonly opened: ReadonlySet<string>;
  readonly onToggle: (key: string) => void;
  readonly scroller: ElementRef;
}

const ROW_HEIGHT = 26;

export function LogList({ rows, scroller, ...shared }: LogListProps) {
  const list = useRef<HTMLDivElement>(null);
  const keyOf = useCallback((index: number) => rows[index]?.key ?? String(index), [rows]);
  const visible = useVirtualRows({ count: rows.length, keyOf, estimate: ROW_HEIGHT, scroller });
  const move = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const here = (event.target as Element).closest('[data-index]');
    if (!step || !here || (event.target as Element).getAttribute('data-opens') === null) return;
    const index = Number(here.getAttribute('data-index')) + step;
    if (!rows[index]) return;
    event.preventDefault();
    visible.reveal(index);
    requestAnimationFrame(() =>
      list.current?.querySelector<HTMLElement>(`[data-index="${index}"] [data-opens]`)?.focus(),
    );
  };
  const shown = rows.slice(visible.first, visible.end);
  const { columns, onToggleColumn } = shared;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys move between the buttons of the rows
    <div ref={list} class={`log-list ${shared.wrap ? 'wrap' : ''}`} onKeyDown={move}>
      {columns.length > 0 && <Head columns={columns} onRemove={onToggleColumn} />}
      <Spaced rows={visible}>
        {shown.map((row, offset) => (
          <div key={row.key} ref={visible.measure(row.key)} class="log-item" data-index={visible.first + offset}>
            <Row row={row} {...shared} />
          </div>
        ))}
      </Spaced>
    </div>
  );
}

/** Only where columns were chosen: the others need no name. */
function Head(props: { readonly columns: readonly string[]; readonly onRemove?: ((key: string) => void) | undefined }) {
  return (
    <div class="log-row log-head">
      <span />
      <span class="time">Time</span>
      <span>Level</span>
      <span>Service</span>
      {props.columns.map((key) => (
        <span key={key} class="extra">
          <Label text={key} />
          <button
            type="button"
            class="mini"
            aria-label={`Remove the column ${key.slice(0, 80)}`}
            onClick={() => props.onRemove?.(key)}
          >
            <Icon name="close" size={12} />
          </button>
        </span>
      ))}
      <span>Body</span>
    </div>
  );
}

type RowProps = { readonly row: LogRow } & Omit<LogListProps, 'rows' | 'scroller'>;

function Row({ row, columns, wrap, withDate, opened, onToggle, ...actions }: RowProps) {
  const open = opened.has(row.key);
  const time = (withDate ? formatDateTime : formatTime)(row.time, zoneSignal.value);
  const toggle = () => {
    // The end of a selection is not a click.
    if (String(getSelection() ?? '') === '') onToggle(row.key);
  };
  return (
    <>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the button inside does the same from the keyboard */}
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the button inside does the same from the keyboard */}
      <div class={`log-row level-${row.level} ${open ? 'open' : ''}`} onClick={toggle}>
        <button
          type="button"
          class="mini chevron"
          data-opens
          aria-expanded={open}
          aria-label={`${open ? 'Close' : 'Open'} the record of ${time}`}
          onClick={(event) => {
            event.stopPropagation();
            onToggle(row.key);
          }}
        >
          <Icon name="chevron" size={14} />
        </button>
        <time class="time">{time}</time>
        <span class="level">{row.level === 'unset' ? '–' : row.level}</span>
        <Label text={row.service} class="service" />
        {columns.map((key) => (
          <Label
            key={key}
            class="extra"
            text={attributeText(row.attributes, key) ?? attributeText(row.resource, key) ?? ''}
          />
        ))}
        <bdi class="body">{printable(clip(row.body ?? row.eventName, wrap ? 4000 : 600))}</bdi>
      </div>
      {open && <LogDetails row={row} columns={columns} {...actions} />}
    </>
  );
}
