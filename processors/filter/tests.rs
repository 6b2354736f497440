#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use catchment_pipeline::config::Section;

use super::*;
use crate::testing::{run, texts};

fn resource(pairs: &[(&str, &str)]) -> Option<Resource> {
    Some(Resource { attributes: texts(pairs), ..Default::default() })
}

fn spans() -> Batch {
    let span = |name: &str, attributes: &[(&str, &str)], millis: u64, status: i32, events: &[(&str, &str)]| Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: name.into(),
        attributes: texts(attributes),
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_000_000_000 + millis * 1_000_000,
        status: Some(Status { code: status, ..Default::default() }),
        events: events
            .iter()
            .map(|(name, grpc)| Event {
                name: (*name).into(),
                attributes: texts(&[("grpc", grpc)]),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let of = |pairs: &[(&str, &str)], spans: Vec<Span>| ResourceSpans {
        resource: resource(pairs),
        scope_spans: vec![ScopeSpans { spans, ..Default::default() }],
        ..Default::default()
    };
    let resource_spans = vec![
        of(
            &[("host.name", "localhost"), ("k8s.pod.name", "my-pod-name")],
            vec![span("a", &[], 10, 0, &[("grpc.timeout", "true"), ("other", "false")])],
        ),
        of(
            &[("host.name", "far")],
            vec![
                span("b", &[("container.name", "app_container_1")], 10, 2, &[("grpc.timeout", "true")]),
                span("app_3", &[("http.request.method", "GET")], 2000, 0, &[]),
                span("d", &[("http.request.method", "PUT")], 10, 1, &[("x.grpc.y", "no"), ("kept", "no")]),
            ],
        ),
    ];
    let bytes = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    Batch::from_otlp(Signal::Traces, bytes.into()).unwrap()
}

/// Names of spans that are left, each with those of its events.
#[track_caller]
fn check_spans(yaml: &str, expect: &str) {
    let (out, _) = run(&SPEC, yaml, spans()).unwrap();
    let decode = |batch: &Batch| ExportTraceServiceRequest::decode(batch.otlp().clone()).unwrap().resource_spans;
    let spans = out.iter().flat_map(decode).flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans);
    let shown = spans.map(|span| {
        let events = span.events.into_iter().map(|event| event.name).collect::<Vec<_>>();
        format!("{}({})", span.name, events.join(","))
    });
    assert_eq!(shown.collect::<Vec<_>>().join(" "), expect, "{yaml}");
}

/// Those of the documentation of the Collector's filter processor, in SQL.
#[test]
fn the_collector_s_examples_for_spans() {
    let b = "b(grpc.timeout)";
    let d = "d(x.grpc.y,kept)";
    check_spans(
        "trace_conditions: [\"attributes['container.name'] = 'app_container_1'\", \"resource_attributes['host.name'] = 'localhost'\", \"name = 'app_3'\"]",
        d,
    );
    check_spans(
        "trace_conditions: [\"resource_attributes['k8s.pod.name'] = 'my-pod-name'\"]",
        &format!("{b} app_3() {d}"),
    );
    check_spans("trace_conditions: [\"attributes['http.request.method'] IS NULL\"]", &format!("app_3() {d}"));
    check_spans(
        "trace_conditions: [\"attributes['http.request.method'] IS NOT NULL\"]",
        &format!("a(grpc.timeout,other) {b}"),
    );
    check_spans("trace_conditions: [\"duration_ns < 1000000000 AND status_code <> 2\"]", &format!("{b} app_3()"));
    check_spans(
        "trace_conditions: [\"resource_attributes['host.name'] = 'localhost' OR spanevent.name = 'grpc.timeout'\"]",
        &format!("a() b() app_3() {d}"),
    );
    check_spans(
        "trace_conditions:
- conditions: [\"resource_attributes['host.name'] = 'localhost'\"]
- error_mode: ignore
  conditions: [\"attributes['container.name'] = 'container_1'\", \"name = 'app_3'\"]
- context: spanevent
  conditions: [\"attributes['grpc'] = true\", \"name ~ '.*grpc.*'\"]",
        "b() d(kept)",
    );
    check_spans(
        "traces: { spanevent: [\"attributes['grpc'] = 'no' AND span_name = 'd'\"] }",
        &format!("a(grpc.timeout,other) {b} app_3() d()"),
    );
    check_spans("traces: { span: [\"name = 'd'\"], resource: [\"host_name = 'localhost'\"] }", &format!("{b} app_3()"));
    check_spans("spans: { include: { match_type: strict, span_names: [b, d] } }", &format!("{b} {d}"));
    check_spans("spans: { exclude: { match_type: regexp, span_names: ['^[bd]$'] } }", "a(grpc.timeout,other) app_3()");
    check_spans("trace_conditions: ['true']", "");
}

fn logs() -> Batch {
    let record = |number: i32, text: &str, body: &str, attribute: &str| LogRecord {
        severity_number: number,
        severity_text: text.into(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(body.into())) }),
        attributes: texts(&[("record_attr", attribute)]),
        ..Default::default()
    };
    let of = |host: &str, log_records| ResourceLogs {
        resource: resource(&[("host.name", host)]),
        scope_logs: vec![ScopeLogs { log_records, ..Default::default() }],
        ..Default::default()
    };
    let resource_logs = vec![
        of(
            "just_this_one_hostname",
            vec![record(9, "INFO", "the password is x", "prefix_1"), record(13, "WARN", "two", "other")],
        ),
        of("prefix.2", vec![record(17, "ERROR", "three", "prefix_3"), record(0, "", "four", "other")]),
    ];
    Batch::from_otlp(Signal::Logs, ExportLogsServiceRequest { resource_logs }.encode_to_vec().into()).unwrap()
}

#[track_caller]
fn check_logs(yaml: &str, expect: &[i32]) {
    let (out, tally) = run(&SPEC, yaml, logs()).unwrap();
    let decode = |batch: &Batch| ExportLogsServiceRequest::decode(batch.otlp().clone()).unwrap().resource_logs;
    let records = out.iter().flat_map(decode).flat_map(|logs| logs.scope_logs).flat_map(|scope| scope.log_records);
    assert_eq!(records.map(|record| record.severity_number).collect::<Vec<_>>(), expect, "{yaml}");
    let filtered = tally.taken_out().get("filtered").copied().unwrap_or_default();
    assert_eq!(filtered, 4 - expect.len() as u64);
}

#[test]
fn the_collector_s_examples_for_logs() {
    check_logs("log_conditions: [\"body ~ '.*password.*'\", \"severity_number < 13\"]", &[13, 17]);
    check_logs("logs: { log_record: [\"body LIKE '%password%'\"] }", &[13, 17, 0]);
    check_logs("logs: { resource: [\"resource_attributes['host.name'] LIKE 'prefix%'\"] }", &[9, 13]);
    check_logs(
        "logs: { include: { match_type: strict, resource_attributes: [{ key: host.name, value: just_this_one_hostname }] } }",
        &[9, 13],
    );
    check_logs(
        "logs: { exclude: { match_type: regexp, resource_attributes: [{ key: host.name, value: 'prefix.*' }] } }",
        &[9, 13],
    );
    check_logs(
        "logs: { include: { match_type: regexp, record_attributes: [{ key: record_attr, value: 'prefix_.*' }] } }",
        &[9, 17],
    );
    check_logs(
        "logs: { include: { match_type: strict, severity_number: { min: WARN, match_undefined: true } } }",
        &[13, 17, 0],
    );
    check_logs("logs: { include: { match_type: strict, severity_texts: [INFO, ERROR] } }", &[9, 17]);
    check_logs("logs: { exclude: { match_type: regexp, bodies: ['^t'] } }", &[0]);
    check_logs("log_conditions: ['severity_number > 100']", &[9, 13, 17, 0]);
}

fn metrics() -> Batch {
    let point = |value, attributes: &[(&str, &str)]| NumberDataPoint {
        time_unix_nano: 1,
        value: Some(number_data_point::Value::AsInt(value)),
        attributes: texts(attributes),
        ..Default::default()
    };
    let gauge = |name: &str, data_points| Metric {
        name: name.into(),
        data: Some(metric::Data::Gauge(Gauge { data_points })),
        ..Default::default()
    };
    let buckets = HistogramDataPoint { count: 1, bucket_counts: vec![1], time_unix_nano: 1, ..Default::default() };
    let histogram = metric::Data::Histogram(Histogram { data_points: vec![buckets], aggregation_temporality: 2 });
    let of = |pairs: &[(&str, &str)], metrics| ResourceMetrics {
        resource: resource(pairs),
        scope_metrics: vec![ScopeMetrics { metrics, ..Default::default() }],
        ..Default::default()
    };
    let resource_metrics = vec![
        of(
            &[("my_label", "abc123"), ("container.name", "app_container_1")],
            vec![
                gauge("my.metric", vec![point(1, &[("bad.metric", "true")]), point(2, &[])]),
                gauge("hello_world", vec![point(3, &[])]),
            ],
        ),
        of(
            &[("service.name", "my_service_name")],
            vec![
                gauge("k8s.pod.phase", vec![point(4, &[]), point(5, &[])]),
                Metric { name: "latency".into(), data: Some(histogram), ..Default::default() },
            ],
        ),
        of(&[("container.name", "app_container_2")], vec![gauge("prefix_1", vec![point(6, &[])])]),
    ];
    Batch::from_otlp(Signal::Metrics, ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into()).unwrap()
}

/// Values of the number points that are left, and `h` for the histogram's.
#[track_caller]
fn check_metrics(yaml: &str, expect: &str) {
    let (out, _) = run(&SPEC, yaml, metrics()).unwrap();
    let decode = |batch: &Batch| ExportMetricsServiceRequest::decode(batch.otlp().clone()).unwrap().resource_metrics;
    let metrics = out.iter().flat_map(decode).flat_map(|of| of.scope_metrics).flat_map(|scope| scope.metrics);
    let mut shown = metrics.flat_map(|metric| match metric.data.unwrap() {
        metric::Data::Gauge(gauge) => gauge
            .data_points
            .into_iter()
            .map(|point| match point.value.unwrap() {
                number_data_point::Value::AsInt(int) => int.to_string(),
                other => panic!("{other:?}"),
            })
            .collect(),
        _ => vec!["h".to_owned()],
    });
    let mut left = shown.by_ref().collect::<Vec<_>>();
    left.sort();
    assert_eq!(left.join(" "), expect, "{yaml}");
}

#[test]
fn the_collector_s_examples_for_metrics() {
    check_metrics(
        "metric_conditions: [\"metric_name = 'my.metric' AND resource_attributes['my_label'] = 'abc123'\"]",
        "3 4 5 6 h",
    );
    // In the place of `metric.type == METRIC_DATA_TYPE_HISTOGRAM`: a column that only histograms have.
    check_metrics("metric_conditions: ['histograms.bucket_counts IS NOT NULL']", "1 2 3 4 5 6");
    check_metrics("metric_conditions: [\"service_name = 'my_service_name'\"]", "1 2 3 6");
    check_metrics("metric_conditions: [\"metric_name = 'k8s.pod.phase' AND value_int = 4\"]", "1 2 3 5 6 h");
    // HasAttrKeyOnDatapoint, HasAttrOnDatapoint: one point is enough for all of its metric.
    check_metrics("metrics: { metric: [\"attributes ? 'bad.metric'\"] }", "3 4 5 6 h");
    check_metrics("metrics: { metric: [\"attributes['bad.metric'] = 'true'\"] }", "3 4 5 6 h");
    check_metrics("metrics: { datapoint: [\"attributes['bad.metric'] = 'true'\"] }", "2 3 4 5 6 h");
    check_metrics("metric_conditions: [{ context: metric, conditions: [\"attributes ? 'bad.metric'\"] }]", "3 4 5 6 h");
    check_metrics("metrics: { datapoint: ['value > 4'] }", "1 2 3 4 h");
    // By name.
    let names = "match_type: strict, metric_names: [hello_world, my.metric]";
    check_metrics(&format!("metrics: {{ include: {{ {names} }} }}"), "1 2 3");
    check_metrics(&format!("metrics: {{ exclude: {{ {names} }} }}"), "4 5 6 h");
    let container = "resource_attributes: [{ key: container.name, value: app_container_1 }]";
    check_metrics(
        &format!("metrics: {{ include: {{ match_type: strict, metric_names: [hello_world], {container} }} }}"),
        "3",
    );
    check_metrics(
        &format!("metrics: {{ exclude: {{ match_type: strict, metric_names: [latency], {container} }} }}"),
        "4 5 6",
    );
    let either = "resource_attributes: [{ key: container.name, value: (app_container_1|app_container_2) }]";
    check_metrics(&format!("metrics: {{ exclude: {{ match_type: regexp, {either} }} }}"), "4 5 h");
    check_metrics(
        "metrics: { include: { match_type: regexp, metric_names: ['prefix_.*'] }, exclude: { match_type: strict, metric_names: [hello_world] } }",
        "6",
    );
}

#[test]
fn a_batch_of_which_nothing_is_dropped_goes_on_as_it_came() {
    for yaml in ["metric_conditions: ['value > 100']", "log_conditions: ['true']", "metrics: { metric: ['false'] }"] {
        let batch = metrics();
        let (out, _) = run(&SPEC, yaml, batch.clone()).unwrap();
        assert!(out[0].is_same(&batch), "{yaml}");
    }
}

#[test]
fn a_condition_that_fails_for_a_row() {
    let yaml = |mode: &str| format!("{{ error_mode: {mode}, log_conditions: ['1 / severity_number = 0'] }}");
    check_logs(&yaml("ignore"), &[0]);
    check_logs(&yaml("silent"), &[0]);
    let refused = run(&SPEC, &yaml("propagate"), logs()).err().unwrap();
    assert!(refused.to_string().contains("filter: "), "{refused}");
    check_logs(
        "log_conditions: [{ error_mode: ignore, conditions: ['1 / severity_number = 0'] }]\nerror_mode: propagate",
        &[0],
    );
}

#[test]
fn mistakes() {
    for (yaml, expect) in [
        ("{}", "there is no condition"),
        (
            "metric_conditions: ['valu > 1']",
            "test.yaml:1:21: metric_conditions[0]: there is no column valu\n    help: did you mean value?",
        ),
        (
            "metrics:\n  datapoint:\n  - 'true'\n  - 'valu > 1'",
            "test.yaml:4:5: metrics::datapoint[1]: there is no column valu",
        ),
        ("log_conditions: ['IsMatch(log.body, \".*password.*\")']", "write \"body ~ '.*password.*'\""),
        ("trace_conditions: [{ conditions: ['name = 1'], context: spn }]", "\"spn\" is not a context here"),
        ("trace_conditions: [{ condition: ['true'] }]", "unknown key \"condition\""),
        ("trace_conditions: [{ conditions: ['true'], error_mode: quiet }]", "\"quiet\" is not an error mode"),
        ("error_mode: quiet\nlog_conditions: ['true']", "\"quiet\" is not one of the choices"),
        (
            "metrics: { exclude: { match_type: expr, expressions: ['MetricName == \"my.metric\"'] } }",
            "the expr language is not spoken here",
        ),
        ("logs: { include: { match_type: strict, severity_number: { min: LOUD } } }", "\"LOUD\" is not a severity"),
        ("metrics: { exclude: { match_type: strict } }", "it picks nothing"),
        ("metrics: { exclude: { metric_names: [a] } }", "\"match_type\" is required"),
        ("traces: { spans: [\"name = 'a'\"] }", "did you mean \"span\"?"),
    ] {
        let mut section = Section::parse(yaml);
        let _rules = read::read(&mut section);
        assert!(section.mistakes().join("\n").contains(expect), "{yaml}: {:#?}", section.mistakes());
    }
}
