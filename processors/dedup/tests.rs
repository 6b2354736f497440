#![allow(clippy::unwrap_used)]

use catchment_pipeline::batch::build::{Interval, Kind, Number, PointsBuilder, Series};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::*;
use crate::testing::{Chance, at, feed, finish, mistakes, relay, restarted, show, texts, tick};

fn record(body: Value, attributes: &[(&str, &str)], time: u64) -> LogRecord {
    let body = Some(AnyValue { value: Some(body) });
    LogRecord { body, attributes: texts(attributes), time_unix_nano: time, severity_number: 9, ..Default::default() }
}

fn text(body: &str) -> Value {
    Value::StringValue(body.to_owned())
}

fn logs(records: Vec<LogRecord>) -> Batch {
    let scope_logs = vec![ScopeLogs { log_records: records, ..Default::default() }];
    let request = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] };
    Batch::from_otlp(Signal::Logs, request.encode_to_vec().into()).unwrap()
}

fn shown(batches: &[Batch]) -> Vec<String> {
    let requests = batches.iter().map(|batch| ExportLogsServiceRequest::decode(&batch.otlp()[..]).unwrap());
    let records = requests.flat_map(|request| request.resource_logs).flat_map(|group| group.scope_logs);
    records.flat_map(|group| group.log_records).map(|record| show(&record.attributes)).collect()
}

/// The README of the Collector's logdedupprocessor.
#[test]
fn equal_records_go_out_as_one_with_their_number_and_times() {
    let (mut stage, tally) = relay(&SPEC, "interval: 60s");
    let batch = |n: usize| logs((0..n).map(|i| record(text("failed"), &[("a", "b")], i as u64 + 1)).collect());
    assert!(feed(&mut *stage, batch(3), at(1000.0)).is_empty());
    assert!(feed(&mut *stage, batch(2), at(1010.5)).is_empty());
    let another = logs(vec![record(text("another"), &[], 5)]);
    assert!(feed(&mut *stage, another, at(1011.0)).is_empty());
    assert_eq!((stage.due(), tally.held(), tally.taken_out()["duplicate"]), (Some(at(1020.0)), 2, 4));
    assert!(tick(&mut *stage, at(1019.0)).is_empty());
    let out = tick(&mut *stage, at(1020.0));
    assert_eq!(
        shown(&out),
        [
            "a=b first_observed_timestamp=1970-01-01T00:16:40Z last_observed_timestamp=1970-01-01T00:16:50Z log_count=5i",
            "first_observed_timestamp=1970-01-01T00:16:51Z last_observed_timestamp=1970-01-01T00:16:51Z log_count=1i",
        ]
    );
    assert_eq!((stage.due(), tally.held()), (None, 0));
    let (mut stage, _) = relay(&SPEC, "{ log_count_attribute: n, timezone: '+02:00' }");
    feed(&mut *stage, batch(2), at(1000.0));
    let out = shown(&finish(&mut *stage, at(1001.0)));
    assert_eq!(
        out,
        [
            "a=b first_observed_timestamp=1970-01-01T02:16:40+02:00 last_observed_timestamp=1970-01-01T02:16:40+02:00 n=2i"
        ]
    );
}

#[test]
fn fields_that_do_not_count_and_fields_that_do() {
    let map = |id: &str| Value::KvlistValue(KeyValueList { values: texts(&[("timestamp", id), ("text", "x")]) });
    let records = || {
        vec![
            record(map("1"), &[("http.url", "/a"), ("id", "7")], 1),
            record(map("2"), &[("http.url", "/b"), ("id", "7")], 1),
            record(map("2"), &[("http.url", "/b"), ("id", "8")], 1),
        ]
    };
    for (yaml, expect) in [
        ("", 3),
        (r"exclude_fields: [body.timestamp]", 3),
        (r"exclude_fields: [body.timestamp, 'attributes.http\.url']", 2),
        (r"exclude_fields: [body.timestamp, 'attributes.http\.url', attributes.id]", 1),
        ("include_fields: [attributes.id]", 2),
        ("include_fields: [body.text]", 1),
        ("include_fields: [attributes.absent]", 3),
    ] {
        let (mut stage, _) = relay(&SPEC, yaml);
        feed(&mut *stage, logs(records()), at(0.0));
        let out = shown(&finish(&mut *stage, at(1.0)));
        assert_eq!(out.len(), expect, "{yaml}");
        assert_eq!(out.iter().any(|record| record.contains("http.url")), !yaml.contains("url"), "{yaml}");
    }
}

#[test]
fn points_and_spans_that_come_again() {
    let point = |name: &str, time: i64| {
        let mut builder = PointsBuilder::default();
        let series = Series { name, ..Series::default() };
        builder.number(&series, Interval { start: 0, time }, Kind::Gauge, Number::Int(1), &[]);
        builder.finish().unwrap()
    };
    let span = |id: u8, kind: i32| {
        let span = Span { trace_id: vec![1; 16], span_id: vec![id; 8], kind, ..Default::default() };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..Default::default() }];
        let request =
            ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] };
        Batch::from_otlp(Signal::Traces, request.encode_to_vec().into()).unwrap()
    };
    let (mut stage, tally) = relay(&SPEC, "remember: 10s");
    let mut passes = |batch: Batch, now: f64| {
        (stage, _) = {
            let mut state = Vec::new();
            stage.save(&mut state);
            let (mut other, tally) = relay(&SPEC, "remember: 10s");
            other.restore(&state).unwrap();
            (other, tally)
        };
        feed(&mut *stage, batch, at(now)).len() == 1
    };
    assert!(passes(point("a", 5), 0.0) && passes(point("a", 6), 0.0) && passes(point("b", 5), 0.0));
    assert!(!passes(point("a", 5), 9.0) && !passes(point("a", 6), 15.0));
    assert!(passes(point("a", 5), 40.0), "forgotten");
    assert!(passes(point("c", 0), 40.0) && passes(point("c", 0), 40.0), "nothing tells points without a time apart");
    assert!(passes(span(1, 2), 40.0) && passes(span(2, 2), 40.0) && passes(span(1, 3), 40.0));
    assert!(!passes(span(1, 2), 41.0));
    assert_eq!(tally.taken_out().get("duplicate"), None, "of the first instance");
}

#[test]
fn records_for_which_no_condition_holds_go_on() {
    let yaml = "conditions: [\"body = 'failed'\", \"attributes['a'] = 'b'\"]";
    let (mut stage, tally) = relay(&SPEC, yaml);
    let twice = |body: &str, attributes: &[(&str, &str)]| [1, 2].map(|time| record(text(body), attributes, time));
    let all = [twice("failed", &[]), twice("other", &[]), twice("other", &[("a", "b")])].concat();
    let out = feed(&mut *stage, logs(all), at(1000.0));
    assert_eq!(shown(&out), ["", ""], "as they came");
    assert_eq!((tally.held(), tally.taken_out()["duplicate"]), (2, 2));
    assert_eq!(shown(&finish(&mut *stage, at(1001.0))).len(), 2);
}

#[test]
fn what_is_held_is_bounded() {
    let (mut stage, tally) = relay(&SPEC, "{ interval: 1h, max_entries: 10 }");
    let batch = logs((0..25).map(|i| record(text(&i.to_string()), &[], 1)).collect());
    assert_eq!(shown(&feed(&mut *stage, batch, at(0.0))).len(), 25);
    assert_eq!(tally.held(), 0);
}

#[test]
fn mistakes_say_what_to_do() {
    let found = mistakes(
        &SPEC,
        "{ interval: 0s, timezone: Mars, exclude_fields: [body], include_fields: [severity], conditions: [x], \
         log_count_attribute: '', max_entries: 0 }",
    );
    for part in [
        "in no time",
        "neither UTC",
        "whole body",
        "no field of a log record",
        "no column x",
        "needs a name",
        "1 to 10000000",
    ] {
        assert!(found.contains(part), "{part} in {found}");
    }
}

/// Each record is counted once, whatever is held and wherever the process is stopped.
#[test]
fn counts_add_up() {
    for seed in 0..100 {
        let mut chance = Chance::new(seed);
        let yaml = "{ interval: 7s, max_entries: 6 }";
        let (mut stage, _) = relay(&SPEC, yaml);
        let (mut out, mut sent, mut now) = (Vec::new(), 0, 0.0);
        for _ in 0..30 {
            now += chance.below(40) as f64 / 10.0;
            let records: Vec<_> =
                (0..chance.below(6)).map(|_| record(text(&chance.below(9).to_string()), &[], 1)).collect();
            sent += records.len() as i64;
            out.extend(feed(&mut *stage, logs(records), at(now)));
            if chance.one_in(3) {
                (stage, _) = restarted(&*stage, &SPEC, yaml);
            }
        }
        out.extend(finish(&mut *stage, at(now)));
        let count = |shown: &String| shown.rsplit_once("log_count=")?.1.trim_end_matches('i').parse::<i64>().ok();
        assert_eq!(shown(&out).iter().filter_map(count).sum::<i64>(), sent, "seed {seed}");
    }
}
