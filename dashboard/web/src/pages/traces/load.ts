// A trace from the rows of its spans.
import type { Value } from '../../live/cells';
import type { Frame } from '../../live/frame';
import { reader } from '../shared/frame-reader';
import { MOST_SPANS } from './list-query';
import type { Span, SpanEvent, SpanLink, Trace } from './span';

type Struct = { readonly [key: string]: Value };

export function traceOf(id: string, frame: Frame): Trace {
  const column = (name: string) => reader(frame, name);
  const [starts, ends] = [column('start_time_unix_nano'), column('end_time_unix_nano')];
  let startNanos: bigint | null = null;
  for (let row = 0; row < frame.length; row++) {
    const start = starts.integer(row);
    if (start !== null && (startNanos === null || start < startNanos)) startNanos = start;
  }
  const zero = startNanos ?? 0n;
  const texts = Object.fromEntries(frame.columns.map(({ name }) => [name, column(name)]));
  const text = (name: string, row: number) => texts[name]?.text(row) ?? '';
  const number = (name: string, row: number) => texts[name]?.number(row) ?? 0;
  const lists = { events: frame.indexOf('events'), links: frame.indexOf('links') };
  const spans = Array.from({ length: frame.length }, (_, row): Span => {
    const start = starts.integer(row) ?? zero;
    const end = ends.integer(row) ?? start;
    return {
      id: text('span_id', row) || null,
      parentId: text('parent_span_id', row) || null,
      name: text('name', row),
      service: texts.service_name?.text(row) ?? null,
      kind: number('kind', row),
      start: Number(start - zero),
      // An end before its start is a clock that was set back: the span is a moment.
      end: Number((end < start ? start : end) - zero),
      status: number('status_code', row),
      statusMessage: text('status_message', row),
      attributes: text('attributes', row) || '{}',
      resource: text('resource_attributes', row) || '{}',
      scope: [text('scope_name', row), text('scope_version', row)].filter(Boolean).join(' '),
      traceState: text('trace_state', row),
      events: structs(frame.get(lists.events, row)).map((event) => eventOf(event, zero)),
      links: structs(frame.get(lists.links, row)).map(linkOf),
      dropped: {
        attributes: number('dropped_attributes_count', row),
        events: number('dropped_events_count', row),
        links: number('dropped_links_count', row),
      },
    };
  });
  return { id, startNanos: zero, spans, truncated: frame.truncated || frame.length >= MOST_SPANS };
}

function structs(value: Value): Struct[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item): item is Struct => typeof item === 'object' && item !== null && !Array.isArray(item));
}

const textOf = (value: Value | undefined): string => (typeof value === 'string' ? value : '');

function eventOf(event: Struct, zero: bigint): SpanEvent {
  const at = event.time_unix_nano;
  const nanos = typeof at === 'number' || (typeof at === 'string' && /^\d+$/.test(at)) ? BigInt(at) : zero;
  return { time: Number(nanos - zero), name: textOf(event.name), attributes: textOf(event.attributes) || '{}' };
}

const linkOf = (link: Struct): SpanLink => ({
  traceId: textOf(link.trace_id) || null,
  spanId: textOf(link.span_id) || null,
  attributes: textOf(link.attributes) || '{}',
});
