#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use catchment_pipeline::batch::Table;
use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::*;
use crate::testing::{run as process, show, texts};

fn text(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(any_value::Value::StringValue(text.into())) })
}

fn int(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::IntValue(value)) });
    KeyValue { key: key.into(), value, ..Default::default() }
}

/// Bodies, attributes; `n` is a number.
const LOGS: [(&str, &str, i64); 3] =
    [("request failed", "/user/1/list/2", 1), ("ok", "/account/4711", 2), ("{\"a\":1}", "x", 3)];

fn logs() -> Batch {
    let record = |(body, route, n): (&str, &str, i64)| {
        let mut attributes = texts(&[("http.route", route)]);
        attributes.push(int("n", n));
        LogRecord {
            body: text(body),
            attributes,
            severity_number: 9,
            severity_text: "INFO".into(),
            time_unix_nano: 5_000,
            ..Default::default()
        }
    };
    let log_records = LOGS.map(record).to_vec();
    let resource_logs = vec![ResourceLogs {
        resource: Some(Resource {
            attributes: texts(&[("service.name", "shop"), ("host.name", "h")]),
            ..Default::default()
        }),
        scope_logs: vec![ScopeLogs { log_records, ..Default::default() }],
        ..Default::default()
    }];
    Batch::from_otlp(Signal::Logs, ExportLogsServiceRequest { resource_logs }.encode_to_vec().into()).unwrap()
}

fn records(batches: &[Batch]) -> Vec<(String, LogRecord)> {
    let decode = |batch: &Batch| ExportLogsServiceRequest::decode(batch.otlp().clone()).unwrap().resource_logs;
    let with_resource = |logs: ResourceLogs| {
        let resource = show(&logs.resource.unwrap_or_default().attributes);
        let records = logs.scope_logs.into_iter().flat_map(|scope| scope.log_records);
        records.map(|record| (resource.clone(), record)).collect::<Vec<_>>()
    };
    batches.iter().flat_map(decode).flat_map(with_resource).collect()
}

/// Each record as `body severity_number severity_text [attributes] [resource]`.
#[track_caller]
fn check_logs(statements: &[&str], expect: &[&str]) {
    let yaml = format!("logs:\n{}", statements.iter().map(|it| format!("- |-\n  {it}\n")).collect::<String>());
    let (out, _) = process(&SPEC, &yaml, logs()).unwrap();
    let shown = records(&out).into_iter().map(|(resource, record)| {
        let body = match record.body.and_then(|body| body.value) {
            Some(any_value::Value::StringValue(text)) => text,
            Some(other) => format!("{other:?}"),
            None => "none".into(),
        };
        format!(
            "{body} {} {} [{}] [{resource}]",
            record.severity_number,
            record.severity_text,
            show(&record.attributes)
        )
    });
    assert_eq!(shown.collect::<Vec<_>>(), expect, "{statements:?}");
}

const SHOP: &str = "[host.name=h service.name=shop]";

/// Those of the documentation of the Collector's transform processor that are about logs, in SQL.
#[test]
fn the_collector_s_examples_for_logs() {
    check_logs(
        &["SET severity_text = 'FAIL' WHERE body = 'request failed'"],
        &[
            &format!("request failed 9 FAIL [http.route=/user/1/list/2 n=1i] {SHOP}"),
            &format!("ok 9 INFO [http.route=/account/4711 n=2i] {SHOP}"),
            &format!("{{\"a\":1}} 9 INFO [http.route=x n=3i] {SHOP}"),
        ],
    );
    check_logs(
        &[
            "SET attributes['http.route'] = '/user/{userId}/list/{listId}' WHERE attributes['http.route'] LIKE '/user/%/list/%'",
            r"SET attributes['http.route'] = regexp_replace(attributes['http.route'], '/account/\d{4}', '/account/{accountId}', 'g')",
            "SET body = attributes['http.route']",
        ],
        &[
            &format!(
                "/user/{{userId}}/list/{{listId}} 9 INFO [http.route=/user/{{userId}}/list/{{listId}} n=1i] {SHOP}"
            ),
            &format!("/account/{{accountId}} 9 INFO [http.route=/account/{{accountId}} n=2i] {SHOP}"),
            &format!("x 9 INFO [http.route=x n=3i] {SHOP}"),
        ],
    );
    check_logs(
        &[
            "SET resource_attributes = attribute_keep(resource_attributes, 'host.name')",
            "SET attributes = attribute_truncate(attributes, 4)",
        ],
        &[
            "request failed 9 INFO [http.route=/use n=1i] [host.name=h]",
            "ok 9 INFO [http.route=/acc n=2i] [host.name=h]",
            "{\"a\":1} 9 INFO [http.route=x n=3i] [host.name=h]",
        ],
    );
}

#[test]
fn attributes_are_set_copied_computed_and_removed() {
    check_logs(
        &["SET attributes['m'] = attributes['n'], attributes['n'] = NULL, attributes['t'] = attributes['n'] || 'x', \
           attributes['double'] = attributes['n'] * 2 > 3, attributes['service'] = service_name WHERE attributes['n'] < 3"],
        &[
            &format!("request failed 9 INFO [double=falseb http.route=/user/1/list/2 m=1i service=shop t=1x] {SHOP}"),
            &format!("ok 9 INFO [double=trueb http.route=/account/4711 m=2i service=shop t=2x] {SHOP}"),
            &format!("{{\"a\":1}} 9 INFO [http.route=x n=3i] {SHOP}"),
        ],
    );
    // Of a column that differs from row to row, and of the resource.
    check_logs(
        &[
            "SET service_name = upper(service_name), resource_attributes['host.name'] = NULL, attributes['len'] = length(body)",
        ],
        &[
            "request failed 9 INFO [http.route=/user/1/list/2 len=14i n=1i] [service.name=SHOP]",
            "ok 9 INFO [http.route=/account/4711 len=2i n=2i] [service.name=SHOP]",
            "{\"a\":1} 9 INFO [http.route=x len=7i n=3i] [service.name=SHOP]",
        ],
    );
    check_logs(
        &[
            "SET attributes = attribute_set(attribute_remove(attributes, 'n'), 'r', sha256('abc')) WHERE body = 'ok'",
            "DELETE WHERE body <> 'ok'",
        ],
        &[&format!(
            "ok 9 INFO [http.route=/account/4711 r=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad] {SHOP}"
        )],
    );
}

#[test]
fn select_leaves_out_renames_and_computes() {
    check_logs(
        &[
            "SELECT * EXCLUDE (n, service_name), attributes['http.route'] AS \"url.path\", severity_number + 4 AS severity_number, lower(severity_text) AS severity_text WHERE body <> 'ok'",
        ],
        &[
            "request failed 13 info [http.route=/user/1/list/2 url.path=/user/1/list/2] [host.name=h]",
            "{\"a\":1} 13 info [http.route=x url.path=x] [host.name=h]",
        ],
    );
    // Without the star what is not named is left out.
    check_logs(
        &["SELECT body, service_name, attributes['n'] AS n FROM logs WHERE attributes['n'] IN (2)"],
        &["ok 0  [n=2i] [service.name=shop]"],
    );
    check_logs(&["SELECT * WHERE false"], &[]);
}

#[test]
fn json_bodies() {
    check_logs(
        &[
            "SET body_is_json = true WHERE body LIKE '{%'",
            "SET attributes['a'] = body->'a' WHERE body_is_json",
            "DELETE WHERE NOT body_is_json",
        ],
        &[
            "KvlistValue(KeyValueList { values: [KeyValue { key: \"a\", value: Some(AnyValue { value: Some(IntValue(1)) }), key_strindex: 0 }] }) 9 INFO [a=1i http.route=x n=3i] [host.name=h service.name=shop]",
        ],
    );
}

#[test]
fn within_a_statement_rows_are_as_they_were() {
    check_logs(
        &[
            "SET attributes['n'] = attributes['http.route'], attributes['http.route'] = attributes['n'] WHERE body = 'ok'",
            "DELETE WHERE body <> 'ok'",
        ],
        &[&format!("ok 9 INFO [http.route=2i n=/account/4711] {SHOP}")],
    );
}

fn point(value: number_data_point::Value) -> NumberDataPoint {
    NumberDataPoint { time_unix_nano: 7, value: Some(value), attributes: texts(&[("k", "v")]), ..Default::default() }
}

fn metrics(of: Vec<Metric>) -> ExportMetricsServiceRequest {
    let resource = Some(Resource { attributes: texts(&[("service.name", "shop")]), ..Default::default() });
    let scope_metrics = vec![ScopeMetrics { metrics: of, ..Default::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..Default::default() }],
    }
}

fn gauge(name: &str, unit: &str, value: number_data_point::Value) -> Metric {
    let data = Some(metric::Data::Gauge(Gauge { data_points: vec![point(value)] }));
    Metric { name: name.into(), unit: unit.into(), data, ..Default::default() }
}

fn sum(name: &str, value: number_data_point::Value, temporality: i32, is_monotonic: bool) -> Metric {
    let sum = Sum { data_points: vec![point(value)], aggregation_temporality: temporality, is_monotonic };
    Metric { name: name.into(), data: Some(metric::Data::Sum(sum)), ..Default::default() }
}

/// `statements` make of `before` what `after` would have been, identities included.
#[track_caller]
fn check_metrics(statements: &str, before: Vec<Metric>, after: Vec<Metric>) {
    let batch = |of| Batch::from_otlp(Signal::Metrics, metrics(of).encode_to_vec().into()).unwrap();
    let (out, _) = process(&SPEC, &format!("metrics: [{statements}]"), batch(before)).unwrap();
    let (got, wanted) = (out[0].rows(), batch(after));
    let wanted = wanted.rows();
    // Dictionaries of the two differ, what they say does not.
    let shown = |rows: &Rows| {
        let table = rows.table(Table::Metrics).unwrap();
        arrow::util::pretty::pretty_format_batches(std::slice::from_ref(table)).unwrap().to_string()
    };
    assert_eq!(shown(got), shown(wanted), "{statements}");
}

use number_data_point::Value::{AsDouble, AsInt};

#[test]
fn the_collector_s_examples_for_metrics() {
    let counts = || vec![sum("system.processes.count", AsInt(3), 2, true), sum("other", AsInt(3), 2, true)];
    let mut described = counts();
    described.iter_mut().for_each(|metric| metric.description = "Sum".into());
    check_metrics("\"SET description = 'Sum' WHERE metric_type = 'sum'\"", counts(), described);
    // convert_sum_to_gauge() where metric.name == "system.processes.count"
    let converted = vec![gauge("system.processes.count", "", AsInt(3)), sum("other", AsInt(3), 2, true)];
    check_metrics("\"SET metric_type = 'gauge' WHERE metric_name = 'system.processes.count'\"", counts(), converted);
    // convert_gauge_to_sum("cumulative", false) where metric.name == "prometheus_metric"
    check_metrics(
        "\"SET metric_type = 'sum', aggregation_temporality = 2, is_monotonic = false WHERE metric_name = 'prometheus_metric' AND metric_type = 'gauge'\"",
        vec![gauge("prometheus_metric", "", AsInt(1)), gauge("other", "", AsInt(1))],
        vec![sum("prometheus_metric", AsInt(1), 2, false), gauge("other", "", AsInt(1))],
    );
}

#[test]
fn values_are_computed() {
    check_metrics(
        "\"SET value = value / 1000, unit = 's' WHERE unit = 'ms'\"",
        vec![gauge("a", "ms", AsDouble(1500.0)), gauge("b", "ms", AsInt(500)), gauge("c", "By", AsInt(500))],
        vec![gauge("a", "s", AsDouble(1.5)), gauge("b", "s", AsDouble(0.5)), gauge("c", "By", AsInt(500))],
    );
    check_metrics(
        "\"SET value = value_int * 2\"",
        vec![gauge("a", "", AsInt(9_007_199_254_740_993))],
        vec![gauge("a", "", AsInt(18_014_398_509_481_986))],
    );
    check_metrics(
        "\"SET value_int = CAST(value AS BIGINT)\", \"SET metric_name = 'x.' || metric_name\"",
        vec![gauge("a", "", AsDouble(2.0))],
        vec![gauge("x.a", "", AsInt(2))],
    );
    let mut without = gauge("a", "", AsInt(1));
    let Some(metric::Data::Gauge(points)) = &mut without.data else { panic!() };
    points.data_points[0].attributes.clear();
    check_metrics("\"SELECT * EXCLUDE (attributes)\"", vec![gauge("a", "", AsInt(1))], vec![without]);
}

fn spans() -> Batch {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        parent_span_id: vec![3; 8],
        name: "GET /a".into(),
        kind: 2,
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 3_000,
        attributes: texts(&[
            ("process.command_line", "run password=secret now"),
            ("service.name", "s"),
            ("other", "o"),
        ]),
        events: vec![Event { name: "e".into(), ..Default::default() }],
        links: vec![Link { trace_id: vec![9; 16], span_id: vec![9; 8], ..Default::default() }],
        status: Some(Status { code: 2, message: "bad".into() }),
        ..Default::default()
    };
    let scope_spans =
        vec![ScopeSpans { spans: vec![span.clone(), Span { name: "PUT".into(), ..span }], ..Default::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] };
    Batch::from_otlp(Signal::Traces, request.encode_to_vec().into()).unwrap()
}

fn spans_after(statements: &str) -> Vec<Span> {
    let (out, _) = process(&SPEC, &format!("traces: [{statements}]"), spans()).unwrap();
    let decode = |batch: &Batch| ExportTraceServiceRequest::decode(batch.otlp().clone()).unwrap().resource_spans;
    let spans = out.iter().flat_map(decode).flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans);
    spans.collect()
}

#[test]
fn the_collector_s_examples_for_spans() {
    let after = spans_after(
        r#""SET attributes = attribute_keep(attributes, 'service.name', 'service.namespace', 'cloud.region', 'process.command_line')",
           "SET attributes['process.command_line'] = regexp_replace(attributes['process.command_line'], 'password=[^\\s]*(\\s?)', 'password=***')""#,
    );
    assert_eq!(show(&after[0].attributes), "process.command_line=run password=***now service.name=s");
    assert_eq!(after.len(), 2);
}

#[test]
fn spans_change_but_for_what_makes_them() {
    let after = spans_after(
        "\"SELECT * EXCLUDE (events, links), lower(name) AS name, duration_ns / 2 AS duration_ns, 'ff' || substr(trace_id, 3) AS trace_id, \
         NULL AS parent_span_id, 0 AS status_code WHERE name ~ '^GET'\"",
    );
    assert_eq!(after.len(), 1);
    let span = &after[0];
    assert_eq!((span.name.as_str(), span.start_time_unix_nano, span.end_time_unix_nano), ("get /a", 1_000, 2_000));
    assert!(span.events.is_empty() && span.links.is_empty() && span.parent_span_id.is_empty());
    assert_eq!(
        (span.trace_id[0], span.trace_id[1], span.status.as_ref().map_or(0, |status| status.code)),
        (0xff, 1, 0)
    );
    let moved = spans_after("\"SET ts = ts + INTERVAL '1 second'\"");
    assert_eq!(moved[0].start_time_unix_nano, 1_000_001_000);
}

#[test]
fn what_is_not_meant_is_not_touched() {
    for yaml in
        ["logs: [\"SET body = 'x' WHERE body = 'nothing'\"]", "traces: [\"SET name = 'x'\"]", "logs: ['SELECT *']"]
    {
        let batch = logs();
        let (out, _) = process(&SPEC, yaml, batch.clone()).unwrap();
        assert!(out[0].is_same(&batch), "{yaml}");
    }
    // What would fail for other rows does not.
    let yaml = "{ error_mode: propagate, logs: [\"SET attributes['x'] = CAST(attributes['http.route'] AS BIGINT) WHERE body = 'nothing'\", \
                \"SET attributes['x'] = CAST(substr(attributes['http.route'], 10) AS BIGINT) WHERE body = 'ok'\"] }";
    let (out, _) = process(&SPEC, yaml, logs()).unwrap();
    assert_eq!(show(&records(&out)[1].1.attributes), "http.route=/account/4711 n=2i x=4711i");
}

#[test]
fn rows_that_fail_stay_as_they_are() {
    let yaml = |mode: &str| {
        format!("{{ error_mode: {mode}, logs: [\"SET severity_number = CAST(12 / (attributes['n'] - 2) AS INT)\"] }}")
    };
    for (statement, expect) in [
        ("SET severity_number = 12 / ((attributes->'n')::BIGINT - 2)", [-12, 9, 12]),
        ("SET severity_number = 3000000000 * (attributes->'n')::BIGINT", [9, 9, 9]),
        ("SET severity_number = (attributes->'n')::BIGINT, trace_id = attributes['http.route']", [1, 2, 3]),
        ("SET attributes = body, severity_number = 1", [1, 1, 1]),
    ] {
        let (out, _) = process(&SPEC, &format!("logs: [\"{statement}\"]"), logs()).unwrap();
        let numbers = records(&out).iter().map(|(_, record)| record.severity_number).collect::<Vec<_>>();
        assert_eq!(numbers, expect, "{statement}");
        let refused = process(&SPEC, &format!("{{ error_mode: propagate, logs: [\"{statement}\"] }}"), logs());
        assert!(refused.is_err(), "{statement}");
    }
    assert!(process(&SPEC, &yaml("silent"), logs()).is_ok());
}

#[test]
fn groups_and_the_collector_s_keys() {
    let yaml = "log_statements:
- error_mode: propagate
  context: log
  conditions: [\"body = 'ok'\", \"body LIKE 'request%'\"]
  statements: [\"SET severity_text = 'A'\", \"SET severity_text = 'B' WHERE attributes['n'] = 2\"]";
    let (out, _) = process(&SPEC, yaml, logs()).unwrap();
    let texts = records(&out).into_iter().map(|(_, record)| record.severity_text).collect::<Vec<_>>();
    assert_eq!(texts, ["A", "B", "INFO"]);
}

#[test]
fn mistakes() {
    for (statement, expect) in [
        ("SET bod = 'x'", "logs[0]: there is no column bod\n    help: did you mean body?"),
        ("SET body = bdy", "there is no column bdy"),
        ("SET severity_number = 'x'", "severity_number takes a whole number; the expression gives a text"),
        ("SET severity_text = 1", "severity_text takes a text; the expression gives a whole number"),
        ("SET ts = body", "time_unix_nano takes a time; the expression gives a text"),
        ("SET resource_id = 1", "resource_id is computed from other columns and cannot be set"),
        ("SET nothing['k'] = 1", "nothing is no set of attributes"),
        ("SET metadata['k'] = 1", "there is no column metadata"),
        ("SELECT * EXCLUDE (time_unix_nano)", "time_unix_nano cannot be left out"),
        ("SELECT body || 'x'", "has no name"),
        ("SELECT *, lower(body) AS bdy", "there is no column bdy\n    help: did you mean body?"),
        ("SELECT * FROM spans", "there is no table spans here\n    help: tables here: logs"),
        ("SELECT * FROM logs GROUP BY body", "it is no SQL: sql parser error: nothing is expected where GROUP is"),
        ("SET body = count(*)", "nothing is aggregated here"),
        ("DROP TABLE logs", "it is no SQL"),
        (
            "set(log.severity_text, \"FAIL\") where log.body == \"request failed\"",
            "write \"SET severity_text = 'FAIL' WHERE body = 'request failed'\"",
        ),
        ("delete_key(log.attributes, \"k\")", "write \"SET attributes['k'] = NULL\""),
        (
            "keep_keys(resource.attributes, [\"host.name\"])",
            "write \"SET resource_attributes = attribute_keep(resource_attributes, 'host.name')\"",
        ),
        ("replace_all_matches(log.attributes, \"/user/*\", \"/user/{id}\")", "this is OTTL"),
    ] {
        let mut section = Section::parse(&format!("logs:\n- |-\n  {statement}"));
        let _rules = read::read(&mut section);
        assert!(section.mistakes().join("\n").contains(expect), "{statement}: {:#?}", section.mistakes());
    }
    let mut section = Section::parse("{}");
    let _rules = read::read(&mut section);
    assert!(section.mistakes().join("\n").contains("there is no statement"));
}
