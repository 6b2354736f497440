#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::*;
use crate::testing::{Chance, at, feed, finish, mistakes, relay, restarted, texts, tick};

fn span(trace: u8, id: u8, ms: u64, status: i32, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        parent_span_id: if id == 1 { Vec::new() } else { vec![1; 8] },
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_000_000_000 + ms * 1_000_000,
        status: Some(Status { code: status, ..Default::default() }),
        attributes,
        ..Default::default()
    }
}

fn batch(spans: Vec<Span>) -> Batch {
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] };
    Batch::from_otlp(Signal::Traces, request.encode_to_vec().into()).unwrap()
}

/// Trace and span of each that came out.
fn shown(batches: &[Batch]) -> Vec<(u8, u8)> {
    let requests = batches.iter().map(|batch| ExportTraceServiceRequest::decode(&batch.otlp()[..]).unwrap());
    let groups = requests.flat_map(|request| request.resource_spans).flat_map(|group| group.scope_spans);
    groups.flat_map(|group| group.spans).map(|span| (span.trace_id[0], span.span_id[0])).collect()
}

const ERRORS: &str = "policies: [{ name: e, type: status_code, status_code: { status_codes: [ERROR] } }]";

#[test]
fn an_error_decides_at_once_and_others_are_decided_in_time() {
    let (mut stage, tally) = relay(&SPEC, ERRORS);
    assert!(feed(&mut *stage, batch(vec![span(1, 1, 5, 0, vec![]), span(2, 1, 5, 0, vec![])]), at(10.5)).is_empty());
    assert_eq!((stage.due(), tally.held()), (Some(at(41.0)), 2));
    let out = feed(&mut *stage, batch(vec![span(1, 2, 5, 2, vec![]), span(2, 2, 5, 1, vec![])]), at(12.0));
    assert_eq!(shown(&out), [(1, 1), (1, 2)]);
    // Late spans follow, before the wait is over and after.
    assert_eq!(shown(&feed(&mut *stage, batch(vec![span(1, 3, 5, 0, vec![])]), at(13.0))), [(1, 3)]);
    assert!(tick(&mut *stage, at(41.0)).is_empty());
    assert_eq!((tally.taken_out()["not_sampled"], tally.held()), (2, 0));
    let (mut stage, tally) = restarted(&*stage, &SPEC, ERRORS);
    let late = batch(vec![span(1, 4, 5, 0, vec![]), span(2, 4, 5, 2, vec![])]);
    assert_eq!(shown(&feed(&mut *stage, late, at(60.0))), [(1, 4)]);
    assert_eq!(tally.taken_out()["not_sampled"], 1);
}

fn number(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

fn flag(key: &str, value: bool) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::BoolValue(value)) });
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

/// The policies of the Collector's README, each with a trace it samples and one it does not.
#[test]
fn the_collectors_policies() {
    let plain = |ms| span(1, 1, ms, 0, vec![]);
    let with = |attributes| span(1, 1, 5, 0, attributes);
    let text = |value: &str| with(texts(&[("key2", value)]));
    let state = |state: &str| Span { trace_state: state.to_owned(), ..plain(5) };
    let spans = |n: u8| (1..=n).map(|id| span(1, id, 5, 0, vec![])).collect::<Vec<_>>();
    let cases: Vec<(&str, Vec<Span>, Vec<Span>)> = vec![
        (
            "type: latency, latency: { threshold_ms: 5000, upper_threshold_ms: 10000 }",
            vec![plain(5001)],
            vec![plain(10_001)],
        ),
        ("type: latency, latency: { threshold_ms: 5000 }", vec![plain(5001)], vec![plain(5000)]),
        (
            "type: numeric_attribute, numeric_attribute: { key: key1, min_value: 50, max_value: 100 }",
            vec![with(vec![number("key1", 50)])],
            vec![with(vec![number("key1", 101)])],
        ),
        (
            "type: sql_condition, sql_condition: { conditions: [\"attributes['key2'] = 'value1' AND duration_ns > 4000000\", 'status_code = 2'] }",
            vec![text("value2"), text("value1")],
            vec![text("value2"), Span { end_time_unix_nano: 1_000_000_001, ..text("value1") }],
        ),
        (
            "type: sql_condition, sql_condition: { conditions: ['status_code = 2'] }",
            vec![span(1, 1, 1, 2, vec![])],
            vec![plain(1)],
        ),
        ("type: probabilistic, probabilistic: { sampling_percentage: 100 }", vec![plain(1)], vec![]),
        ("type: probabilistic, probabilistic: { sampling_percentage: 0 }", vec![], vec![plain(1)]),
        (
            "type: status_code, status_code: { status_codes: [ERROR, UNSET] }",
            vec![plain(1)],
            vec![span(1, 1, 1, 1, vec![])],
        ),
        (
            "type: string_attribute, string_attribute: { key: key2, values: [value1, value2] }",
            vec![text("value2")],
            vec![text("value3")],
        ),
        (
            "type: string_attribute, string_attribute: { key: key2, values: [value1, val*], enabled_regex_matching: true, cache_max_size: 10 }",
            vec![text("vallll")],
            vec![text("x")],
        ),
        (
            "type: string_attribute, string_attribute: { key: key2, values: [value1], invert_match: true }",
            vec![text("x")],
            vec![text("value1")],
        ),
        ("type: rate_limiting, rate_limiting: { spans_per_second: 35, burst_capacity: 70 }", spans(70), spans(71)),
        ("type: bytes_limiting, bytes_limiting: { bytes_per_second: 1 }", vec![], vec![plain(1)]),
        ("type: span_count, span_count: { min_spans: 2, max_spans: 20 }", spans(2), spans(21)),
        (
            "type: trace_state, trace_state: { key: key3, values: [value1, value2] }",
            vec![state("a=b,key3=value2")],
            vec![state("key3=c")],
        ),
        (
            "type: boolean_attribute, boolean_attribute: { key: key4, value: true }",
            vec![with(vec![flag("key4", true)])],
            vec![with(vec![flag("key4", false)])],
        ),
        ("type: trace_flags", vec![Span { flags: 1, ..plain(1) }], vec![plain(1)]),
        (
            "type: and, and: { and_sub_policy: [{ name: a, type: numeric_attribute, numeric_attribute: { key: key1, min_value: 50, max_value: 100 } }, { name: b, type: string_attribute, string_attribute: { key: key2, values: [value1, value2] } }] }",
            vec![with([vec![number("key1", 60)], texts(&[("key2", "value1")])].concat())],
            vec![with(vec![number("key1", 60)])],
        ),
        (
            "type: not, not: { not_sub_policy: { name: n, type: latency, latency: { threshold_ms: 1000 } } }",
            vec![plain(1000)],
            vec![plain(1001)],
        ),
        (
            "type: drop, drop: { drop_sub_policy: [{ name: d, type: string_attribute, string_attribute: { key: url.path, values: ['\\/health', '\\/metrics'], enabled_regex_matching: true } }] } }, { name: all, type: always_sample",
            vec![plain(1)],
            vec![with(texts(&[("url.path", "/health")]))],
        ),
        (
            "type: composite, composite: { max_total_spans_per_second: 10, policy_order: [a, b], composite_sub_policy: [{ name: a, type: numeric_attribute, numeric_attribute: { key: key1, min_value: 50 } }, { name: b, type: always_sample }], rate_allocation: [{ policy: a, percent: 50 }, { policy: b, percent: 25 }] }",
            vec![with(vec![number("key1", 70)])],
            spans(3),
        ),
    ];
    for (policy, sampled, not) in cases {
        let yaml = format!("policies: [{{ name: p, {policy} }}]");
        for (spans, expect) in [(sampled, true), (not, false)] {
            let n = spans.len();
            if n == 0 {
                continue;
            }
            let (mut stage, tally) = relay(&SPEC, &yaml);
            let mut out = feed(&mut *stage, batch(spans), at(1.0));
            (stage, _) = restarted(&*stage, &SPEC, &yaml);
            out.extend(tick(&mut *stage, at(32.0)));
            assert_eq!(shown(&out).len(), if expect { n } else { 0 }, "{policy}");
            let _ = tally;
        }
    }
}

#[test]
fn the_share_that_is_kept_is_right() {
    let yaml = "{ decision_wait: 1s, policies: [{ name: p, type: probabilistic, probabilistic: { sampling_percentage: 25 } }] }";
    let (mut stage, _) = relay(&SPEC, yaml);
    let mut chance = Chance::new(1);
    let spans = (0..4000)
        .map(|_| Span { trace_id: (0..16).map(|_| chance.below(256) as u8 | 1).collect(), ..span(0, 1, 1, 0, vec![]) });
    let out = feed(&mut *stage, batch(spans.collect()), at(1.0));
    let kept = shown(&out).len();
    assert!((900..1100).contains(&kept), "{kept} of 4000 at once: nothing is waited for");
    assert_eq!(stage.due(), Some(at(2.0)), "for what is remembered");
}

#[test]
fn bounds() {
    let yaml =
        "{ num_traces: 2, policies: [{ name: s, type: span_count, span_count: { min_spans: 1, max_spans: 5 } }] }";
    let (mut stage, _) = relay(&SPEC, yaml);
    let out = feed(&mut *stage, batch((1..=5).map(|trace| span(trace, 1, 1, 0, vec![])).collect()), at(1.0));
    assert_eq!(shown(&out), [(1, 1), (2, 1), (3, 1)], "the oldest, with what they had");
    let (mut stage, tally) = relay(&SPEC, &format!("{{ maximum_trace_size_bytes: 10, {ERRORS} }}"));
    feed(&mut *stage, batch(vec![span(1, 1, 1, 2, vec![])]), at(1.0));
    assert_eq!(tally.taken_out()["trace_too_large"], 1);
    let (mut stage, _) = relay(&SPEC, &format!("{{ max_bytes: 1B, {ERRORS} }}"));
    feed(&mut *stage, batch(vec![span(1, 1, 1, 0, vec![])]), at(1.0));
    assert!(feed(&mut *stage, batch(vec![span(1, 2, 1, 2, vec![])]), at(2.0)).is_empty(), "decided with what it had");
    let root = format!("{{ decision_wait_after_root_received: 5s, {ERRORS} }}");
    let (mut stage, _) = relay(&SPEC, &root);
    feed(&mut *stage, batch(vec![span(1, 2, 1, 0, vec![])]), at(1.0));
    assert_eq!(stage.due(), Some(at(31.0)));
    feed(&mut *stage, batch(vec![span(1, 1, 1, 0, vec![])]), at(2.0));
    assert_eq!(stage.due(), Some(at(7.0)));
}

/// More than one part of what is saved may hold.
#[test]
fn held_spans_of_any_size_are_kept() {
    let (mut stage, _) = relay(&SPEC, &format!("{{ max_bytes: 4GiB, {ERRORS} }}"));
    for trace in 1..=3 {
        let large = texts(&[("large", &"x".repeat(7 << 20))]);
        feed(&mut *stage, batch(vec![span(trace, 1, 5, 0, large), span(trace, 2, 5, 0, vec![])]), at(1.0));
    }
    let mut state = Vec::new();
    stage.save(&mut state);
    let (mut stage, tally) = relay(&SPEC, &format!("{{ max_bytes: 4GiB, {ERRORS} }}"));
    stage.restore(&state).unwrap();
    assert_eq!(tally.held(), 6);
    let out = feed(&mut *stage, batch(vec![span(3, 3, 5, 2, vec![])]), at(2.0));
    assert_eq!(shown(&out), [(3, 1), (3, 2), (3, 3)]);
    assert_eq!(shown(&feed(&mut *stage, batch(vec![span(1, 3, 5, 2, vec![])]), at(2.0))).len(), 3);
}

#[test]
fn mistakes_say_what_to_do() {
    let found = mistakes(
        &SPEC,
        "{ num_traces: 0, policies: [{ name: a, type: ottl_condition, ottl_condition: {} }, { name: b, type: what }, \
         { name: s, type: sql_condition, sql_condition: { conditions: ['nome = 1'] } }, { name: c, type: latency }, { type: always_sample }, { name: d, type: status_code, status_code: { status_codes: [BAD] } }, \
         { name: e, type: composite, composite: { max_total_spans_per_second: 5, policy_order: [x] } }] }",
    );
    for part in [
        "no OTTL",
        "nome",
        "\"what\" is no type",
        "nothing under \"latency\"",
        "\"name\" is required",
        "\"BAD\"",
        "\"x\" is no",
        "write 1 or more",
    ] {
        assert!(found.contains(part), "{part} in {found}");
    }
    assert!(mistakes(&SPEC, "{}").contains("without a policy"));
}

/// Every span is kept or counted, and a trace's fate is that of all its spans; ticks and restarts change nothing.
#[test]
fn spans_are_accounted_for() {
    let yaml = "{ decision_wait: 5s, num_traces: 6, policies: [{ name: e, type: status_code, status_code: { status_codes: [ERROR] } }, \
                { name: c, type: span_count, span_count: { min_spans: 3, max_spans: 6 } }, \
                { name: r, type: rate_limiting, rate_limiting: { spans_per_second: 1, burst_capacity: 2 } }] }";
    for seed in 0..200 {
        let run = |broken: bool| {
            let mut chance = Chance::new(seed);
            let (mut stage, mut tally) = relay(&SPEC, yaml);
            let (mut out, mut sent, mut dropped, mut now) = (Vec::new(), 0, 0, 0.0);
            for _ in 0..40 {
                let before = now;
                now += chance.below(30) as f64 / 10.0;
                let spans: Vec<_> = (0..chance.below(5))
                    .map(|_| {
                        span(
                            chance.below(30) as u8,
                            chance.below(9) as u8,
                            5,
                            if chance.one_in(9) { 2 } else { 0 },
                            vec![],
                        )
                    })
                    .collect();
                let (restart, ticks) = (chance.one_in(3), chance.below(3));
                if broken {
                    if restart {
                        dropped += tally.taken_out().values().sum::<u64>();
                        (stage, tally) = restarted(&*stage, &SPEC, yaml);
                    }
                    for part in 0..ticks {
                        out.extend(tick(&mut *stage, at(before + (now - before) * part as f64 / 3.0)));
                    }
                }
                sent += spans.len();
                out.extend(feed(&mut *stage, batch(spans), at(now)));
                let all = shown(&out).len() as u64 + dropped + tally.taken_out().values().sum::<u64>() + tally.held();
                assert_eq!(all, sent as u64, "seed {seed}");
            }
            out.extend(finish(&mut *stage, at(now)));
            out
        };
        let rows = |batches: Vec<Batch>| batches.iter().map(|batch| batch.otlp().to_vec()).collect::<Vec<_>>();
        assert!(rows(run(false)) == rows(run(true)), "seed {seed}");
    }
}
