// The running graph: nodes are buttons, so that the keyboard reaches them; the lines between them are decoration whose rates
// the nodes and the table also have.
import { useMemo, useRef } from 'preact/hooks';
import { formatRate } from '../shared/format';
import { useWidth } from '../shared/use-width';
import { GraphNodeView } from './GraphNodeView';
import { buildGraph, type GraphNode, type NodeRef } from './graph';
import { layout, type Size } from './layout';
import type { Rates } from './rates';
import type { Snapshot } from './snapshot';

interface Props {
  readonly snapshot: Snapshot;
  readonly rates: Rates;
  readonly selected: string | null;
  readonly onSelect: (node: GraphNode) => void;
}

/** Below this the graph runs downwards. */
const NARROW = 720;
const NODE_GAP = 14;
/** As in pipelines.css. */
const PADDING = 16;

function sizes(kind: NodeRef['kind'], width: number): Size {
  if (kind === 'pipeline') return { width: Math.min(width, 120), height: 56 };
  if (kind === 'processor') return { width: Math.min(width, 140), height: 56 };
  return { width, height: kind === 'log' ? 96 : kind === 'exporter' ? 84 : 70 };
}

export function Graph({ snapshot, rates, selected, onSelect }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const width = useWidth(place, 1000) - 2 * PADDING;
  const graph = useMemo(() => buildGraph(snapshot, rates), [snapshot, rates]);
  const down = width < NARROW;
  const drawn = useMemo(() => arrange(graph, width, down), [graph, width, down]);
  const strongest = Math.max(1, ...drawn.edges.map(({ rate }) => rate ?? 0));
  return (
    <div ref={place} class={`graph ${down ? 'down' : ''}`}>
      <div class="canvas" style={{ width: `${drawn.width}px`, height: `${drawn.height}px` }}>
        <svg width={drawn.width} height={drawn.height} aria-hidden="true">
          {drawn.edges.map(({ key, path, rate }) => (
            <path key={key} class={rate ? 'edge flowing' : 'edge'} d={path} stroke-width={thickness(rate, strongest)} />
          ))}
        </svg>
        {drawn.edges.map(
          ({ key, rate, middle }) =>
            rate !== null && (
              <span key={key} class="rate" aria-hidden="true" style={{ left: `${middle.x}px`, top: `${middle.y}px` }}>
                {formatRate(rate)}
              </span>
            ),
        )}
        {[...drawn.placed.values()].map(({ node, x, y, width, height }) => (
          <div
            key={node.key}
            class="spot"
            style={{ left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` }}
          >
            <GraphNodeView
              node={node}
              snapshot={snapshot}
              rates={rates}
              selected={selected === node.key}
              onSelect={() => onSelect(node)}
            />
          </div>
        ))}
      </div>
    </div>
  );
}

function arrange(graph: ReturnType<typeof buildGraph>, width: number, down: boolean) {
  if (!down) {
    const gaps = graph.layers - 1;
    const middle = Math.max(0, graph.layers - 4) * 140 + 120;
    const wide = Math.min(220, Math.max(150, (width - middle - gaps * 60) / 3));
    const gap = Math.min(110, Math.max(44, (width - middle - 3 * wide) / gaps));
    return layout(graph, {
      direction: 'right',
      size: ({ ref }) => sizes(ref.kind, wide),
      layerGap: gap,
      nodeGap: NODE_GAP,
    });
  }
  const most = Math.max(
    1,
    ...Array.from({ length: graph.layers }, (_, layer) => graph.nodes.filter((node) => node.layer === layer).length),
  );
  const each = Math.max(88, (width - (most - 1) * 8) / most);
  const size = ({ ref }: GraphNode) => ({
    width: ref.kind === 'log' ? Math.min(width, 280) : Math.min(each, 200),
    height: sizes(ref.kind, each).height + (ref.kind === 'exporter' ? 16 : 0),
  });
  return layout(graph, { direction: 'down', size, layerGap: 40, nodeGap: 8, limit: width });
}

/** A line for every flow, thicker by its share of the strongest (on a logarithmic scale). */
function thickness(rate: number | null, strongest: number): number {
  if (!rate) return 1.5;
  return 1.5 + 4 * (Math.log1p(rate) / Math.log1p(strongest));
}
