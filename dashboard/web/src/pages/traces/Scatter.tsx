// Each trace as a point: when it began, how long it took. Traces with errors are crosses. Points open their trace; drawing a
// rectangle narrows the range and the durations. The table below says the same to who cannot use it.
import { useMemo, useRef, useState } from 'preact/hooks';
import { zoneSignal } from '../../time/range';
import { formatDuration, formatTime } from '../shared/format';
import { Label } from '../shared/Label';
import { useWidth } from '../shared/use-width';
import { NO_SERVICE } from './colors';
import { nearest, type Point, points, powers, type Scales, scales } from './scatter-scale';
import type { Summary } from './summaries';

const HEIGHT = 170;

interface Props {
  readonly traces: readonly Summary[];
  readonly from: number;
  readonly to: number;
  readonly onOpen: (trace: Summary) => void;
  readonly onSelect: (area: { from: number; to: number; least: number; most: number }) => void;
}

export function Scatter({ traces, from, to, onOpen, onSelect }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const width = useWidth(place, 600);
  const scale = useMemo(() => scales(traces, from, to, width, HEIGHT), [traces, from, to, width]);
  const drawn = useMemo(() => points(traces, scale), [traces, scale]);
  const [hover, setHover] = useState<Point | null>(null);
  const [band, setBand] = useState<{ x: number; y: number; x2: number; y2: number } | null>(null);
  const here = (event: PointerEvent) => {
    const box = place.current?.getBoundingClientRect();
    return { x: event.clientX - (box?.left ?? 0), y: event.clientY - (box?.top ?? 0) };
  };
  const finish = (event: PointerEvent) => {
    const { x, y } = here(event);
    const drawnFar = band && Math.abs(x - band.x) > 6 && Math.abs(y - band.y) > 6;
    if (drawnFar) {
      const [left, right] = [Math.min(x, band.x), Math.max(x, band.x)];
      const [top, bottom] = [Math.min(y, band.y), Math.max(y, band.y)];
      onSelect({
        from: scale.time(left),
        to: scale.time(right),
        least: scale.duration(bottom),
        most: scale.duration(top),
      });
    } else {
      const point = nearest(drawn, x, y);
      if (point) onOpen(point.trace);
    }
    setBand(null);
  };
  return (
    <div
      ref={place}
      class={`scatter ${hover ? 'over' : ''}`}
      style={{ height: `${HEIGHT}px` }}
      onPointerDown={(event) => {
        if (event.button === 0 && event.pointerType !== 'touch')
          setBand({ ...here(event), x2: here(event).x, y2: here(event).y });
      }}
      onPointerMove={(event) => {
        const { x, y } = here(event);
        if (band) setBand({ ...band, x2: x, y2: y });
        setHover(nearest(drawn, x, y));
      }}
      onPointerUp={finish}
      onPointerLeave={() => {
        setBand(null);
        setHover(null);
      }}
    >
      <Picture traces={traces} drawn={drawn} scale={scale} width={width} hover={hover} band={band} />
      {hover && <Tip point={hover} width={width} />}
    </div>
  );
}

interface PictureProps {
  readonly traces: readonly Summary[];
  readonly drawn: readonly Point[];
  readonly scale: Scales;
  readonly width: number;
  readonly hover: Point | null;
  readonly band: { x: number; y: number; x2: number; y2: number } | null;
}

function Picture({ traces, drawn, scale, width, hover, band }: PictureProps) {
  const zone = zoneSignal.value;
  const circles = drawn.filter(({ trace }) => trace.errors === 0);
  const crosses = drawn.filter(({ trace }) => trace.errors > 0);
  return (
    <svg
      width={width}
      height={HEIGHT}
      role="img"
      aria-label={`${traces.length} traces by start and duration, ${crosses.length} with errors`}
    >
      {powers(scale).map((duration) => (
        <g key={duration} class="grid">
          <line x1={scale.left} x2={scale.right} y1={scale.y(duration)} y2={scale.y(duration)} />
          <text x={scale.left - 6} y={scale.y(duration) + 4} text-anchor="end">
            {formatDuration(duration)}
          </text>
        </g>
      ))}
      {[0, 0.25, 0.5, 0.75, 1].slice(0, width < 480 ? 3 : 5).map((part) => {
        const share = width < 480 ? part * 2 : part;
        const time = scale.from + share * (scale.to - scale.from);
        return (
          <text
            key={share}
            class="when"
            x={scale.x(time)}
            y={HEIGHT - 5}
            text-anchor={share === 0 ? 'start' : share === 1 ? 'end' : 'middle'}
          >
            {formatTime(time, zone).slice(0, 8)}
          </text>
        );
      })}
      <path class="points" d={circles.map(({ x, y }) => `M${x - 3} ${y}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0`).join('')} />
      <path
        class="points errors"
        d={crosses.map(({ x, y }) => `M${x - 3.5} ${y - 3.5}l7 7M${x + 3.5} ${y - 3.5}l-7 7`).join('')}
      />
      {hover && <circle class="ring" cx={hover.x} cy={hover.y} r={7} />}
      {band && (
        <rect
          class="band"
          x={Math.min(band.x, band.x2)}
          y={Math.min(band.y, band.y2)}
          width={Math.abs(band.x2 - band.x)}
          height={Math.abs(band.y2 - band.y)}
        />
      )}
    </svg>
  );
}

function Tip({ point: { x, y, trace }, width }: { readonly point: Point; readonly width: number }) {
  const side = x > width / 2 ? { right: `${width - x + 12}px` } : { left: `${x + 12}px` };
  return (
    <div class="tip" style={{ ...side, top: `${Math.max(0, Math.min(HEIGHT - 70, y - 20))}px` }}>
      <Label text={trace.service ?? NO_SERVICE} class="hint" />
      <Label text={trace.name || '(no name)'} />
      <span>
        {formatDuration(trace.duration)}, {trace.spans} span{trace.spans === 1 ? '' : 's'}
        {trace.errors > 0 && `, ${trace.errors} error${trace.errors === 1 ? '' : 's'}`}
      </span>
    </div>
  );
}
