// All of one record.
import { Link } from '../../router';
import { zoneSignal } from '../../time/range';
import { type AttributeActions, AttributeTable } from '../shared/AttributeTable';
import { parseAttributes, prettyJson } from '../shared/attributes';
import { CopyButton } from '../shared/CopyButton';
import { formatDate, formatTime } from '../shared/format';
import { LongText } from '../shared/Label';
import type { LogRow } from './rows';

/** With all nine digits of the second. */
function exactTime(nanos: string, zone: string): string | null {
  if (!/^[1-9]\d*$/.test(nanos)) return null;
  const ms = Number(BigInt(nanos) / 1_000_000n);
  return `${formatDate(ms, zone)} ${formatTime(ms, zone).slice(0, -3)}${nanos.slice(-9)}`;
}

export function LogDetails({ row, ...actions }: { readonly row: LogRow } & AttributeActions) {
  const zone = zoneSignal.value;
  const body = row.body === null ? null : (prettyJson(row.body) ?? row.body);
  const facts: [string, preact.ComponentChildren][] = [
    ['Time', exactTime(row.nanos, zone)],
    ['Observed', row.observedNanos === row.nanos ? null : exactTime(row.observedNanos, zone)],
    ['Severity', severityOf(row)],
    ['Event', row.eventName && <LongText text={row.eventName} />],
    ['Scope', row.scope && <LongText text={[row.scope, row.scopeVersion].filter(Boolean).join(' ')} />],
    ['Trace', row.traceId && <TraceLink row={row} />],
  ];
  return (
    <div class="log-details">
      {body !== null && (
        <div class="record-body">
          <pre>
            <LongText text={body} most={20_000} />
          </pre>
          <CopyButton text={row.body ?? ''} what="the body" />
        </div>
      )}
      <dl class="facts">
        {facts.map(
          ([name, value]) =>
            value && (
              <>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </>
            ),
        )}
      </dl>
      <AttributeTable caption="Attributes" attributes={parseAttributes(row.attributes)} {...actions} />
      <AttributeTable caption="Resource" attributes={parseAttributes(row.resource)} {...actions} />
      <AttributeTable caption="Scope attributes" attributes={parseAttributes(row.scopeAttributes)} />
    </div>
  );
}

function severityOf({ severityText, severityNumber, level }: LogRow): string {
  return [severityText || level, severityNumber ? `(${severityNumber})` : ''].filter(Boolean).join(' ');
}

function TraceLink({ row: { traceId, spanId, time } }: { readonly row: LogRow }) {
  const at = Number.isFinite(time) ? `at=${Math.floor(time)}` : '';
  const span = spanId ? `span=${encodeURIComponent(spanId)}` : '';
  return (
    <>
      <Link href={`/traces/${encodeURIComponent(traceId)}?${[at, span].filter(Boolean).join('&')}`} class="mono">
        {traceId}
      </Link>
      {spanId && <span class="hint mono"> span {spanId}</span>}
    </>
  );
}
