// A colour for each service of a trace: those with the most spans get the most different ones.
import type { Tree } from './tree';

// Of charts/palette.ts, in an order in which neighbours differ; red is kept for errors.
const COLORS = [
  'light-dark(#376bed, #3b7df5)',
  'light-dark(#b8560b, #fa8c3f)',
  'light-dark(#21a3b2, #51bcb5)',
  'light-dark(#6e1daa, #a386f1)',
  'light-dark(#bd8c00, #fdcf01)',
  'light-dark(#961169, #c74a97)',
  'light-dark(#1a5c12, #86f4af)',
];
const OTHER = 'light-dark(#8a949c, #6b7680)';

export interface ServiceShare {
  name: string;
  color: string;
  spans: number;
  errors: number;
  /** Nanoseconds in its spans and in none of their children. */
  self: number;
}

export const NO_SERVICE = '(no service.name)';

/** The services of a trace, the busiest first. */
export function serviceShares(tree: Tree): ServiceShare[] {
  const shares = new Map<string, ServiceShare>();
  for (const { span, self } of tree.nodes) {
    const name = span.service ?? NO_SERVICE;
    const share = shares.get(name) ?? { name, color: OTHER, spans: 0, errors: 0, self: 0 };
    share.spans++;
    share.self += self;
    if (span.status === 2) share.errors++;
    shares.set(name, share);
  }
  const all = [...shares.values()].sort((a, b) => b.spans - a.spans || (a.name < b.name ? -1 : 1));
  return all.map((share, index) => ({ ...share, color: COLORS[index] ?? OTHER }));
}
