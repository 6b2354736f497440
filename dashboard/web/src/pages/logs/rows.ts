// Records as the list shows them. A live frame is only valid until the next, so rows are copied out of it.
import type { Frame } from '../../live/frame';
import { reader } from '../shared/frame-reader';
import { type Level, levelOf } from './severity';

export interface LogRow {
  /** The same record has the same key in every result; equal records are counted. */
  key: string;
  /** Milliseconds since 1970. */
  time: number;
  nanos: string;
  observedNanos: string;
  level: Level;
  severityNumber: number | null;
  severityText: string;
  service: string;
  body: string | null;
  bodyIsJson: boolean;
  eventName: string;
  attributes: string;
  resource: string;
  scope: string;
  scopeVersion: string;
  scopeAttributes: string;
  traceId: string;
  spanId: string;
}

const KEY_PART = 200;

/** Newest first. */
export function logRows(frame: Frame): LogRow[] {
  const column = Object.fromEntries(frame.columns.map(({ name }) => [name, reader(frame, name)]));
  const text = (name: string, row: number) => column[name]?.text(row) ?? '';
  const seen = new Map<string, number>();
  const rows: LogRow[] = [];
  for (let row = 0; row < frame.length; row++) {
    const severityNumber = column.severity_number?.number(row) ?? null;
    const body = column.body?.text(row) ?? null;
    const attributes = text('attributes', row);
    const nanos = text('time_unix_nano', row);
    rows.push({
      key: [
        nanos,
        frame.time?.[row],
        text('span_id', row),
        body?.length,
        body?.slice(0, KEY_PART),
        attributes.slice(0, KEY_PART),
      ].join(' '),
      time: frame.time?.[row] ?? Number.NaN,
      nanos,
      observedNanos: text('observed_time_unix_nano', row),
      level: levelOf(severityNumber),
      severityNumber,
      severityText: text('severity_text', row),
      service: text('service_name', row),
      body,
      bodyIsJson: text('body_is_json', row) === 'true',
      eventName: text('event_name', row),
      attributes,
      resource: text('resource_attributes', row),
      scope: text('scope_name', row),
      scopeVersion: text('scope_version', row),
      scopeAttributes: text('scope_attributes', row),
      traceId: text('trace_id', row),
      spanId: text('span_id', row),
    });
  }
  rows.sort((a, b) => b.time - a.time || Number(BigInt(b.nanos || 0) - BigInt(a.nanos || 0)));
  for (const row of rows) {
    const times = (seen.get(row.key) ?? 0) + 1;
    seen.set(row.key, times);
    if (times > 1) row.key = `${row.key} #${times}`;
  }
  return rows;
}

/** Older rows below those shown; what both have is taken once. */
export function appendOlder(shown: readonly LogRow[], older: readonly LogRow[]): LogRow[] {
  const keys = new Set(shown.map((row) => row.key));
  return [...shown, ...older.filter((row) => !keys.has(row.key))];
}

/** Rows of `live` that came after the list was stopped. `more`: at least so many, the live result holds no more. */
export function countNew(live: readonly LogRow[], stopped: readonly LogRow[]): { count: number; more: boolean } {
  const newest = stopped[0]?.time ?? Number.NEGATIVE_INFINITY;
  const keys = new Set(stopped.map((row) => row.key));
  const count = live.filter((row) => row.time >= newest && !keys.has(row.key)).length;
  return { count, more: count > 0 && count === live.length && stopped.length > 0 };
}
