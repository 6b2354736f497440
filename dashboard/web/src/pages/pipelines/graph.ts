// The graph that is drawn, from a snapshot: receivers, each pipeline as a lane of its processors, the log, the exporters
// with their cursors.

import type { Rates } from './rates';
import * as rate from './rates';
import type { Snapshot } from './snapshot';

export type NodeRef =
  | { kind: 'receiver'; id: string }
  | { kind: 'pipeline'; id: string }
  | { kind: 'processor'; pipeline: string; id: string }
  | { kind: 'log' }
  | { kind: 'exporter'; id: string };

export interface GraphNode {
  key: string;
  ref: NodeRef;
  /** Column, or row where the graph runs downwards. */
  layer: number;
  /** Pipelines that go through it, as indices of `snapshot.pipelines`: where it is placed. */
  lanes: number[];
}

export interface GraphEdge {
  from: string;
  to: string;
  /** Items a second; `null` where no counter tells. */
  rate: number | null;
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
  const { pipelines } = snapshot;
  const logLayer = 2 + Math.max(0, ...pipelines.map((pipeline) => pipeline.processors.length));
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  const add = (ref: NodeRef, layer: number, lanes: number[]) => nodes.push({ key: keyOf(ref), ref, layer, lanes });
  const lanesOf = (uses: (pipeline: Snapshot['pipelines'][number]) => boolean) =>
    pipelines.flatMap((pipeline, lane) => (uses(pipeline) ? [lane] : []));

  for (const { id } of snapshot.receivers) {
    add(
      { kind: 'receiver', id },
      0,
      lanesOf((pipeline) => pipeline.receivers.includes(id)),
    );
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

function addLane(
  snapshot: Snapshot,
  rates: Rates,
  pipeline: Snapshot['pipelines'][number],
  edges: GraphEdge[],
  add: (ref: NodeRef, layer: number) => void,
): void {
  const head: NodeRef = { kind: 'pipeline', id: pipeline.id };
  add(head, 1);
  const into = pipeline.receivers.map((id) => ownRate(snapshot, rates, id));
  pipeline.receivers.forEach((id, index) => {
    edges.push({ from: keyOf({ kind: 'receiver', id }), to: keyOf(head), rate: into[index] ?? null });
  });
  let from = keyOf(head);
  let out = into.every((one) => one !== null) ? into.reduce<number>((sum, one) => sum + (one ?? 0), 0) : null;
  pipeline.processors.forEach((id, index) => {
    const ref: NodeRef = { kind: 'processor', pipeline: pipeline.id, id };
    add(ref, 2 + index);
    const incoming = rates.perSecond(rate.processor(pipeline.id, id, 'incoming_items'));
    edges.push({ from, to: keyOf(ref), rate: incoming ?? out });
    from = keyOf(ref);
    // What is not counted does not run before the log (`batch`): it lets everything through.
    const runs = snapshot.processors.some((one) => one.id === id && one.pipeline === pipeline.id);
    if (runs) out = rates.perSecond(rate.processor(pipeline.id, id, 'outgoing_items'));
  });
  edges.push({ from, to: 'log', rate: out });
}

/** What a receiver gives to a pipeline is only counted apart when it is the receiver's one pipeline. */
function ownRate(snapshot: Snapshot, rates: Rates, id: string): number | null {
  const receiver = snapshot.receivers.find((one) => one.id === id);
  return receiver?.pipelines.length === 1 ? rates.perSecond(rate.receiver(id, 'accepted_items')) : null;
}
