// What can be chosen as service and operation: those of the range, read when it changes and now and then. Not live: choices
// need not be of this second, and counting all spans each second would cost the server more than the list itself.
import { useEffect, useState } from 'preact/hooks';
import { runQuery } from '../../live/query';
import { bounds, range } from '../../time/range';
import { operationsSql } from './list-query';
import { type Operation, operationsOf } from './summaries';

const AGAIN_MS = 30_000;

export function useOperations(): readonly Operation[] {
  const [known, setKnown] = useState<readonly Operation[]>([]);
  const of = range.value;
  useEffect(() => {
    const controller = new AbortController();
    const look = () => {
      if (document.hidden) return;
      const { from, to } = bounds(of);
      runQuery(operationsSql(from, to), { signal: controller.signal }).then(
        (frame) => setKnown(operationsOf(frame)),
        // The list itself says what is wrong.
        () => {},
      );
    };
    look();
    const timer = setInterval(look, AGAIN_MS);
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, [of]);
  return known;
}
