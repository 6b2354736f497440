// A trace's spans as a tree beside their bars. A treegrid: arrows move and open, + and - enlarge, Enter shows the span.
import type { RefObject } from 'preact';
import { useCallback, useEffect, useMemo, useRef } from 'preact/hooks';
import { formatDuration } from '../shared/format';
import { useFillHeight } from '../shared/use-fill-height';
import { useWidth } from '../shared/use-width';
import { Spaced, useVirtualRows } from '../shared/VirtualList';
import type { Section } from './critical';
import { SpanRow } from './SpanRow';
import { ticks, type Window } from './time-scale';
import { at, type Tree } from './tree';
import { treeKey } from './tree-keys';
import { type DragZoom, useDragZoom } from './use-drag-zoom';

export interface WaterfallProps {
  readonly tree: Tree;
  readonly visible: readonly number[];
  readonly closed: ReadonlySet<number>;
  readonly onClosed: (closed: Set<number>) => void;
  readonly active: number;
  readonly onActive: (index: number) => void;
  readonly selected: number | null;
  readonly onSelect: (index: number | null) => void;
  readonly window: Window;
  readonly onWindow: (window: Window) => void;
  readonly whole: Window;
  readonly critical: ReadonlyMap<number, readonly Section[]>;
  readonly colors: ReadonlyMap<string, string>;
  /** Spans that the search found; null without a search. */
  readonly found: ReadonlySet<number> | null;
}

export const ROW_HEIGHT = 28;
/** Pixels that the longest duration takes beside its bar. */
const LABEL_WIDTH = 72;

export function Waterfall(props: WaterfallProps) {
  const { tree, visible, active, window, whole } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const height = useFillHeight(scroller, 260);
  const position = useMemo(() => new Map(visible.map((index, row) => [index, row])), [visible]);
  const keyOf = useCallback((row: number) => String(visible[row]), [visible]);
  const rows = useVirtualRows({ count: visible.length, keyOf, estimate: ROW_HEIGHT, scroller, overscan: 12 });
  const reveal = useRef(rows.reveal);
  reveal.current = rows.reveal;
  useEffect(() => {
    const row = position.get(active);
    if (row !== undefined) reveal.current(row);
  }, [active, position]);
  const drag = useDragZoom(window, whole, props.onWindow);
  const axis = useRef<HTMLDivElement>(null);
  const width = useWidth(axis, 600);
  const onKeyDown = (event: KeyboardEvent) => {
    const done = treeKey(event, props, Math.max(1, Math.floor(height / ROW_HEIGHT) - 2));
    if (done) event.preventDefault();
  };
  return (
    <div
      class="waterfall"
      role="treegrid"
      aria-label="Spans"
      aria-rowcount={visible.length}
      aria-colcount={2}
      aria-activedescendant={position.has(active) ? `span-${active}` : undefined}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <Axis window={window} drag={drag} place={axis} width={width} />
      <div
        ref={scroller}
        class="scroll-box rows"
        style={{ height: `${Math.min(height, visible.length * ROW_HEIGHT + 1)}px` }}
      >
        <Spaced rows={rows}>
          {visible.slice(rows.first, rows.end).map((index, offset) => (
            <SpanRow
              key={index}
              {...props}
              index={index}
              row={rows.first + offset}
              node={at(tree.nodes, index)}
              drag={drag}
              room={LABEL_WIDTH / width}
            />
          ))}
        </Spaced>
      </div>
    </div>
  );
}

interface AxisProps {
  readonly window: Window;
  readonly drag: DragZoom;
  readonly place: RefObject<HTMLDivElement | null>;
  readonly width: number;
}

function Axis({ window, drag, place, width }: AxisProps) {
  const length = window.to - window.from;
  return (
    <div class="axis" aria-hidden="true">
      <span class="name">Span</span>
      <div ref={place} class="timeline" {...drag.handlers}>
        {ticks(window, Math.max(2, Math.min(8, Math.floor(width / 90)))).map((tick) => {
          const share = (tick - window.from) / length;
          return (
            <span key={tick} class={share > 0.9 ? 'tick last' : 'tick'} style={{ left: `${share * 100}%` }}>
              {tick === 0 ? '0' : formatDuration(tick)}
            </span>
          );
        })}
        {drag.band && (
          <div class="band" style={{ left: `${drag.band.left * 100}%`, width: `${drag.band.width * 100}%` }} />
        )}
      </div>
    </div>
  );
}
