// What the stand-in says that it runs: a bit of everything that the Pipelines page draws, with three connectors, one of them after another.

import { hasAlerting } from './mock-alerts.mjs';

const started = Date.now() - 60_000;
const seconds = () => (Date.now() - started) / 1000;
const items = (perSecond) => Math.floor(perSecond * seconds());

const pipeline = (id, receivers, processors, exporters) => ({
  id,
  signal: id.split('/')[0],
  receivers,
  processors,
  exporters,
});

const PIPELINES = [
  pipeline('traces', ['otlp'], ['memory_limiter', 'tail_sampling', 'batch'], ['parquet', 'span_metrics']),
  pipeline('metrics/spans', ['span_metrics'], [], ['parquet']),
  pipeline('metrics', ['otlp', 'host_metrics'], ['memory_limiter', 'batch'], ['parquet', 'otlp_http', 'alerting']),
  pipeline('logs', ['otlp'], ['filter'], ['routing']),
  pipeline('logs/shop', ['routing'], ['batch'], ['parquet', 'count']),
  pipeline('logs/rest', ['routing'], [], ['otlp_http']),
  pipeline('alerts', ['alerting'], [], ['parquet']),
  pipeline('metrics/counted', ['count'], [], ['parquet']),
];

const withRole = (role, id) => PIPELINES.filter((one) => one[role].includes(id)).map((one) => one.id);

const receiver = (id, perSecond, refused) => ({
  id,
  kind: id,
  state: 'running',
  pipelines: withRole('receivers', id),
  addresses: id === 'otlp' ? [{ protocol: 'grpc', address: '127.0.0.1:4317' }] : [],
  accepted_items: items(perSecond),
  accepted_per_second: perSecond,
  refused_items: Object.values(refused).reduce((sum, one) => sum + one, 0),
  refused_by_reason: { busy: 0, rejected: 0, invalid: 0, too_old: 0, too_far_in_future: 0, no_time: 0, ...refused },
  last_error: null,
});

const backlog = (count, age) => ({
  committed: items(3),
  records: Math.ceil(count / 100),
  items: count,
  bytes: count * 120,
  oldest_age_seconds: age,
});

const stage = (id, pipeline, incoming, outgoing, more = {}) => ({
  id,
  kind: id.split('/')[0],
  pipeline,
  incoming_items: items(incoming),
  outgoing_items: items(outgoing),
  refused_items: 0,
  taken_out_items: {},
  put_in_items: {},
  held_items: 0,
  backlog: null,
  last_error: null,
  ...more,
});

const connector = (id, incoming, outgoing, more) => ({
  ...stage(id, '', incoming, outgoing, { backlog: backlog(incoming * 8, 8), ...more }),
  from: withRole('exporters', id),
  to: withRole('receivers', id),
});

const exporter = (id, perSecond, more = {}) => ({
  id,
  kind: id,
  state: 'running',
  pipelines: withRole('exporters', id),
  exported_items: items(perSecond),
  exported_per_second: perSecond,
  lost_items: 0,
  retries: 0,
  in_flight_items: 0,
  in_flight_bytes: 0,
  backlog: backlog(0, 0),
  last_error: null,
  ...more,
});

const refusal = () => ({
  at_unix_ms: Date.now() - 5000,
  message: 'no pipeline that receives from `count` carries logs',
});

export const snapshot = () => ({
  started_unix_ms: started,
  now_unix_ms: Date.now(),
  ready: true,
  memory: { resident_bytes: 2.1e8, admitted_bytes: 4e5, admission_limit_bytes: 1.3e8 },
  pipelines: PIPELINES,
  receivers: [receiver('host_metrics', 42, {}), receiver('otlp', 4600, { invalid: 3, too_old: 12, no_time: 1 })],
  processors: [
    stage('memory_limiter', 'traces', 3000, 3000),
    stage('tail_sampling', 'traces', 3000, 420, {
      taken_out_items: { not_sampled: items(2500) },
      held_items: items(80),
      backlog: backlog(24_000, 9),
    }),
    stage('memory_limiter', 'metrics', 642, 642),
    stage('filter', 'logs', 1000, 900, { taken_out_items: { filtered: items(100) } }),
  ],
  connectors: [
    connector('count', 260, 1, {
      taken_out_items: { counted: items(260) },
      put_in_items: { made: items(1) },
      refused_items: items(0.3),
      last_error: refusal(),
    }),
    connector('routing', 900, 880, { taken_out_items: { no_route: items(20) } }),
    ...(hasAlerting ? [connector('alerting', 642, 1)] : []),
    connector('span_metrics', 420, 12, { taken_out_items: { counted: items(420) }, put_in_items: { made: items(12) } }),
  ],
  exporters: [
    exporter('otlp_http', 1262, { state: 'retrying', retries: 4, backlog: backlog(91_000, 72) }),
    exporter('parquet', 1335, { backlog: backlog(4000, 3) }),
  ],
  log: {
    durable: true,
    path: '/var/lib/catchment/log',
    last: items(3) + 40,
    bytes: 3.1e7,
    limit_bytes: 1.1e9,
    segments: 3,
    appended_records: items(9),
    appended_bytes: items(90_000),
    fsyncs: items(9),
    fsync_seconds: 0.002,
    fsync_failures: 0,
    refused_requests: 0,
    lost_items: 0,
  },
  reload: null,
});
