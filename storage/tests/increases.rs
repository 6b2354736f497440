//! `increase` against an oracle of its own, from rows and from rollups: resets, gaps, several points of one time, late rows, deltas.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use catchment_pipeline::batch::{Rows, Table};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use super::data::{DAY, RESOURCE, SECOND, rows, text, times};
use super::{append, ask, options, try_ask_with};
use crate::schema::TABLES;
use crate::{Compact, Lake, MaintenancePlan, Options, QueryLimits, Retention};

/// Seconds.
const HOUR: i64 = 3600;

fn by_rows() -> QueryLimits {
    QueryLimits { rollups: false, ..QueryLimits::default() }
}

fn open(folder: &TempDir) -> Lake {
    let mut retention = Retention::default();
    TABLES.iter().for_each(|table| retention.set(*table, None));
    let maintenance = MaintenancePlan { enabled: false, retention, ..MaintenancePlan::default() };
    Lake::open(Options { maintenance, ..options(folder) }).unwrap()
}

/// A point of all tables: which series, seconds after midnight of a day (before it: the day before), what it holds, and by which bounds.
#[derive(Clone, Debug)]
struct Point {
    series: u8,
    second: i64,
    /// `None`: nothing was recorded.
    counts: Option<[i64; 3]>,
    wide: bool,
}

impl Point {
    /// Series 0 is cumulative, 1 of deltas, 2 cumulative as well.
    fn is_delta(&self) -> bool {
        self.series == 1
    }

    fn total(&self) -> Option<i64> {
        self.counts.map(|counts| counts.iter().sum())
    }

    fn bounds(&self) -> [f64; 2] {
        if self.wide { [1.0, 64.0] } else { [1.0, 2.0] }
    }
}

fn list(table: Table, column: &str, rows: Vec<ArrayRef>) -> ArrayRef {
    let schema = table.schema();
    let DataType::List(item) = schema.field_with_name(column).unwrap().data_type().clone() else { panic!("{column}") };
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.len()));
    let rows = rows.iter().map(AsRef::as_ref).collect::<Vec<_>>();
    Arc::new(ListArray::new(item, offsets, arrow::compute::concat(&rows).unwrap(), None))
}

/// As a counter, as a histogram, and as an exponential one.
fn points(points: &[Point]) -> Rows {
    let n = points.len();
    let temporality = points.iter().map(|point| if point.is_delta() { 1 } else { 2 });
    let common = |metric: &str| -> Vec<(&'static str, ArrayRef)> {
        let ids = points.iter().map(|point| i64::from(point.series) + metric.len() as i64 * 100);
        let attributes = points.iter().map(|point| format!(r#"{{"n":"{}"}}"#, point.series)).collect::<Vec<_>>();
        vec![
            ("resource_attributes", text(&vec![RESOURCE; n])),
            ("series_id", Arc::new(ids.collect::<Int64Array>())),
            ("metric_name", text(&vec![metric; n])),
            ("attributes", text(&attributes)),
            ("time_unix_nano", times(points.iter().map(|point| DAY + point.second * SECOND).collect())),
            ("aggregation_temporality", Arc::new(temporality.clone().collect::<Int32Array>())),
        ]
    };
    let numbers = common("hits").into_iter().chain([
        ("is_monotonic", Arc::new(BooleanArray::from(vec![true; n])) as ArrayRef),
        (
            "value_double",
            Arc::new(points.iter().map(|p| p.total().map(|total| total as f64)).collect::<Float64Array>()),
        ),
    ]);
    let recorded = points.iter().filter(|point| point.counts.is_some()).cloned().collect::<Vec<_>>();
    let numbers = Rows::new([(Table::Metrics, rows(Table::Metrics, n, &numbers.collect::<Vec<_>>()))]);
    if recorded.len() < n {
        // A histogram always says something.
        let histograms = if recorded.is_empty() { None } else { Some(self::points(&recorded)) };
        let tables = [Table::Histograms, Table::ExpHistograms].into_iter();
        let histograms = tables.filter_map(|table| Some((table, histograms.as_ref()?.table(table)?.clone())));
        return Rows::new(histograms.chain([(Table::Metrics, numbers.table(Table::Metrics).unwrap().clone())]));
    }
    let of = |point: &Point| point.counts.unwrap_or_default();
    let counts = |table: Table, column: &str| {
        list(
            table,
            column,
            points.iter().map(|point| Arc::new(Int64Array::from(of(point).to_vec())) as ArrayRef).collect(),
        )
    };
    let bounds = points.iter().map(|point| Arc::new(Float64Array::from(point.bounds().to_vec())) as ArrayRef).collect();
    let totals = || -> Vec<(&str, ArrayRef)> {
        vec![
            ("count", Arc::new(points.iter().map(Point::total).collect::<Int64Array>())),
            (
                "sum",
                Arc::new(points.iter().map(|p| p.total().map(|total| 2.0 * total as f64)).collect::<Float64Array>()),
            ),
        ]
    };
    let histograms = common("latency").into_iter().chain(totals()).chain([
        ("bucket_counts", counts(Table::Histograms, "bucket_counts")),
        ("explicit_bounds", list(Table::Histograms, "explicit_bounds", bounds)),
    ]);
    let exponential = common("exp.latency").into_iter().chain(totals()).chain([
        // Halved where bounds are wide: two steps of scale, so that four buckets are one.
        (
            "scale",
            Arc::new(points.iter().map(|p| Some(if p.wide { -2 } else { 0 })).collect::<Int32Array>()) as ArrayRef,
        ),
        ("positive_offset", Arc::new(Int32Array::from(vec![0; n]))),
        ("positive_bucket_counts", counts(Table::ExpHistograms, "positive_bucket_counts")),
    ]);
    let numbers = numbers.table(Table::Metrics).unwrap().clone();
    Rows::new([
        (Table::Metrics, numbers),
        (Table::Histograms, rows(Table::Histograms, n, &histograms.collect::<Vec<_>>())),
        (Table::ExpHistograms, rows(Table::ExpHistograms, n, &exponential.collect::<Vec<_>>())),
    ])
}

/// What each point added, in words of its own: of numbers the total, of histograms the counts.
fn added(points: &[Point], histograms: bool) -> Vec<(Point, Option<[i64; 3]>)> {
    let mut all = points.iter().filter(|point| point.counts.is_some()).cloned().collect::<Vec<_>>();
    // At one time the lesser comes first.
    all.sort_by_key(|point| (point.series, point.second, point.total(), point.counts, (point.bounds()[1]) as i64));
    let mut result = Vec::new();
    for (n, point) in all.iter().enumerate() {
        let now = point.counts.unwrap();
        let before =
            all[..n].last().filter(|before| before.series == point.series && point.second - before.second <= HOUR);
        let new = match before {
            _ if point.is_delta() => Some(now),
            None => None,
            Some(before) => {
                let was = before.counts.unwrap();
                let less = match histograms {
                    true => (0..3).any(|n| now[n] < was[n]) || before.wide != point.wide,
                    false => point.total() < before.total(),
                };
                Some(if less { now } else { std::array::from_fn(|n| now[n] - was[n]) })
            }
        };
        result.push((point.clone(), new));
    }
    result
}

#[derive(Debug)]
struct Window {
    from: i64,
    to: i64,
    step: &'static str,
    seconds: i64,
}

impl Window {
    fn sql(&self) -> String {
        let time = |second: i64| format!("to_timestamp({})", DAY / SECOND + second);
        format!("ts >= {} AND ts < {}", time(self.from), time(self.to))
    }

    fn bucket(&self, point: &Point) -> Option<(i64, u8)> {
        let within = (self.from..self.to).contains(&point.second);
        let at = DAY / SECOND + point.second;
        within.then(|| (at - at.rem_euclid(self.seconds), point.series))
    }
}

/// Prometheus' quantile of buckets whose bounds are 0, 1, `high` and infinity.
fn quantile(q: f64, counts: [f64; 3], high: f64) -> Option<f64> {
    let total = counts.iter().sum::<f64>();
    let rank = q * total;
    match total {
        0.0 => None,
        _ if rank <= counts[0] => Some(rank / counts[0]),
        _ if rank <= counts[0] + counts[1] => Some(1.0 + (high - 1.0) * (rank - counts[0]) / counts[1]),
        _ => Some(high),
    }
}

/// Of what is known, the sum and the bounds in it, each cell: `None` where the oracle does not say.
type Expected<'a> = dyn Fn(bool, [i64; 3], &[bool]) -> Vec<Option<Option<f64>>> + 'a;
type Sums = BTreeMap<(i64, u8), (bool, [i64; 3], Vec<bool>)>;

fn sums(points: &[Point], window: &Window, histograms: bool) -> Sums {
    let mut sums = Sums::new();
    // A point of which nothing was recorded is a row all the same.
    for point in points.iter().filter(|point| point.counts.is_some() || !histograms) {
        if let Some(bucket) = window.bucket(point) {
            sums.entry(bucket).or_default();
        }
    }
    for (point, new) in added(points, histograms) {
        let Some(bucket) = window.bucket(&point) else { continue };
        let (known, sum, wide) = sums.get_mut(&bucket).unwrap();
        if let Some(new) = new {
            *known = true;
            (0..3).for_each(|n| sum[n] += new[n]);
            wide.push(point.wide);
        }
    }
    sums
}

fn number(cell: &str) -> Option<f64> {
    (cell != "-").then(|| cell.parse().unwrap())
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-9,
        (a, b) => a == b,
    }
}

/// From rows and with rollups, against the oracle. How many queries read a rollup.
fn check(lake: &Lake, points: &[Point], window: &Window) -> usize {
    let Window { step, .. } = window;
    let group = format!("CAST(date_bin(INTERVAL '{step}', ts) AS BIGINT)");
    let by = format!("WHERE {} GROUP BY 1, 2 ORDER BY 1, 2", window.sql());
    let grouped = format!("SELECT {group}, attributes->>'n'");
    let ask = |sql: &str| {
        let rolled = try_ask_with(lake, sql, QueryLimits::default()).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        let plain = try_ask_with(lake, sql, by_rows()).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        assert_eq!(rolled, plain, "{sql}\n{}", ask(lake, &format!("EXPLAIN {sql}")).join("\n"));
        let plan = super::ask(lake, &format!("EXPLAIN {sql}")).join("\n");
        (plain, usize::from(plan.contains("_5m/") || plan.contains("_1h/")))
    };
    let mut rolled = 0;
    let mut compare = |sql: String, histograms: bool, expected: &Expected| {
        let (rows, of_rollups) = ask(&sql);
        rolled += of_rollups;
        let sums = sums(points, window, histograms);
        assert_eq!(rows.len(), sums.len(), "{sql}");
        for (row, ((time, series), (known, sum, wide))) in rows.iter().zip(&sums) {
            // CAST of a time is in its own unit.
            let at = row[0].parse::<i64>().unwrap();
            assert!(at == *time || at == time * 1_000_000 || at == time * SECOND, "{row:?} {time}");
            assert_eq!(row[1], series.to_string());
            let expected = expected(*known, *sum, wide);
            for (cell, expected) in row[2..].iter().zip(expected) {
                // `None`: the oracle does not say.
                let Some(expected) = expected else { continue };
                assert!(near(number(cell), expected), "{sql}\n{row:?} is not {expected:?} ({sum:?})");
            }
        }
    };
    let total = |known: bool, sum: [i64; 3]| known.then(|| sum.iter().sum::<i64>() as f64);
    compare(format!("{grouped}, sum(increase(value)) FROM hits {by}"), false, &|known, sum, _| {
        vec![Some(total(known, sum))]
    });
    let of_histograms = |table: &str, quantile: &str| {
        format!("{grouped}, sum(increase(count)), sum(increase(sum)), {quantile} FROM {table} {by}")
    };
    compare(
        of_histograms("latency", "histogram_quantile(0.5, increase(bucket_counts), explicit_bounds)"),
        true,
        &|known, sum, wide| {
            let total = total(known, sum);
            let one = wide.windows(2).all(|pair| pair[0] == pair[1]);
            let high = if wide.first() == Some(&true) { 64.0 } else { 2.0 };
            let quantile = quantile(0.5, sum.map(|count| count as f64), high);
            vec![Some(total), Some(total.map(|total| 2.0 * total)), one.then_some(quantile)]
        },
    );
    compare(
        of_histograms("\"exp.latency\"", "exp_histogram_quantile(0.5, increase(buckets))"),
        true,
        &|known, sum, wide| {
            let total = total(known, sum);
            // At a coarser scale a series may go on where the oracle, which knows of no scales, has it begin anew.
            if wide.iter().any(|wide| *wide) || points.iter().any(|point| point.wide) {
                return vec![None, None, None];
            }
            let rank = 0.5 * sum.iter().sum::<i64>() as f64;
            let mut below = 0.0;
            let mut quantile = None;
            for (n, count) in sum.iter().map(|count| *count as f64).enumerate() {
                if quantile.is_none() && count > 0.0 && below + count >= rank {
                    quantile = Some(f64::exp2(n as f64 + (rank - below) / count));
                }
                below += count;
            }
            vec![Some(total), Some(total.map(|total| 2.0 * total)), Some(quantile)]
        },
    );
    rolled
}

/// Row by row.
fn check_rows(lake: &Lake, points: &[Point], window: &Window) {
    let sql = format!("SELECT increase(value) FROM hits WHERE {} AND value >= 0", window.sql());
    let mut ours = ask(lake, &sql);
    let expected = added(points, false).into_iter().filter(|(point, _)| window.bucket(point).is_some());
    let expected =
        expected.map(|(_, new)| new.map_or("-".to_owned(), |new| format!("{:?}", new.iter().sum::<i64>() as f64)));
    let mut expected = expected.collect::<Vec<_>>();
    ours.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ours, expected, "{sql}");
    let sql = format!("SELECT increase(bucket_counts) FROM histograms WHERE {}", window.sql());
    let mut ours = ask(lake, &sql);
    let expected = added(points, true).into_iter().filter(|(point, _)| window.bucket(point).is_some());
    let mut expected =
        expected.map(|(_, new)| new.map_or("-".to_owned(), |new| format!("{new:?}"))).collect::<Vec<_>>();
    ours.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ours, expected, "{sql}");
}

/// Around midnight, where dates meet, or anywhere in two days; mostly rising.
fn point() -> impl Strategy<Value = Point> {
    let second = prop_oneof![
        3 => -2 * HOUR..2 * HOUR,
        1 => -24 * HOUR..24 * HOUR,
        // Steps' edges, and several at one time.
        1 => (-8i64..8).prop_map(|n| n * 1800),
    ];
    let noise = prop_oneof![4 => Just(0i64), 1 => 0i64..40];
    (0u8..3, second, noise, prop::bool::weighted(0.03), prop::bool::weighted(0.05)).prop_map(
        |(series, second, noise, wide, gap)| {
            let base = (second + 24 * HOUR) / 300;
            let counts = if series == 1 { [noise % 5, 1, 2] } else { [base + noise, base / 2, base / 7] };
            Point { series, second, counts: (!gap).then_some(counts), wide }
        },
    )
}

fn window() -> impl Strategy<Value = Window> {
    let step = prop_oneof![
        Just(("5 minutes", 300)),
        Just(("1 hour", 3600)),
        Just(("15 minutes", 900)),
        Just(("1 minute", 60)),
        Just(("6 hours", 21600))
    ];
    let end = || prop_oneof![(-24i64..=24).prop_map(|hour| hour * HOUR), -24 * HOUR..=24 * HOUR, -2 * HOUR..=2 * HOUR];
    (end(), end(), step).prop_map(|(a, b, (step, seconds))| Window { from: a.min(b), to: a.max(b), step, seconds })
}

#[test]
fn increases_are_what_the_oracle_says_from_rows_and_from_rollups() {
    let rolled = std::cell::Cell::new(0);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 3, ..ProptestConfig::default() });
    let some = |most: usize| prop::collection::vec(point(), 0..most);
    let all = (prop::collection::vec(point(), 1..60), some(60), some(6), some(3), prop::collection::vec(window(), 3));
    runner
        .run(&all, |(first, second, late, later, windows)| {
            let folder = tempdir().unwrap();
            let mut lake = open(&folder);
            let mut all = Vec::new();
            let (mut at, mut turn) = (0, 0);
            let mut put = |lake: &Lake, all: &mut Vec<Point>, more: &[Point]| {
                if !more.is_empty() {
                    at += 1;
                    append(lake, points(more), at);
                    all.extend_from_slice(more);
                }
            };
            let mut look = |lake: &Lake, all: &[Point]| {
                turn += 1;
                let window = &windows[turn % windows.len()];
                rolled.set(rolled.get() + check(lake, all, window));
                check_rows(lake, all, window);
            };
            put(&lake, &mut all, &first);
            look(&lake, &all);
            lake.flush().unwrap();
            put(&lake, &mut all, &second);
            lake.flush().unwrap();
            look(&lake, &all);
            lake.roll_up(true).unwrap();
            look(&lake, &all);
            look(&lake, &all);
            put(&lake, &mut all, &late);
            look(&lake, &all);
            lake.flush().unwrap();
            look(&lake, &all);
            lake.compact(Compact::All).unwrap();
            look(&lake, &all);
            drop(lake);
            lake = open(&folder);
            look(&lake, &all);
            lake.roll_up(true).unwrap();
            look(&lake, &all);
            put(&lake, &mut all, &later);
            lake.flush().unwrap();
            look(&lake, &all);
            lake.roll_up(true).unwrap();
            (0..3).for_each(|_| look(&lake, &all));
            Ok(())
        })
        .unwrap();
    assert!(rolled.get() > 10, "only {} queries read a rollup", rolled.get());
}

fn counter(points_of: &[(u8, i64, i64)]) -> Rows {
    let all = points_of.iter().map(|(series, second, count)| Point {
        series: *series,
        second: *second,
        counts: Some([*count, 0, 0]),
        wide: false,
    });
    points(&all.collect::<Vec<_>>())
}

#[test]
fn the_point_before_is_found_before_the_window_and_an_hour_back_at_most() {
    let folder = tempdir().unwrap();
    let lake = open(&folder);
    append(&lake, counter(&[(0, 0, 5), (0, 3600, 7), (0, 7201, 9), (0, 7260, 4), (1, 60, 3)]), 1);
    let all = ["-", "2.0", "-", "4.0"];
    assert_eq!(ask(&lake, "SELECT increase(value) FROM hits WHERE attributes->>'n' = '0' ORDER BY ts"), all);
    let first = "ts >= '2026-11-23T01:00:00Z' AND ts < '2026-11-23T02:00:00Z'";
    assert_eq!(ask(&lake, &format!("SELECT sum(increase(value)) FROM hits WHERE {first}")), ["2.0"]);
    // Conditions choose points; what those added is what they added.
    assert_eq!(ask(&lake, "SELECT value, increase(value) FROM hits WHERE value < 8 AND value > 5"), ["7.0 2.0"]);
    assert_eq!(
        ask(&lake, "SELECT value FROM hits WHERE increase(value) >= 3 ORDER BY increase(value) DESC"),
        ["4.0", "3.0"]
    );
    let inner = "SELECT ts, increase(value) AS new, attributes->>'n' AS n FROM (SELECT * FROM metrics WHERE metric_name = 'hits') AS x";
    assert_eq!(
        ask(&lake, &format!("SELECT n, sum(new), count(*) FROM ({inner}) GROUP BY n ORDER BY n")),
        ["0 6.0 4", "1 3.0 1"]
    );
    assert_eq!(ask(&lake, "SELECT sum(increase(count)) / count(*) FROM latency WHERE attributes->>'n' = '1'"), ["3"]);
    let windowed = "SELECT increase(value), sum(increase(value)) OVER (ORDER BY ts) FROM hits WHERE attributes->>'n' = '0' ORDER BY ts";
    assert_eq!(ask(&lake, windowed), ["- -", "2.0 2.0", "- 2.0", "4.0 6.0"]);
}

#[test]
fn what_is_no_counter_adds_nothing_and_a_wrong_place_is_told() {
    let folder = tempdir().unwrap();
    let lake = open(&folder);
    append(&lake, super::data::cpu(4, DAY), 1);
    append(&lake, counter(&[(0, 0, 5)]), 2);
    let gauge = "SELECT DISTINCT increase(value) FROM metrics WHERE metric_name = 'system.cpu.utilization'";
    assert_eq!(ask(&lake, gauge), ["-"]);
    for sql in [
        "SELECT increase(1.5)",
        "SELECT increase(x) FROM (VALUES (1.5)) AS v(x)",
        "SELECT increase(value) FROM (SELECT * FROM hits LIMIT 5)",
        "SELECT increase(value) FROM latest",
        "SELECT increase(a.value) FROM hits AS a JOIN hits AS b ON a.ts = b.ts",
        "SELECT increase(min) FROM latency",
        "SELECT increase(points) FROM metrics_5m",
    ] {
        let error = super::try_ask(&lake, sql).unwrap_err();
        assert_eq!(error.kind, crate::QueryErrorKind::BadSql, "{sql}: {error}");
        assert!(error.message.contains("increase(value) of a counter"), "{sql}: {error}");
    }
}

#[test]
fn rollups_answer_and_the_next_date_is_mended_with_late_rows_of_a_dates_end() {
    let folder = tempdir().unwrap();
    let lake = open(&folder);
    // Before and after midnight, so that the first point of the day adds to one of the day before.
    append(&lake, counter(&[(0, -1200, 10), (0, 600, 50), (0, 4200, 80), (2, 3600 * 5, 1)]), 1);
    lake.flush().unwrap();
    lake.roll_up(true).unwrap();
    let window = "ts >= '2026-11-23T00:00:00Z' AND ts < '2026-11-23T02:00:00Z'";
    let by_hour = "SELECT date_bin(INTERVAL '1 hour', ts) AS t, sum(increase(value))";
    let sql = format!("{by_hour}, sum(increase(value)) / 3600 FROM hits WHERE {window} GROUP BY 1 ORDER BY 1");
    let reads = |sql: &str| {
        let plan = ask(&lake, &format!("EXPLAIN {sql}")).join("\n");
        ["metrics/", "metrics_1h/", "histograms/", "histograms_1h/"].map(|table| plan.contains(table))
    };
    let added =
        |sql: &str| ask(&lake, sql).iter().map(|row| row.split(' ').nth(1).unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(added(&sql), ["40.0", "30.0"]);
    assert_eq!(reads(&sql), [false, true, false, false]);
    let quantile = sql.replace("sum(increase(value)) / 3600", "1").replace("increase(value)", "increase(count)");
    let quantile = quantile.replace("sum(", "histogram_quantile(0.9, increase(bucket_counts), explicit_bounds), sum(");
    assert_eq!(reads(&quantile.replace("hits", "latency")), [false, false, false, true]);
    // One of the day before comes late: the first point of the day adds to it, and the rollup does not know.
    append(&lake, counter(&[(0, -300, 45)]), 2);
    lake.flush().unwrap();
    assert_eq!(added(&sql), ["5.0", "30.0"]);
    assert_eq!(reads(&sql), [true, true, false, false], "the first hour from rows, the second from its rollup");
    lake.roll_up(true).unwrap();
    assert_eq!(added(&sql), ["5.0", "30.0"]);
    assert_eq!(reads(&sql), [false, true, false, false]);
    // And when it is gone, so is what is known of the first point.
    lake.erase("ts < '2026-11-23T00:00:00Z'").unwrap();
    assert_eq!(added(&sql), ["-", "30.0"]);
    assert_eq!(reads(&sql), [false, true, false, false]);
}
