// What the pointer does in a chart: it points (shared crosshair), draws a range to zoom into, pans with Shift or the wheel,
// zooms with Ctrl + wheel or two fingers, and zooms out with a double click. One finger points; the page scrolls under it.
import { currentWindow, hover, moving, scaled, settle, settleMoved, type Window, zoomOut } from './viewport';

export interface Surface {
  readonly over: HTMLElement;
  timeAt(x: number): number;
}

/** Pointers closer than this to where they went down have clicked. CSS pixels. */
const CLICK = 4;
/** A wheel that rests for so long has ended its movement. */
const WHEEL_REST_MS = 220;

export function attachPointer(surface: Surface, onZoom: ((from: number, to: number) => void) | undefined): () => void {
  const { over } = surface;
  const select = document.createElement('div');
  select.className = 'selection';
  select.hidden = true;
  over.append(select);
  const source = surface;
  const stop = new AbortController();
  const on = <K extends keyof HTMLElementEventMap>(
    type: K,
    call: (event: HTMLElementEventMap[K]) => void,
    passive = true,
  ) => over.addEventListener(type, call, { signal: stop.signal, passive });
  const done = (window: Window, moved = false) => {
    if (onZoom) {
      moving.value = null;
      onZoom(window.from, window.to);
    } else if (moved) settleMoved(window);
    else settle(window);
  };

  const fingers = new Map<number, number>();
  let drag: { x: number; window: Window; pan: boolean; moved: boolean } | null = null;
  let pinch: { distance: number; middle: number; window: Window } | null = null;
  const x = (event: MouseEvent) => event.clientX - over.getBoundingClientRect().left;

  const pointAt = (event: PointerEvent) => {
    hover.value = { time: surface.timeAt(x(event)), source };
  };

  on('pointerdown', (event) => {
    if (event.pointerType === 'touch') {
      fingers.set(event.pointerId, x(event));
      const [a, b] = [...fingers.values()];
      if (a !== undefined && b !== undefined) {
        over.setPointerCapture(event.pointerId);
        pinch = { distance: Math.max(20, Math.abs(a - b)), middle: (a + b) / 2, window: currentWindow() };
      }
      pointAt(event);
      return;
    }
    if (event.button !== 0) return;
    over.setPointerCapture(event.pointerId);
    drag = { x: x(event), window: currentWindow(), pan: event.shiftKey, moved: false };
  });

  on('pointermove', (event) => {
    if (pinch && fingers.has(event.pointerId)) {
      fingers.set(event.pointerId, x(event));
      const [a, b] = [...fingers.values()] as [number, number];
      const factor = pinch.distance / Math.max(20, Math.abs(a - b));
      const { window, middle } = pinch;
      const length = window.to - window.from;
      const around = window.from + (middle / over.clientWidth) * length;
      const wider = scaled(window, factor, around);
      const shift = (((a + b) / 2 - middle) / over.clientWidth) * (wider.to - wider.from);
      moving.value = { from: wider.from - shift, to: wider.to - shift };
      return;
    }
    if (!drag) return pointAt(event);
    const at = x(event);
    if (Math.abs(at - drag.x) > CLICK) drag.moved = true;
    if (!drag.moved) return;
    if (drag.pan) {
      const { from, to } = drag.window;
      const by = ((drag.x - at) / over.clientWidth) * (to - from);
      moving.value = { from: from + by, to: to + by };
      return;
    }
    pointAt(event);
    const left = Math.max(0, Math.min(drag.x, at));
    const right = Math.min(over.clientWidth, Math.max(drag.x, at));
    select.hidden = false;
    select.style.left = `${left}px`;
    select.style.width = `${right - left}px`;
  });

  const end = (event: PointerEvent, cancelled: boolean) => {
    fingers.delete(event.pointerId);
    if (pinch) {
      if (fingers.size >= 2) return;
      pinch = null;
      const window = moving.peek();
      if (window) done(window);
      return;
    }
    const had = drag;
    drag = null;
    select.hidden = true;
    if (!had?.moved) return;
    if (had.pan) {
      const window = moving.peek();
      if (window && !cancelled) done(window, true);
      else moving.value = null;
      return;
    }
    if (cancelled) return;
    const a = surface.timeAt(Math.max(0, Math.min(had.x, x(event))));
    const b = surface.timeAt(Math.min(over.clientWidth, Math.max(had.x, x(event))));
    if (b - a >= 1) done({ from: a, to: b });
  };
  on('pointerup', (event) => end(event, false));
  on('pointercancel', (event) => end(event, true));
  on('pointerleave', (event) => {
    if (event.pointerType !== 'touch' && !drag) hover.value = null;
  });
  on('dblclick', () => zoomOut());
  addEventListener(
    'keydown',
    (event) => {
      if (event.key !== 'Escape' || !drag) return;
      drag = null;
      select.hidden = true;
      moving.value = null;
    },
    { signal: stop.signal },
  );

  let rest: ReturnType<typeof setTimeout> | undefined;
  on(
    'wheel',
    (event) => {
      const sideways = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
      const zooms = event.ctrlKey || event.metaKey;
      // An ordinary wheel scrolls the page.
      if (!zooms && Math.abs(sideways) <= Math.abs(event.shiftKey ? 0 : event.deltaY)) return;
      event.preventDefault();
      const window = currentWindow();
      if (zooms) moving.value = scaled(window, Math.exp(event.deltaY * 0.004), surface.timeAt(x(event)));
      else {
        const by = (sideways / over.clientWidth) * (window.to - window.from);
        moving.value = { from: window.from + by, to: window.to + by };
      }
      clearTimeout(rest);
      rest = setTimeout(() => {
        const moved = moving.peek();
        if (moved) done(moved, !zooms);
      }, WHEEL_REST_MS);
    },
    false,
  );

  return () => {
    stop.abort();
    clearTimeout(rest);
    select.remove();
    if (hover.peek()?.source === source) hover.value = null;
  };
}
