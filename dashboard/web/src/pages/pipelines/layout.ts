// Where the graph's nodes lie. Layers are columns (`right`) or rows (`down`, for a narrow page). A node wants to lie at the
// middle of its pipelines' lanes; those of one layer are moved apart as little as can be.

import { around } from './around';
import type { Graph, GraphNode } from './graph';

export interface Size {
  width: number;
  height: number;
}

export interface Placed extends Size {
  node: GraphNode;
  x: number;
  y: number;
}

export interface Layout extends Size {
  placed: Map<string, Placed>;
  edges: {
    key: string;
    from: string;
    to: string;
    rate: number | null;
    path: string;
    /** Of the arrow, where the line goes against the graph's way. */
    head: string | null;
    /** Where its rate is written, if there is room for one. */
    middle: { x: number; y: number } | null;
  }[];
}

export interface Options {
  direction: 'right' | 'down';
  size: (node: GraphNode) => Size;
  /** Between layers, and between the nodes of one. */
  layerGap: number;
  nodeGap: number;
  /** Across the layers; what fits into it is moved into it. */
  limit?: number;
}

export function layout(graph: Graph, options: Options): Layout {
  const right = options.direction === 'right';
  const across = (size: Size) => (right ? size.height : size.width);
  const along = (size: Size) => (right ? size.width : size.height);
  const layers = Array.from({ length: graph.layers }, (_, layer) => graph.nodes.filter((node) => node.layer === layer));
  const laneCentres = centresOfLanes(graph, (node) => across(options.size(node)), options.nodeGap);
  const placed = new Map<string, Placed>();
  let offset = 0;
  for (const nodes of layers) {
    if (nodes.length === 0) continue;
    const wanted = nodes.map((node) => ({
      node,
      length: across(options.size(node)),
      centre: mean(node.lanes.map((lane) => laneCentres[lane] ?? 0)),
    }));
    // Of equal wishes, the order of the configuration.
    wanted.sort((a, b) => a.centre - b.centre);
    const starts = within(spread(wanted, options.nodeGap), wanted.at(-1)?.length ?? 0, options.limit);
    wanted.forEach(({ node }, index) => {
      const start = starts[index] ?? 0;
      const size = options.size(node);
      placed.set(node.key, { node, ...size, x: right ? offset : start, y: right ? start : offset });
    });
    offset += Math.max(...nodes.map((node) => along(options.size(node)))) + options.layerGap;
  }
  return finish(graph, placed, options.layerGap, right);
}

/** A lane is as thick as its thickest node; receivers and exporters that are more than the lanes spread beyond them. */
function centresOfLanes(graph: Graph, across: (node: GraphNode) => number, gap: number): number[] {
  const thickness: number[] = [];
  for (const node of graph.nodes) {
    if (node.ref.kind !== 'pipeline' && node.ref.kind !== 'processor') continue;
    for (const lane of node.lanes) thickness[lane] = Math.max(thickness[lane] ?? 0, across(node));
  }
  let at = 0;
  return Array.from(thickness, (thick = 0) => {
    const centre = at + thick / 2;
    at += thick + gap;
    return centre;
  });
}

const mean = (values: number[]): number =>
  values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;

/**
 * Starts of intervals in the given order that do not overlap and whose centres are as near to the wanted ones as can be
 * (least squares): neighbours that would overlap become one block at the mean of its members' wishes.
 */
export function spread(wanted: readonly { length: number; centre: number }[], gap: number): number[] {
  const blocks: { first: number; count: number; wish: number; length: number }[] = [];
  wanted.forEach(({ length, centre }, index) => {
    let block = { first: index, count: 1, wish: centre - length / 2, length: length + gap };
    for (let last = blocks.at(-1); last && last.wish + last.length > block.wish; last = blocks.at(-1)) {
      blocks.pop();
      const count = last.count + block.count;
      const wish = (last.wish * last.count + (block.wish - last.length) * block.count) / count;
      block = { first: last.first, count, wish, length: last.length + block.length };
    }
    blocks.push(block);
  });
  const starts: number[] = [];
  for (const block of blocks) {
    let at = block.wish;
    for (let index = block.first; index < block.first + block.count; index++) {
      starts.push(at);
      at += (wanted[index]?.length ?? 0) + gap;
    }
  }
  return starts;
}

function within(starts: number[], lastLength: number, limit: number | undefined): number[] {
  const first = starts[0];
  if (limit === undefined || first === undefined) return starts;
  const over = (starts.at(-1) ?? 0) + lastLength - limit;
  const move = Math.min(first, Math.max(over, Math.min(0, first)));
  return starts.map((start) => start - move);
}

function finish(graph: Graph, placed: Map<string, Placed>, gap: number, right: boolean): Layout {
  const all = [...placed.values()];
  const left = Math.min(0, ...all.map(({ x }) => x));
  const top = Math.min(0, ...all.map(({ y }) => y));
  for (const place of all) {
    place.x -= left;
    place.y -= top;
  }
  const back = around(graph, placed, right);
  const edges = graph.edges.flatMap((edge) => {
    const [start, end] = [placed.get(edge.from), placed.get(edge.to)];
    const drawn = edge.back ? back.drawn.get(edge) : start && end && curve(start, end, gap, right);
    return drawn ? [{ key: `${edge.from} ${edge.to}`, from: edge.from, to: edge.to, rate: edge.rate, ...drawn }] : [];
  });
  return { placed, edges, width: back.width, height: back.height };
}

/** Along its own lane up to the gap before its end, so that it crosses nobody else's lane on the way, then a bend. */
function curve(
  from: Placed,
  to: Placed,
  gap: number,
  right: boolean,
): { path: string; head: null; middle: { x: number; y: number } } {
  const start = right
    ? { x: from.x + from.width, y: from.y + from.height / 2 }
    : { x: from.x + from.width / 2, y: from.y + from.height };
  const end = right ? { x: to.x, y: to.y + to.height / 2 } : { x: to.x + to.width / 2, y: to.y };
  const bend = right
    ? { x: Math.max(start.x, end.x - gap), y: start.y }
    : { x: start.x, y: Math.max(start.y, end.y - gap) };
  const middle = { x: (bend.x + end.x) / 2, y: (bend.y + end.y) / 2 };
  const pulls = right ? `${middle.x} ${bend.y} ${middle.x} ${end.y}` : `${bend.x} ${middle.y} ${end.x} ${middle.y}`;
  return { path: `M${start.x} ${start.y}L${bend.x} ${bend.y}C${pulls} ${end.x} ${end.y}`, head: null, middle };
}
