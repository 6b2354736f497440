//! The same by hand: all points are kept, sorted and gone through once a window is over. `CATCHMENT_SEEDS=2000` runs that many (two minutes).

use std::collections::BTreeMap;

use catchment_pipeline::batch::Batch;
use catchment_pipeline::batch::build::{CUMULATIVE, DELTA, Interval, Kind, Number, PointsBuilder, Series};

use super::super::SPEC;
use super::{T, nanos};
use crate::testing::{Chance, at, feed, finish, numbers, relay, restarted, tick};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Gauge,
    UpDown,
    Delta,
    Counter,
}

#[derive(Clone, Debug)]
struct Point {
    sort: Sort,
    host: u64,
    route: u64,
    start: f64,
    time: f64,
    value: f64,
}

#[derive(Debug)]
struct Case {
    by: &'static [&'static str],
    lateness: f64,
    cumulative: bool,
    over_time: Option<&'static str>,
    /// When each batch was logged.
    batches: Vec<(f64, Vec<Point>)>,
}

const FUNCTIONS: [&str; 7] = ["avg", "max", "min", "sum", "count", "last", "p90"];

/// Series of all kinds over ten minutes; resets have new start times, and points come late and in any order. Values
/// are small whole numbers, so that sums are exact.
fn case(chance: &mut Chance) -> Case {
    let lateness = chance.pick(&[0.0, 10.0, 45.0]);
    let mut points = Vec::new();
    for sort in [Sort::Gauge, Sort::UpDown, Sort::Delta, Sort::Counter] {
        for (host, route) in [(0, 0), (0, 1), (1, 0)].into_iter().take(1 + chance.below(3) as usize) {
            let (mut time, mut value, mut start) = (chance.below(70) as f64, chance.below(1000) as f64, -500.0);
            for _ in 0..chance.below(40) {
                let step = 1 + chance.below(25);
                let before = time;
                time += step as f64;
                value = match sort {
                    Sort::Counter if chance.one_in(6) => {
                        start = before + chance.below(step) as f64 + 0.5;
                        chance.below(50) as f64
                    }
                    Sort::Counter => value + chance.below(50) as f64,
                    _ => chance.below(200) as f64 - 60.0,
                };
                let delay = if chance.one_in(4) { chance.below(90) } else { chance.below(6) } as f64;
                points.push((time + delay, Point { sort, host, route, start, time, value }));
            }
        }
    }
    points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut batches: Vec<(f64, Vec<Point>)> = Vec::new();
    for (arrives, point) in points {
        match batches.last_mut() {
            Some((_, batch)) if chance.one_in(2) => batch.push(point),
            _ => batches.push((0.0, vec![point])),
        }
        if let Some((logged, _)) = batches.last_mut() {
            *logged = arrives;
        }
    }
    let by = chance.pick::<&[&str]>(&[&[], &["host"], &["host", "route"]]);
    let over_time = chance.pick(&[None, None, Some("max"), Some("avg")]);
    Case { by, lateness, cumulative: chance.one_in(2), over_time, batches }
}

fn yaml(case: &Case) -> String {
    let over_time = case.over_time.map(|stage| format!(", over_time: {stage}")).unwrap_or_default();
    let temporality = if case.cumulative { "cumulative" } else { "delta" };
    format!(
        "{{ by: [{}], functions: [{}], allowed_lateness: {}s, grace: 20s, temporality: {temporality}{over_time} }}",
        case.by.join(", "),
        FUNCTIONS.join(", "),
        case.lateness
    )
}

/// Which window a point is in: its end.
fn window(time: f64) -> f64 {
    (time / 60.0).ceil() * 60.0
}

/// The points that do not come too late.
fn in_time(case: &Case) -> Vec<Point> {
    let mut taken: Vec<Point> = Vec::new();
    let (mut newest, mut closed) = (f64::MIN, f64::MIN);
    let mut open: BTreeMap<i64, f64> = BTreeMap::new();
    for (now, batch) in &case.batches {
        for after in [false, true] {
            if after {
                let fine: Vec<Point> = batch.iter().filter(|point| window(point.time) > closed).cloned().collect();
                for point in &fine {
                    newest = newest.max(point.time);
                    open.insert(window(point.time) as i64, *now);
                }
                taken.extend(fine);
            }
            let due = |(end, touched): (&i64, &f64)| {
                let complete = *end as f64 + case.lateness;
                let closes = if newest >= complete { complete } else { complete.max(*touched) + 20.0 };
                closes <= *now
            };
            if let Some((end, _)) = open.iter().rfind(|(end, touched)| due((end, touched))) {
                closed = closed.max(*end as f64);
                open.retain(|end, _| *end as f64 > closed);
            }
        }
    }
    taken
}

type Values = BTreeMap<(String, String, i64), f64>;

fn attributes(case: &Case, point: &Point) -> String {
    let label = |name: &str, value: u64| case.by.contains(&name).then(|| format!(r#""{name}":{value}"#));
    let labels = [label("host", point.host), label("route", point.route)].into_iter().flatten().collect::<Vec<_>>();
    format!("{{{}}}", labels.join(","))
}

/// One value as a series' points are made it: time, value.
fn made(stage: &str, points: &[(f64, f64)]) -> f64 {
    let values = points.iter().map(|(_, value)| *value);
    match stage {
        "max" => values.fold(f64::MIN, f64::max),
        "avg" => values.sum::<f64>() / points.len() as f64,
        _ => points.last().unwrap().1,
    }
}

fn expected(case: &Case) -> Values {
    let mut by_series: BTreeMap<(Sort, u64, u64), Vec<Point>> = BTreeMap::new();
    for point in in_time(case) {
        by_series.entry((point.sort, point.host, point.route)).or_default().push(point);
    }
    // Of each group and window, what each series has: time, value, and what a counter is at.
    type Group = (Sort, String, i64);
    type OfSeries = Vec<(f64, f64, f64)>;
    let mut groups: BTreeMap<Group, Vec<OfSeries>> = BTreeMap::new();
    for ((sort, ..), mut points) in by_series {
        points.sort_by(|a, b| a.time.total_cmp(&b.time));
        let mut windows: BTreeMap<i64, Vec<(f64, f64, f64)>> = BTreeMap::new();
        let mut before: Option<&Point> = None;
        for point in &points {
            let value = match (sort, before) {
                (Sort::Counter, Some(before)) if before.start == point.start => point.value - before.value,
                (Sort::Counter, Some(_)) => point.value,
                // Begun after the stage was: from zero.
                (Sort::Counter, None) if point.start >= case.batches[0].0 => point.value,
                (Sort::Counter, None) => 0.0,
                _ => point.value,
            };
            before = Some(point);
            windows.entry(window(point.time) as i64).or_default().push((point.time, value, point.value));
        }
        for (end, values) in windows {
            groups.entry((sort, attributes(case, &points[0]), end)).or_default().push(values);
        }
    }
    let mut totals: BTreeMap<(Sort, String), (f64, f64)> = BTreeMap::new();
    let mut found = Values::new();
    for ((sort, attributes, end), series) in groups {
        let counter = sort == Sort::Counter;
        let count = series.iter().map(Vec::len).sum::<usize>() as f64;
        let plain = |values: &Vec<(f64, f64, f64)>| values.iter().map(|v| (v.0, v.1)).collect::<Vec<_>>();
        // Each with the time and the value that `last` goes by.
        let mut values: Vec<(f64, f64, f64)> = match case.over_time {
            _ if counter => (series.iter())
                .map(|v| (v.last().unwrap().0, v.iter().map(|v| v.1).sum(), v.last().unwrap().2))
                .collect(),
            Some(stage) => (series.iter())
                .map(|v| (v.last().unwrap().0, made(stage, &plain(v))))
                .map(|(time, value)| (time, value, value))
                .collect(),
            None => series.iter().flatten().map(|v| (v.0, v.1, v.1)).collect(),
        };
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let newest = values.last().unwrap().0;
        let lasts: Vec<f64> = values.iter().filter(|v| v.0 == newest).map(|v| v.2).collect();
        let mut plain_values: Vec<f64> = values.iter().map(|v| v.1).collect();
        plain_values.sort_by(f64::total_cmp);
        let n = plain_values.len() as f64;
        let whole: f64 = plain_values.iter().sum();
        let level = matches!(sort, Sort::Gauge | Sort::UpDown);
        let mut sum = if level && case.over_time.is_none() {
            series.iter().map(|v| made("last", &plain(v))).sum()
        } else {
            whole
        };
        let mut count = count;
        let total = totals.entry((sort, attributes.clone())).or_default();
        (total.0, total.1) = (total.0 + sum, total.1 + count);
        if case.cumulative {
            count = total.1;
            if !level {
                sum = total.0;
            }
        }
        let rank = ((0.9 * n).ceil() as usize).clamp(1, plain_values.len());
        for (function, value) in [
            ("avg", whole / n),
            ("max", plain_values[plain_values.len() - 1]),
            ("min", plain_values[0]),
            ("sum", sum),
            ("count", count),
            ("p90", plain_values[rank - 1]),
        ] {
            found.insert((format!("{sort:?}.{function}"), attributes.clone(), end), value);
        }
        // Which of two series that were last at once is chance.
        if lasts.iter().all(|last| *last == lasts[0]) {
            found.insert((format!("{sort:?}.last"), attributes, end), lasts[0]);
        }
    }
    found
}

fn batch(points: &[Point]) -> Batch {
    let mut builder = PointsBuilder::default();
    for point in points {
        let kind = match point.sort {
            Sort::Gauge => Kind::Gauge,
            Sort::UpDown => Kind::Sum(CUMULATIVE, false),
            Sort::Delta => Kind::Sum(DELTA, true),
            Sort::Counter => Kind::Sum(CUMULATIVE, true),
        };
        let (name, attributes) =
            (format!("{:?}", point.sort), format!(r#"{{"host":{},"route":{}}}"#, point.host, point.route));
        let series = Series { name: &name, attributes: &attributes, ..Series::default() };
        let interval = Interval { start: nanos(T + point.start), time: nanos(T + point.time) };
        let value =
            if (point.value as i64) % 2 == 0 { Number::Int(point.value as i64) } else { Number::Double(point.value) };
        builder.number(&series, interval, kind, value, &[]);
    }
    builder.finish().unwrap()
}

/// What the stage makes of a case, with ticks in between and restarts or without.
fn found(case: &Case, chance: Option<&mut Chance>) -> Vec<Batch> {
    let yaml = yaml(case);
    let (mut stage, _) = relay(&SPEC, &yaml);
    let mut out = Vec::new();
    let mut chance = chance;
    let mut before = 0.0;
    for (now, points) in &case.batches {
        if let Some(chance) = chance.as_deref_mut() {
            if chance.one_in(3) {
                (stage, _) = restarted(&*stage, &SPEC, &yaml);
            }
            for part in 1..chance.below(4) {
                out.extend(tick(&mut *stage, at(T + before + (now - before) * part as f64 / 4.0)));
            }
        }
        before = *now;
        out.extend(feed(&mut *stage, batch(points), at(T + now)));
    }
    out.extend(finish(&mut *stage, at(T + before)));
    out
}

#[test]
fn as_the_oracle_has_it() {
    let seeds = std::env::var("CATCHMENT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100);
    let mut points = 0;
    for seed in 0..seeds {
        let mut chance = Chance::new(seed);
        let case = case(&mut chance);
        let plain = found(&case, None);
        let mut expected = expected(&case);
        points += expected.len();
        for point in numbers(&plain) {
            let key = (point.name.clone(), point.attributes.clone(), (point.time - T).round() as i64);
            let Some(value) = expected.remove(&key) else {
                assert!(point.name.ends_with(".last"), "seed {seed}: {point} is not expected\n{case:?}");
                continue;
            };
            let within = if point.name.ends_with("p90") { value.abs() * 0.0111 } else { 1e-9 };
            assert!((point.value - value).abs() <= within, "seed {seed}: {point} should be {value}\n{case:?}");
        }
        assert!(expected.is_empty(), "seed {seed}: {expected:?} is missing\n{case:?}");
        if seed % 4 == 0 {
            let broken = found(&case, Some(&mut chance));
            let rows = |batches: &[Batch]| batches.iter().map(|batch| batch.otlp().to_vec()).collect::<Vec<_>>();
            assert!(rows(&plain) == rows(&broken), "seed {seed}: ticks and restarts change what comes out");
        }
    }
    assert!(points > 10 * seeds as usize, "{points} points were compared");
}
