// The ways back from the log to the connectors at the beginning: around everything else, one within the other, so that they
// cross neither a node nor one another. Running to the right they go below the graph and come in from the left; running
// downwards they go along its right side and come in from above.

import type { Graph, GraphEdge } from './graph';
import type { Placed, Size } from './layout';

/** Between neighbours, and between the innermost and the nodes: where an arrow's head has its place. */
const TRACK = 10;
const HEAD = 12;
/** With room for a rate between them. */
const RATED_TRACK = 24;
const CORNER = 8;
/** Of an arrow's head. */
const LENGTH = 8;
const HALF = 5;

interface Point {
  x: number;
  y: number;
}

interface Around extends Size {
  drawn: Map<GraphEdge, { path: string; head: string; middle: Point | null }>;
}

/** What the ways back take of the graph's width. */
export function roomAround(graph: Graph, right: boolean): number {
  const count = graph.edges.filter(({ back }) => back).length;
  if (count === 0) return 0;
  return right ? HEAD + count * TRACK : count * TRACK + HALF;
}

/** Moves what is placed so that the ways have room before it. */
export function around(graph: Graph, placed: ReadonlyMap<string, Placed>, right: boolean): Around {
  const all = [...placed.values()];
  const ways = graph.edges.flatMap((edge) => {
    const [start, end] = [placed.get(edge.from), placed.get(edge.to)];
    return edge.back && start && end ? [{ edge, start, end }] : [];
  });
  // The one that ends nearest to the tracks is the innermost.
  ways.sort((a, b) => (right ? b.end.y - a.end.y : b.end.x - a.end.x));
  const before = ways.length === 0 ? 0 : HEAD + ways.length * TRACK;
  for (const place of all) place[right ? 'x' : 'y'] += before;
  const size = {
    width: Math.max(0, ...all.map(({ x, width }) => x + width)),
    height: Math.max(0, ...all.map(({ y, height }) => y + height)),
  };
  const drawn: Around['drawn'] = new Map();
  ways.forEach(({ edge, start, end }, index) => {
    const aside = (index - (ways.length - 1) / 2) * TRACK;
    const first = before - HEAD - (index + 1) * TRACK + TRACK / 2;
    if (right) {
      const from = { x: start.x + start.width / 2 + aside, y: start.y + start.height };
      const to = { x: end.x, y: end.y + end.height / 2 };
      const y = size.height + (index + 1) * RATED_TRACK;
      const tail = { x: to.x - LENGTH, y: to.y };
      const path = rounded([from, { x: from.x, y }, { x: first, y }, { x: first, y: to.y }, tail]);
      drawn.set(edge, { path, head: head(to, right), middle: { x: (from.x + first) / 2, y } });
    } else {
      const from = { x: start.x + start.width, y: start.y + start.height / 2 + aside };
      const to = { x: end.x + end.width / 2, y: end.y };
      const x = size.width + (index + 1) * TRACK;
      const tail = { x: to.x, y: to.y - LENGTH };
      const path = rounded([from, { x, y: from.y }, { x, y: first }, { x: to.x, y: first }, tail]);
      drawn.set(edge, { path, head: head(to, right), middle: null });
    }
  });
  if (ways.length > 0) size[right ? 'height' : 'width'] += ways.length * (right ? RATED_TRACK : TRACK) + HALF;
  return { ...size, drawn };
}

/** Straight lines between the points, with round corners. */
function rounded(points: readonly Point[]): string {
  return points
    .map((point, index) => {
      const [before, after] = [points[index - 1], points[index + 1]];
      if (!before) return `M${point.x} ${point.y}`;
      if (!after) return `L${point.x} ${point.y}`;
      const [near, far] = [towards(point, before), towards(point, after)];
      return `L${near.x} ${near.y}Q${point.x} ${point.y} ${far.x} ${far.y}`;
    })
    .join('');
}

function towards(from: Point, to: Point): Point {
  const [x, y] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(x, y);
  const share = length > 0 ? Math.min(CORNER, length / 2) / length : 0;
  return { x: from.x + x * share, y: from.y + y * share };
}

/** All other lines run the graph's way; this one says where it goes. */
function head({ x, y }: Point, right: boolean): string {
  const [one, other] = right
    ? [`${x - LENGTH} ${y - HALF}`, `${x - LENGTH} ${y + HALF}`]
    : [`${x - HALF} ${y - LENGTH}`, `${x + HALF} ${y - LENGTH}`];
  return `M${one}L${x} ${y}L${other}Z`;
}
