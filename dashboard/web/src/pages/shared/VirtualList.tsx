// Thousands of rows of any height: only those in sight are in the page. Heights are measured; until then they are `estimate`.
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ElementRef } from './element-ref';
import { Offsets } from './offsets';

export interface VirtualRows {
  readonly count: number;
  /** Stays with a row when others come before it. The same function until the rows are others. */
  readonly keyOf: (index: number) => string;
  readonly estimate: number;
  /** The element that scrolls; the list fills it. */
  readonly scroller: ElementRef;
  readonly overscan?: number;
}

export interface Visible {
  readonly first: number;
  /** The row after the last. */
  readonly end: number;
  readonly before: number;
  readonly after: number;
  /** For each row's `ref`: measures it. */
  readonly measure: (key: string) => (element: HTMLElement | null) => void;
  readonly reveal: (index: number) => void;
}

/** Heights by key, and the function that learns them from rows in the page. */
function useHeights(scroller: ElementRef) {
  const [version, setVersion] = useState(0);
  const state = useMemo(() => {
    const heights = new Map<string, number>();
    const keys = new WeakMap<Element, string>();
    const elements = new Map<string, HTMLElement>();
    const observer = new ResizeObserver((entries) => {
      let changed = false;
      for (const { target } of entries) {
        const key = keys.get(target);
        const height = target.getBoundingClientRect().height;
        if (key === undefined || height === 0 || heights.get(key) === height) continue;
        // What grows above the top of the view must not push what is read.
        const above = target.getBoundingClientRect().bottom <= (scroller.current?.getBoundingClientRect().top ?? 0);
        const grown = height - (heights.get(key) ?? height);
        if (above && grown !== 0) scroller.current?.scrollBy(0, grown);
        heights.set(key, height);
        changed = true;
      }
      if (changed) setVersion((version) => version + 1);
    });
    const attach = (key: string) => (element: HTMLElement | null) => {
      const had = elements.get(key);
      if (had) observer.unobserve(had);
      if (!element) {
        elements.delete(key);
        refs.delete(key);
        return;
      }
      elements.set(key, element);
      keys.set(element, key);
      observer.observe(element);
    };
    // The same function for a row each time, or the row would be let go and taken again at each drawing.
    const refs = new Map<string, ReturnType<typeof attach>>();
    const measure = (key: string) => {
      const ref = refs.get(key) ?? attach(key);
      refs.set(key, ref);
      return ref;
    };
    return { heights, observer, measure };
  }, [scroller]);
  useEffect(() => () => state.observer.disconnect(), [state]);
  return { ...state, version };
}

export function useVirtualRows({ count, keyOf, estimate, scroller, overscan = 8 }: VirtualRows): Visible {
  const [view, setView] = useState({ top: 0, height: 800 });
  const { heights, measure, version } = useHeights(scroller);
  const frame = useRef(0);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const look = () => {
      frame.current = 0;
      setView((had) =>
        had.top === element.scrollTop && had.height === element.clientHeight
          ? had
          : { top: element.scrollTop, height: element.clientHeight },
      );
    };
    const soon = () => {
      if (!frame.current) frame.current = requestAnimationFrame(look);
    };
    look();
    element.addEventListener('scroll', soon, { passive: true });
    const observer = new ResizeObserver(soon);
    observer.observe(element);
    return () => {
      element.removeEventListener('scroll', soon);
      observer.disconnect();
      cancelAnimationFrame(frame.current);
      frame.current = 0;
    };
  }, [scroller]);

  const offsets = useMemo(
    () => new Offsets(Array.from({ length: count }, (_, index) => heights.get(keyOf(index)) ?? estimate)),
    [count, keyOf, estimate, heights, version],
  );
  const first = Math.max(0, offsets.indexAt(view.top) - overscan);
  const end = Math.min(count, offsets.indexAt(view.top + view.height) + 1 + overscan);
  const reveal = (index: number) => {
    const element = scroller.current;
    if (!element) return;
    const [from, to] = [offsets.of(index), offsets.of(index + 1)];
    if (from < element.scrollTop) element.scrollTop = from;
    else if (to > element.scrollTop + element.clientHeight) element.scrollTop = to - element.clientHeight;
  };
  return { first, end, before: offsets.of(first), after: offsets.total - offsets.of(end), measure, reveal };
}

/** The rows in sight between two spacers. */
export function Spaced({ rows, children }: { readonly rows: Visible; readonly children: ComponentChildren }) {
  return (
    <>
      <div aria-hidden="true" style={{ height: `${rows.before}px` }} />
      {children}
      <div aria-hidden="true" style={{ height: `${rows.after}px` }} />
    </>
  );
}
