// The critical path: the work that, made shorter, makes the trace shorter. From the end of the longest root backwards:
// the child that ended last before the moment looked at was waited for; between children the span itself worked.
// Children that ran beside the one waited for are not on the path.

import { at, type Tree } from './tree';

/** From and to, in the trace's time. */
export type Section = readonly [from: number, to: number];

/** Sections by node, in time's order. */
export function criticalPath(tree: Tree): Map<number, Section[]> {
  const path = new Map<number, Section[]>();
  const root = longestRoot(tree);
  if (root < 0) return path;
  const work = [{ index: root, until: at(tree.nodes, root).span.end }];
  for (let next = work.pop(); next; next = work.pop()) {
    const { index, until } = next;
    const { span, children } = at(tree.nodes, index);
    let now = until;
    const sections: Section[] = [];
    const byEnd = [...children].sort((a, b) => at(tree.nodes, b).span.end - at(tree.nodes, a).span.end);
    for (const child of byEnd) {
      const { start, end } = at(tree.nodes, child).span;
      // What outlives its parent is waited for up to the parent's end, if it is the first looked at.
      const ended = now === until ? Math.min(end, now) : end;
      if (ended > now || ended <= span.start || start >= ended) continue;
      if (now > ended) sections.push([ended, now]);
      work.push({ index: child, until: ended });
      now = Math.max(start, span.start);
    }
    if (now > span.start) sections.push([span.start, now]);
    path.set(index, sections.reverse());
  }
  return path;
}

function longestRoot(tree: Tree): number {
  let best = -1;
  tree.nodes.forEach((node, index) => {
    if (node.parent >= 0) return;
    const length = node.span.end - node.span.start;
    const bestSpan = best >= 0 ? at(tree.nodes, best).span : null;
    if (!bestSpan || length > bestSpan.end - bestSpan.start) best = index;
  });
  return best;
}
