// An element that takes the rest of the window below it, and scrolls inside.

import { useLayoutEffect, useState } from 'preact/hooks';
import type { ElementRef } from './element-ref';

export function useFillHeight(element: ElementRef, least: number, below = 12): number {
  const [height, setHeight] = useState(least);
  useLayoutEffect(() => {
    const measure = () => {
      const top = (element.current?.getBoundingClientRect().top ?? 0) + scrollY;
      setHeight(Math.max(least, Math.floor(innerHeight - top - below)));
    };
    measure();
    addEventListener('resize', measure);
    // What lies above it changes its place.
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => {
      removeEventListener('resize', measure);
      observer.disconnect();
    };
  }, [element, least, below]);
  return height;
}
