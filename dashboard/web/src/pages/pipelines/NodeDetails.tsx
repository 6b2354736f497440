// All that a node has to tell.
import { zoneSignal } from '../../time/range';
import { Button } from '../../ui';
import { formatDateTime, formatDuration } from '../shared/format';
import { Icon } from '../shared/icons';
import { LongText } from '../shared/Label';
import type { GraphNode } from './graph';
import type { Rates } from './rates';
import type { Failure, Snapshot } from './snapshot';
import { tell } from './tell';

interface Props {
  readonly node: GraphNode;
  readonly snapshot: Snapshot;
  readonly rates: Rates;
  readonly onClose: () => void;
}

export function NodeDetails({ node, snapshot, rates, onClose }: Props) {
  const told = tell(node, snapshot, rates);
  if (!told) return null;
  const { title, facts, failure } = told;
  return (
    <aside class="panel-box node-details" aria-label={`${node.ref.kind} ${title.slice(0, 80)}`}>
      <header>
        <h2>
          <LongText text={title} most={300} />
        </h2>
        <Button kind="quiet" icon aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </Button>
      </header>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {failure && <LastFailure failure={failure} now={snapshot.now_unix_ms} />}
    </aside>
  );
}

export function LastFailure({ failure, now }: { readonly failure: Failure; readonly now: number }) {
  return (
    <div class="failure">
      <h3>Last failure</h3>
      <p class="hint">
        {formatDateTime(failure.at_unix_ms, zoneSignal.value)}, {age(now - failure.at_unix_ms)} ago
      </p>
      <pre>
        <LongText text={failure.message} />
      </pre>
    </div>
  );
}

const age = (ms: number): string => formatDuration(Math.max(0, Math.round(ms / 1000)) * 1e9);
