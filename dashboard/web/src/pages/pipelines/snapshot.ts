// What GET /api/v1/pipeline and the status subscription give. Items are metric points, log records or spans; totals count
// from the start of the process.

export type State = 'starting' | 'running' | 'retrying' | 'stopping' | 'stopped' | 'failed';

export interface Failure {
  at_unix_ms: number;
  message: string;
}

export interface Pipeline {
  id: string;
  signal: string;
  receivers: string[];
  processors: string[];
  exporters: string[];
}

export interface Receiver {
  id: string;
  kind: string;
  state: State;
  pipelines: string[];
  addresses: { protocol: string; address: string }[];
  accepted_items: number;
  accepted_per_second: number;
  refused_items: number;
  refused_by_reason: Counts;
  last_error: Failure | null;
}

/** Items by reason, `too_old`. */
export type Counts = Readonly<Record<string, number>>;

/** What processors and connectors have in common. All items: `incoming + put_in = outgoing + refused + taken_out + held`. */
export interface Stage {
  id: string;
  kind: string;
  /** Empty for a connector. */
  pipeline: string;
  incoming_items: number;
  outgoing_items: number;
  refused_items: number;
  taken_out_items: Counts;
  put_in_items: Counts;
  held_items: number;
  /** Of a stage that remembers, and so reads the log: what it has not saved yet. */
  backlog: Backlog | null;
  last_error: Failure | null;
}

export type Processor = Stage;

export interface Connector extends Stage {
  /** The pipelines it ends, and those it begins. */
  from: string[];
  to: string[];
}

export interface Backlog {
  committed: number;
  records: number;
  items: number;
  bytes: number;
  oldest_age_seconds: number;
}

export interface Exporter {
  id: string;
  kind: string;
  state: State;
  pipelines: string[];
  exported_items: number;
  exported_per_second: number;
  lost_items: number;
  retries: number;
  in_flight_items: number;
  in_flight_bytes: number;
  backlog: Backlog;
  last_error: Failure | null;
}

export interface Log {
  durable: boolean;
  path: string | null;
  last: number;
  bytes: number;
  limit_bytes: number;
  segments: number;
  appended_records: number;
  appended_bytes: number;
  fsyncs: number;
  fsync_seconds: number;
  fsync_failures: number;
  refused_requests: number;
  lost_items: number;
}

export interface Snapshot {
  started_unix_ms: number;
  now_unix_ms: number;
  ready: boolean;
  memory: { resident_bytes: number; admitted_bytes: number; admission_limit_bytes: number };
  pipelines: Pipeline[];
  receivers: Receiver[];
  processors: Processor[];
  connectors: Connector[];
  exporters: Exporter[];
  log: Log;
  reload: { at_unix_ms: number; applied: boolean; message: string } | null;
}

/** GET /api/v1/lake */
export interface Lake {
  tables: {
    name: string;
    hot_rows: number;
    hot_bytes: number;
    files: number;
    file_rows: number;
    file_bytes: number;
  }[];
  durable_position: number;
  appended_position: number;
  last_flush_unix_ms: number | null;
  last_flush_seconds: number | null;
  last_flush_error: string | null;
}
