// One row of the waterfall.
import { formatDuration } from '../shared/format';
import { Icon } from '../shared/icons';
import { Label } from '../shared/Label';
import { NO_SERVICE } from './colors';
import { isError, type Span } from './span';
import { place, type Window } from './time-scale';
import { at, type Node } from './tree';
import type { DragZoom } from './use-drag-zoom';
import { ROW_HEIGHT, type WaterfallProps } from './Waterfall';

const INDENT = 14;
/** Deeper spans are not indented further: a chain of a thousand would leave no room for the names. */
const DEEPEST = 12;

interface Props extends WaterfallProps {
  readonly index: number;
  readonly row: number;
  readonly node: Node;
  readonly drag: DragZoom;
  /** What a duration takes beside its bar, as a share of the width. */
  readonly room: number;
}

export function SpanRow(props: Props) {
  const { index, row, node, closed, active, selected, found } = props;
  const { span, children, depth } = node;
  const open = children.length > 0 ? !closed.has(index) : undefined;
  const name = span.name || '(no name)';
  const service = span.service ?? NO_SERVICE;
  const dim = found !== null && !found.has(index);
  const toggle = () => {
    const next = new Set(closed);
    if (!next.delete(index)) next.add(index);
    props.onClosed(next);
  };
  const classes = ['span-row', active === index && 'active', selected === index && 'selected', dim && 'dim'];
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the treegrid around it has the keys
    <div
      id={`span-${index}`}
      role="row"
      tabIndex={-1}
      class={classes.filter(Boolean).join(' ')}
      style={{ height: `${ROW_HEIGHT}px`, '--service': props.colors.get(service) }}
      aria-level={depth + 1}
      aria-expanded={open}
      aria-selected={selected === index}
      aria-rowindex={row + 1}
      aria-posinset={siblingPlace(props)}
      aria-setsize={siblings(props).length || undefined}
      onClick={(event) => {
        // The keys are the treegrid's: a row may leave the page while one scrolls.
        event.currentTarget.closest<HTMLElement>('[role=treegrid]')?.focus({ preventScroll: true });
        props.onActive(index);
        props.onSelect(selected === index ? null : index);
      }}
    >
      <div
        role="gridcell"
        tabIndex={-1}
        class="name"
        style={{ paddingInlineStart: `${6 + Math.min(depth, DEEPEST) * INDENT}px` }}
      >
        {children.length > 0 ? (
          <button
            type="button"
            class="mini chevron"
            tabIndex={-1}
            aria-label={open ? 'Close' : 'Open'}
            title={open ? 'Close what is below' : `Open ${node.descendants} spans`}
            onClick={(event) => {
              event.stopPropagation();
              toggle();
            }}
          >
            <Icon name="chevron" size={12} />
          </button>
        ) : (
          <span class="no-chevron" />
        )}
        {isError(span) && (
          <span class="error-mark">
            <Icon name="error" size={14} />
            <span class="visually-hidden">error</span>
          </span>
        )}
        {(node.orphan || node.circular || node.early > 0) && (
          <span class="warning-mark" title={oddity(node)}>
            <Icon name="warning" size={14} />
            <span class="visually-hidden">{oddity(node)}</span>
          </span>
        )}
        <Label text={service} class="service" />
        <Label text={name} class="operation" />
        {!open && node.descendants > 0 && <span class="count">+{node.descendants}</span>}
      </div>
      <div role="gridcell" tabIndex={-1} class="timeline" {...props.drag.handlers}>
        <Bar span={span} window={props.window} room={props.room} critical={props.critical.get(index) ?? []} />
      </div>
    </div>
  );
}

function siblings({ tree, node }: Props): readonly number[] {
  return node.parent >= 0 ? at(tree.nodes, node.parent).children : [];
}

function siblingPlace(props: Props): number | undefined {
  const place = siblings(props).indexOf(props.index);
  return place < 0 ? undefined : place + 1;
}

export function oddity(node: Node): string {
  if (node.orphan) return 'Its parent span is missing';
  if (node.circular) return 'Its parent spans lead back to itself';
  return `Starts ${formatDuration(node.early)} before its parent: the clocks differ`;
}

function Bar(props: {
  readonly span: Span;
  readonly window: Window;
  readonly room: number;
  readonly critical: readonly (readonly [number, number])[];
}) {
  const { span, window, room } = props;
  const bar = place(span.start, span.end, window);
  const duration = formatDuration(span.end - span.start);
  const percent = (share: number) => `${share * 100}%`;
  if (!bar) {
    return <span class={`out ${span.end < window.from ? 'before' : 'after'}`}>{duration}</span>;
  }
  const right = bar.left + bar.width;
  const label =
    right + room < 1
      ? { insetInlineStart: `calc(${percent(right)} + 6px)` }
      : bar.left > room
        ? { insetInlineEnd: `calc(${percent(1 - bar.left)} + 6px)` }
        : { insetInlineStart: `calc(${percent(bar.left)} + 8px)` };
  const inside = right + room >= 1 && bar.left <= room;
  return (
    <>
      <span
        class={`bar ${isError(span) ? 'error' : ''}`}
        style={{ left: percent(bar.left), width: percent(bar.width) }}
      />
      {props.critical.map(([from, to]) => {
        const part = place(from, to, window);
        return (
          part && <span key={from} class="critical" style={{ left: percent(part.left), width: percent(part.width) }} />
        );
      })}
      {span.events.slice(0, 50).map((event, index) => {
        const point = place(event.time, event.time, window);
        return (
          point && (
            <span key={index} class="event" title={event.name.slice(0, 200)} style={{ left: percent(point.left) }} />
          )
        );
      })}
      <span class={`duration ${inside ? 'inside' : ''}`} style={label}>
        {duration}
      </span>
    </>
  );
}
