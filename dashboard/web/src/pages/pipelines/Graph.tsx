// The running graph: nodes are buttons, so that the keyboard reaches them; the lines between them are decoration whose rates
// the nodes and the table also have.
import { useMemo, useRef } from 'preact/hooks';
import { formatRate } from '../shared/format';
import { useWidth } from '../shared/use-width';
import { roomAround } from './around';
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

const NODE_GAP = 14;
/** As in pipelines.css. */
const PADDING = 16;

interface Widths {
  readonly end: number;
  readonly pipeline: number;
  readonly processor: number;
  readonly gap: number;
}

/** As narrow as can be read, and as wide as it looks well. */
const LEAST: Widths = { end: 134, pipeline: 92, processor: 110, gap: 34 };
const WANTED: Widths = { end: 200, pipeline: 116, processor: 150, gap: 72 };
const GREATEST_GAP = 120;

/** `layers`: receivers and connectors, pipelines, processors, log, exporters. Where even the least is too much, the graph runs downwards. */
const totalWidth = ({ end, pipeline, processor, gap }: Widths, layers: number): number =>
  3 * end + pipeline + Math.max(0, layers - 4) * processor + (layers - 1) * gap;

function widthsFor(available: number, layers: number): Widths {
  const [least, wanted] = [totalWidth(LEAST, layers), totalWidth(WANTED, layers)];
  const share = Math.min(1, Math.max(0, (available - least) / (wanted - least)));
  const between = (name: keyof Widths) => LEAST[name] + share * (WANTED[name] - LEAST[name]);
  const spare = Math.max(0, available - wanted) / Math.max(1, layers - 1);
  return {
    end: between('end'),
    pipeline: between('pipeline'),
    processor: between('processor'),
    gap: Math.min(GREATEST_GAP, between('gap') + spare),
  };
}

const HEIGHTS: Readonly<Record<NodeRef['kind'], number>> = {
  receiver: 76,
  connector: 106,
  pipeline: 52,
  processor: 60,
  log: 88,
  exporter: 84,
};

export function Graph({ snapshot, rates, selected, onSelect }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const whole = useWidth(place, 1000) - 2 * PADDING;
  const graph = useMemo(() => buildGraph(snapshot, rates), [snapshot, rates]);
  const down = whole - roomAround(graph, true) < totalWidth(LEAST, graph.layers);
  const width = whole - roomAround(graph, !down);
  const drawn = useMemo(() => arrange(graph, width, down), [graph, width, down]);
  const strongest = Math.max(1, ...drawn.edges.map(({ rate }) => rate ?? 0));
  return (
    <div ref={place} class={`graph ${down ? 'down' : ''}`}>
      <div class="canvas" style={{ width: `${drawn.width}px`, height: `${drawn.height}px` }}>
        <svg width={drawn.width} height={drawn.height} aria-hidden="true">
          {drawn.edges.map(({ key, path, rate }) => (
            <path key={key} class={rate ? 'edge flowing' : 'edge'} d={path} stroke-width={thickness(rate, strongest)} />
          ))}
          {drawn.edges.map(
            ({ key, head, rate }) => head && <path key={key} class={rate ? 'head flowing' : 'head'} d={head} />,
          )}
        </svg>
        {drawn.edges.map(
          ({ key, rate, middle }) =>
            rate !== null &&
            middle && (
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
    const { end, pipeline, processor, gap } = widthsFor(width, graph.layers);
    const across = { receiver: end, connector: end, pipeline, processor, log: end, exporter: end };
    const size = ({ ref }: GraphNode): Size => ({ width: across[ref.kind], height: HEIGHTS[ref.kind] });
    return layout(graph, { direction: 'right', size, layerGap: gap, nodeGap: NODE_GAP });
  }
  const most = Math.max(
    1,
    ...Array.from({ length: graph.layers }, (_, layer) => graph.nodes.filter((node) => node.layer === layer).length),
  );
  const each = Math.min(200, Math.max(88, (width - (most - 1) * 8) / most));
  const size = ({ ref }: GraphNode): Size => ({
    width:
      ref.kind === 'log'
        ? Math.min(width, 240)
        : ref.kind === 'exporter'
          ? Math.max(each, Math.min(150, width / 2 - 4))
          : each,
    height: HEIGHTS[ref.kind] + (ref.kind === 'log' || ref.kind === 'pipeline' || ref.kind === 'connector' ? 0 : 16),
  });
  return layout(graph, { direction: 'down', size, layerGap: 40, nodeGap: 8, limit: width });
}

/** A line for every flow, thicker by its share of the strongest (on a logarithmic scale). */
function thickness(rate: number | null, strongest: number): number {
  if (!rate) return 1.5;
  return 1.5 + 4 * (Math.log1p(rate) / Math.log1p(strongest));
}
