// A span as the lake gives it. Times are nanoseconds since the trace's earliest start, so that doubles hold them exactly
// for a hundred days; `Trace.startNanos` is that moment.

export interface SpanEvent {
  time: number;
  name: string;
  attributes: string;
}

export interface SpanLink {
  traceId: string | null;
  spanId: string | null;
  attributes: string;
}

export interface Span {
  id: string | null;
  parentId: string | null;
  name: string;
  service: string | null;
  kind: number;
  start: number;
  end: number;
  status: number;
  statusMessage: string;
  /** Canonical JSON text, as is `resource`. */
  attributes: string;
  resource: string;
  scope: string;
  traceState: string;
  events: SpanEvent[];
  links: SpanLink[];
  dropped: { attributes: number; events: number; links: number };
}

export interface Trace {
  id: string;
  /** Nanoseconds since 1970 of the earliest start. */
  startNanos: bigint;
  spans: Span[];
  truncated: boolean;
}

export const STATUS_ERROR = 2;

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
export const kindName = (kind: number): string => KINDS[kind] ?? `kind ${kind}`;

export const isError = (span: Span): boolean => span.status === STATUS_ERROR;
