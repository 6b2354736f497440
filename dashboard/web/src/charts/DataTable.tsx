// A result as a table: sorted by a click on a head, with as many rows in the document as fit the screen.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { textOf, type Value } from '../live/cells';
import type { Frame } from '../live/frame';
import { formatTime } from '../time/format';
import { zoneSignal } from '../time/zone';
import { Link } from '../ui/Link';
import { significant, unitFormat } from './format';

export interface CellLink {
  readonly column: string;
  /** An address of this app, with columns put in: `/traces/{trace_id}`. */
  readonly to: string;
}

export interface ColumnStyle {
  readonly unit?: string;
  readonly percent?: boolean;
}

export interface DataTableProps {
  readonly frame: Frame;
  /** Says what the table is, to screen readers. */
  readonly caption?: string;
  /** Of the number columns that are called `value` or are the only one. */
  readonly unit?: string | undefined;
  readonly percent?: boolean | undefined;
  /** Of columns by their name. */
  readonly columns?: ReadonlyMap<string, ColumnStyle> | undefined;
  readonly links?: readonly CellLink[] | undefined;
  /** Newest first, for results in order of time. */
  readonly newestFirst?: boolean;
  /** A cell was chosen, by a click or with the arrow keys: its column, and its row in the frame. */
  readonly onCell?: ((column: number, row: number) => void) | undefined;
}

const ROW = 26;
/** Rows kept ready above and below what is seen. */
const MARGIN = 12;
const MOST_CELL = 2_000;

export interface Sort {
  readonly column: number;
  readonly descending: boolean;
}

/** The order in which rows are shown. NULL is last, whichever way. */
export function rowOrder(frame: Frame, sort: Sort | null, newestFirst: boolean): Uint32Array {
  const order = Uint32Array.from({ length: frame.length }, (_, row) =>
    newestFirst && !sort ? frame.length - 1 - row : row,
  );
  if (!sort) return order;
  const { column, descending } = sort;
  const sign = descending ? -1 : 1;
  const numbers = frame.numbers(column);
  if (numbers) {
    return order.sort((a, b) => {
      const x = numbers[a] as number;
      const y = numbers[b] as number;
      if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y)) || a - b;
      return sign * (x - y) || a - b;
    });
  }
  const digits = frame.columns[column]?.type === 'int64';
  const texts = Array.from({ length: frame.length }, (_, row) => {
    const value = frame.get(column, row);
    return value === null ? null : textOf(value);
  });
  return order.sort((a, b) => {
    const x = texts[a] ?? null;
    const y = texts[b] ?? null;
    if (x === null || y === null) return Number(x === null) - Number(y === null) || a - b;
    if (digits && x !== y) return sign * (BigInt(x) < BigInt(y) ? -1 : 1);
    return sign * (x < y ? -1 : x > y ? 1 : 0) || a - b;
  });
}

export function linkOf(frame: Frame, row: number, to: string): string {
  return to.replace(/\{([^{}]+)\}/g, (_, name: string) => {
    const column = frame.indexOf(name);
    return column < 0 ? '' : encodeURIComponent(textOf(frame.get(column, row)));
  });
}

export function DataTable(props: DataTableProps) {
  const { frame, caption, unit, percent = false, columns, links = [], newestFirst = false, onCell } = props;
  const [sort, setSort] = useState<Sort | null>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  const scroller = useRef<HTMLDivElement>(null);
  const order = useMemo(() => rowOrder(frame, sort, newestFirst), [frame, sort, newestFirst]);
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(top / ROW) - MARGIN);
  const last = Math.min(order.length, Math.ceil((top + height) / ROW) + MARGIN);
  const format = useMemo(
    () => formatters(frame, { unit, percent, columns }, zoneSignal.value),
    [frame, unit, percent, columns, zoneSignal.value],
  );
  const [chosen, setChosen] = useState<CellPlace | null>(null);
  const choose = (place: CellPlace) => {
    const row = order[place.at];
    if (!onCell || row === undefined) return;
    setChosen(place);
    onCell(place.column, row);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (!onCell || event.target !== scroller.current) return;
    const next = moved(event.key, chosen, order.length, frame.columns.length);
    if (!next) return;
    event.preventDefault();
    choose(next);
    reveal(scroller.current, next.at);
  };
  const onSort = (column: number) =>
    setSort(
      sort?.column !== column ? { column, descending: true } : sort.descending ? { column, descending: false } : null,
    );
  return (
    <div
      class="data-table"
      ref={scroller}
      tabIndex={0}
      role="group"
      aria-label={caption ? `${caption}, table` : 'Table'}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      onKeyDown={onKeyDown}
    >
      <table aria-rowcount={order.length + 1}>
        {caption && <caption class="visually-hidden">{caption}</caption>}
        <thead>
          <tr aria-rowindex={1}>
            {frame.columns.map(({ name, type }, column) => (
              <th
                key={column}
                scope="col"
                class={isRight(type) ? 'right' : ''}
                aria-sort={sort?.column === column ? (sort.descending ? 'descending' : 'ascending') : 'none'}
              >
                <button type="button" onClick={() => onSort(column)}>
                  <bdi>{name}</bdi>
                  <span class="sort" aria-hidden="true">
                    {sort?.column === column ? (sort.descending ? '↓' : '↑') : ''}
                  </span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <Spacer rows={first} columns={frame.columns.length} />}
          {Array.from(order.subarray(first, last), (row, i) => (
            <tr key={row} aria-rowindex={first + i + 2}>
              {frame.columns.map(({ name, type }, column) => (
                <Cell
                  key={column}
                  value={frame.get(column, row)}
                  format={format[column] as Formatter}
                  right={isRight(type)}
                  link={links.find((link) => link.column === name)}
                  frame={frame}
                  row={row}
                  chosen={onCell !== undefined && chosen?.at === first + i && chosen.column === column}
                  onChoose={onCell && (() => choose({ at: first + i, column }))}
                />
              ))}
            </tr>
          ))}
          {last < order.length && <Spacer rows={order.length - last} columns={frame.columns.length} />}
        </tbody>
      </table>
      {frame.truncated && <p class="legend-note">There are more rows than are shown.</p>}
    </div>
  );
}

interface CellPlace {
  /** Position in the order shown. */
  readonly at: number;
  readonly column: number;
}

function moved(key: string, from: CellPlace | null, rows: number, columns: number): CellPlace | null {
  const step = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[key];
  if (!step || rows === 0 || columns === 0) return null;
  if (!from) return { at: 0, column: 0 };
  const within = (value: number, count: number) => Math.min(count - 1, Math.max(0, value));
  return {
    at: within(from.at + (step[0] as number), rows),
    column: within(from.column + (step[1] as number), columns),
  };
}

/** The head lies over the first row's place. */
function reveal(scroller: HTMLElement | null, at: number): void {
  if (!scroller) return;
  const top = at * ROW;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top + 2 * ROW > scroller.scrollTop + scroller.clientHeight)
    scroller.scrollTop = top + 2 * ROW - scroller.clientHeight;
}

function Spacer({ rows, columns }: { readonly rows: number; readonly columns: number }) {
  return (
    <tr aria-hidden="true">
      <td class="spacer" colSpan={columns} style={{ height: `${rows * ROW}px` }} />
    </tr>
  );
}

type Formatter = (value: Value) => string;
const isRight = (type: string) => type === 'number' || type === 'int64';

function formatters(
  frame: Frame,
  { unit, percent = false, columns }: Pick<DataTableProps, 'unit' | 'percent' | 'columns'>,
  zone: string,
): Formatter[] {
  const numbers = frame.columns.filter(({ type }) => type === 'number').length;
  return frame.columns.map(({ name, type }) => {
    if (type === 'time')
      return (value) => (typeof value === 'number' ? formatTime(value, zone, value % 1000 !== 0) : '');
    if (type !== 'number') return textOf;
    const own = columns?.get(name);
    const has = (unit !== undefined || percent) && (name === 'value' || numbers === 1);
    const format = own ? unitFormat(own.unit, own.percent) : has ? unitFormat(unit, percent) : plainNumber;
    return (value) => (typeof value === 'number' ? format(value) : textOf(value));
  });
}

/** Whole numbers as they are; others with as many digits as tell something. */
export function plainNumber(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1000
    ? value.toFixed(1)
    : Math.abs(value) >= 1e-4
      ? String(Number(value.toPrecision(5)))
      : significant(value);
}

interface CellProps {
  readonly value: Value;
  readonly format: Formatter;
  readonly right: boolean;
  readonly link: CellLink | undefined;
  readonly frame: Frame;
  readonly row: number;
  readonly chosen: boolean;
  readonly onChoose: (() => void) | undefined;
}

function Cell({ value, format, right, link, frame, row, chosen, onChoose }: CellProps) {
  const classes = [right && 'right', value === null && 'null', chosen && 'chosen'].filter(Boolean).join(' ');
  if (value === null) {
    return (
      // biome-ignore lint/a11y/useKeyWithClickEvents: the table around it has the arrow keys
      <td class={classes} onClick={onChoose}>
        null
      </td>
    );
  }
  const whole = format(value);
  // Of a cell of many kilobytes the page shows the beginning; it is in the download as it is.
  const text = whole.length > MOST_CELL ? `${whole.slice(0, MOST_CELL)}…` : whole;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the table around it has the arrow keys
    <td class={classes} onClick={onChoose} title={text.length > 24 ? text : undefined}>
      {link ? (
        <Link href={linkOf(frame, row, link.to)}>
          <bdi>{text}</bdi>
        </Link>
      ) : (
        <bdi>{text}</bdi>
      )}
    </td>
  );
}
