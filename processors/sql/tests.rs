#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use catchment_pipeline::batch::{Batch, Signal, Table};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::*;
use crate::testing::texts;

/// Four points: (metric, service, route, value).
const POINTS: [(&str, &str, &str, f64); 4] = [
    ("cpu", "shop", "/health", 1.0),
    ("cpu", "cart", "/buy", 2.0),
    ("mem", "shop", "/buy", 3.0),
    ("mem", "cart", "7", 4.0),
];

fn rows() -> arrow::record_batch::RecordBatch {
    let resource_metrics = POINTS.map(|(name, service, route, value)| {
        let mut attributes = texts(&[("http.route", route)]);
        attributes.extend(int("n", value as i64));
        let point = NumberDataPoint {
            time_unix_nano: 1_500_000_000_123_456_789,
            attributes,
            value: Some(Value::AsDouble(value)),
            ..Default::default()
        };
        let gauge = metric::Data::Gauge(Gauge { data_points: vec![point] });
        let metric = Metric { name: name.into(), unit: "1".into(), data: Some(gauge), ..Default::default() };
        ResourceMetrics {
            resource: Some(Resource { attributes: texts(&[("service.name", service)]), ..Default::default() }),
            scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }],
            ..Default::default()
        }
    });
    let request = ExportMetricsServiceRequest { resource_metrics: resource_metrics.into() };
    let batch = Batch::from_otlp(Signal::Metrics, request.encode_to_vec().into()).unwrap();
    batch.rows().table(Table::Metrics).unwrap().clone()
}

fn int(key: &str, value: i64) -> Option<opentelemetry_proto::tonic::common::v1::KeyValue> {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    let value = Some(AnyValue { value: Some(any_value::Value::IntValue(value)) });
    Some(KeyValue { key: key.into(), value, ..Default::default() })
}

const METRICS: &[Rows] = &[Rows::Of(Table::Metrics)];

#[track_caller]
fn check(sql: &str, expect: [bool; 4]) {
    let program = condition_for(METRICS, sql).unwrap_or_else(|wrong| panic!("{sql}: {wrong:?}")).remove(0);
    let rows = rows();
    let mut failures = Failures::default();
    let mask = program.matches(&mut Frame::new(&rows), ErrorMode::Propagate, &mut failures).unwrap();
    let got = mask.map_or([false; 4], |mask| [0, 1, 2, 3].map(|row| mask.value(row)));
    assert_eq!(got, expect, "{sql}");
}

#[test]
fn conditions() {
    check("metric_name = 'cpu'", [true, true, false, false]);
    check("value > 2.5", [false, false, true, true]);
    check("metric_name = 'cpu' AND value > 1.5", [false, true, false, false]);
    check("service_name = 'shop' OR attributes->>'http.route' = '7'", [true, false, true, true]);
    check("attributes['http.route'] LIKE '/%'", [true, true, true, false]);
    check("attributes['http.route'] ~ '^/(health|buy)$'", [true, true, true, false]);
    check("attributes['http.route'] !~* 'HEALTH'", [false, true, true, true]);
    check("attributes['http.route'] > 6", [false, false, false, true]);
    check("attributes['n'] >= 3", [false, false, true, true]);
    check("attributes['n'] = value", [true, true, true, true]);
    check("(attributes->'n')::BIGINT IN (1, 4)", [true, false, false, true]);
    check("attributes['nothing'] IS NULL", [true; 4]);
    check("attributes['nothing'] = 'x'", [false; 4]);
    check("attributes ? 'n'", [true; 4]);
    check("resource_attributes['service.name'] || metric_name = 'shopmem'", [false, false, true, false]);
    check("ts > '2017-07-14T02:40:00Z' AND ts < '2017-07-14T02:40:01Z'", [true; 4]);
    check("date = '2017-07-14'", [true; 4]);
    check("time_unix_nano = 1500000000123456789", [true; 4]);
    check("metrics.value = 1 AND unit = '1' AND metric_type = 'gauge'", [true, false, false, false]);
    check(
        "CASE WHEN attributes['http.route'] = '7' THEN CAST(attributes['http.route'] AS BIGINT) END = 7",
        [false, false, false, true],
    );
    check("CASE WHEN value = 4 THEN CAST(attributes['http.route'] AS BIGINT) END = 7", [false, false, false, true]);
    check("true", [true; 4]);
    check("NULL", [false; 4]);
    check("1 = 2", [false; 4]);
}

/// `CAST` fails for texts that are no numbers, and only those rows are told.
#[test]
fn rows_that_fail() {
    let program = condition_for(METRICS, "CAST(attributes['http.route'] AS BIGINT) = 7").unwrap().remove(0);
    let rows = rows();
    let mut failures = Failures::default();
    assert!(program.matches(&mut Frame::new(&rows), ErrorMode::Propagate, &mut failures).is_err());
    let mask = program.matches(&mut Frame::new(&rows), ErrorMode::Ignore, &mut failures).unwrap().unwrap();
    assert_eq!([0, 1, 2, 3].map(|row| mask.value(row)), [false, false, false, true]);
    assert_eq!(failures.rows, 3);
    assert!(failures.first.unwrap().contains("/health"));
}

#[track_caller]
fn check_wrong(sql: &str, what: &str, mend: &str) {
    let wrong = condition_for(METRICS, sql).err().unwrap_or_else(|| panic!("{sql} is taken"));
    assert!(wrong.what.contains(what) && wrong.mend.contains(mend), "{sql}: {wrong:?}");
}

#[test]
fn mistakes_name_the_column_and_what_is_near() {
    check_wrong("metric_nam = 'cpu'", "there is no column metric_nam", "did you mean metric_name?");
    check_wrong("Metric.Name = 'cpu'", "there is no column Metric.Name", "did you mean metric_name?");
    check_wrong("metric_name = \"cpu\"", "no column \"cpu\"", "single quotes");
    check_wrong("http.route = 'x'", "no column http.route", "attributes['http.route']");
    check_wrong("value", "a number, not true or false", "");
    check_wrong("value = ts", "", "");
    check_wrong("value > ", "it is no SQL", "");
    check_wrong("metric_name ~ '('", "is not a regular expression", "");
    check_wrong("no_such_function(value) = 1", "no_such_function", "");
    check_wrong("random() < 0.5", "function `random` does not depend on the row only", "");
    check_wrong("ts < now()", "function `now`", "");
    check_wrong("value = (SELECT 1)", "a subquery", "");
    check_wrong("value IN (SELECT 1)", "a subquery", "");
    check_wrong("sum(value) > 1", "nothing is aggregated", "aggregate");
    check_wrong("repeat('x', 1000000000) = 'x'", "function `repeat`", "");
    check_wrong("value = $1", "placeholder", "");
    check_wrong("value = 1; SELECT 2", "it is no SQL", "");
    check_wrong(&format!("value = 1{}", " OR value = 2".repeat(200)), "too deep or too long", "IN (...)");
    check_wrong(&format!("{}value{} = 1", "(".repeat(50), ")".repeat(50)), "too deep or too long", "");
    check_wrong(&format!("metric_name = '{}'", "x".repeat(20_000)), "bytes of SQL", "");
    // As deep as is taken, on the stack that there is.
    condition_for(METRICS, &format!("value = 1{}", " OR value = 2".repeat(149))).unwrap();
}

#[test]
fn ottl_is_told_apart_and_said_in_sql() {
    for (ottl, sql) in [
        (r#"attributes["http.route"] == "/health""#, "attributes['http.route'] = '/health'"),
        (
            r#"metric.name == "cpu" and resource.attributes["service.name"] == "a""#,
            "metric_name = 'cpu' and resource_attributes['service.name'] = 'a'",
        ),
        (r#"IsMatch(metric.name, "^c.*")"#, "metric_name ~ '^c.*'"),
        (r#"not IsMatch(metric.name, "^c.*")"#, "metric_name !~ '^c.*'"),
        (r#"attributes["x"] == nil"#, "attributes['x'] IS NULL"),
        (r#"attributes["x"] != nil"#, "attributes['x'] IS NOT NULL"),
        (r#"HasAttrKeyOnDatapoint("bad.metric")"#, "attributes ? 'bad.metric'"),
        (r#"HasAttrOnDatapoint("bad.metric", "true")"#, "attributes['bad.metric'] = 'true'"),
        ("metric.type == METRIC_DATA_TYPE_SUM", "metric_type = 'sum'"),
    ] {
        check_wrong(ottl, "this is OTTL; conditions here are SQL", &format!("write \"{sql}\""));
    }
    let logs = |sql: &str| condition_for(&[Rows::Of(Table::Logs)], sql).err().unwrap();
    assert!(logs(r#"IsMatch(log.body, ".*password.*")"#).mend.contains("body ~ '.*password.*'"));
    assert!(
        logs("log.severity_number < SEVERITY_NUMBER_WARN").mend.contains("severity_number < 13"),
        "{:?}",
        logs("log.severity_number < SEVERITY_NUMBER_WARN")
    );
    let spans = |sql: &str| condition_for(&[Rows::Of(Table::Spans)], sql).err().unwrap();
    let ottl = r#"(span.end_time - span.start_time) < Duration("1s") and span.status.code != STATUS_CODE_ERROR"#;
    assert!(spans(ottl).mend.contains("duration_ns < 1000000000 and status_code <> 2"), "{:?}", spans(ottl));
}
