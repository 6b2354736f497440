#![allow(clippy::unwrap_used)]

use catchment_pipeline::component::Tally;
use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::*;
use crate::testing::{Chance, at, feed, numbers, show, texts, tick};

fn connector(yaml: &str) -> (Box<dyn Relay>, Arc<Tally>) {
    let mut section = Section::parse(yaml);
    let plan = (SPEC.plan)(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    let tally = Arc::new(Tally::default());
    (plan.build(Context { tally: tally.clone(), ..Context::default() }).unwrap(), tally)
}

fn restarted(relay: &dyn Relay, yaml: &str) -> Box<dyn Relay> {
    let mut state = Vec::new();
    relay.save(&mut state);
    let (mut other, _) = connector(yaml);
    other.restore(&state).unwrap();
    assert!(connector(yaml).0.restore(&state[..state.len() - 1]).is_err());
    other
}

fn span(name: &str, ms: u64, status: i32, attributes: &[(&str, &str)]) -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: name.to_owned(),
        kind: 2,
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_000_000_000 + ms * 1_000_000,
        status: Some(Status { code: status, ..Default::default() }),
        attributes: texts(attributes),
        ..Default::default()
    }
}

fn batch(spans: Vec<Span>) -> Batch {
    let resource =
        v1::Resource { attributes: texts(&[("service.name", "shipping"), ("region", "eu")]), ..Default::default() };
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }];
    let request = ExportTraceServiceRequest { resource_spans };
    Batch::from_otlp(Signal::Traces, request.encode_to_vec().into()).unwrap()
}

fn shown(batches: &[Batch]) -> Vec<String> {
    let request = |batch: &Batch| ExportMetricsServiceRequest::decode(&batch.otlp()[..]).unwrap();
    let mut shown = Vec::new();
    for metric in batches
        .iter()
        .map(request)
        .flat_map(|r| r.resource_metrics)
        .flat_map(|r| r.scope_metrics)
        .flat_map(|s| s.metrics)
    {
        let (name, unit) = (metric.name, metric.unit);
        match metric.data.unwrap() {
            Data::Sum(sum) => shown.extend(sum.data_points.iter().map(|p| {
                format!("{name} {} {:?} exemplars {}", show(&p.attributes), p.value.unwrap(), p.exemplars.len())
            })),
            Data::Histogram(h) => shown.extend(h.data_points.iter().map(|p| {
                let counts: Vec<_> = p.bucket_counts.iter().map(u64::to_string).collect();
                format!(
                    "{name} {unit} {} {} sum {} {:?}",
                    show(&p.attributes),
                    counts.join(","),
                    p.sum(),
                    p.explicit_bounds
                )
            })),
            Data::ExponentialHistogram(h) => {
                shown.extend(
                    h.data_points.iter().map(|p| format!("{name} {} exponential {}", show(&p.attributes), p.count)),
                );
            }
            _ => {}
        }
    }
    shown
}

/// The metrics and dimensions of the Collector's README.
#[test]
fn calls_and_durations() {
    let (mut stage, tally) = connector("histogram: { explicit: { buckets: [2ms, 10ms] } }");
    let spans = vec![span("get", 2, 0, &[]), span("get", 11, 0, &[]), span("get", 5, 2, &[])];
    assert!(feed(&mut *stage, batch(spans), at(100.0)).is_empty());
    assert_eq!(stage.due(), Some(at(120.0)));
    let out = tick(&mut *stage, at(120.0));
    let base = "service.name=shipping span.kind=SPAN_KIND_SERVER span.name=get status.code=STATUS_CODE_";
    assert_eq!(
        shown(&out),
        [
            format!("traces.span.metrics.calls {base}UNSET AsInt(2) exemplars 0"),
            format!("traces.span.metrics.calls {base}ERROR AsInt(1) exemplars 0"),
            format!("traces.span.metrics.duration ms {base}UNSET 1,0,1 sum 13 [2.0, 10.0]"),
            format!("traces.span.metrics.duration ms {base}ERROR 0,1,0 sum 5 [2.0, 10.0]"),
        ]
    );
    let calls = &numbers(&out)[0];
    assert_eq!((calls.kind.as_str(), calls.start, calls.time), ("sum cumulative monotonic", 100.0, 120.0));
    assert_eq!((tally.taken_out()["counted"], tally.all_put_in()["metrics"]), (3, 4));
    // Repeated while spans came of late, and no longer.
    let out = tick(&mut *stage, at(100_000.0));
    assert_eq!((shown(&out).len() / 4, stage.due()), (9, None));
    feed(&mut *stage, batch(vec![span("get", 1, 0, &[])]), at(100_000.0));
    assert!(shown(&tick(&mut *stage, at(100_020.0)))[0].contains("AsInt(3)"), "cumulative");
}

#[test]
fn dimensions_as_they_are_asked_for() {
    let yaml = "{ namespace: '', aggregation_temporality: AGGREGATION_TEMPORALITY_DELTA, exclude_dimensions: [status.code, span.kind, service.name], \
                dimensions: [{ name: http.method, default: GET }, { name: absent }, { name: region }, { glob: 'k8s.*.name' }], \
                calls_dimensions: [{ name: url, default: /ping }], histogram: { exponential: { max_size: 8 }, dimensions: [{ name: scheme, default: https }] }, \
                exemplars: { enabled: true, max_per_data_point: 1 }, events: { enabled: true, dimensions: [{ name: exception.type }] } }";
    let (mut stage, _) = connector(yaml);
    let event = Event { attributes: texts(&[("exception.type", "Oops")]), ..Default::default() };
    let first = Span {
        events: vec![event],
        ..span("a", 1, 0, &[("http.method", "PUT"), ("k8s.pod.name", "p"), ("k8s.a.b.name", "q")])
    };
    feed(&mut *stage, batch(vec![first, span("a", 1, 0, &[]), span("a", 1, 0, &[])]), at(100.0));
    let mut stage = restarted(&*stage, yaml);
    let mut out = shown(&tick(&mut *stage, at(120.0)));
    out.sort();
    assert_eq!(
        out,
        [
            "calls http.method=GET region=eu span.name=a url=/ping AsInt(2) exemplars 1",
            "calls http.method=PUT k8s.pod.name=p region=eu span.name=a url=/ping AsInt(1) exemplars 1",
            "duration http.method=GET region=eu scheme=https span.name=a exponential 2",
            "duration http.method=PUT k8s.pod.name=p region=eu scheme=https span.name=a exponential 1",
            "events exception.type=Oops http.method=PUT k8s.pod.name=p region=eu span.name=a AsInt(1) exemplars 1",
        ]
    );
    assert_eq!(stage.due(), None, "deltas of nothing are not put out");
}

#[test]
fn bounds_and_expiration() {
    let yaml = "{ aggregation_cardinality_limit: 2, histogram: { disable: true }, series_expiration: 90s, add_resource_attributes: true }";
    let (mut stage, _) = connector(yaml);
    feed(&mut *stage, batch((0..5).map(|i| span(&i.to_string(), 1, 0, &[])).collect()), at(100.0));
    let out = tick(&mut *stage, at(120.0));
    let last = numbers(&out).pop().unwrap();
    assert_eq!((last.attributes.as_str(), last.value), (r#"{"otel.metric.overflow":true}"#, 3.0));
    assert_eq!(last.resource, r#"{"region":"eu","service.name":"shipping"}"#);
    feed(&mut *stage, batch(vec![span("0", 1, 0, &[])]), at(170.0));
    assert_eq!(shown(&tick(&mut *stage, at(240.0))).len(), 3 + 1);
}

#[test]
fn mistakes_say_what_to_do() {
    let mut section = Section::parse(
        "{ metrics_flush_interval: 0s, events: { enabled: true }, enable_metrics_sampling_method: true, dimensions: [{}], \
         histogram: { explicit: { buckets: [2s, 1s] }, exponential: {} } }",
    );
    let _plan = (SPEC.plan)(&mut section);
    let found = section.mistakes().join("\n");
    for part in [
        "never rest",
        "counted by attributes",
        "never extrapolated",
        "one name or one glob",
        "above the one before",
        "exponential is there too",
    ] {
        assert!(found.contains(part), "{part} in {found}");
    }
}

/// Each span is counted once, whatever ticks and restarts come between.
#[test]
fn counts_add_up() {
    for (temporality, seed) in [("delta", 1), ("delta", 2), ("cumulative", 3), ("cumulative", 4)] {
        let yaml = format!("{{ metrics_flush_interval: 7s, aggregation_temporality: {temporality} }}");
        let run = |broken: bool| {
            let mut chance = Chance::new(seed);
            let (mut stage, _) = connector(&yaml);
            let (mut out, mut sent, mut now) = (Vec::new(), 0, 100.0);
            for _ in 0..200 {
                let before = now;
                now += chance.below(60) as f64 / 10.0;
                let spans: Vec<_> =
                    (0..chance.below(5)).map(|_| span(&chance.below(6).to_string(), 3, 0, &[])).collect();
                sent += spans.len();
                let restart = chance.one_in(3);
                if broken {
                    out.extend(tick(&mut *stage, at((before + now) / 2.0)));
                    if restart {
                        stage = restarted(&*stage, &yaml);
                    }
                }
                out.extend(feed(&mut *stage, batch(spans), at(now)));
            }
            out.extend(crate::testing::finish(&mut *stage, at(now)));
            let last = numbers(&out).last().unwrap().time;
            let counted: f64 =
                numbers(&out).iter().filter(|p| temporality == "delta" || p.time == last).map(|p| p.value).sum();
            assert_eq!(counted, sent as f64, "{temporality}");
            out.iter().map(|batch| batch.otlp().to_vec()).collect::<Vec<_>>()
        };
        assert!(run(false) == run(true), "{temporality}");
    }
}
