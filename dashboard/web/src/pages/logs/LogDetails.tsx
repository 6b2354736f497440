// All of one record.
import { Link } from '../../router';
import { zoneSignal } from '../../time/range';
import { type AttributeActions, AttributeTable } from '../shared/AttributeTable';
import { parseAttributes, prettyJson } from '../shared/attributes';
import { CopyButton } from '../shared/CopyButton';
import { formatDate, formatDateTime, formatTime } from '../shared/format';
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
    ['Time', exactTime(row.nanos, zone) ?? formatDateTime(row.time, zone)],
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
      <p class="hint">
        <CopyButton text={asJson(row)} what="the record as JSON" /> Copy the record as JSON
      </p>
    </div>
  );
}

/** Nanoseconds as text and attributes as objects, as the API's JSON has them. */
function asJson({ key: _key, level: _level, bodyIsJson, ...row }: LogRow): string {
  const parsed = (text: string | null) => {
    try {
      return JSON.parse(text ?? 'null');
    } catch {
      return text;
    }
  };
  const record = {
    ...row,
    time: Number.isFinite(row.time) ? new Date(row.time).toISOString() : null,
    body: bodyIsJson ? parsed(row.body) : row.body,
    attributes: parsed(row.attributes),
    resource: parsed(row.resource),
    scopeAttributes: parsed(row.scopeAttributes),
  };
  return JSON.stringify(record, null, 2);
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
