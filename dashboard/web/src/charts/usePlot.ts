// A plot in a component: made when its place has a size, told of new content, drawn only while it is on the screen.
import { useEffect, useRef, useState } from 'preact/hooks';
import { zoneSignal } from '../time/zone';
import { chartTheme } from './palette';
import { type Content, TimePlot } from './plot';
import { attachPointer } from './pointer';
import { useSize, watchVisibility } from './size';

export function usePlot(content: Content, onZoom: ((from: number, to: number) => void) | undefined) {
  const [place, size] = useSize<HTMLDivElement>();
  const [plot, setPlot] = useState<TimePlot | null>(null);
  const look = { zone: zoneSignal.value, theme: chartTheme.value };
  const latest = useRef({ content, look });
  latest.current = { content, look };
  const ready = size !== null && size.width > 80 && size.height > 40;

  useEffect(() => {
    const element = place.current;
    if (!ready || !element || !size) return;
    const made = new TimePlot(element, size.width, size.height, latest.current.content, latest.current.look);
    const unwatch = watchVisibility(element, '50px', (visible) => made.show(visible));
    setPlot(made);
    return () => {
      unwatch();
      made.destroy();
      setPlot(null);
    };
  }, [ready, place]);
  useEffect(() => {
    if (plot && size) plot.resize(size.width, size.height);
  }, [plot, size]);
  useEffect(() => {
    plot?.update(content, latest.current.look);
  }, [plot, content, look.zone, look.theme]);
  useEffect(() => {
    if (plot) return attachPointer(plot, onZoom);
  }, [plot, onZoom]);
  return { place, plot };
}
