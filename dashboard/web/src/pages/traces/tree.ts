// Spans as a forest in reading order. Nothing here recurses: a trace may be a chain of thousands of spans.
//
// What senders get wrong is kept and marked: a parent that is not there (the span is a root), parents in a circle (the
// earliest span of it is a root), the same span sent twice (one is kept), a child that starts before its parent
// (the clocks of two machines differ).

import type { Span } from './span';

export interface Node {
  span: Span;
  depth: number;
  /** Index of the parent in `Tree.nodes`, -1 for a root. */
  parent: number;
  children: number[];
  /** Nodes below this one; they follow it. */
  descendants: number;
  /** The span names a parent that the trace does not have. */
  orphan: boolean;
  /** The span's parents lead back to itself. */
  circular: boolean;
  /** Nanoseconds that the span starts before its parent. */
  early: number;
  /** Nanoseconds in the span and in none of its children. */
  self: number;
}

export interface Tree {
  /** Parents before children, children by start. */
  nodes: Node[];
  /** Of all spans; `end` is past `start` even if every span is a moment. */
  start: number;
  end: number;
  duplicates: number;
}

const ZERO_ID = /^0*$/;

export function buildTree(given: readonly Span[]): Tree {
  const spans = withoutDuplicates(given);
  const byId = new Map<string, number>();
  spans.forEach((span, index) => {
    if (span.id && !byId.has(span.id)) byId.set(span.id, index);
  });
  const parents = spans.map((span, index) => parentOf(span, index, byId));
  const circular = breakCircles(spans, parents);
  const children: number[][] = spans.map(() => []);
  parents.forEach((parent, index) => {
    if (parent >= 0) children[parent]?.push(index);
  });
  const earlier = (a: number, b: number): number => at(spans, a).start - at(spans, b).start || a - b;
  for (const list of children) list.sort(earlier);
  const roots = spans.flatMap((_, index) => ((parents[index] ?? -1) < 0 ? [index] : [])).sort(earlier);
  const nodes = inReadingOrder(spans, roots, children, (index) => {
    const span = at(spans, index);
    const isRoot = (parents[index] ?? -1) < 0;
    return { orphan: isRoot && !circular.has(index) && namesParent(span), circular: circular.has(index) };
  });
  const start = spans.reduce((least, span) => Math.min(least, span.start), Number.POSITIVE_INFINITY);
  const end = spans.reduce((most, span) => Math.max(most, span.end), Number.NEGATIVE_INFINITY);
  return {
    nodes,
    start: spans.length > 0 ? start : 0,
    end: spans.length > 0 ? Math.max(end, start + 1) : 1,
    duplicates: given.length - spans.length,
  };
}

/** An element that is known to be there. */
export function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new RangeError(`no element ${index} of ${list.length}`);
  return found;
}

const namesParent = (span: Span): boolean => span.parentId !== null && !ZERO_ID.test(span.parentId);

function parentOf(span: Span, index: number, byId: Map<string, number>): number {
  if (!namesParent(span)) return -1;
  const parent = byId.get(span.parentId ?? '');
  return parent === undefined || parent === index ? -1 : parent;
}

/** Delivery is at least once: the same span may be there twice. Spans that only share an id are not the same. */
function withoutDuplicates(spans: readonly Span[]): Span[] {
  const seen = new Set<string>();
  return spans.filter((span) => {
    if (!span.id) return true;
    const key = `${span.id} ${span.start} ${span.end} ${span.service} ${span.name}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** Makes the earliest span of every circle a root. */
function breakCircles(spans: readonly Span[], parents: number[]): Set<number> {
  const roots = new Set<number>();
  spans.forEach((span, index) => {
    if (namesParent(span) && span.parentId === span.id) roots.add(index);
  });
  // 0 not looked at, 1 on the way up now, 2 leads to a root.
  const state = new Uint8Array(spans.length);
  for (let first = 0; first < spans.length; first++) {
    const way: number[] = [];
    let here = first;
    while (here >= 0 && state[here] === 0) {
      state[here] = 1;
      way.push(here);
      here = parents[here] ?? -1;
    }
    if (here >= 0 && state[here] === 1) {
      const circle = way.slice(way.indexOf(here));
      const root = circle.reduce((best, index) => (at(spans, index).start < at(spans, best).start ? index : best));
      parents[root] = -1;
      roots.add(root);
    }
    for (const index of way) state[index] = 2;
  }
  return roots;
}

function inReadingOrder(
  spans: readonly Span[],
  roots: readonly number[],
  children: readonly number[][],
  marks: (index: number) => { orphan: boolean; circular: boolean },
): Node[] {
  const nodes: Node[] = [];
  const stack = [...roots].reverse().map((index) => ({ index, parent: -1 }));
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { index, parent } = next;
    const span = at(spans, index);
    const above = parent >= 0 ? at(nodes, parent) : null;
    const own = nodes.length;
    above?.children.push(own);
    nodes.push({
      span,
      depth: above ? above.depth + 1 : 0,
      parent,
      children: [],
      descendants: 0,
      ...marks(index),
      early: above ? Math.max(0, above.span.start - span.start) : 0,
      self: selfTime(span, at(children, index), spans),
    });
    for (const child of [...at(children, index)].reverse()) stack.push({ index: child, parent: own });
  }
  for (let index = nodes.length - 1; index >= 0; index--) {
    const { parent, descendants } = at(nodes, index);
    if (parent >= 0) at(nodes, parent).descendants += descendants + 1;
  }
  return nodes;
}

/** `children` by start. */
function selfTime(span: Span, children: readonly number[], spans: readonly Span[]): number {
  let covered = 0;
  let upTo = span.start;
  for (const index of children) {
    const child = at(spans, index);
    const from = Math.max(child.start, upTo);
    const to = Math.min(child.end, span.end);
    if (to > from) {
      covered += to - from;
      upTo = to;
    }
  }
  return Math.max(0, span.end - span.start - covered);
}

/** The rows that are seen when these nodes are closed, as indices of `nodes`. */
export function visibleNodes(tree: Tree, closed: ReadonlySet<number>): number[] {
  const visible: number[] = [];
  for (let index = 0; index < tree.nodes.length; index++) {
    visible.push(index);
    if (closed.has(index)) index += at(tree.nodes, index).descendants;
  }
  return visible;
}
