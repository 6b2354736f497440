// The keys of the treegrid (ARIA Authoring Practices), and those of the time in sight.

import { pan, type Window, zoom } from './time-scale';
import { at, type Tree } from './tree';

export interface TreeState {
  readonly tree: Tree;
  readonly visible: readonly number[];
  readonly closed: ReadonlySet<number>;
  readonly onClosed: (closed: Set<number>) => void;
  readonly active: number;
  readonly onActive: (index: number) => void;
  readonly selected: number | null;
  readonly onSelect: (index: number | null) => void;
  readonly window: Window;
  readonly whole: Window;
  readonly onWindow: (window: Window) => void;
}

type Key = Pick<KeyboardEvent, 'key' | 'shiftKey' | 'ctrlKey' | 'metaKey' | 'altKey'>;

/** True when the key was one of these. */
export function treeKey(event: Key, state: TreeState, page: number): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  return (event.shiftKey && panKey(event.key, state)) || moveKey(event.key, state, page) || otherKey(event.key, state);
}

function panKey(key: string, { window, whole, onWindow }: TreeState): boolean {
  const direction = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (!direction) return false;
  onWindow(pan(window, (direction * (window.to - window.from)) / 4, whole));
  return true;
}

function moveKey(key: string, { visible, active, onActive }: TreeState, page: number): boolean {
  const row = visible.indexOf(active);
  const last = visible.length - 1;
  const targets: Record<string, number> = {
    ArrowDown: row + 1,
    ArrowUp: row - 1,
    PageDown: row + page,
    PageUp: row - page,
    Home: 0,
    End: last,
  };
  if (!Object.hasOwn(targets, key)) return false;
  const target = visible[Math.min(last, Math.max(0, targets[key] ?? 0))];
  if (target !== undefined) onActive(target);
  return true;
}

function otherKey(key: string, state: TreeState): boolean {
  const { tree, closed, onClosed, active, onActive, selected, onSelect, window, whole, onWindow } = state;
  const node = tree.nodes[active];
  if (!node) return false;
  const middle = (window.from + window.to) / 2;
  switch (key) {
    case 'ArrowRight': {
      const [first] = node.children;
      if (closed.has(active)) onClosed(without(closed, active));
      else if (first !== undefined) onActive(first);
      return true;
    }
    case 'ArrowLeft':
      if (node.children.length > 0 && !closed.has(active)) onClosed(new Set([...closed, active]));
      else if (node.parent >= 0) onActive(node.parent);
      return true;
    case '*':
      onClosed(openSiblings(tree, closed, active));
      return true;
    case 'Enter':
    case ' ':
      onSelect(selected === active ? null : active);
      return true;
    case 'Escape':
      if (selected === null) return false;
      onSelect(null);
      return true;
    case '+':
    case '=':
      onWindow(zoom(window, 0.5, middle, whole));
      return true;
    case '-':
      onWindow(zoom(window, 2, middle, whole));
      return true;
    case '0':
      onWindow(whole);
      return true;
    default:
      return false;
  }
}

function without(closed: ReadonlySet<number>, index: number): Set<number> {
  const next = new Set(closed);
  next.delete(index);
  return next;
}

function openSiblings(tree: Tree, closed: ReadonlySet<number>, active: number): Set<number> {
  const { parent } = at(tree.nodes, active);
  return new Set([...closed].filter((index) => at(tree.nodes, index).parent !== parent));
}
