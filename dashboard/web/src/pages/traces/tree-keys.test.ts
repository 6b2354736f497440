import { describe, expect, it } from 'vitest';
import { serviceShares } from './colors';
import { nearest, points, powers, scales } from './scatter-scale';
import { span } from './span.fixture';
import { findSpans } from './TracePage';
import { buildTree, visibleNodes } from './tree';
import { type TreeState, treeKey } from './tree-keys';

const tree = buildTree([
  span('a', null, 0, 100),
  span('b', 'a', 10, 40, { service: 'pay', status: 2, attributes: '{"k":"Needle"}' }),
  span('c', 'b', 20, 30, { service: null }),
  span('d', 'a', 50, 90),
]);

/** What the page would look like after the keys. */
function press(...keys: (string | { key: string; shiftKey: true })[]) {
  const whole = { from: 0, to: 100 };
  const state = { active: 0, selected: null as number | null, closed: new Set<number>(), window: whole };
  for (const pressed of keys) {
    const event = typeof pressed === 'string' ? { key: pressed, shiftKey: false } : pressed;
    const given: TreeState = {
      ...state,
      tree,
      visible: visibleNodes(tree, state.closed),
      whole,
      onActive: (index) => {
        state.active = index;
      },
      onSelect: (index) => {
        state.selected = index;
      },
      onClosed: (closed) => {
        state.closed = closed;
      },
      onWindow: (window) => {
        state.window = window;
      },
    };
    treeKey({ ctrlKey: false, metaKey: false, altKey: false, ...event }, given, 2);
  }
  return { ...state, closed: [...state.closed] };
}

describe('keys of the spans', () => {
  it('move in what is open', () => {
    expect(press('ArrowDown', 'ArrowDown').active).toBe(2);
    expect(press('ArrowUp').active).toBe(0);
    expect(press('End').active).toBe(3);
    expect(press('PageDown').active).toBe(2);
    expect(press('End', 'Home').active).toBe(0);
    expect(press('ArrowDown', 'ArrowLeft', 'ArrowDown').active).toBe(3);
  });

  it('open and close, and go to parents and children', () => {
    expect(press('ArrowRight')).toMatchObject({ active: 1, closed: [] });
    expect(press('ArrowLeft')).toMatchObject({ active: 0, closed: [0] });
    expect(press('ArrowLeft', 'ArrowRight')).toMatchObject({ active: 0, closed: [] });
    expect(press('End', 'ArrowLeft').active).toBe(0);
    expect(press('ArrowDown', 'ArrowLeft', '*').closed).toEqual([]);
  });

  it('show a span and let it go', () => {
    expect(press('ArrowDown', 'Enter').selected).toBe(1);
    expect(press('Enter', 'Enter').selected).toBeNull();
    expect(press('Enter', 'Escape').selected).toBeNull();
  });

  it('change the time in sight', () => {
    expect(press('+').window).toEqual({ from: 25, to: 75 });
    expect(press('+', { key: 'ArrowRight', shiftKey: true }).window).toEqual({ from: 37.5, to: 87.5 });
    expect(press('+', '-').window).toEqual({ from: 0, to: 100 });
    expect(press('+', '0').window).toEqual({ from: 0, to: 100 });
  });

  it('leave the browser its own', () => {
    const untouched = () => {
      throw new Error('not ours');
    };
    const state = {
      tree,
      visible: [0],
      closed: new Set<number>(),
      active: 0,
      selected: null,
      window: { from: 0, to: 1 },
    };
    const handlers = { onActive: untouched, onSelect: untouched, onClosed: untouched, onWindow: untouched };
    for (const event of [{ key: 'Tab' }, { key: 'ArrowDown', ctrlKey: true }, { key: 'a' }, { key: 'Escape' }]) {
      const key = { shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...event };
      expect(treeKey(key, { ...state, ...handlers, whole: { from: 0, to: 1 } }, 2)).toBe(false);
    }
  });
});

describe('what is told of a trace', () => {
  it('is found by name, service and attribute', () => {
    expect([...(findSpans(tree, 'needle') ?? [])]).toEqual([1]);
    expect([...(findSpans(tree, 'SHOP') ?? [])]).toEqual([0, 3]);
    expect(findSpans(tree, ' ')).toBeNull();
    expect(findSpans(tree, 'none')?.size).toBe(0);
  });

  it('is each service with its own time', () => {
    const shares = serviceShares(tree);
    expect(shares.map(({ name, spans, errors, self }) => [name, spans, errors, self])).toEqual([
      ['shop', 2, 0, 30 + 40],
      ['(no service.name)', 1, 0, 10],
      ['pay', 1, 1, 20],
    ]);
    expect(new Set(shares.map(({ color }) => color)).size).toBe(3);
  });
});

describe('the picture of durations', () => {
  const trace = (time: number, duration: number) => ({
    id: '',
    time,
    duration,
    spans: 1,
    errors: 0,
    services: 1,
    service: '',
    name: '',
  });
  const traces = [trace(0, 2e6), trace(50, 3e8), trace(100, 9e9), trace(500, 1)];

  it('has time to the right, the logarithm of the duration upwards, and back again', () => {
    const scale = scales(traces.slice(0, 3), 0, 100, 600, 200);
    const drawn = points(traces, scale);
    expect(drawn).toHaveLength(3);
    expect(drawn.map(({ x }) => x)).toEqual([...drawn.map(({ x }) => x)].sort((a, b) => a - b));
    expect(drawn.map(({ y }) => y)).toEqual([...drawn.map(({ y }) => y)].sort((a, b) => b - a));
    for (const { x, y, trace } of drawn) {
      expect(scale.time(x)).toBeCloseTo(trace.time, 6);
      expect(scale.duration(y) / trace.duration).toBeCloseTo(1, 6);
    }
    expect(powers(scale)).toEqual([1e6, 1e7, 1e8, 1e9, 1e10].slice(0, powers(scale).length));
    expect(nearest(drawn, (drawn[1]?.x ?? 0) + 3, drawn[1]?.y ?? 0)?.trace).toBe(traces[1]);
    expect(nearest(drawn, -100, -100)).toBeNull();
  });

  it('stands no traces, and durations of nothing', () => {
    expect(points([], scales([], 0, 0, 600, 200))).toEqual([]);
    const scale = scales([trace(0, 0)], 0, 1, 600, 200);
    expect(Number.isFinite(scale.y(0))).toBe(true);
  });
});
