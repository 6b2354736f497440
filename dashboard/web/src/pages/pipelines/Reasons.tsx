// How many items, how fast, and why: the greatest first. Reasons without items are left out.
import { formatCount, formatRate } from '../shared/format';
import { Label } from '../shared/Label';
import { sum } from './rates';
import type { Counts } from './snapshot';

/** Of receivers (`error.type` in own telemetry), where the name alone does not say what became of the items. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ['busy', 'busy, to be sent again'],
  ['rejected', 'rejected for good'],
  ['invalid', "invalid by OTLP's data model"],
  ['too_far_in_future', 'too far in the future'],
  ['no_time', 'without a time'],
]);

export function Reasons({ counts, perSecond }: { readonly counts: Counts; readonly perSecond: number | null }) {
  const all = Object.entries(counts).filter(([, items]) => items > 0);
  all.sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return (
    <>
      {formatCount(sum(counts))}, {formatRate(perSecond)}
      {all.length > 0 && (
        <ul class="reasons">
          {all.map(([reason, items]) => (
            <li key={reason}>
              {formatCount(items)} <Label text={WORDS.get(reason) ?? reason.replaceAll('_', ' ')} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
