// Snapshots for tests: three pipelines, two receivers, one of them in all, two exporters; and one with connectors.

import type { Backlog, Connector, Exporter, Pipeline, Receiver, Snapshot, Stage } from './snapshot';

const NO_BACKLOG: Backlog = { committed: 0, records: 0, items: 0, bytes: 0, oldest_age_seconds: 0 };

export const receiver = (id: string, pipelines: string[], more: Partial<Receiver> = {}): Receiver => ({
  id,
  kind: id,
  state: 'running',
  pipelines,
  addresses: [],
  accepted_items: 0,
  accepted_per_second: 0,
  refused_items: 0,
  refused_by_reason: { busy: 0, rejected: 0, invalid: 0, too_old: 0, too_far_in_future: 0, no_time: 0 },
  last_error: null,
  ...more,
});

export const stage = (id: string, kind: string, more: Partial<Stage> = {}): Stage => ({
  id,
  kind,
  pipeline: '',
  incoming_items: 0,
  outgoing_items: 0,
  refused_items: 0,
  taken_out_items: {},
  put_in_items: {},
  held_items: 0,
  backlog: null,
  last_error: null,
  ...more,
});

/** It remembers, and so has a backlog. */
export const connector = (id: string, from: string[], to: string[], more: Partial<Stage> = {}): Connector => ({
  ...stage(id, id, { backlog: NO_BACKLOG, ...more }),
  from,
  to,
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
  backlog: NO_BACKLOG,
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
    processors: ['metrics', 'traces'].map((pipeline) => stage('limit', 'memory_limiter', { pipeline })),
    connectors: [],
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

const pipeline = (id: string, receivers: string[], processors: string[], exporters: string[]): Pipeline => ({
  id,
  signal: id.split('/')[0] ?? '',
  receivers,
  processors,
  exporters,
});

/**
 * Spans counted into metrics, and logs sent to one of two pipelines, one of which is counted too: lanes that only connectors
 * begin stand first and in between, one of them after two connectors; one lane is begun by a receiver and a connector.
 */
export function connected(more: Partial<Snapshot> = {}): Snapshot {
  const pipelines = [
    pipeline('metrics/counted', ['count'], [], ['lake']),
    pipeline('traces', ['otlp'], ['tail_sampling'], ['lake', 'span_metrics']),
    pipeline('logs', ['otlp'], [], ['routing']),
    pipeline('logs/a', ['routing'], [], ['lake', 'count']),
    pipeline('logs/b', ['routing'], ['batch'], ['out']),
    pipeline('metrics', ['otlp', 'span_metrics'], [], ['lake']),
  ];
  return snapshot({
    pipelines,
    receivers: [receiver('otlp', ['traces', 'logs', 'metrics'])],
    processors: [stage('tail_sampling', 'tail_sampling', { pipeline: 'traces', backlog: NO_BACKLOG })],
    connectors: [
      connector('count', ['logs/a'], ['metrics/counted']),
      connector('routing', ['logs'], ['logs/a', 'logs/b']),
      connector('span_metrics', ['traces'], ['metrics']),
    ],
    exporters: [exporter('lake', ['metrics/counted', 'traces', 'logs/a', 'metrics']), exporter('out', ['logs/b'])],
    ...more,
  });
}
