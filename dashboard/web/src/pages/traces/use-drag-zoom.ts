// Dragging over the time axis or the bars enlarges the part that was drawn over; Ctrl and the wheel enlarge at the pointer.
import { useRef, useState } from 'preact/hooks';
import { clampWindow, type Window, zoom } from './time-scale';

/** Less is a click with an unsteady hand. */
const LEAST_PIXELS = 5;

const shareAt = (event: MouseEvent): number => {
  const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
  return Math.min(1, Math.max(0, (event.clientX - box.left) / Math.max(1, box.width)));
};

export interface DragZoom {
  /** What is being drawn, in shares of the window. */
  readonly band: { readonly left: number; readonly width: number } | null;
  /** For the element that shows the window from its left to its right edge. */
  readonly handlers: {
    onPointerDown(event: PointerEvent): void;
    onPointerMove(event: PointerEvent): void;
    onPointerUp(event: PointerEvent): void;
    onPointerCancel(): void;
    onWheel(event: WheelEvent): void;
    onClickCapture(event: MouseEvent): void;
  };
}

export function useDragZoom(window: Window, whole: Window, onWindow: (window: Window) => void): DragZoom {
  const [band, setBand] = useState<{ from: number; to: number } | null>(null);
  const start = useRef<{ share: number; x: number } | null>(null);
  const dragged = useRef(false);
  const length = window.to - window.from;
  const stop = () => {
    start.current = null;
    setBand(null);
  };
  return {
    band: band && { left: Math.min(band.from, band.to), width: Math.abs(band.to - band.from) },
    handlers: {
      onPointerDown(event) {
        dragged.current = false;
        // A finger scrolls.
        if (event.button !== 0 || event.pointerType === 'touch') return;
        start.current = { share: shareAt(event), x: event.clientX };
      },
      onPointerMove(event) {
        const from = start.current;
        if (!from || (!dragged.current && Math.abs(event.clientX - from.x) < LEAST_PIXELS)) return;
        if (!dragged.current) (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
        dragged.current = true;
        setBand({ from: from.share, to: shareAt(event) });
      },
      onPointerUp(event) {
        const from = start.current;
        stop();
        if (!from || !dragged.current) return;
        const [low, high] = [from.share, shareAt(event)].sort((a, b) => a - b) as [number, number];
        onWindow(clampWindow({ from: window.from + low * length, to: window.from + high * length }, whole));
      },
      onPointerCancel: stop,
      onWheel(event) {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        onWindow(zoom(window, event.deltaY > 0 ? 1.25 : 0.8, window.from + shareAt(event) * length, whole));
      },
      // The end of a drag is not a click on the row below it.
      onClickCapture(event) {
        if (dragged.current) event.stopPropagation();
        dragged.current = false;
      },
    },
  };
}
