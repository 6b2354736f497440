#![allow(clippy::unwrap_used, clippy::panic)]

mod duckdb;
mod oracle;

use catchment_pipeline::batch::Batch;
use catchment_pipeline::batch::build::{CUMULATIVE, DELTA, Interval, Kind, Number, PointsBuilder, Series, Stats};

use super::SPEC;
use crate::state::columns::{Distribution, Distributions};
use crate::testing::{at, feed, finish, lines, mistakes, numbers, relay, restarted, tick};

const T: f64 = 1_000_000_020.0; // a whole minute

fn nanos(seconds: f64) -> i64 {
    (seconds * 1e9) as i64
}

fn series<'a>(name: &'a str, resource: &'a str, attributes: &'a str) -> Series<'a> {
    Series { name, resource_attributes: resource, attributes, unit: "By", ..Series::default() }
}

/// Points of `name`: attributes, start, time, value.
fn batch(kind: Kind, name: &str, points: &[(&str, f64, f64, f64)]) -> Batch {
    let mut builder = PointsBuilder::default();
    for (attributes, start, time, value) in points {
        let interval = Interval { start: nanos(T + start), time: nanos(T + time) };
        builder.number(&series(name, "{}", attributes), interval, kind, Number::Double(*value), &[]);
    }
    builder.finish().unwrap()
}

/// Without the start of time in it.
fn shown(batches: &[Batch]) -> Vec<String> {
    let mut shown = numbers(batches);
    for point in &mut shown {
        (point.start, point.time) = (point.start - T, point.time - T);
    }
    shown.iter().map(ToString::to_string).collect()
}

const A: &str = r#"{"host":"a"}"#;
const B: &str = r#"{"host":"b"}"#;

#[test]
fn gauges_in_time_and_across_labels() {
    let (mut stage, tally) = relay(&SPEC, "{ by: [], functions: [avg, max, min, sum, count, last, p50] }");
    let points =
        [(A, 0.0, 10.0, 1.0), (B, 0.0, 10.0, 5.0), (A, 0.0, 60.0, 2.0), (B, 0.0, 40.0, 4.0), (A, 0.0, 61.0, 9.0)];
    assert!(feed(&mut *stage, batch(Kind::Gauge, "m", &points), at(T + 61.0)).is_empty());
    // Before end and lateness nothing closes; after the grace without points everything does.
    assert_eq!(stage.due(), Some(at(T + 60.0 + 10.0 + 30.0)));
    assert!(tick(&mut *stage, at(T + 99.0)).is_empty());
    let mut out = shown(&tick(&mut *stage, at(T + 100.0)));
    let median: f64 = out.pop().unwrap().strip_prefix("m.p50{} gauge (0, 60] ").unwrap().parse().unwrap();
    assert!((median - 2.0).abs() < 0.022, "{median} is the second of 1, 2, 4 and 5");
    assert_eq!(
        out,
        [
            "m.avg{} gauge (0, 60] 3",
            "m.max{} gauge (0, 60] 5",
            "m.min{} gauge (0, 60] 1",
            "m.sum{} gauge (0, 60] 6", // the last of a, and that of b
            "m.count{} sum delta monotonic (0, 60] 4",
            "m.last{} gauge (0, 60] 2",
        ]
    );
    assert_eq!((tally.taken_out()["aggregated"], tally.all_put_in()["aggregates"]), (5, 7));
}

#[test]
fn counters_add_what_they_grew_by_over_resets() {
    let (mut stage, _) = relay(&SPEC, "{ by: [], temporality: delta, allowed_lateness: 0s }");
    let counter = Kind::Sum(CUMULATIVE, true);
    let first = [(A, -900.0, 10.0, 1000.0), (B, -900.0, 10.0, 70.0), (A, -900.0, 50.0, 1010.0), (B, 20.0, 30.0, 5.0)];
    assert!(feed(&mut *stage, batch(counter, "m", &first), at(T + 55.0)).is_empty());
    // No giant first value: 10 of a; b began anew and is at 5.
    let second = [(A, -900.0, 70.0, 1015.0), (B, 20.0, 120.0, 3.0)];
    let out = feed(&mut *stage, batch(counter, "m", &second), at(T + 130.0));
    assert_eq!(shown(&out), ["m{} sum delta monotonic (0, 60] 15", "m{} sum delta monotonic (60, 120] 8"]);
}

#[test]
fn a_series_that_began_while_watched_counts_from_zero() {
    let (mut stage, _) = relay(&SPEC, "{ by: [], allowed_lateness: 0s }");
    let counter = Kind::Sum(CUMULATIVE, true);
    feed(&mut *stage, batch(counter, "m", &[(A, -900.0, 10.0, 1000.0)]), at(T + 10.0));
    let out = feed(&mut *stage, batch(counter, "m", &[(B, 20.0, 60.0, 7.0)]), at(T + 60.0));
    assert_eq!(shown(&out), ["m{} sum cumulative monotonic (0, 60] 7"]);
    let out = feed(&mut *stage, batch(counter, "m", &[(B, 20.0, 120.0, 9.0)]), at(T + 120.0));
    assert_eq!(shown(&out), ["m{} sum cumulative monotonic (0, 120] 9"]);
}

/// The table of the Collector's `interval`: of gauges and cumulative sums the last value, and delta sums pass on.
#[test]
fn the_collectors_interval_example() {
    let yaml = "{ interval: 60s, rules: [{ metrics: [test_metric], functions: [last] }] }";
    let (mut stage, _) = relay(&SPEC, yaml);
    let counter = Kind::Sum(CUMULATIVE, true);
    for (time, value) in [(0.0, 4.0), (2.0, 2.0), (4.0, 5.0), (6.0, 6.0)] {
        let points = [(r#"{"labelA":"foo"}"#, 0.0, time + 1.0, value)];
        assert!(feed(&mut *stage, batch(counter, "test_metric", &points), at(T + time + 1.0)).is_empty());
    }
    let other = batch(counter, "other", &[(A, 0.0, 1.0, 1.0)]);
    let out = feed(&mut *stage, other.clone(), at(T + 8.0));
    assert!(out[0].is_same(&other), "what no rule names passes on untouched");
    let out = tick(&mut *stage, at(T + 200.0));
    assert_eq!(shown(&out), [r#"test_metric{"labelA":"foo"} sum cumulative monotonic (0, 60] 6"#]);
}

#[test]
fn written_as_interval() {
    let plain = super::settings::read(&mut section_of("{}"));
    assert!(plain.interval_only.is_none());
    let rule = super::settings::interval(&mut section_of("{}"), plain);
    let mut stage = super::Aggregate::new(std::sync::Arc::new(rule), std::sync::Arc::default());
    let cumulative = batch(Kind::Sum(CUMULATIVE, true), "c", &[(A, 0.0, 1.0, 4.0), (A, 0.0, 5.0, 6.0)]);
    assert!(feed(&mut stage, cumulative, at(T + 5.0)).is_empty());
    let delta = batch(Kind::Sum(DELTA, true), "d", &[(A, 0.0, 1.0, 4.0)]);
    assert!(feed(&mut stage, delta.clone(), at(T + 5.0))[0].is_same(&delta));
    let mut builder = PointsBuilder::default();
    let stats = Stats { count: 7, sum: Some(7.0), ..Stats::default() };
    let interval = Interval { start: nanos(T - 9.0), time: nanos(T + 6.0) };
    builder.histogram(&series("h", "{}", A), interval, CUMULATIVE, stats, (&[3, 4], &[1.0]), &[]);
    assert!(feed(&mut stage, builder.finish().unwrap(), at(T + 6.0)).is_empty());
    let out = finish(&mut stage, at(T + 7.0));
    assert_eq!(shown(&out), [r#"c{"host":"a"} sum cumulative monotonic (0, 60] 6"#]);
    let table = catchment_pipeline::batch::Table::Histograms;
    let rows = Distributions::new(table, out[0].rows().table(table).unwrap()).unwrap();
    assert_eq!((rows.points.start[0], rows.get(0).stats().count), (nanos(T - 9.0), 7), "as it came");
}

fn section_of(yaml: &str) -> catchment_pipeline::config::Section {
    catchment_pipeline::config::Section::parse(yaml)
}

#[test]
fn labels_of_resources_too() {
    let mut builder = PointsBuilder::default();
    let interval = Interval { start: 0, time: nanos(T + 10.0) };
    for (resource, attributes) in [
        (r#"{"host.name":"a","service.name":"shop"}"#, r#"{"code":200,"route":"/"}"#),
        (r#"{"host.name":"b","service.name":"shop"}"#, r#"{"code":500,"route":"/"}"#),
    ] {
        builder.number(&series("m", resource, attributes), interval, Kind::Sum(DELTA, true), Number::Int(2), &[]);
    }
    let points = builder.finish().unwrap();
    for (labels, resource, attributes) in [
        ("by: [service_name, route]", r#"{"service.name":"shop"}"#, r#"{"route":"/"}"#),
        ("without: [host.name, code]", r#"{"service.name":"shop"}"#, r#"{"route":"/"}"#),
        ("by: []", "{}", "{}"),
    ] {
        let (mut stage, _) = relay(&SPEC, &format!("{{ {labels} }}"));
        feed(&mut *stage, points.clone(), at(T + 10.0));
        let out = numbers(&finish(&mut *stage, at(T + 11.0)));
        assert_eq!(out.len(), 1, "{labels}");
        assert_eq!((out[0].resource.as_str(), out[0].attributes.as_str(), out[0].value), (resource, attributes, 4.0));
        assert_eq!(out[0].kind, "sum delta monotonic");
    }
}

#[test]
fn late_points_and_fast_clocks() {
    for (late, passed) in [("drop", 0), ("pass", 2)] {
        let (mut stage, tally) = relay(&SPEC, &format!("{{ by: [], functions: [count], late: {late} }}"));
        let gauge = |points: &[_]| batch(Kind::Gauge, "m", points);
        feed(&mut *stage, gauge(&[(A, 0.0, 50.0, 1.0)]), at(T + 50.0));
        // A clock that is 5 minutes fast closes nothing before its time has come.
        assert!(feed(&mut *stage, gauge(&[(B, 0.0, 355.0, 1.0)]), at(T + 55.0)).is_empty());
        assert_eq!(stage.due(), Some(at(T + 70.0)));
        assert!(feed(&mut *stage, gauge(&[(A, 0.0, 45.0, 1.0)]), at(T + 60.0)).is_empty());
        let out = tick(&mut *stage, at(T + 70.0));
        assert_eq!(shown(&out), ["m{} sum delta monotonic (0, 60] 2"]);
        // A sender that catches up, and one that is an hour ahead.
        let out =
            feed(&mut *stage, gauge(&[(A, 0.0, 46.0, 1.0), (A, 0.0, 3600.0, 1.0), (A, 0.0, 71.0, 1.0)]), at(T + 71.0));
        assert_eq!(out.iter().map(Batch::items).sum::<usize>(), passed);
        assert_eq!(tally.taken_out().get("too_late").copied().unwrap_or_default(), 2 - passed as u64);
    }
}

/// All senders come back after an hour without a network: their backlog is aggregated, not dropped.
#[test]
fn a_backlog_of_everybody_is_not_late() {
    let (mut stage, tally) = relay(&SPEC, "{ by: [], functions: [count] }");
    let mut out = Vec::new();
    for i in 0..120 {
        let time = f64::from(i) * 30.0 + 15.0;
        out.extend(feed(
            &mut *stage,
            batch(Kind::Gauge, "m", &[(A, 0.0, time, 1.0)]),
            at(T + 3600.0 + f64::from(i) / 10.0),
        ));
    }
    out.extend(tick(&mut *stage, at(T + 3700.0)));
    assert_eq!(numbers(&out).iter().map(|point| point.value).collect::<Vec<_>>(), vec![2.0; 60]);
    assert_eq!(tally.taken_out().get("too_late"), None);
}

#[test]
fn histograms_are_merged() {
    let hist = |host: &str, counts: &[u64], bounds: &[f64], temporality, time: f64, builder: &mut PointsBuilder| {
        let count = counts.iter().sum();
        let stats = Stats { count, sum: Some(count as f64 * 2.0), min: None, max: None };
        let interval = Interval { start: nanos(T - 900.0), time: nanos(T + time) };
        let attributes = format!(r#"{{"host":"{host}"}}"#);
        builder.histogram(&series("h", "{}", &attributes), interval, temporality, stats, (counts, bounds), &[]);
    };
    for (temporality, second, expect) in [
        (DELTA, [&[5u64, 5, 5][..], &[1, 1]], vec![1 + 4 + 5 + 5 + 5 + 1, 5 + 10 + 5 + 1]),
        (CUMULATIVE, [&[5, 7, 5], &[5, 15]], vec![4 + 3, 5]),
    ] {
        let (mut stage, _) = relay(&SPEC, "{ by: [], functions: [merge, count, p50], temporality: delta }");
        let mut builder = PointsBuilder::default();
        hist("a", &[1, 4, 5], &[1.0, 2.0], temporality, 10.0, &mut builder);
        hist("b", &[5, 10], &[2.0], temporality, 10.0, &mut builder);
        hist("a", second[0], &[1.0, 2.0], temporality, 40.0, &mut builder);
        hist("b", second[1], &[2.0], temporality, 40.0, &mut builder);
        feed(&mut *stage, builder.finish().unwrap(), at(T + 50.0));
        let out = finish(&mut *stage, at(T + 50.0));
        let rows = out[0].rows().table(catchment_pipeline::batch::Table::Histograms).unwrap();
        let rows = Distributions::new(catchment_pipeline::batch::Table::Histograms, rows).unwrap();
        let Distribution::Explicit(merged) = rows.get(0) else { panic!() };
        assert_eq!((rows.points.time.len(), merged.bounds, &merged.counts), (1, vec![2.0], &expect));
        assert_eq!(rows.temporality, [DELTA]);
        let count = numbers(&out)[0].value;
        assert_eq!(count, expect.iter().sum::<u64>() as f64);
    }
}

#[test]
fn at_the_bound_new_series_are_folded_or_passed_on() {
    let many = |kind, from: usize| {
        let sets: Vec<String> = (from..from + 10).map(|i| format!(r#"{{"id":{i}}}"#)).collect();
        let points: Vec<_> = sets.iter().map(|set| (set.as_str(), 0.0, 10.0, 1.0)).collect();
        batch(kind, "m", &points)
    };
    let (mut stage, tally) = relay(&SPEC, "{ max_series: 4, functions: [sum] }");
    assert!(feed(&mut *stage, many(Kind::Sum(DELTA, true), 0), at(T + 10.0)).is_empty());
    let out = numbers(&finish(&mut *stage, at(T + 11.0)));
    assert_eq!(out.len(), 5);
    assert_eq!((out[4].attributes.as_str(), out[4].value), (r#"{"otel.metric.overflow":true}"#, 6.0));
    assert_eq!(tally.taken_out()["aggregated"], 10);
    for (kind, yaml) in
        [(Kind::Sum(CUMULATIVE, true), "max_series: 4"), (Kind::Sum(DELTA, true), "{ max_series: 4, overflow: pass }")]
    {
        let (mut stage, tally) = relay(&SPEC, yaml);
        let out = feed(&mut *stage, many(kind, 0), at(T + 10.0));
        assert_eq!(out.iter().map(Batch::items).sum::<usize>(), 6);
        assert_eq!(tally.taken_out()["aggregated"], 4);
    }
}

#[test]
fn stale_series_are_forgotten_and_totals_begin_anew() {
    let yaml = "{ by: [host], max_stale: 120s, temporality: cumulative, allowed_lateness: 0s }";
    let (mut stage, _) = relay(&SPEC, yaml);
    let mut out = Vec::new();
    for minute in 0..40 {
        let time = f64::from(minute) * 60.0 + 60.0;
        let mut points = vec![(A, 0.0, time, 1.0)];
        if minute == 0 || minute == 39 {
            points.push((B, 0.0, time, 1.0));
        }
        out.extend(feed(&mut *stage, batch(Kind::Sum(DELTA, true), "m", &points), at(T + time)));
        (stage, _) = restarted(&*stage, &SPEC, yaml);
    }
    let shown = shown(&out);
    assert_eq!(shown[78 - 38], r#"m{"host":"a"} sum cumulative monotonic (0, 2400] 40"#);
    assert_eq!(shown.last().unwrap(), r#"m{"host":"b"} sum cumulative monotonic (2340, 2400] 1"#);
}

#[test]
fn mistakes_say_what_to_do() {
    let found = mistakes(
        &SPEC,
        "{ by: [a], without: [b], functions: [median], quantiles: [2], interval: 0s, max_series: 0, max_buckets: 1, \
         rules: [{ functions: [avg, max], name: x }, { match_type: regexp, metrics: ['('] }] }",
    );
    for part in [
        "\"by\" is there too",
        "\"median\" is no function",
        "2 is no share",
        "less than a millisecond",
        "1 to 100000000",
        "8 to 4096",
        "add {function}",
        "is no pattern",
    ] {
        assert!(found.contains(part), "{part} in {found}");
    }
    assert_eq!(lines(&[]), Vec::<String>::new());
}
