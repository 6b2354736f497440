#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::*;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use serde_json::{Value as Json, json};

use super::{parse, print};
use crate::batch::Signal;

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(any(value)), ..Default::default() }
}

fn attributes() -> Vec<KeyValue> {
    let list = ArrayValue { values: vec![any(Value::IntValue(1)), any(Value::StringValue("é\n\"".into()))] };
    let map = KeyValueList { values: vec![pair("in", Value::BoolValue(true))] };
    vec![
        pair("s", Value::StringValue("v".into())),
        pair("i", Value::IntValue(i64::MIN)),
        pair("d", Value::DoubleValue(-1.5e300)),
        pair("nan", Value::DoubleValue(f64::INFINITY)),
        pair("b", Value::BytesValue(vec![0, 255, 254])),
        pair("l", Value::ArrayValue(list)),
        pair("m", Value::KvlistValue(map)),
        KeyValue { key: "none".into(), ..Default::default() },
        KeyValue { key: "empty".into(), value: Some(AnyValue::default()), ..Default::default() },
    ]
}

fn resource() -> Option<Resource> {
    let entity = EntityRef {
        schema_url: "u".into(),
        r#type: "host".into(),
        id_keys: vec!["a".into(), "b".into()],
        description_keys: vec!["c".into()],
    };
    Some(Resource { attributes: attributes(), dropped_attributes_count: 7, entity_refs: vec![entity] })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "n".into(),
        version: "1".into(),
        attributes: attributes(),
        dropped_attributes_count: 1,
    })
}

fn exemplars() -> Vec<Exemplar> {
    vec![Exemplar {
        filtered_attributes: attributes(),
        time_unix_nano: 5,
        span_id: vec![0xab; 8],
        trace_id: vec![0xcd; 16],
        value: Some(exemplar::Value::AsInt(-3)),
    }]
}

fn metrics() -> ExportMetricsServiceRequest {
    let number = |value| NumberDataPoint {
        attributes: attributes(),
        start_time_unix_nano: 1,
        time_unix_nano: u64::MAX,
        exemplars: exemplars(),
        flags: 1,
        value: Some(value),
    };
    let histogram = HistogramDataPoint {
        attributes: attributes(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 300,
        sum: Some(0.0),
        bucket_counts: vec![0, 1, 299],
        explicit_bounds: vec![0.5, 1.0],
        exemplars: exemplars(),
        flags: 1,
        min: Some(-1.0),
        max: Some(9.0),
    };
    let exponential = ExponentialHistogramDataPoint {
        attributes: attributes(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: Some(4.0),
        scale: -5,
        zero_count: 6,
        positive: Some(Buckets { offset: -7, bucket_counts: vec![0, 1, u64::MAX] }),
        negative: Some(Buckets { offset: 8, bucket_counts: (0..200).collect() }),
        flags: 1,
        exemplars: exemplars(),
        min: Some(1.0),
        max: Some(2.0),
        zero_threshold: 0.25,
    };
    let summary = SummaryDataPoint {
        attributes: attributes(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: 4.0,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 3.0 }],
        flags: 1,
    };
    let data = [
        metric::Data::Gauge(Gauge { data_points: vec![number(number_data_point::Value::AsDouble(0.0))] }),
        metric::Data::Sum(Sum {
            data_points: vec![number(number_data_point::Value::AsInt(i64::MAX)); 2],
            aggregation_temporality: 2,
            is_monotonic: true,
        }),
        metric::Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 1 }),
        metric::Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![exponential],
            aggregation_temporality: 2,
        }),
        metric::Data::Summary(Summary { data_points: vec![summary] }),
    ];
    let metrics = data.map(|data| Metric {
        name: "m".into(),
        description: "d".into(),
        unit: "s".into(),
        metadata: attributes(),
        data: Some(data),
    });
    let scope_metrics = ScopeMetrics { scope: scope(), metrics: metrics.into(), schema_url: "x".into() };
    ExportMetricsServiceRequest {
        resource_metrics: vec![
            ResourceMetrics { resource: resource(), scope_metrics: vec![scope_metrics], schema_url: "y".into() },
            ResourceMetrics::default(),
        ],
    }
}

fn logs() -> ExportLogsServiceRequest {
    let record = LogRecord {
        time_unix_nano: 1,
        observed_time_unix_nano: 2,
        severity_number: 9,
        severity_text: "Info".into(),
        body: Some(any(Value::StringValue("b".into()))),
        attributes: attributes(),
        dropped_attributes_count: 3,
        flags: 1,
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        event_name: "e".into(),
    };
    let scope_logs = ScopeLogs { scope: scope(), log_records: vec![record], schema_url: "x".into() };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: resource(),
            scope_logs: vec![scope_logs],
            schema_url: "y".into(),
        }],
    }
}

fn traces() -> ExportTraceServiceRequest {
    let event = Event { time_unix_nano: 4, name: "e".into(), attributes: attributes(), dropped_attributes_count: 1 };
    let link = Link {
        trace_id: vec![3; 16],
        span_id: vec![4; 8],
        trace_state: "t".into(),
        attributes: attributes(),
        dropped_attributes_count: 2,
        flags: 0x101,
    };
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        trace_state: "a=b".into(),
        parent_span_id: vec![5; 8],
        flags: 0x301,
        name: "GET".into(),
        kind: 2,
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        attributes: attributes(),
        dropped_attributes_count: 1,
        events: vec![event],
        dropped_events_count: 2,
        links: vec![link],
        dropped_links_count: 3,
        status: Some(Status { message: "m".into(), code: 2 }),
    };
    let scope_spans = ScopeSpans { scope: scope(), spans: vec![span], schema_url: "x".into() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: resource(),
            scope_spans: vec![scope_spans],
            schema_url: "y".into(),
        }],
    }
}

fn printed(signal: Signal, bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    print(signal, bytes, &mut text).unwrap();
    text
}

/// Every field survives protobuf -> JSON -> protobuf, prost being the judge.
#[test]
fn every_field_there_and_back() {
    let bytes = metrics().encode_to_vec();
    let back = parse(Signal::Metrics, &printed(Signal::Metrics, &bytes)).unwrap();
    assert_eq!(ExportMetricsServiceRequest::decode(&back[..]).unwrap(), metrics());
    let bytes = logs().encode_to_vec();
    let back = parse(Signal::Logs, &printed(Signal::Logs, &bytes)).unwrap();
    assert_eq!(ExportLogsServiceRequest::decode(&back[..]).unwrap(), logs());
    let bytes = traces().encode_to_vec();
    let back = parse(Signal::Traces, &printed(Signal::Traces, &bytes)).unwrap();
    assert_eq!(ExportTraceServiceRequest::decode(&back[..]).unwrap(), traces());
}

/// What opentelemetry-proto's own serde writes is understood.
#[test]
fn peer_json_is_understood() {
    let mut request = traces();
    // Its serde writes infinities as null.
    request.resource_spans[0].resource = None;
    request.resource_spans[0].scope_spans[0].scope = None;
    let span = &mut request.resource_spans[0].scope_spans[0].spans[0];
    for attributes in [&mut span.attributes, &mut span.events[0].attributes, &mut span.links[0].attributes] {
        attributes.retain(|pair| !matches!(pair.key.as_str(), "nan" | "none" | "empty"));
    }
    let text = serde_json::to_vec(&request).unwrap();
    let back = parse(Signal::Traces, &text).unwrap();
    assert_eq!(ExportTraceServiceRequest::decode(&back[..]).unwrap(), request);
}

#[test]
fn json_follows_the_otlp_rules() {
    let text = printed(Signal::Metrics, &metrics().encode_to_vec());
    let json: Json = serde_json::from_slice(&text).unwrap();
    let metrics = &json["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    let sum = &metrics[1]["sum"];
    assert_eq!(sum["aggregationTemporality"], json!(2));
    assert_eq!(sum["dataPoints"][0]["asInt"], json!("9223372036854775807"));
    assert_eq!(sum["dataPoints"][0]["timeUnixNano"], json!("18446744073709551615"));
    assert_eq!(sum["dataPoints"][0]["exemplars"][0]["traceId"], json!("cd".repeat(16)));
    assert_eq!(sum["dataPoints"][0]["flags"], json!(1));
    assert_eq!(metrics[2]["histogram"]["dataPoints"][0]["bucketCounts"], json!(["0", "1", "299"]));
    assert_eq!(metrics[2]["histogram"]["dataPoints"][0]["explicitBounds"], json!([0.5, 1.0]));
    let attributes = &json["resourceMetrics"][0]["resource"]["attributes"];
    assert_eq!(attributes[3]["value"], json!({"doubleValue": "Infinity"}));
    assert_eq!(attributes[4]["value"], json!({"bytesValue": "AP/+"}));
    assert_eq!(
        attributes[6]["value"],
        json!({"kvlistValue": {"values": [{"key": "in", "value": {"boolValue": true}}]}})
    );
}

fn parsed_logs(text: &str) -> Result<LogRecord, String> {
    let text = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{text}]}}]}}]}}"#);
    let bytes = parse(Signal::Logs, text.as_bytes()).map_err(|error| error.to_string())?;
    let request = ExportLogsServiceRequest::decode(&bytes[..]).unwrap();
    Ok(request.resource_logs[0].scope_logs[0].log_records[0].clone())
}

#[test]
fn lenient_where_senders_differ() {
    let check = |text: &str, expect: LogRecord| assert_eq!(parsed_logs(text), Ok(expect), "{text}");
    let at = |time_unix_nano| LogRecord { time_unix_nano, ..Default::default() };
    check(r#"{"timeUnixNano":"12"}"#, at(12));
    check(r#"{"timeUnixNano":12}"#, at(12));
    check(r#"{"timeUnixNano":1.2e1}"#, at(12));
    check(r#"{"time_unix_nano":"12"}"#, at(12));
    check(r#"{"timeUnixNano":null,"unknown":{"deep":[1,{}]}}"#, at(0));
    let severity = LogRecord { severity_number: 9, ..Default::default() };
    check(r#"{"severityNumber":9}"#, severity.clone());
    check(r#"{"severityNumber":"SEVERITY_NUMBER_INFO"}"#, severity);
    let id = LogRecord { span_id: vec![0xEE, 0xE1, 0x9B, 0x7E, 0xC3, 0xC1, 0xB1, 0x74], ..Default::default() };
    check(r#"{"spanId":"EEE19B7EC3C1B174"}"#, id.clone());
    check(r#"{"spanId":"eee19b7ec3c1b174"}"#, id);
    let body = |value| LogRecord { body: Some(any(value)), ..Default::default() };
    check(r#"{"body":{"intValue":-5}}"#, body(Value::IntValue(-5)));
    check(r#"{"body":{"doubleValue":"-Infinity"}}"#, body(Value::DoubleValue(f64::NEG_INFINITY)));
    check(r#"{"body":{"doubleValue":3}}"#, body(Value::DoubleValue(3.0)));
    check(r#"{"body":{"bytesValue":"-_8"}}"#, body(Value::BytesValue(vec![0xfb, 0xff])));
    check(r#"{"body":{"arrayValue":{}}}"#, body(Value::ArrayValue(ArrayValue::default())));
}

#[test]
fn mistakes_say_where_and_what() {
    let check = |text: &str, expect: &str| {
        let error = parsed_logs(text).unwrap_err();
        assert!(error.contains(expect) && error.contains("line 1 column"), "{text}: {error}");
    };
    check(r#"{"timeUnixNano":-1}"#, "-1 is out of range for timeUnixNano");
    check(r#"{"timeUnixNano":1.5}"#, "an integer, or one in a string for timeUnixNano");
    check(r#"{"flags":4294967296}"#, "4294967296 is out of range for flags");
    check(r#"{"traceId":"xyz"}"#, "hex text for traceId");
    check(r#"{"severityText":5}"#, "a string for severityText");
    check(r#"{"attributes":{}}"#, "a list for attributes");
    check(r#"{"body":"text"}"#, "an object");
    check(r#"{"severityNumber":"LOUD"}"#, "a number of the enumeration for severityNumber");
    check(r#"{"body":{"boolValue":"true"}}"#, "true or false for boolValue");
    check(r#"{"#, "");
    let deep = r#"{"body":"#.to_owned() + &r#"{"arrayValue":{"values":["#.repeat(1000);
    check(&deep, "nested too deep");
}

/// serde_json without its `float_roundtrip` reads the first of these one bit too low.
#[test]
fn doubles_are_read_to_the_last_bit() {
    for number in ["1.9314445986033925e89", "-2.2471164185778946e307", "0.1", "5e-324", "1.7976931348623157e308", "-0"]
    {
        let expect = LogRecord { body: Some(any(Value::DoubleValue(number.parse().unwrap()))), ..Default::default() };
        assert_eq!(parsed_logs(&format!(r#"{{"body":{{"doubleValue":{number}}}}}"#)), Ok(expect.clone()));
        assert_eq!(parsed_logs(&format!(r#"{{"body":{{"doubleValue":"{number}"}}}}"#)), Ok(expect));
    }
    for number in ["1e999", "01", "1.", ".5", "+1", "1e", "-", "0x1", "NaN"] {
        assert!(parsed_logs(&format!(r#"{{"body":{{"doubleValue":{number}}}}}"#)).is_err(), "{number}");
    }
}

#[test]
fn only_json_is_taken() {
    for text in
        ["{\"severityText\":\"a\nb\"}", "{\"x\":\"\u{1}\"}", "{,}", "{\"x\":[1,]}", "{\"x\":tru}", "{\"x\" 1}", "{} {}"]
    {
        assert!(parsed_logs(text).is_err(), "{text}");
    }
    assert!(parse(Signal::Logs, b"{\"x\":\"\xff\"}").unwrap_err().to_string().contains("line 1 column 7"));
    let error = parse(Signal::Logs, b"{\n \"resourceLogs\": 5}").unwrap_err();
    assert_eq!((error.line, error.column), (2, 18));
}

/// Of a `oneof` the last member counts, and what a sender adds in a group of its own is passed over.
#[test]
fn prints_what_prost_would_read() {
    let (string, int) = ([0x0a, 1, b'a'], [0x18, 7]);
    let body = |content: &[u8]| {
        [
            &[0x0a, 4 + 2 + content.len() as u8, 0x12, 2 + 2 + content.len() as u8][..],
            &[0x12, 2 + content.len() as u8, 0x2a, content.len() as u8],
            content,
        ]
        .concat()
    };
    let printed = |content: &[u8]| String::from_utf8(printed(Signal::Logs, &body(content))).unwrap();
    assert!(printed(&[&string[..], &int].concat()).contains(r#""body":{"intValue":"7"}"#));
    assert!(printed(&[&int[..], &string].concat()).contains(r#""body":{"stringValue":"a"}"#));
    assert!(printed(&[&[0xa3, 0x06, 8, 1, 0xa4, 0x06], &int[..]].concat()).contains(r#""body":{"intValue":"7"}"#));
}

#[test]
fn malformed_protobuf_is_an_error() {
    let bytes = metrics().encode_to_vec();
    for cut in 1..bytes.len().min(4000) {
        let _ = print(Signal::Metrics, &bytes[..cut], &mut Vec::new());
    }
    assert!(print(Signal::Metrics, &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &mut Vec::new()).is_err());
    assert!(print(Signal::Metrics, &[0x08, 0x01], &mut Vec::new()).is_err());
}

/// Elements of a list may lie apart on the wire, as in two requests joined.
#[test]
fn joined_requests_print_as_one_list() {
    let mut bytes = logs().encode_to_vec();
    bytes.extend(logs().encode_to_vec());
    let json: Json = serde_json::from_slice(&printed(Signal::Logs, &bytes)).unwrap();
    assert_eq!(json["resourceLogs"].as_array().unwrap().len(), 2);
}
