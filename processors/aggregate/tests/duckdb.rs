//! The same points to `aggregate` and to a real DuckDB, which is told in SQL (`duckdb.sql`) what should come of them: every function, by any
//! labels, over resets, with points that come late and in any order. `CATCHMENT_SEEDS=1000` runs that many.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use catchment_pipeline::batch::build::{
    CUMULATIVE, DELTA, ExpBuckets, Interval, Kind, Number, PointsBuilder, Series, Stats,
};
use catchment_pipeline::batch::{Batch, Table};

use super::super::SPEC;
use super::{T, nanos};
use crate::peers;
use crate::state::columns::{Distribution, Distributions};
use crate::state::time;
use crate::testing::{Chance, feed, finish, numbers, relay};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Gauge,
    UpDown,
    Delta,
    /// A counter that says so when it begins anew.
    Counter,
    /// One that does not, and whose points come in order.
    Falling,
    HistDelta,
    HistCounter,
    ExpDelta,
    ExpCounter,
}
use Sort::{Counter, Delta, ExpCounter, ExpDelta, Falling, Gauge, HistCounter, HistDelta, UpDown};

const SORTS: [Sort; 9] = [Gauge, UpDown, Delta, Counter, Falling, HistDelta, HistCounter, ExpDelta, ExpCounter];

#[derive(Clone, Debug)]
enum Value {
    Number(f64),
    /// Counts, bounds, sum.
    Hist(Vec<u64>, &'static [f64], f64),
    /// Scale, zero count, offset, counts, sum.
    Exp(i32, u64, i32, Vec<u64>, f64),
}

#[derive(Clone, Debug)]
struct Point {
    sort: Sort,
    host: u64,
    route: u64,
    /// Milliseconds after [`T`].
    start: i64,
    time: i64,
    value: Value,
}

struct Case {
    /// As the configuration says it.
    labels: &'static str,
    by_host: bool,
    by_route: bool,
    lateness: i64,
    cumulative: bool,
    over_time: Option<&'static str>,
    batches: Vec<(i64, Vec<Point>)>,
}

const BOUNDS: [&[f64]; 2] = [&[1.0, 2.0, 5.0, 10.0], &[2.0, 5.0, 20.0]];

/// The state of one sender.
struct Sender {
    sort: Sort,
    bounds: &'static [f64],
    start: i64,
    value: f64,
    counts: Vec<u64>,
    scale: i32,
    zero: u64,
    sum: f64,
}

impl Sender {
    fn reset(&mut self, start: i64) {
        self.start = start;
        (self.value, self.zero, self.sum) = (0.0, 0, 0.0);
        self.counts.fill(0);
        self.scale = 3;
    }

    /// Of nothing there is no sum.
    fn add_sum(&mut self, before: u64, chance: &mut Chance) {
        if self.counts.iter().sum::<u64>() > before {
            self.sum += chance.below(100) as f64;
        }
    }

    fn next(&mut self, chance: &mut Chance) -> Value {
        match self.sort {
            Counter | Falling => {
                let fell = self.sort == Falling && chance.one_in(6);
                self.value = if fell { (self.value / 3.0).floor() } else { self.value } + chance.below(50) as f64;
                Value::Number(self.value)
            }
            HistDelta | HistCounter => {
                if self.sort == HistDelta {
                    self.reset(self.start);
                }
                let before = self.counts.iter().sum::<u64>();
                self.counts.iter_mut().for_each(|count| *count += chance.below(4));
                self.add_sum(before, chance);
                Value::Hist(self.counts.clone(), self.bounds, self.sum)
            }
            ExpDelta | ExpCounter => {
                if self.sort == ExpDelta {
                    self.reset(self.start);
                    self.scale = chance.below(4) as i32;
                } else if self.scale > 0 && chance.one_in(8) {
                    // Two buckets become one; the offset is -8 at scale 3.
                    self.scale -= 1;
                    self.counts = self.counts.chunks(2).map(|pair| pair.iter().sum()).collect();
                }
                let buckets = (32 >> (3 - self.scale)).max(1);
                self.counts.resize(buckets, 0);
                let before = self.counts.iter().sum::<u64>();
                self.counts.iter_mut().for_each(|count| *count += chance.below(5) / 3);
                self.add_sum(before, chance);
                self.zero += chance.below(3) / 2;
                let offset = -8i32 >> (3 - self.scale);
                Value::Exp(self.scale, self.zero, offset, self.counts.clone(), self.sum)
            }
            _ => Value::Number(chance.below(200) as f64 - 60.0),
        }
    }
}

fn case(chance: &mut Chance) -> Case {
    let mut points = Vec::new();
    for sort in SORTS {
        for (host, route) in [(0, 0), (0, 1), (1, 0)].into_iter().take(1 + chance.below(3) as usize) {
            let bounds = BOUNDS[host as usize];
            let (value, counts) = (chance.below(1000) as f64, vec![chance.below(9); bounds.len() + 1]);
            let exponential = matches!(sort, ExpDelta | ExpCounter);
            let counts = if exponential { vec![0; 32] } else { counts };
            let mut sender = Sender { sort, bounds, start: -500_000, value, counts, scale: 3, zero: 0, sum: 0.0 };
            // No two points have one time, so that it is clear which is the last.
            let mut time = chance.below(70) as i64 * 1000 + (2 * host + route) as i64;
            for _ in 0..chance.below(30) {
                let (before, step) = (time, 1 + chance.below(25) as i64);
                time += step * 1000;
                if sort != Falling && chance.one_in(6) {
                    sender.reset(before + chance.below(step as u64) as i64 * 1000 + 500);
                }
                let value = sender.next(chance);
                // Some clocks are fast, and some points come late.
                let delay = match chance.below(8) {
                    _ if sort == Falling => 0,
                    0 | 1 => chance.below(90) as i64,
                    2 => -(chance.below(30) as i64),
                    _ => chance.below(6) as i64,
                };
                let point = Point { sort, host, route, start: sender.start, time, value };
                points.push(((time + delay * 1000).max(0), point));
            }
        }
    }
    points.sort_by_key(|(arrives, _)| *arrives);
    let mut batches: Vec<(i64, Vec<Point>)> = Vec::new();
    for (arrives, point) in points {
        match batches.last_mut() {
            Some((logged, batch)) if chance.one_in(2) => {
                batch.push(point);
                *logged = arrives;
            }
            _ => batches.push((arrives, vec![point])),
        }
    }
    let (labels, by_host, by_route) = chance.pick(&[
        ("by: []", false, false),
        ("by: [host]", true, false),
        ("without: [route]", true, false),
        ("by: [host, route]", true, true),
        ("without: [host]", false, true),
    ]);
    let (lateness, cumulative) = (chance.pick(&[0, 10_000, 45_000]), chance.one_in(2));
    let over_time = chance.pick(&[None, None, Some("max"), Some("avg")]);
    Case { labels, by_host, by_route, lateness, cumulative, over_time, batches }
}

fn yaml(case: &Case) -> String {
    let over_time = case.over_time.map(|stage| format!(", over_time: {stage}")).unwrap_or_default();
    let temporality = if case.cumulative { "cumulative" } else { "delta" };
    format!(
        "{{ {}, allowed_lateness: {}ms, grace: 20s, temporality: {temporality}{over_time}, rules: [
            {{ metrics: ['Hist*', 'Exp*'], functions: [merge, count, sum, avg, rate, p50] }},
            {{ functions: [avg, max, min, sum, count, last, p90, rate, merge] }}] }}",
        case.labels, case.lateness
    )
}

fn batch(points: &[Point]) -> Batch {
    let mut builder = PointsBuilder::default();
    for point in points {
        let name = format!("{:?}", point.sort);
        let attributes = format!(r#"{{"host":{},"route":{}}}"#, point.host, point.route);
        let series = Series { name: &name, attributes: &attributes, ..Series::default() };
        let moment = |millis: i64| nanos(T) + millis * 1_000_000;
        let interval = Interval { start: moment(point.start), time: moment(point.time) };
        let temporality = if matches!(point.sort, HistCounter | ExpCounter) { CUMULATIVE } else { DELTA };
        match &point.value {
            Value::Number(value) => {
                let kind = match point.sort {
                    UpDown => Kind::Sum(CUMULATIVE, false),
                    Delta => Kind::Sum(DELTA, true),
                    Counter | Falling => Kind::Sum(CUMULATIVE, true),
                    _ => Kind::Gauge,
                };
                let whole = (*value as i64) % 2 == 0;
                let value = if whole { Number::Int(*value as i64) } else { Number::Double(*value) };
                builder.number(&series, interval, kind, value, &[]);
            }
            Value::Hist(counts, bounds, sum) => {
                let stats = Stats { count: counts.iter().sum(), sum: Some(*sum), ..Stats::default() };
                builder.histogram(&series, interval, temporality, stats, (counts, bounds), &[]);
            }
            Value::Exp(scale, zero_count, offset, counts, sum) => {
                let count = counts.iter().sum::<u64>() + zero_count;
                let stats = Stats { count, sum: Some(*sum), ..Stats::default() };
                let positive = (*offset, counts.as_slice());
                let buckets = ExpBuckets { scale: *scale, zero_count: *zero_count, positive, ..ExpBuckets::default() };
                builder.exp_histogram(&series, interval, temporality, stats, &buckets, &[]);
            }
        }
    }
    builder.finish().unwrap()
}

/// Name, labels and end of window (milliseconds).
type Key = (u64, String, String, i64);
#[derive(Debug)]
enum Is {
    Number(f64),
    Shape(String),
}

fn cells(first: i64, counts: &[u64]) -> String {
    let mut by_index: BTreeMap<i64, u64> = BTreeMap::new();
    (first..).zip(counts).for_each(|(index, count)| *by_index.entry(index).or_default() += count);
    let shown = by_index.iter().filter(|(_, count)| **count > 0).map(|(index, count)| format!("{index}:{count}"));
    shown.collect::<Vec<_>>().join(" ")
}

/// `merge` of numbers is shown at scale 0.
fn shape(name: &str, distribution: &Distribution) -> String {
    let stats = distribution.stats();
    let sum = stats.sum.unwrap_or(f64::NAN);
    match distribution {
        Distribution::Explicit(hist) => {
            format!("count {} sum {sum} bounds {:?} counts {:?}", stats.count, hist.bounds, hist.counts)
        }
        Distribution::Exponential(exp) if name.starts_with("Exp") => {
            let buckets = exp.buckets();
            let positive = cells(i64::from(buckets.positive.0), buckets.positive.1);
            format!("count {} sum {sum} scale {} zero {} positive {positive}", stats.count, exp.scale, exp.zero_count)
        }
        Distribution::Exponential(exp) => {
            let mut exp = exp.clone();
            assert!(exp.scale >= 0, "{exp:?}");
            exp.coarsen(exp.scale.unsigned_abs());
            let buckets = exp.buckets();
            let [positive, negative] =
                [buckets.positive, buckets.negative].map(|(offset, counts)| cells(i64::from(offset), counts));
            format!("count {} zero {} positive {positive} negative {negative}", stats.count, exp.zero_count)
        }
    }
}

fn found(seed: u64, case: &Case, all: &mut BTreeMap<Key, Is>) {
    let (mut stage, tally) = relay(&SPEC, &yaml(case));
    let mut out = Vec::new();
    for (now, points) in &case.batches {
        out.extend(feed(&mut *stage, batch(points), time(nanos(T) + now * 1_000_000)));
    }
    out.extend(finish(&mut *stage, time(nanos(T))));
    for point in numbers(&out) {
        // Of levels a rate means nothing.
        if !point.name.starts_with("Gauge.rate") && !point.name.starts_with("UpDown.rate") {
            let end = ((point.time - T) * 1000.0).round() as i64;
            all.insert((seed, point.name, point.attributes, end), Is::Number(point.value));
        }
    }
    for table in [Table::Histograms, Table::ExpHistograms] {
        for rows in out.iter().filter_map(|batch| batch.rows().table(table)) {
            let rows = Distributions::new(table, rows).unwrap();
            for row in 0..rows.points.time.len() {
                let series = rows.points.series(row);
                let end = (rows.points.time[row] - nanos(T)) / 1_000_000;
                let key = (seed, series.name.to_owned(), series.attributes.to_owned(), end);
                all.insert(key, Is::Shape(shape(series.name, &rows.get(row))));
            }
        }
    }
    if let Some(late) = tally.taken_out().get("too_late") {
        all.insert((seed, "too_late".to_owned(), "{}".to_owned(), 0), Is::Number(*late as f64));
    }
}

/// The cases as tables of JSON lines.
#[derive(Default)]
struct Tables {
    cases: String,
    batches: String,
    points: String,
    hists: String,
    exps: String,
}

impl Tables {
    fn add(&mut self, seed: u64, case: &Case) {
        let over_time = case.over_time.map_or("null".to_owned(), |stage| format!("{stage:?}"));
        let Case { by_host, by_route, lateness, cumulative, .. } = case;
        let labels = format!(r#""by_host":{by_host},"by_route":{by_route}"#);
        let rest = format!(r#""lateness":{lateness},"cumulative":{cumulative},"over_time":{over_time}"#);
        writeln!(self.cases, r#"{{"seed":{seed},{labels},{rest}}}"#).unwrap();
        for (number, (now, points)) in case.batches.iter().enumerate() {
            writeln!(self.batches, r#"{{"seed":{seed},"batch":{number},"now":{now}}}"#).unwrap();
            for Point { sort, host, route, start, time, value } in points {
                let head = format!(
                    r#"{{"seed":{seed},"batch":{number},"sort":"{sort:?}","host":{host},"route":{route},"start":{start},"time":{time}"#
                );
                match value {
                    Value::Number(value) => writeln!(self.points, r#"{head},"value":{value}}}"#),
                    Value::Hist(counts, bounds, sum) => {
                        writeln!(self.hists, r#"{head},"counts":{counts:?},"bounds":{bounds:?},"sum":{sum}}}"#)
                    }
                    Value::Exp(scale, zero, offset, counts, sum) => {
                        let rest = format!(r#""scale":{scale},"zero":{zero},"offset":{offset}"#);
                        writeln!(self.exps, r#"{head},{rest},"counts":{counts:?},"sum":{sum}}}"#)
                    }
                }
                .unwrap();
            }
        }
    }
}

const PYTHON: &str = r#"
import duckdb, json, sys
c = duckdb.connect()
head = "seed: 'BIGINT', batch: 'BIGINT', sort: 'VARCHAR', host: 'BIGINT', route: 'BIGINT', start: 'BIGINT', time: 'BIGINT'"
columns = {
    "cases": "seed: 'BIGINT', by_host: 'BOOLEAN', by_route: 'BOOLEAN', lateness: 'BIGINT', cumulative: 'BOOLEAN', over_time: 'VARCHAR'",
    "batches": "seed: 'BIGINT', batch: 'BIGINT', now: 'BIGINT'",
    "points": head + ", value: 'DOUBLE'",
    "hists": head + ", counts: 'BIGINT[]', bounds: 'DOUBLE[]', sum: 'DOUBLE'",
    "exps": head + ", scale: 'BIGINT', zero: 'BIGINT', \"offset\": 'BIGINT', counts: 'BIGINT[]', sum: 'DOUBLE'",
}
for table, types in columns.items():
    c.execute(f"CREATE TABLE {table} AS SELECT * FROM read_json('{sys.argv[1]}/{table}', format='nd', columns={{{types}}})")
for row in c.execute(sys.stdin.read()).fetchall():
    print(json.dumps(row))
"#;

fn expected(python: &Path, tables: &Tables) -> Vec<(Key, Is, f64)> {
    let folder = std::env::temp_dir().join(format!("catchment-duckdb-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let Tables { cases, batches, points, hists, exps } = tables;
    for (name, rows) in [("cases", cases), ("batches", batches), ("points", points), ("hists", hists), ("exps", exps)] {
        std::fs::write(folder.join(name), rows).unwrap();
    }
    std::fs::write(folder.join("sql"), include_str!("duckdb.sql")).unwrap();
    let sql = std::fs::File::open(folder.join("sql")).unwrap();
    let run = Command::new(python).args(["-c", PYTHON]).arg(&folder).stdin(sql).output().unwrap();
    assert!(run.status.success(), "{} in {}", String::from_utf8_lossy(&run.stderr), folder.display());
    std::fs::remove_dir_all(&folder).unwrap();
    let row = |line: &str| {
        type Row = (u64, String, String, i64, Option<f64>, Option<f64>, Option<String>);
        let (seed, name, labels, end, value, within, shape): Row = serde_json::from_str(line).unwrap();
        let is = shape.map(Is::Shape).or(value.map(Is::Number)).unwrap();
        ((seed, name, labels, end), is, within.unwrap_or_default())
    };
    String::from_utf8(run.stdout).unwrap().lines().map(row).collect()
}

#[test]
fn as_duckdb_has_it() {
    let Some(python) = peers::python() else { return };
    let seeds = std::env::var("CATCHMENT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(40);
    let (mut tables, mut found_all) = (Tables::default(), BTreeMap::new());
    for seed in 0..seeds {
        let case = case(&mut Chance::new(seed));
        tables.add(seed, &case);
        found(seed, &case, &mut found_all);
    }
    let mut compared: BTreeMap<String, usize> = BTreeMap::new();
    for (key, is, within) in expected(&python, &tables) {
        let found = found_all.remove(&key);
        let same = match (&found, &is) {
            (Some(Is::Number(found)), Is::Number(value)) => (found - value).abs() <= within,
            (Some(Is::Shape(found)), Is::Shape(shape)) => found == shape,
            _ => false,
        };
        let yaml = || yaml(&case(&mut Chance::new(key.0)));
        assert!(same, "{key:?}: {found:?} should be {is:?}\n{}", yaml());
        *compared.entry(key.1.clone()).or_default() += 1;
    }
    assert!(found_all.is_empty(), "not expected: {:?}", found_all.iter().take(9).collect::<Vec<_>>());
    // Every function of every kind, and late points.
    assert_eq!(compared.len(), 5 * 9 - 2 + 4 * 6 + 1, "{compared:?}");
    assert!(compared.values().sum::<usize>() > 400 * seeds as usize, "{compared:?}");
}
