// The graph that is drawn, from a snapshot: receivers, each pipeline as a lane of its processors, the log, the exporters
// with their cursors. A connector stands among the receivers, since pipelines begin with it; what it reads comes back to it
// from the log. The lanes that only connectors begin are the last, so that the way back crosses nothing.

import type { Rates } from './rates';
import * as rate from './rates';
import type { Pipeline, Snapshot } from './snapshot';

export type NodeRef =
  | { kind: 'receiver'; id: string }
  | { kind: 'connector'; id: string }
  | { kind: 'pipeline'; id: string }
  | { kind: 'processor'; pipeline: string; id: string }
  | { kind: 'log' }
  | { kind: 'exporter'; id: string };

export interface GraphNode {
  key: string;
  ref: NodeRef;
  /** Column, or row where the graph runs downwards. */
  layer: number;
  /** Pipelines that go through it, by their place in the drawing: where it is placed. */
  lanes: number[];
}

export interface GraphEdge {
  from: string;
  to: string;
  /** Items a second; `null` where no counter tells. */
  rate: number | null;
  /** From a later layer to an earlier one, around the rest. */
  back?: boolean;
}

export interface Graph {
  nodes: GraphNode[];
  edges: GraphEdge[];
  layers: number;
}

export const keyOf = (ref: NodeRef): string => {
  switch (ref.kind) {
    case 'log':
      return 'log';
    case 'processor':
      return JSON.stringify(['processor', ref.pipeline, ref.id]);
    default:
      return JSON.stringify([ref.kind, ref.id]);
  }
};

export function buildGraph(snapshot: Snapshot, rates: Rates): Graph {
  const pipelines = inOrder(snapshot);
  const logLayer = 2 + Math.max(0, ...pipelines.map((pipeline) => pipeline.processors.length));
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  const add = (ref: NodeRef, layer: number, lanes: number[]) => nodes.push({ key: keyOf(ref), ref, layer, lanes });
  const lanesOf = (uses: (pipeline: Pipeline) => boolean) =>
    pipelines.flatMap((pipeline, lane) => (uses(pipeline) ? [lane] : []));
  const begunBy = (id: string) => lanesOf((pipeline) => pipeline.receivers.includes(id));

  for (const { id } of snapshot.receivers) add({ kind: 'receiver', id }, 0, begunBy(id));
  for (const { id } of snapshot.connectors) {
    const ref = { kind: 'connector', id } as const;
    add(ref, 0, begunBy(id));
    edges.push({
      from: 'log',
      to: keyOf(ref),
      rate: rates.perSecond(rate.stage({ id, pipeline: '' }, 'incoming_items')),
      back: true,
    });
  }
  pipelines.forEach((pipeline, lane) => {
    addLane(snapshot, rates, pipeline, edges, (ref, layer) => add(ref, layer, [lane]));
  });
  add(
    { kind: 'log' },
    logLayer,
    pipelines.map((_, lane) => lane),
  );
  for (const { id } of snapshot.exporters) {
    const ref = { kind: 'exporter', id } as const;
    add(
      ref,
      logLayer + 1,
      lanesOf((pipeline) => pipeline.exporters.includes(id)),
    );
    edges.push({ from: 'log', to: keyOf(ref), rate: rates.perSecond(rate.exporter(id, 'exported_items')) });
  }
  const known = new Set(nodes.map((node) => node.key));
  return { nodes, edges: edges.filter(({ from, to }) => known.has(from) && known.has(to)), layers: logLayer + 2 };
}

/** Pipelines that receivers begin as they are configured, then those that connectors begin, by how many connectors it takes to get there. */
function inOrder({ pipelines, receivers, connectors }: Snapshot): Pipeline[] {
  const begins = new Set(receivers.map(({ id }) => id));
  const order: Pipeline[] = [];
  let left = pipelines;
  while (left.length > 0) {
    const next = left.filter((pipeline) => pipeline.receivers.some((id) => begins.has(id)));
    // What nothing begins: the configuration refuses that, and it is still to be drawn.
    if (next.length === 0) return [...order, ...left];
    order.push(...next);
    left = left.filter((pipeline) => !next.includes(pipeline));
    for (const { id, from } of connectors) if (next.some((pipeline) => from.includes(pipeline.id))) begins.add(id);
  }
  return order;
}

function addLane(
  snapshot: Snapshot,
  rates: Rates,
  pipeline: Pipeline,
  edges: GraphEdge[],
  add: (ref: NodeRef, layer: number) => void,
): void {
  const head: NodeRef = { kind: 'pipeline', id: pipeline.id };
  add(head, 1);
  const into = pipeline.receivers.map((id) => beginning(snapshot, rates, id));
  for (const { ref, rate } of into) edges.push({ from: keyOf(ref), to: keyOf(head), rate });
  let from = keyOf(head);
  let out = into.every(({ rate }) => rate !== null) ? into.reduce((sum, { rate }) => sum + (rate ?? 0), 0) : null;
  pipeline.processors.forEach((id, index) => {
    const ref = { kind: 'processor', pipeline: pipeline.id, id } as const;
    add(ref, 2 + index);
    const incoming = rates.perSecond(rate.stage(ref, 'incoming_items'));
    edges.push({ from, to: keyOf(ref), rate: incoming ?? out });
    from = keyOf(ref);
    // What is not counted does not run before the log (`batch`): it lets everything through.
    if (rate.findStage(snapshot, ref)) out = rates.perSecond(rate.stage(ref, 'outgoing_items'));
  });
  edges.push({ from, to: 'log', rate: out });
}

/** What begins a pipeline. What it gives to this one is only counted apart when it is its one pipeline. */
function beginning(snapshot: Snapshot, rates: Rates, id: string): { ref: NodeRef; rate: number | null } {
  const connector = snapshot.connectors.find((one) => one.id === id);
  const counter = connector ? rate.stage({ id, pipeline: '' }, 'outgoing_items') : rate.receiver(id, 'accepted_items');
  const pipelines = connector?.to ?? snapshot.receivers.find((one) => one.id === id)?.pipelines;
  const alone = pipelines?.length === 1;
  return { ref: { kind: connector ? 'connector' : 'receiver', id }, rate: alone ? rates.perSecond(counter) : null };
}
