// Connectors in the graph: where they and their pipelines stand, and that the way back to them crosses nothing.
import { describe, expect, it } from 'vitest';
import { roomAround } from './around';
import { buildGraph, type Graph, keyOf } from './graph';
import { type Layout, layout, type Placed } from './layout';
import { Rates } from './rates';
import { connected, connector, exporter, receiver } from './snapshot.fixture';

const key = (kind: 'receiver' | 'connector' | 'pipeline' | 'exporter', id: string) => keyOf({ kind, id });
const size = () => ({ width: 100, height: 40 });
const GAP = { layerGap: 50, nodeGap: 10 };

describe('connectors in the graph', () => {
  const graph = buildGraph(connected(), new Rates());
  const edge = (from: string, to: string) => graph.edges.find((one) => one.from === from && one.to === to);

  it('stand at the beginning and are read from the log', () => {
    for (const id of ['count', 'routing', 'span_metrics']) {
      expect(graph.nodes.find((node) => node.key === key('connector', id))?.layer).toBe(0);
      expect(edge('log', key('connector', id))?.back).toBe(true);
    }
    expect(edge(key('connector', 'routing'), key('pipeline', 'logs/a'))).toBeDefined();
    expect(edge(key('connector', 'routing'), key('pipeline', 'logs/b'))).toBeDefined();
    expect(edge(key('connector', 'span_metrics'), key('pipeline', 'metrics'))).toBeDefined();
    expect(edge(key('receiver', 'otlp'), key('pipeline', 'metrics'))).toBeDefined();
    expect(graph.edges.filter(({ back }) => back)).toHaveLength(3);
    expect(graph.edges).toHaveLength(3 + 3 + 4 + 1 + 6 + 1 + 2);
  });

  it('have the lanes that only they begin come last, in the order of the flow', () => {
    const heads = graph.nodes.filter(({ ref }) => ref.kind === 'pipeline');
    expect(heads.map(({ ref, lanes }) => [ref.kind === 'pipeline' && ref.id, ...lanes])).toEqual([
      ['traces', 0],
      ['logs', 1],
      ['metrics', 2],
      ['logs/a', 3],
      ['logs/b', 4],
      ['metrics/counted', 5],
    ]);
  });

  it('draws what nothing begins, too', () => {
    const round = connected({ connectors: [connector('count', ['logs/b'], ['metrics/counted'])] });
    expect(buildGraph(round, new Rates()).nodes.filter(({ ref }) => ref.kind === 'pipeline')).toHaveLength(6);
  });

  it('have the rates that their counters tell', () => {
    const at = (now: number, items: number) => {
      const moved = { incoming_items: 10 * items, outgoing_items: items };
      return connected({
        now_unix_ms: now,
        connectors: [
          connector('routing', ['logs'], ['logs/a', 'logs/b'], moved),
          connector('span_metrics', ['traces'], ['metrics'], moved),
        ],
      });
    };
    const after = at(10_000, 100);
    const { edges } = buildGraph(after, new Rates().with(at(0, 0)).with(after));
    const rate = (from: string, to: string) => edges.find((one) => one.from === from && one.to === to)?.rate;
    expect(rate('log', key('connector', 'span_metrics'))).toBe(100);
    expect(rate(key('connector', 'span_metrics'), key('pipeline', 'metrics'))).toBe(10);
    // Which of the two got how much is not counted.
    expect(rate(key('connector', 'routing'), key('pipeline', 'logs/a'))).toBeNull();
  });
});

interface Point {
  x: number;
  y: number;
}

/** The path's corners, as if they were not round. */
function corners(path: string): Point[] {
  return [...path.matchAll(/([MLQ])([-\d.]+) ([-\d.]+)/g)].map(([, , x, y]) => ({ x: Number(x), y: Number(y) }));
}

const sides = (points: Point[]): [Point, Point][] => points.slice(1).map((point, i) => [points[i] ?? point, point]);

/** Sides are upright or level: they meet where their boxes do. */
function meet([a, b]: [Point, Point], [c, d]: [Point, Point]): boolean {
  const over = (p: number, q: number, r: number, s: number) =>
    Math.max(Math.min(p, q), Math.min(r, s)) <= Math.min(Math.max(p, q), Math.max(r, s));
  return over(a.x, b.x, c.x, d.x) && over(a.y, b.y, c.y, d.y);
}

const box = ({ x, y, width, height }: Placed): [Point, Point] => [
  { x: x + 1, y: y + 1 },
  { x: x + width - 1, y: y + height - 1 },
];

function assertClear(graph: Graph, { placed, edges, width, height }: Layout): void {
  const back = new Set(graph.edges.filter((edge) => edge.back).map(({ from, to }) => `${from} ${to}`));
  const ways = edges.filter(({ key }) => back.has(key)).map((edge) => ({ ...edge, sides: sides(corners(edge.path)) }));
  expect(ways).toHaveLength(back.size);
  for (const way of ways) {
    for (const { x, y } of corners(way.path)) {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(x).toBeLessThanOrEqual(width);
      expect(y).toBeLessThanOrEqual(height);
    }
    for (const one of placed.values()) {
      const crossed = way.sides.some((side) => meet(side, box(one)));
      expect(crossed, `${way.key} through ${one.node.key}`).toBe(false);
    }
    for (const other of ways) {
      if (other === way) continue;
      const crossed = way.sides.some((side) => other.sides.some((one) => meet(side, one)));
      expect(crossed, `${way.key} and ${other.key}`).toBe(false);
    }
  }
}

describe('the way back', () => {
  const many = connected({
    receivers: Array.from({ length: 6 }, (_, i) => receiver(i === 0 ? 'otlp' : `${i}`, ['traces'])),
    exporters: Array.from({ length: 9 }, (_, i) => exporter(`${i}`, ['logs'])),
  });
  const one = connected({ connectors: [connector('routing', ['logs'], ['logs/a', 'logs/b'])] });
  for (const direction of ['right', 'down'] as const) {
    for (const [name, given] of Object.entries({ one, three: connected(), many })) {
      it(`crosses no node and no other, running ${direction} (${name})`, () => {
        const graph = buildGraph(given, new Rates());
        assertClear(graph, layout(graph, { direction, size, ...GAP }));
      });
    }

    it(`takes the room that was left for it, running ${direction}`, () => {
      const graph = buildGraph(connected(), new Rates());
      const without = { ...graph, edges: graph.edges.filter(({ back }) => !back) };
      const [wide, narrow] = [graph, without].map((one) => layout(one, { direction, size, ...GAP }).width);
      expect((wide ?? 0) - (narrow ?? 0)).toBe(roomAround(graph, direction === 'right'));
      expect(roomAround(without, direction === 'right')).toBe(0);
    });
  }
});
