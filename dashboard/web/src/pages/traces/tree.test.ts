import { describe, expect, it } from 'vitest';
import { criticalPath } from './critical';
import { span } from './span.fixture';
import { at, buildTree, visibleNodes } from './tree';

const names = (tree: ReturnType<typeof buildTree>) =>
  tree.nodes.map((node) => `${' '.repeat(node.depth)}${node.span.name}`);

describe('the tree of a trace', () => {
  it('has parents before children, and children by start', () => {
    const tree = buildTree([
      span('c', 'a', 30, 40),
      span('a', null, 0, 100),
      span('d', 'b', 12, 18),
      span('b', 'a', 10, 20),
    ]);
    expect(names(tree)).toEqual(['a', ' b', '  d', ' c']);
    expect(tree.nodes.map((node) => node.descendants)).toEqual([3, 1, 0, 0]);
    expect([tree.start, tree.end]).toEqual([0, 100]);
  });

  it('takes a span without its parent as a root, and says so', () => {
    const tree = buildTree([span('a', null, 0, 10), span('b', 'gone', 5, 8), span('c', '0000000000000000', 6, 7)]);
    expect(names(tree)).toEqual(['a', 'b', 'c']);
    expect(tree.nodes.map((node) => node.orphan)).toEqual([false, true, false]);
  });

  it('breaks circles at their earliest span', () => {
    const tree = buildTree([
      span('a', 'c', 5, 10),
      span('b', 'a', 3, 9),
      span('c', 'b', 4, 8),
      span('self', 'self', 0, 1),
    ]);
    expect(names(tree)).toEqual(['self', 'b', ' c', '  a']);
    expect(tree.nodes.map((node) => node.circular)).toEqual([true, true, false, false]);
    expect(tree.nodes.some((node) => node.orphan)).toBe(false);
  });

  it('keeps one of a span sent twice, and both of two spans with one id', () => {
    const tree = buildTree([span('a', null, 0, 10), span('a', null, 0, 10), span('a', null, 2, 4, { name: 'server' })]);
    expect(names(tree)).toEqual(['a', 'server']);
    expect(tree.duplicates).toBe(1);
  });

  it('marks a child that starts before its parent', () => {
    const tree = buildTree([span('a', null, 100, 200), span('b', 'a', 70, 90)]);
    expect(tree.nodes.map((node) => node.early)).toEqual([0, 30]);
    expect([tree.start, tree.end]).toEqual([70, 200]);
  });

  it('counts self time outside of all children, each moment once', () => {
    const tree = buildTree([
      span('a', null, 0, 100),
      span('b', 'a', 10, 40),
      span('c', 'a', 30, 50),
      span('d', 'a', 35, 38),
      span('late', 'a', 90, 150),
      span('before', 'a', -20, 5),
    ]);
    expect(tree.nodes[0]?.self).toBe(100 - 40 - 10 - 5);
  });

  it('holds a chain of 20,000 spans and an empty trace', () => {
    const chain = Array.from({ length: 20_000 }, (_, i) => span(`s${i}`, i ? `s${i - 1}` : null, i, 40_000 - i));
    const tree = buildTree(chain);
    expect(tree.nodes[19_999]?.depth).toBe(19_999);
    expect(tree.nodes[0]?.descendants).toBe(19_999);
    expect(criticalPath(tree).size).toBe(20_000);
    expect(buildTree([]).nodes).toEqual([]);
    expect(criticalPath(buildTree([])).size).toBe(0);
  });

  it('hides what is below closed nodes', () => {
    const tree = buildTree([span('a', null, 0, 9), span('b', 'a', 1, 5), span('c', 'b', 2, 3), span('d', 'a', 6, 7)]);
    expect(visibleNodes(tree, new Set())).toEqual([0, 1, 2, 3]);
    expect(visibleNodes(tree, new Set([1]))).toEqual([0, 1, 3]);
    expect(visibleNodes(tree, new Set([0, 1]))).toEqual([0]);
  });
});

describe('the critical path', () => {
  const path = (...spans: ReturnType<typeof span>[]) => {
    const tree = buildTree(spans);
    return Object.fromEntries(
      [...criticalPath(tree)].map(([index, sections]) => [at(tree.nodes, index).span.name, sections]),
    );
  };

  it('is the root itself when it has no children', () => {
    expect(path(span('a', null, 5, 10))).toEqual({ a: [[5, 10]] });
  });

  it('goes through the children that were waited for', () => {
    expect(
      path(span('a', null, 0, 100), span('b', 'a', 10, 40), span('c', 'a', 50, 90), span('d', 'c', 60, 80)),
    ).toEqual({
      a: [
        [0, 10],
        [40, 50],
        [90, 100],
      ],
      b: [[10, 40]],
      c: [
        [50, 60],
        [80, 90],
      ],
      d: [[60, 80]],
    });
  });

  it('leaves out what ran beside it', () => {
    expect(path(span('a', null, 0, 100), span('long', 'a', 10, 90), span('short', 'a', 10, 30))).toEqual({
      a: [
        [0, 10],
        [90, 100],
      ],
      long: [[10, 90]],
    });
  });

  it('ends with the root when a child outlives it', () => {
    expect(path(span('a', null, 0, 100), span('async', 'a', 80, 300))).toEqual({ a: [[0, 80]], async: [[80, 100]] });
  });

  it('is as long as the root', () => {
    // Pseudo-random trees: every moment of the root is on the path exactly once, if children stay inside their parents.
    let seed = 7;
    const random = () => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed / 2147483648;
    };
    for (let round = 0; round < 50; round++) {
      const spans = [span('s0', null, 0, 10_000)];
      for (let i = 1; i < 60; i++) {
        const parent = at(spans, Math.floor(random() * spans.length));
        const start = Math.floor(parent.start + random() * (parent.end - parent.start));
        const end = Math.floor(start + random() * (parent.end - start));
        spans.push(span(`s${i}`, parent.id, start, end));
      }
      const sections = [...criticalPath(buildTree(spans)).values()].flat().sort((a, b) => a[0] - b[0]);
      let reached = 0;
      for (const [from, to] of sections) {
        expect(from).toBe(reached);
        reached = to;
      }
      expect(reached).toBe(10_000);
    }
  });
});
