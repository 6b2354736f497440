// An element's inner width, as it changes.
import { useLayoutEffect, useState } from 'preact/hooks';
import type { ElementRef } from './element-ref';

export function useWidth(element: ElementRef, before: number): number {
  const [width, setWidth] = useState(before);
  useLayoutEffect(() => {
    const look = () => setWidth(element.current?.clientWidth || before);
    look();
    const observer = new ResizeObserver(look);
    if (element.current) observer.observe(element.current);
    return () => observer.disconnect();
  }, [element, before]);
  return width;
}
