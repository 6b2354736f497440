#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};
use prost::Message;

use super::*;
use crate::testing::{process, show, texts};

fn any(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn number(key: &str, value: i64) -> KeyValue {
    KeyValue { key: key.to_owned(), value: any(Value::IntValue(value)), ..Default::default() }
}

/// A record's attributes and body after the processor.
fn record(yaml: &str, attributes: Vec<KeyValue>, body: Value) -> (String, Option<Value>) {
    let record = LogRecord { attributes, body: any(body), ..Default::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..Default::default() }];
    let request = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] };
    let after = process(&SPEC, yaml, Signal::Logs, &request);
    let decoded = ExportLogsServiceRequest::decode(after.otlp().clone()).unwrap();
    let record = &decoded.resource_logs[0].scope_logs[0].log_records[0];
    (show(&record.attributes), record.body.clone().and_then(|body| body.value))
}

#[track_caller]
fn check(yaml: &str, attributes: Vec<KeyValue>, expect: &str) {
    assert_eq!(record(yaml, attributes, Value::StringValue("b".into())).0, expect, "{yaml}");
}

#[track_caller]
fn check_body(yaml: &str, body: &str, expect: &str, attributes: &str) {
    let (shown, after) = record(yaml, Vec::new(), Value::StringValue(body.into()));
    assert_eq!((after, shown.as_str()), (Some(Value::StringValue(expect.into())), attributes), "{yaml}");
}

/// Visa's own test numbers, as in the Collector's README.
const CARDS: &str = "blocked_values: ['4[0-9]{12}(?:[0-9]{3})?', '(5[1-5][0-9]{14})']";

#[test]
fn only_what_is_allowed_stays() {
    let sent = || texts(&[("description", "d"), ("email", "a@b"), ("safe", "4111111111111111")]);
    check("", sent(), "");
    check("allow_all_keys: true", sent(), "description=d email=a@b safe=4111111111111111");
    check("allowed_keys: [description]", sent(), "description=d");
    check(
        &format!("allowed_keys: [description]\nignored_keys: [safe]\n{CARDS}"),
        sent(),
        "description=d safe=4111111111111111",
    );
    check("ignored_key_patterns: ['^sa']", sent(), "safe=4111111111111111");
    check(
        "{allowed_keys: [description], summary: debug}",
        sent(),
        "description=d redaction.redacted.count=2i redaction.redacted.keys=email,safe",
    );
    check("{allowed_keys: [description], summary: info}", sent(), "description=d redaction.redacted.count=2i");
    check("{allowed_keys: [description], summary: silent}", sent(), "description=d");
}

#[test]
fn what_is_blocked_is_masked() {
    let all = |more: &str| format!("allow_all_keys: true\n{CARDS}\n{more}");
    let sent = || texts(&[("notes", "pay 4111111111111111, or 5555555555554444"), ("name", "4111")]);
    check(&all(""), sent(), "name=4111 notes=pay ****, or ****");
    check(
        &all("summary: debug"),
        sent(),
        "name=4111 notes=pay ****, or **** redaction.masked.count=1i redaction.masked.keys=notes",
    );
    check(&all("blocked_key_patterns: ['na.e']"), sent(), "name=**** notes=pay ****, or ****");
    check(
        &all("allowed_values: ['^pay']\nsummary: debug"),
        sent(),
        "name=4111 notes=pay 4111111111111111, or 5555555555554444 redaction.allowed.count=1i redaction.allowed.keys=notes",
    );
    let keys = "{allow_all_keys: true, blocked_key_patterns: [token]}";
    check(keys, texts(&[("api_token", "a\nb"), ("x", "y")]), "api_token=**** x=y");
    check(keys, vec![number("token", 7)], "token=****");
}

#[test]
fn numbers_are_looked_at_when_told() {
    let sent = || vec![number("card", 4_111_111_111_111_111), number("n", 7)];
    check(&format!("allow_all_keys: true\n{CARDS}"), sent(), "card=4111111111111111i n=7i");
    check(&format!("allow_all_keys: true\n{CARDS}\nredact_all_types: true"), sent(), "card=**** n=7i");
}

/// Of "abc": RFC 1321, FIPS 180-2, FIPS 202. HMAC: of "what do ya want for nothing?" there is RFC 4231, whose keys are
/// shorter than the Collector takes; here Python's `hmac` is the oracle.
#[test]
fn hashes() {
    let check = |function: &str, expect: &str| {
        let yaml = format!("{{allow_all_keys: true, blocked_values: [abc], {function}}}");
        check(&yaml, texts(&[("k", "<abc>")]), &format!("k=<{expect}>"));
    };
    check("hash_function: md5", "900150983cd24fb0d6963f7d28e17f72");
    check("hash_function: sha1", "a9993e364706816aba3e25717850c26c9cd0d89d");
    check("hash_function: sha3", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
    check("hash_function: ''", "****");
    let key = "k".repeat(32);
    check(&format!("hash_function: hmac-sha256, hmac_key: {key}"), HMAC_256);
    let key = "k".repeat(64);
    check(&format!("hash_function: hmac-sha512, hmac_key: {key}"), HMAC_512);
}

const HMAC_256: &str = "af61b693912efc56e2e46f949719ea10a9e80d68f8dcfb84e26cac5330da3c74";
const HMAC_512: &str = "22be598dd2e4425a27eaf71925dc97ec2feb2274e363300211c16d741451004d6888b3234fefe88410b1d50e645f6661ec931978fa3399d9c7fdf0aa905b9ac3";

#[test]
fn a_second_processor_adds_to_the_summary() {
    let sent = texts(&[("redaction.masked.keys", "a,z"), ("m", "4111111111111111"), ("gone", "x")]);
    let sent = sent.into_iter().chain([number("redaction.masked.count", 2)]).collect();
    check(
        &format!("allowed_keys: [m]\n{CARDS}\nsummary: debug"),
        sent,
        "m=**** redaction.masked.count=3i redaction.masked.keys=a,m,z redaction.redacted.count=1i redaction.redacted.keys=gone",
    );
}

#[test]
fn text_bodies_are_masked_and_never_removed() {
    check_body(CARDS, "card 4111111111111111", "card ****", "");
    check_body("blocked_values: [x]", "nothing", "nothing", "");
    check_body(&format!("{CARDS}\nallowed_values: [^card]"), "card 4111111111111111", "card 4111111111111111", "");
    check_body(
        &format!("{CARDS}\nsummary: debug"),
        "card 4111111111111111",
        "card ****",
        "redaction.body.masked.count=1i redaction.body.masked.keys=body",
    );
    let (_, body) = record("{blocked_values: ['7']}", Vec::new(), Value::IntValue(175));
    assert_eq!(body, Some(Value::StringValue("1****5".into())));
}

#[test]
fn maps_in_bodies_are_walked() {
    let inner = KeyValueList { values: texts(&[("card", "4111111111111111"), ("email", "a@b"), ("token", "t")]) };
    let inner = KeyValue { key: "user".into(), value: any(Value::KvlistValue(inner)), ..Default::default() };
    let body = || Value::KvlistValue(KeyValueList { values: vec![inner.clone()] });
    let yaml = format!("allowed_keys: [user, card, token]\nblocked_key_patterns: [token]\n{CARDS}\nsummary: debug");
    let (attributes, after) = record(&yaml, Vec::new(), body());
    let Some(Value::KvlistValue(after)) = after else { panic!("{after:?}") };
    let Some(Value::KvlistValue(user)) = after.values[0].value.clone().unwrap().value else { panic!() };
    assert_eq!((after.values[0].key.as_str(), show(&user.values).as_str()), ("user", "card=**** token=****"));
    assert_eq!(
        attributes,
        "redaction.body.masked.count=2i redaction.body.masked.keys=user.card,user.token \
         redaction.body.redacted.count=1i redaction.body.redacted.keys=user.email"
    );
    let (attributes, after) = record("{allow_all_keys: true, summary: debug, blocked_values: [q]}", Vec::new(), body());
    assert_eq!((attributes.as_str(), after), ("", Some(body())));
}

#[test]
fn spans_their_events_and_links() {
    let secret = || texts(&[("card", "4111111111111111"), ("gone", "1")]);
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        attributes: secret(),
        events: vec![
            span::Event { name: "e".into(), attributes: secret(), ..Default::default() },
            span::Event { name: "f".into(), ..Default::default() },
        ],
        links: vec![span::Link {
            trace_id: vec![2; 16],
            span_id: vec![2; 8],
            attributes: secret(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let scope = InstrumentationScope { name: "lib".into(), attributes: secret(), ..Default::default() };
    let resource = Resource { attributes: secret(), ..Default::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: vec![span], ..Default::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }];
    let request = ExportTraceServiceRequest { resource_spans };
    let after = process(&SPEC, &format!("allowed_keys: [card]\n{CARDS}"), Signal::Traces, &request);
    let decoded = ExportTraceServiceRequest::decode(after.otlp().clone()).unwrap();
    let group = &decoded.resource_spans[0];
    let span = &group.scope_spans[0].spans[0];
    let shown = [
        show(&group.resource.as_ref().unwrap().attributes),
        show(&group.scope_spans[0].scope.as_ref().unwrap().attributes),
        show(&span.attributes),
        show(&span.events[0].attributes),
        show(&span.events[1].attributes),
        show(&span.links[0].attributes),
    ];
    assert_eq!(shown, ["card=****", "card=****", "card=****", "card=****", "", "card=****"]);
    assert_eq!((span.events.len(), span.events[1].name.as_str()), (2, "f"));
}

/// Series that differ in nothing but what is masked become one, with the identity of the masked attributes.
#[test]
fn points_their_exemplars_and_their_identity() {
    let point = |user: &str| NumberDataPoint {
        time_unix_nano: 1,
        attributes: texts(&[("user", user), ("route", "/")]),
        exemplars: vec![Exemplar { filtered_attributes: texts(&[("user", user)]), ..Default::default() }],
        ..Default::default()
    };
    let request = |users: &[&str]| {
        let data = Data::Gauge(Gauge { data_points: users.iter().map(|user| point(user)).collect() });
        let metric = Metric { name: "m".into(), data: Some(data), ..Default::default() };
        let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
        ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }] }
    };
    let ids = |batch: &Batch| {
        let rows = batch.rows().table(catchment_pipeline::batch::Table::Metrics).unwrap().clone();
        let ids = rows.column_by_name("series_id").unwrap().clone();
        arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&ids).values().to_vec()
    };
    let yaml = "{allow_all_keys: true, blocked_key_patterns: [user]}";
    let after = process(&SPEC, yaml, Signal::Metrics, &request(&["ann", "bob"]));
    let sent = Batch::from_otlp(Signal::Metrics, request(&["****"]).encode_to_vec().into()).unwrap();
    assert_eq!(ids(&after), [ids(&sent)[0]; 2]);
    let decoded = ExportMetricsServiceRequest::decode(after.otlp().clone()).unwrap();
    let Some(Data::Gauge(gauge)) = &decoded.resource_metrics[0].scope_metrics[0].metrics[0].data else { panic!() };
    assert_eq!(show(&gauge.data_points[1].exemplars[0].filtered_attributes), "user=****");
    assert_eq!(show(&gauge.data_points[1].attributes), "route=/ user=****");
}

#[test]
fn what_has_nothing_to_hide_goes_on_as_it_came() {
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![LogRecord { attributes: texts(&[("a", "b")]), ..Default::default() }],
                ..Default::default()
            }],
            ..Default::default()
        }],
    };
    let after = process(&SPEC, &format!("allow_all_keys: true\n{CARDS}\nsummary: debug"), Signal::Logs, &request);
    assert_eq!(after.otlp().to_vec(), request.encode_to_vec());
}

#[test]
fn mistakes() {
    let check = |yaml: &str, expect: &str| {
        let mut section = Section::parse(yaml);
        Rules::read(&mut section);
        let mistakes = section.mistakes().join("\n");
        assert!(mistakes.contains(expect), "{yaml}: {mistakes}");
    };
    check("blocked_values: ['(']", "is not a regular expression");
    check("blocked_values: [a]\nsummary: loud", "\"loud\" is not one of the choices");
    check("hash_function: sha2", "did you mean");
    check("hash_function: hmac-sha256", "needs a key of at least 32 bytes");
    check("{hash_function: hmac-sha512, hmac_key: short}", "needs a key of at least 64 bytes");
    check("url_sanitizer: {enabled: true, attributes: [url]}", "URLs are not sanitized here");
    check("db_sanitizer: {sql: {enabled: true, attributes: [db.statement]}}", "not sanitized here");
    check("allowed_key: [a]", "did you mean \"allowed_keys\"?");
    let mut section = Section::parse("{url_sanitizer: {enabled: false}, allow_all_keys: true}");
    Rules::read(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
}
