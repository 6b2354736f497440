// The process: whether it takes data, its memory, the disk of the log; and the last reload.
import type { ComponentChildren } from 'preact';
import { zoneSignal } from '../../time/range';
import { formatBytes, formatDateTime, formatDuration } from '../shared/format';
import { Icon } from '../shared/icons';
import { LongText } from '../shared/Label';
import { logHealth } from './health';
import type { Rates } from './rates';
import type { Snapshot } from './snapshot';
import { VerdictMark } from './Verdict';

export function Instance({ snapshot, rates }: { readonly snapshot: Snapshot; readonly rates: Rates }) {
  const { memory, log, reload, ready } = snapshot;
  const uptime = Math.max(0, Math.round((snapshot.now_unix_ms - snapshot.started_unix_ms) / 1000));
  return (
    <section class="instance" aria-label="The instance">
      <Figure name="State">
        <VerdictMark verdict={ready ? { health: 'good', word: 'ready' } : { health: 'waiting', word: 'not ready' }} />
      </Figure>
      <Figure name="Up">{formatDuration(uptime * 1e9)}</Figure>
      <Figure name="Memory">{formatBytes(memory.resident_bytes)}</Figure>
      <Figure name="Requests in flight" share={share(memory.admitted_bytes, memory.admission_limit_bytes)}>
        {formatBytes(memory.admitted_bytes)} of {formatBytes(memory.admission_limit_bytes)}
      </Figure>
      <Figure name="Log on disk" share={share(log.bytes, log.limit_bytes)}>
        {formatBytes(log.bytes)} of {formatBytes(log.limit_bytes)} <VerdictMark verdict={logHealth(log, rates)} />
      </Figure>
      {reload && (
        <p class={`notice ${reload.applied ? 'fine' : 'bad'}`}>
          <Icon name={reload.applied ? 'check' : 'error'} />
          <span>
            {reload.applied ? 'Reloaded' : 'A reload was not applied'} at{' '}
            {formatDateTime(reload.at_unix_ms, zoneSignal.value)}: <LongText text={reload.message} most={500} />
          </span>
        </p>
      )}
    </section>
  );
}

const share = (part: number, whole: number): number => (whole > 0 ? Math.min(1, part / whole) : 0);

function Figure(props: { readonly name: string; readonly share?: number; readonly children: ComponentChildren }) {
  const level = (props.share ?? 0) > 0.95 ? 'critical' : (props.share ?? 0) > 0.8 ? 'warning' : '';
  return (
    <div class="panel-box figure">
      <span class="hint">{props.name}</span>
      <span>{props.children}</span>
      {props.share !== undefined && (
        <span class="meter" aria-hidden="true">
          <span class={level} style={{ width: `${props.share * 100}%` }} />
        </span>
      )}
    </div>
  );
}
