#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::*;
use crate::testing::texts;

/// Spans by tenant (an attribute of the resource) and name.
fn spans(spans: &[(&str, &str)]) -> Batch {
    let resource_spans = spans.iter().map(|(tenant, name)| {
        let span = Span { trace_id: vec![1; 16], span_id: vec![2; 8], name: (*name).to_owned(), ..Span::default() };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
        let resource = Some(Resource { attributes: texts(&[("X-Tenant", tenant)]), ..Resource::default() });
        ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }
    });
    let request = ExportTraceServiceRequest { resource_spans: resource_spans.collect() };
    Batch::from_otlp(Signal::Traces, request.encode_to_vec().into()).unwrap()
}

/// Names of spans by pipeline, `unrouted` for those dropped.
#[track_caller]
fn check(yaml: &str, sent: &[(&str, &str)], expect: &[(&str, &[&str])]) {
    let mut section = Section::parse(yaml);
    let plan = read(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    let context = Context::default();
    let mut relay = plan.build(context.clone()).unwrap();
    let mut out = Out::default();
    relay.process(spans(sent), SystemTime::UNIX_EPOCH, &mut out);
    let mut got: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (batch, pipelines) in out.take() {
        let request = ExportTraceServiceRequest::decode(batch.otlp().clone()).unwrap();
        let names =
            request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
        let names: Vec<String> = names.map(|span| span.name.clone()).collect();
        pipelines.unwrap().iter().for_each(|pipeline| got.entry(pipeline.clone()).or_default().extend(names.clone()));
    }
    let expect: BTreeMap<String, Vec<String>> = expect
        .iter()
        .filter(|(pipeline, _)| *pipeline != "unrouted")
        .map(|(pipeline, names)| ((*pipeline).to_owned(), names.iter().map(|name| (*name).to_owned()).collect()))
        .collect();
    assert_eq!(got, expect);
    let passed: usize = sent.len() - context.tally.taken_out().values().sum::<u64>() as usize;
    let routed: std::collections::BTreeSet<&String> = got.values().flatten().collect();
    assert_eq!(routed.len(), passed, "names are distinct: each is routed or counted");
}

/// The first example of the Collector's documentation: by tenant, and a default.
#[test]
fn by_an_attribute_of_the_resource() {
    let yaml = "
        default_pipelines: [traces/jaeger]
        error_mode: ignore
        table:
          - { condition: \"resource_attributes['X-Tenant'] = 'acme'\", pipelines: [traces/jaeger-acme] }
          - { condition: \"resource_attributes['X-Tenant'] = 'ecorp'\", pipelines: [traces/jaeger-ecorp, traces/audit] }";
    check(
        yaml,
        &[("acme", "a"), ("ecorp", "b"), ("other", "c"), ("acme", "d")],
        &[
            ("traces/jaeger-acme", &["a", "d"]),
            ("traces/jaeger-ecorp", &["b"]),
            ("traces/audit", &["b"]),
            ("traces/jaeger", &["c"]),
        ],
    );
}

#[test]
fn the_first_route_that_holds_takes_it_and_what_none_takes_is_counted() {
    let yaml = "
        table:
          - { context: span, condition: \"name LIKE 'GET%'\", pipelines: [traces/get] }
          - { condition: \"name LIKE '%/health'\", pipelines: [traces/health] }
          - { condition: \"severity_number > 8\", pipelines: [traces/never] }";
    check(
        yaml,
        &[("x", "GET /health"), ("x", "PUT /health"), ("x", "PUT /order")],
        &[("traces/get", &["GET /health"]), ("traces/health", &["PUT /health"])],
    );
}

#[test]
fn mistakes() {
    let mistakes = |yaml: &str| {
        let mut section = Section::parse(yaml);
        read(&mut section);
        section.mistakes().join("\n")
    };
    for (yaml, part) in [
        ("default_pipelines: [traces]", "there are no routes"),
        ("table: [{ condition: 'nam = 1', pipelines: [traces] }]", "no column nam"),
        ("table: [{ condition: 'name = 1' }]", "pipelines"),
        ("table: [{ condition: \"name = 'a'\", pipelines: [] }]", "leads to no pipeline"),
        (
            "table: [{ statement: 'route() where attributes[\"X\"] == \"a\"', pipelines: [traces] }]",
            "conditions, in SQL",
        ),
        ("table: [{ condition: 'attributes[\"X\"] == \"a\"', pipelines: [traces] }]", "this is OTTL"),
        ("table: [{ context: request, condition: \"name = 'a'\", pipelines: [traces] }]", "metadata"),
        ("table: [{ action: copy, condition: \"name = 'a'\", pipelines: [traces] }]", "first route"),
    ] {
        let found = mistakes(yaml);
        assert!(found.contains(part), "{yaml}: {found}");
    }
}
