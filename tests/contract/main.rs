//! One contract for every component in the lists. A new one needs a line in [`EXAMPLES`], and gets:
//! names and lists in order; wrong configurations are mistakes, never panics; what a plan says is kept when it is
//! built and run; back-pressure and dead destinations lose nothing; shutdown ends, also in the middle of things;
//! errors are counted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod data;
#[path = "../common/door.rs"]
mod door;
mod exporters;
mod plans;
mod processors;
mod receivers;
mod sink;

use std::sync::Arc;

use catchment_pipeline::component::{Admission, Context, Offers};

/// A configuration that works, of every component: role, kind, YAML. `SINK_*` are ports of servers that take
/// everything, `FOLDER` is a folder of the test's own.
const EXAMPLES: &[(&str, &str, &str)] = &[
    (
        "connector",
        "alerting",
        "{ evaluation_interval: 1s, rules: [{ metric: contract, condition: greater_than, threshold: 5, severity: page }] }",
    ),
    ("connector", "forward", "{}"),
    ("connector", "routing", "{ table: [{ condition: '1 = 1', pipelines: [logs] }] }"),
    ("connector", "span_metrics", "{ metrics_flush_interval: 1s, dimensions: [{ name: http.route, default: none }] }"),
    (
        "exporter",
        "alertmanager",
        "{ urls: ['http://127.0.0.1:SINK_HTTP/am'], allow_private: true, retry_on_failure: { initial_interval: 1s } }",
    ),
    ("exporter", "command", "{ command: [/bin/true, --host, '{{ .Status }}'], cool_down: 0s }"),
    ("exporter", "debug", "verbosity: normal"),
    ("exporter", "discord", "{ webhook_url: 'http://127.0.0.1:SINK_HTTP/hook', allow_private: true }"),
    (
        "exporter",
        "email",
        "{ smarthost: '127.0.0.1:SINK_SMTP', from: a@example.com, to: [b@example.com], require_tls: false, allow_private: true }",
    ),
    ("exporter", "file", "path: FOLDER/out.jsonl"),
    ("exporter", "otlp_grpc", "{ endpoint: 'http://127.0.0.1:SINK_GRPC', tls: { insecure: true } }"),
    ("exporter", "otlp_http", "endpoint: 'http://127.0.0.1:SINK_HTTP'"),
    ("exporter", "pagerduty", "{ routing_key: abc, url: 'http://127.0.0.1:SINK_HTTP/enqueue', allow_private: true }"),
    ("exporter", "parquet", "{}"),
    ("exporter", "slack", "{ api_url: 'http://127.0.0.1:SINK_HTTP/hook', allow_private: true, min_interval: 0s }"),
    ("exporter", "webhook", "{ url: 'http://127.0.0.1:SINK_HTTP/hook', allow_private: true }"),
    ("processor", "aggregate", "{ interval: 10s, by: [service.name], functions: [avg, p99] }"),
    ("processor", "attributes", "actions: [{ key: contract, value: kept, action: upsert }]"),
    ("processor", "batch", "{ timeout: 100ms, send_batch_size: 1000 }"),
    ("processor", "cardinality_limiter", "{ limit_per_metric: 1, limit_per_label: { label: service.name, limit: 5 } }"),
    ("processor", "cumulative_to_delta", "{ include: { metric_types: [sum] }, initial_value: keep }"),
    ("processor", "dedup", "{ interval: 5s, exclude_fields: [attributes.id] }"),
    ("processor", "delta_to_cumulative", "{ max_stale: 10m, max_streams: 1000 }"),
    (
        "processor",
        "filter",
        "{ metric_conditions: ['value_int % 3 = 0'], log_conditions: ['severity_number > 9'], traces: { span: ['true'] } }",
    ),
    ("processor", "memory_limiter", "{ check_interval: 1s, limit_mib: 4000 }"),
    ("processor", "probabilistic_sampler", "{ sampling_percentage: 50, mode: proportional }"),
    ("processor", "redaction", "{ allow_all_keys: true, blocked_values: ['4[0-9]{12}'], summary: debug }"),
    ("processor", "resource", "attributes: [{ key: contract, value: kept, action: upsert }]"),
    ("processor", "tail_sampling", "{ decision_wait: 1s, policies: [{ name: all, type: always_sample }] }"),
    (
        "processor",
        "transform",
        "{ metrics: [\"SET attributes['contract'] = 'kept'\"], logs: ['SELECT * EXCLUDE (flags)'], traces: [\"DELETE WHERE name = 'contract'\"] }",
    ),
    ("receiver", "host_metrics", "{ collection_interval: 200ms, initial_delay: 0s, scrapers: { load: {} } }"),
    ("receiver", "internal_telemetry", "collection_interval: 200ms"),
    ("receiver", "otlp", "protocols: { grpc: { endpoint: 'localhost:0' }, http: { endpoint: 'localhost:0' } }"),
];

fn example(role: &str, kind: &str) -> &'static str {
    let found = EXAMPLES.iter().find(|(r, k, _)| (*r, *k) == (role, kind));
    found.unwrap_or_else(|| panic!("{role} {kind} has no line in EXAMPLES")).2
}

fn context(id: &str, offers: Offers) -> Context {
    Context { id: id.to_owned(), offers, admission: Arc::new(Admission::new(64 << 20)), ..Context::default() }
}
