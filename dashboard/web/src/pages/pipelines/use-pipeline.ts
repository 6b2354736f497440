// The status subscription with the rates made of it, and the lake's figures every few seconds.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Problem } from '../../live/frame';
import { useStatus } from '../../live/live';
import { getJson, QueryError } from '../../live/query';
import { Rates } from './rates';
import type { Lake, Snapshot } from './snapshot';

const LAKE_MS = 5000;

export function usePipeline(): { snapshot: Snapshot | null; rates: Rates } {
  const snapshot = useStatus<Snapshot>().value;
  const rates = useRef(new Rates());
  const seen = useRef<Snapshot | null>(null);
  if (snapshot && snapshot !== seen.current) {
    seen.current = snapshot;
    rates.current = rates.current.with(snapshot);
  }
  return { snapshot, rates: rates.current };
}

export function useLake(): { lake: Lake | null; error: Problem | null } {
  const [state, setState] = useState<{ lake: Lake | null; error: Problem | null }>({ lake: null, error: null });
  useEffect(() => {
    const controller = new AbortController();
    const look = () => {
      if (document.hidden) return;
      getJson<Lake>('/api/v1/lake', controller.signal).then(
        (lake) => setState({ lake, error: null }),
        (error) => {
          if (controller.signal.aborted) return;
          const problem = error instanceof QueryError ? error.problem : { kind: 'internal', message: String(error) };
          setState((had) => ({ ...had, error: problem }));
        },
      );
    };
    look();
    const timer = setInterval(look, LAKE_MS);
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, []);
  return state;
}
