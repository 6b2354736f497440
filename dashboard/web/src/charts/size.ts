// The size of an element, and whether it is on the screen.
import { useEffect, useRef, useState } from 'preact/hooks';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Whole CSS pixels; null before the first measurement. */
export function useSize<E extends HTMLElement>(): [{ current: E | null }, Size | null] {
  const element = useRef<E>(null);
  const [size, setSize] = useState<Size | null>(null);
  useEffect(() => {
    const target = element.current;
    if (!target) return;
    const observer = new ResizeObserver(([entry]) => {
      if (!entry) return;
      const width = Math.floor(entry.contentRect.width);
      const height = Math.floor(entry.contentRect.height);
      setSize((had) => (had?.width === width && had.height === height ? had : { width, height }));
    });
    observer.observe(target);
    return () => observer.disconnect();
  }, []);
  return [element, size];
}

/** Calls with true when an element comes within `margin` of the screen, with false when it leaves. */
export function watchVisibility(element: Element, margin: string, call: (visible: boolean) => void): () => void {
  const observer = new IntersectionObserver((entries) => call(entries.at(-1)?.isIntersecting ?? false), {
    rootMargin: margin,
  });
  observer.observe(element);
  return () => observer.disconnect();
}
