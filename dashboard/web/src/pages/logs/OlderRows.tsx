// Below the list: older records, loaded when the end comes into sight.

import { useEffect, useRef } from 'preact/hooks';
import { range, relative, setRange } from '../../time/range';
import { Button } from '../../ui';
import type { ElementRef } from '../shared/element-ref';
import { formatCount } from '../shared/format';
import type { Tail } from './use-tail';

interface Props {
  readonly older: Tail['older'];
  readonly count: number;
  readonly scroller: ElementRef;
}

export function OlderRows({ older, count, scroller }: Props) {
  const end = useRef<HTMLDivElement>(null);
  const load = useRef(older.load);
  load.current = older.load;
  const ready = older.state === 'idle' && !older.error;
  useEffect(() => {
    if (!ready || !end.current) return;
    // Only for who scrolls: the end of a short list is in sight from the start.
    const observer = new IntersectionObserver(
      ([entry]) => entry?.isIntersecting && (scroller.current?.scrollTop ?? 0) > 0 && load.current(),
      { root: scroller.current, rootMargin: '300px' },
    );
    observer.observe(end.current);
    return () => observer.disconnect();
  }, [ready, scroller, count]);
  return (
    <div class="older" ref={end}>
      {older.error && <p role="alert">Older records could not be loaded: {older.error.message}</p>}
      {older.state === 'loading' && <p role="status">Loading older records…</p>}
      {older.state === 'idle' && <Button onClick={() => older.load()}>Load older records</Button>}
      {older.state === 'full' && (
        <p>{formatCount(count)} records are shown. To see older ones, choose an earlier range.</p>
      )}
      {older.state === 'done' && <Start count={count} />}
    </div>
  );
}

function Start({ count }: { readonly count: number }) {
  const now = range.value;
  const wider = now.kind === 'relative' ? relative(`${Math.round((now.lastMs * 4) / 1000)}s`) : null;
  return (
    <p class="hint">
      All {formatCount(count)} records of the range.{' '}
      {wider && (
        <button type="button" class="text-button" onClick={() => setRange(wider)}>
          Look further back
        </button>
      )}
    </p>
  );
}
