import { describe, expect, it } from 'vitest';
import { buildGraph, keyOf } from './graph';
import { exporterHealth, logHealth, receiverHealth, stageHealth } from './health';
import { layout, spread } from './layout';
import { exporter as exporterCounter, Rates, receiver as receiverCounter, stage as stageCounter } from './rates';
import { connector, exporter, receiver, snapshot, stage } from './snapshot.fixture';

const rated = (...snapshots: ReturnType<typeof snapshot>[]) =>
  snapshots.reduce((rates, one) => rates.with(one), new Rates());
const size = () => ({ width: 100, height: 40 });
const place = (given = snapshot(), direction: 'right' | 'down' = 'right') =>
  layout(buildGraph(given, rated(given)), { direction, size, layerGap: 50, nodeGap: 10 });

describe('the graph', () => {
  it('goes from receivers through pipelines and processors to the log and the exporters', () => {
    const { nodes, edges, layers } = buildGraph(snapshot(), new Rates());
    expect(layers).toBe(6);
    expect(nodes.map(({ ref, layer }) => [ref.kind, layer])).toEqual([
      ['receiver', 0],
      ['receiver', 0],
      ['pipeline', 1],
      ['processor', 2],
      ['processor', 3],
      ['pipeline', 1],
      ['pipeline', 1],
      ['processor', 2],
      ['log', 4],
      ['exporter', 5],
      ['exporter', 5],
    ]);
    expect(edges).toHaveLength(4 + 3 + 3 + 2);
    expect(new Set(nodes.map(({ key }) => key)).size).toBe(nodes.length);
  });

  it('keeps apart ids that join to the same text', () => {
    expect(keyOf({ kind: 'processor', pipeline: 'a b', id: 'c' })).not.toBe(
      keyOf({ kind: 'processor', pipeline: 'a', id: 'b c' }),
    );
  });

  it('has the rates that the counters tell, and no others', () => {
    const host = (items: number) => receiver('host', ['metrics'], { accepted_items: items });
    const otlp = receiver('otlp', ['metrics', 'logs', 'traces'], { accepted_items: 900 });
    const before = snapshot({ receivers: [otlp, host(0)] });
    const after = snapshot({ receivers: [otlp, host(500)], now_unix_ms: 20_000 });
    const { edges } = buildGraph(after, rated(before, after));
    const into = edges.filter((edge) => edge.to === keyOf({ kind: 'pipeline', id: 'metrics' }));
    expect(into.map((edge) => edge.rate)).toEqual([null, 50]);
  });
});

describe('rates', () => {
  const accepted = receiverCounter('otlp', 'accepted_items');
  const moment = (now: number, items: number, started = 1000) =>
    snapshot({
      now_unix_ms: now,
      started_unix_ms: started,
      receivers: [receiver('otlp', [], { accepted_items: items })],
    });

  it('are made over the window', () => {
    expect(rated(moment(0, 0)).perSecond(accepted)).toBeNull();
    expect(rated(moment(0, 0), moment(1000, 0), moment(10_000, 100)).perSecond(accepted)).toBe(10);
    expect(rated(moment(0, 0), moment(40_000, 100), moment(50_000, 150)).perSecond(accepted)).toBe(5);
  });

  it('forget what was before a restart, and know no negative rate', () => {
    expect(rated(moment(0, 500), moment(5000, 10, 4000)).perSecond(accepted)).toBeNull();
    expect(rated(moment(0, 500), moment(5000, 10)).perSecond(accepted)).toBeNull();
  });

  it('are of all reasons, and keep a connector apart from a processor of the same name', () => {
    const at = (now: number, filtered: number, duplicate: number) =>
      snapshot({
        now_unix_ms: now,
        processors: [stage('one', 'filter', { pipeline: 'p', taken_out_items: { filtered } })],
        connectors: [connector('one', [], [], { taken_out_items: { filtered, duplicate } })],
      });
    const rates = rated(at(0, 0, 0), at(1000, 10, 5));
    expect(rates.perSecond(stageCounter({ id: 'one', pipeline: 'p' }, 'taken_out_items'))).toBe(10);
    expect(rates.perSecond(stageCounter({ id: 'one', pipeline: '' }, 'taken_out_items'))).toBe(15);
  });

  it('do without components that are not there', () => {
    expect(rated(moment(0, 0), moment(1000, 0)).perSecond(exporterCounter('gone', 'lost_items'))).toBeNull();
  });
});

describe('the layout', () => {
  for (const direction of ['right', 'down'] as const) {
    it(`puts layers one after the other and nodes beside each other, running ${direction}`, () => {
      const { placed, width, height } = place(snapshot(), direction);
      const all = [...placed.values()];
      expect(all).toHaveLength(11);
      for (const one of all) {
        expect(one.x).toBeGreaterThanOrEqual(0);
        expect(one.x + one.width).toBeLessThanOrEqual(width);
        expect(one.y + one.height).toBeLessThanOrEqual(height);
        for (const other of all) {
          if (one === other) continue;
          const apart =
            one.x + one.width <= other.x ||
            other.x + other.width <= one.x ||
            one.y + one.height <= other.y ||
            other.y + other.height <= one.y;
          expect(apart, `${one.node.key} and ${other.node.key}`).toBe(true);
        }
      }
      const [across, along] = direction === 'right' ? (['y', 'x'] as const) : (['x', 'y'] as const);
      const lane = all.filter(
        ({ node }) => node.lanes.length === 1 && node.lanes[0] === 0 && [1, 2, 3].includes(node.layer),
      );
      expect(new Set(lane.map((one) => one[across])).size).toBe(1);
      expect([...lane].sort((a, b) => a[along] - b[along]).map(({ node }) => node.layer)).toEqual([1, 2, 3]);
    });
  }

  it('stands an empty and a large configuration', () => {
    const none = { pipelines: [], receivers: [], processors: [], connectors: [], exporters: [] };
    expect(place(snapshot(none)).placed.size).toBe(1);
    const ids = Array.from({ length: 200 }, (_, i) => `${i}`);
    const pipelines = [{ id: 'p', signal: 'logs', receivers: ids, processors: [], exporters: [] }];
    const { height } = place(snapshot({ ...none, pipelines, receivers: ids.map((id) => receiver(id, ['p'])) }));
    expect(height).toBe(200 * 50 - 10);
  });

  it('moves intervals apart as little as can be', () => {
    expect(
      spread(
        [
          { length: 10, centre: 5 },
          { length: 10, centre: 50 },
        ],
        2,
      ),
    ).toEqual([0, 45]);
    expect(
      spread(
        [
          { length: 10, centre: 20 },
          { length: 10, centre: 20 },
        ],
        2,
      ),
    ).toEqual([9, 21]);
    expect(spread([], 2)).toEqual([]);
  });
});

describe('health', () => {
  it('is a word of its own for what is wrong', () => {
    const rates = new Rates();
    expect(receiverHealth(receiver('a', []), rates).word).toBe('running');
    expect(exporterHealth(exporter('a', [], { state: 'retrying' }), rates)).toEqual({
      health: 'warning',
      word: 'retrying',
    });
    expect(exporterHealth(exporter('a', [], { lost_items: 1 }), rates).word).toBe('lost data');
    const behind = { committed: 0, records: 1, items: 1, bytes: 1, oldest_age_seconds: 61 };
    expect(exporterHealth(exporter('a', [], { backlog: behind }), rates).word).toBe('behind');
    const log = (more: object) => logHealth({ ...snapshot().log, ...more }, rates);
    expect(log({}).health).toBe('good');
    expect(log({ bytes: 96 })).toEqual({ health: 'critical', word: 'nearly full' });
    expect(log({ durable: false }).word).toBe('memory only');
    expect(log({ fsync_failures: 1 }).health).toBe('critical');
  });

  it('of a stage that refuses is worse behind the log, where nobody sends it again', () => {
    const at = (now: number, refused_items: number, backlog = connector('c', [], []).backlog) =>
      snapshot({ now_unix_ms: now, connectors: [connector('c', [], [], { refused_items, backlog })] });
    const word = (rates: Rates, one = connector('c', [], [])) => stageHealth(one, rates).word;
    expect(word(new Rates())).toBe('running');
    expect(word(rated(at(0, 1), at(1000, 5)))).toBe('losing data');
    expect(word(new Rates(), connector('c', [], [], { refused_items: 5 }))).toBe('lost data');
    const backlog = { committed: 0, records: 1, items: 1, bytes: 1, oldest_age_seconds: 61 };
    expect(word(new Rates(), connector('c', [], [], { backlog }))).toBe('behind');
    const unlogged = (now: number, refused_items: number) =>
      snapshot({ now_unix_ms: now, processors: [stage('limit', 'memory_limiter', { pipeline: 'p', refused_items })] });
    expect(
      word(rated(unlogged(0, 1), unlogged(1000, 5)), { ...connector('limit', [], []), pipeline: 'p', backlog: null }),
    ).toBe('refusing');
  });

  it('tells losing from having lost', () => {
    const at = (now: number, lost: number) =>
      snapshot({ now_unix_ms: now, exporters: [exporter('out', [], { lost_items: lost })] });
    const rates = rated(at(0, 1), at(1000, 5));
    expect(exporterHealth(exporter('out', [], { lost_items: 5 }), rates).word).toBe('losing data');
  });
});
