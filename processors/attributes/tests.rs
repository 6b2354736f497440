#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::*;
use crate::testing::{process, show, texts};

/// Spans as `service/span name/kind`, each with one attribute `a=1`; those that the actions reached have `x=true`.
#[track_caller]
fn check_spans(picks: &str, expect: &str) {
    let spans = [("front", "login", 2), ("front", "logout", 3), ("back", "login", 1), ("back", "query", 3)];
    let resource_spans = spans.map(|(service, name, kind)| ResourceSpans {
        resource: Some(Resource { attributes: texts(&[("service.name", service)]), ..Default::default() }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: format!("lib-{service}"),
                version: "1".to_owned(),
                ..Default::default()
            }),
            spans: vec![Span {
                trace_id: vec![1; 16],
                span_id: vec![1; 8],
                name: name.to_owned(),
                kind,
                attributes: texts(&[("a", name)]),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    });
    let request = ExportTraceServiceRequest { resource_spans: resource_spans.into() };
    let yaml = format!("actions: [{{key: x, value: true, action: upsert}}]\n{picks}");
    let after = process(&SPEC, &yaml, Signal::Traces, &request);
    let decoded = ExportTraceServiceRequest::decode(after.otlp().clone()).unwrap();
    let spans = decoded.resource_spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
    let shown = spans.map(|span| format!("{}: {}", span.name, show(&span.attributes))).collect::<Vec<_>>();
    let expect = expect.split_whitespace().zip(["login", "logout", "login", "query"]).map(|(hit, name)| match hit {
        "x" => format!("{name}: a={name} x=trueb"),
        _ => format!("{name}: a={name}"),
    });
    assert_eq!(shown, expect.collect::<Vec<_>>(), "{picks}");
}

#[test]
fn include_and_exclude_of_spans() {
    check_spans("", "x x x x");
    check_spans("include: {match_type: strict, services: [front]}", "x x - -");
    check_spans("include: {match_type: strict, span_names: [login, query]}", "x - x x");
    check_spans("include: {match_type: regexp, span_names: ['^log.*']}", "x x x -");
    check_spans("exclude: {match_type: strict, services: [front]}", "- - x x");
    check_spans(
        "include: {match_type: strict, services: [front]}\nexclude: {match_type: strict, span_names: [login]}",
        "- x - -",
    );
    check_spans("include: {match_type: strict, services: [front], span_names: [login]}", "x - - -");
    check_spans("include: {match_type: strict, span_kinds: [SPAN_KIND_CLIENT]}", "- x - x");
    check_spans("include: {match_type: strict, attributes: [{key: a, value: query}]}", "- - - x");
    check_spans("include: {match_type: strict, attributes: [{key: a}]}", "x x x x");
    check_spans("include: {match_type: strict, attributes: [{key: b}]}", "- - - -");
    check_spans("include: {match_type: strict, resources: [{key: service.name, value: back}]}", "- - x x");
    check_spans("include: {match_type: strict, libraries: [{name: lib-back, version: '1'}]}", "- - x x");
    check_spans("include: {match_type: strict, libraries: [{name: lib-back, version: ''}]}", "- - - -");
    check_spans("include: {match_type: strict, metric_names: [login]}", "- - - -");
}

#[track_caller]
fn check_logs(picks: &str, expect: [bool; 4]) {
    let records = [(9, "INFO"), (17, "ERROR"), (0, ""), (13, "WARN")].map(|(number, text)| LogRecord {
        severity_number: number,
        severity_text: text.to_owned(),
        ..Default::default()
    });
    let scope = ScopeLogs { log_records: records.into(), ..Default::default() };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs: vec![scope], ..Default::default() }],
    };
    let yaml = format!("actions: [{{key: x, value: 1, action: insert}}]\n{picks}");
    let after = process(&SPEC, &yaml, Signal::Logs, &request);
    let decoded = ExportLogsServiceRequest::decode(after.otlp().clone()).unwrap();
    let records =
        decoded.resource_logs.iter().flat_map(|resource| &resource.scope_logs).flat_map(|scope| &scope.log_records);
    let shown = records.map(|record| (record.severity_number, !record.attributes.is_empty())).collect::<Vec<_>>();
    let numbers = [9, 17, 0, 13];
    assert_eq!(shown, numbers.into_iter().zip(expect).collect::<Vec<_>>(), "{picks}");
}

#[test]
fn include_of_logs() {
    check_logs("include: {match_type: strict, log_severity_number: {min: 13}}", [false, true, false, true]);
    let undefined = "include: {match_type: strict, log_severity_number: {min: 17, match_undefined: true}}";
    check_logs(undefined, [false, true, true, false]);
    check_logs("include: {match_type: regexp, log_severity_texts: ['^(INFO|WARN)$']}", [true, false, false, true]);
}

#[test]
fn places_put_rows_back() {
    assert_eq!(places(&[false, true, true, false]), [2, 0, 1, 3]);
    assert_eq!(places(&[]), Vec::<u64>::new());
}

#[test]
fn mistakes() {
    for (picks, expect) in [
        ("include: {services: [a]}", "include: \"match_type\" is required"),
        ("include: {match_type: glob, services: [a]}", "\"glob\" is not one of the choices"),
        ("include: {match_type: strict}", "include: it picks nothing"),
        ("include: {match_type: regexp, services: ['(']}", "is not a regular expression"),
        ("include: {match_type: strict, span_kinds: [SEVER]}", "\"SEVER\" is not a span kind"),
        ("include: {match_type: strict, span_name: [a]}", "did you mean \"span_names\"?"),
        ("exclude: {match_type: strict, resources: [{value: a}]}", "\"key\" is required"),
    ] {
        let mut section = Section::parse(&format!("actions: [{{key: x, value: 1, action: insert}}]\n{picks}"));
        read(&mut section);
        assert!(section.mistakes().join("\n").contains(expect), "{picks}: {:#?}", section.mistakes());
    }
}

/// The sample of the Collector's documentation, but for `from_context`, which is refused with a reason.
#[test]
fn the_collector_s_example() {
    let yaml = "actions:
- { key: db.table, action: delete }
- { key: redacted_span, value: true, action: upsert }
- { key: copy_key, from_attribute: key_original, action: update }
- { key: account_id, value: 2245, action: insert }
- { key: account_password, action: delete }
- { key: account_email, action: hash }
- { key: http.status_code, action: convert, converted_type: int }
- { key: region, from_attribute: cloud.region, default_value: us-east-1, action: insert }";
    let attributes = texts(&[
        ("db.table", "users"),
        ("key_original", "o"),
        ("copy_key", "c"),
        ("account_password", "secret"),
        ("account_email", "abc"),
        ("http.status_code", "404"),
    ]);
    let record = LogRecord { attributes, ..Default::default() };
    let scope = ScopeLogs { log_records: vec![record], ..Default::default() };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs: vec![scope], ..Default::default() }],
    };
    let after = process(&SPEC, yaml, Signal::Logs, &request);
    let decoded = ExportLogsServiceRequest::decode(after.otlp().clone()).unwrap();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(
        show(&decoded.resource_logs[0].scope_logs[0].log_records[0].attributes),
        format!(
            "account_email={abc} account_id=2245i copy_key=o http.status_code=404i key_original=o redacted_span=trueb region=us-east-1"
        )
    );
    let mut section = Section::parse("actions: [{ key: tenant_id, from_context: metadata.tenant, action: upsert }]");
    read(&mut section);
    assert!(section.mistakes().join("\n").contains("the request's metadata is not kept with its data"));
}
