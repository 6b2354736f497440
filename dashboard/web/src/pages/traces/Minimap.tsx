// All of the trace in a strip: a line a span, and the part that is enlarged.
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatDuration } from '../shared/format';
import { useWidth } from '../shared/use-width';
import { NO_SERVICE } from './colors';
import { isError } from './span';
import type { Window } from './time-scale';
import type { Tree } from './tree';
import { useDragZoom } from './use-drag-zoom';

const HEIGHT = 56;

interface Props {
  readonly tree: Tree;
  readonly window: Window;
  readonly whole: Window;
  readonly onWindow: (window: Window) => void;
  readonly colors: ReadonlyMap<string, string>;
}

export function Minimap({ tree, window, whole, onWindow, colors }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(canvas, 0);
  const turn = useThemeTurn();
  const drag = useDragZoom(whole, whole, onWindow);
  useEffect(() => {
    if (canvas.current) paint(canvas.current, tree, whole, colors, width);
  }, [tree, whole, colors, width, turn]);
  const length = whole.to - whole.from;
  const share = (time: number) => `${((time - whole.from) / length) * 100}%`;
  const zoomed = window.from > whole.from || window.to < whole.to;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the buttons and keys of the spans do the same
    <div class="minimap" aria-hidden="true" {...drag.handlers} onDblClick={() => onWindow(whole)}>
      <canvas ref={canvas} style={{ height: `${HEIGHT}px` }} />
      {zoomed && (
        <>
          <div class="shade" style={{ left: 0, width: share(window.from) }} />
          <div class="shade" style={{ left: share(window.to), right: 0 }} />
        </>
      )}
      {drag.band && (
        <div class="band" style={{ left: `${drag.band.left * 100}%`, width: `${drag.band.width * 100}%` }} />
      )}
      <span class="tick">0</span>
      <span class="tick end">{formatDuration(length)}</span>
    </div>
  );
}

/** Counts the changes of theme: a canvas keeps the colours it was painted with. */
function useThemeTurn(): number {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const again = () => setTurn((turn) => turn + 1);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const themed = new MutationObserver(again);
    themed.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    scheme.addEventListener('change', again);
    return () => {
      themed.disconnect();
      scheme.removeEventListener('change', again);
    };
  }, []);
  return turn;
}

function paint(
  canvas: HTMLCanvasElement,
  tree: Tree,
  whole: Window,
  colors: ReadonlyMap<string, string>,
  width: number,
) {
  const scale = devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.round(HEIGHT * scale);
  const context = canvas.getContext('2d');
  if (!context || tree.nodes.length === 0) return;
  const length = whole.to - whole.from;
  const line = Math.max(scale, canvas.height / tree.nodes.length - 1);
  const resolved = new Map<string, string>();
  tree.nodes.forEach(({ span }, index) => {
    const name = isError(span) ? 'error' : (span.service ?? NO_SERVICE);
    const wanted = isError(span) ? 'var(--critical)' : (colors.get(name) ?? 'gray');
    if (!resolved.has(name)) resolved.set(name, resolve(canvas, wanted));
    context.fillStyle = resolved.get(name) ?? 'gray';
    const left = ((span.start - whole.from) / length) * canvas.width;
    const right = ((span.end - whole.from) / length) * canvas.width;
    context.fillRect(
      left,
      (index / tree.nodes.length) * canvas.height,
      Math.max(scale, right - left),
      Math.min(line, 6 * scale),
    );
  });
}

/** A canvas knows no variables and no light-dark(). */
function resolve(canvas: HTMLCanvasElement, color: string): string {
  canvas.style.color = color;
  const computed = getComputedStyle(canvas).color;
  canvas.style.color = '';
  return computed;
}
