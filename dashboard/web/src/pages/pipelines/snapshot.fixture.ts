// A snapshot for tests: three pipelines, two receivers, one of them in all, two exporters.

import type { Exporter, Receiver, Snapshot } from './snapshot';

export const receiver = (id: string, pipelines: string[], more: Partial<Receiver> = {}): Receiver => ({
  id,
  kind: id,
  state: 'running',
  pipelines,
  addresses: [],
  accepted_items: 0,
  accepted_per_second: 0,
  refused_items: 0,
  last_error: null,
  ...more,
});

export const exporter = (id: string, pipelines: string[], more: Partial<Exporter> = {}): Exporter => ({
  id,
  kind: id,
  state: 'running',
  pipelines,
  exported_items: 0,
  exported_per_second: 0,
  lost_items: 0,
  retries: 0,
  in_flight_items: 0,
  in_flight_bytes: 0,
  backlog: { committed: 0, records: 0, items: 0, bytes: 0, oldest_age_seconds: 0 },
  last_error: null,
  ...more,
});

export function snapshot(more: Partial<Snapshot> = {}): Snapshot {
  return {
    started_unix_ms: 1000,
    now_unix_ms: 10_000,
    ready: true,
    memory: { resident_bytes: 0, admitted_bytes: 0, admission_limit_bytes: 1 },
    pipelines: [
      {
        id: 'metrics',
        signal: 'metrics',
        receivers: ['otlp', 'host'],
        processors: ['limit', 'batch'],
        exporters: ['lake', 'out'],
      },
      { id: 'logs', signal: 'logs', receivers: ['otlp'], processors: [], exporters: ['lake'] },
      { id: 'traces', signal: 'traces', receivers: ['otlp'], processors: ['limit'], exporters: ['lake'] },
    ],
    receivers: [receiver('otlp', ['metrics', 'logs', 'traces']), receiver('host', ['metrics'])],
    processors: ['metrics', 'traces'].map((pipeline) => ({
      id: 'limit',
      kind: 'memory_limiter',
      pipeline,
      incoming_items: 0,
      outgoing_items: 0,
      refused_items: 0,
      last_error: null,
    })),
    exporters: [exporter('lake', ['metrics', 'logs', 'traces']), exporter('out', ['metrics'])],
    log: {
      durable: true,
      path: '/data/log',
      last: 0,
      bytes: 0,
      limit_bytes: 100,
      segments: 1,
      appended_records: 0,
      appended_bytes: 0,
      fsyncs: 0,
      fsync_seconds: 0,
      fsync_failures: 0,
      refused_requests: 0,
      lost_items: 0,
    },
    reload: null,
    ...more,
  };
}
