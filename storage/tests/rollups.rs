//! Rollups say what all rows say; SQL over all rows is the oracle.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array};
use catchment_pipeline::batch::{Rows, Table};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use super::data::{DAY, RESOURCE, SECOND, rows, text, times};
use super::{append, ask, options};
use crate::rollup::usable;
use crate::schema::{LakeTable, TABLES};
use crate::{Compact, Lake, MaintenancePlan, Options, Retention};

const HOUR: i64 = 3600 * SECOND;

fn open(folder: &TempDir) -> Lake {
    let mut retention = Retention::default();
    TABLES.iter().for_each(|table| retention.set(*table, None));
    let maintenance = MaintenancePlan { enabled: false, retention, ..MaintenancePlan::default() };
    Lake::open(Options { maintenance, ..options(folder) }).unwrap()
}

/// A point: which series, seconds after midnight, and its value.
type Point = (u8, i64, Option<f64>);

/// Series 0 is a gauge, 1 a cumulative counter, 2 a delta, 3 a cumulative sum that may fall.
fn points(points: &[Point]) -> Rows {
    let each = |value: fn(u8) -> i64| points.iter().map(|point| value(point.0)).collect::<Vec<_>>();
    let names = points.iter().map(|point| format!("metric.{}", point.0)).collect::<Vec<_>>();
    let attributes = points.iter().map(|point| format!(r#"{{"n":"{}"}}"#, point.0)).collect::<Vec<_>>();
    let temporality = each(|series| [0, 2, 1, 2][usize::from(series % 4)]).into_iter().map(|n| n as i32);
    let given: Vec<(&str, ArrayRef)> = vec![
        ("resource_attributes", text(&vec![RESOURCE; points.len()])),
        ("series_id", Arc::new(Int64Array::from(each(i64::from)))),
        ("metric_name", text(&names)),
        ("attributes", text(&attributes)),
        ("aggregation_temporality", Arc::new(temporality.collect::<Int32Array>())),
        (
            "is_monotonic",
            Arc::new(points.iter().map(|point| Some(point.0 % 4 == 1 || point.0 % 4 == 2)).collect::<BooleanArray>()),
        ),
        ("time_unix_nano", times(points.iter().map(|point| DAY + point.1 * SECOND).collect())),
        ("value_double", Arc::new(points.iter().map(|point| point.2).collect::<Float64Array>())),
    ];
    Rows::new([(Table::Metrics, rows(Table::Metrics, points.len(), &given))])
}

/// What SQL over all rows says where the rollup is usable. `increases`: no row came late. One that did changes what the next one adds, in whatever
/// hour that is.
fn check(lake: &Lake, increases: bool) {
    let increase = |column: &str| if increases { column.to_owned() } else { "1".to_owned() };
    for (step, rollup) in [("5 minutes", "metrics_5m"), ("1 hour", "metrics_1h")] {
        let usable = usable_at(lake, rollup);
        let times = usable.iter().map(|range| {
            let time = |micros: i64| format!("to_timestamp_micros({micros})");
            format!("(ts >= {} AND ts < {})", time(range.start), time(range.end))
        });
        let times = times.chain(["false".to_owned()]).collect::<Vec<_>>().join(" OR ");
        let (before, whence) = (
            "last_value",
            "IGNORE NULLS OVER (PARTITION BY series_id ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)",
        );
        let oracle = format!(
            "SELECT t, metric_name, attributes, host_name, count(*), max(ts), count(value), sum(value), min(value), max(value), \
             {} \
             FROM (SELECT *, date_bin(INTERVAL '{step}', ts) AS t, \
                   CASE WHEN aggregation_temporality = 1 THEN value \
                        WHEN ts - last_ts <= INTERVAL '1 hour' THEN counter_delta(value, before) END AS new \
                   FROM (SELECT *, {before}(value) {whence} AS before, \
                         {before}(CASE WHEN value IS NOT NULL THEN ts END) {whence} AS last_ts FROM metrics)) \
             WHERE {times} GROUP BY 1, 2, 3, 4 ORDER BY 2, 1",
            increase("CASE WHEN max(is_monotonic) THEN sum(new) END")
        );
        let ours = format!(
            "SELECT ts, metric_name, attributes, host_name, points, last_ts, count, sum, min, max, {} FROM {rollup} \
             WHERE {times} ORDER BY 2, 1",
            increase("increase")
        );
        let (ours, oracle) = (ask(lake, &ours), ask(lake, &oracle));
        assert_eq!(ours.len(), oracle.len(), "{rollup}");
        ours.iter().zip(oracle).for_each(|(ours, oracle)| assert_eq!(*ours, oracle, "{rollup}"));
    }
}

fn usable_at(lake: &Lake, rollup: &str) -> Vec<Range<i64>> {
    let snapshot = lake.shared().snapshot();
    usable(&snapshot.tables[LakeTable::by_name(rollup).unwrap().index()], &snapshot.tables[0], false)
}

/// Hours after midnight.
fn hours(lake: &Lake, rollup: &str) -> Vec<(f64, f64)> {
    let hour = |micros: i64| (micros - DAY / 1000) as f64 / (HOUR / 1000) as f64;
    usable_at(lake, rollup).iter().map(|range| (hour(range.start), hour(range.end))).collect()
}

/// Not NaN: SQL's `min` and `max` of groups give one or the other, as the rows come.
fn value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![8 => (0i32..50).prop_map(|n| Some(f64::from(n))), 1 => Just(None)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// Flushed in any number of pieces, late rows and merges among them.
    #[test]
    fn a_rollup_is_what_all_rows_give(
        mut all in proptest::collection::vec((0u8..4, 0i64..50_000, value()), 1..200),
        late in proptest::collection::vec((0u8..4, 0i64..50_000, value()), 0..6),
        cut in 0usize..200,
    ) {
        let folder = tempdir().unwrap();
        let lake = open(&folder);
        // A series has one point at a time.
        let mut seen = std::collections::HashSet::new();
        all.retain(|point| seen.insert((point.0, point.1)));
        let late = late.into_iter().filter(|point| seen.insert((point.0, point.1))).collect::<Vec<_>>();
        let (first, second) = all.split_at(cut.min(all.len()));
        let mut at = 0;
        let mut put = |rows: &[Point]| if !rows.is_empty() {
            at += 1;
            append(&lake, points(rows), at);
        };
        put(first);
        lake.flush().unwrap();
        put(second);
        lake.flush().unwrap();
        lake.roll_up(true).unwrap();
        check(&lake, true);
        prop_assert_eq!(hours(&lake, "metrics_1h"), [(0.0, 24.0)]);
        put(&late);
        check(&lake, late.is_empty());
        lake.flush().unwrap();
        check(&lake, late.is_empty());
        lake.compact(Compact::All).unwrap();
        check(&lake, late.is_empty());
        drop(lake);
        let lake = open(&folder);
        check(&lake, late.is_empty());
        lake.roll_up(true).unwrap();
        prop_assert_eq!(hours(&lake, "metrics_5m"), [(0.0, 24.0)]);
        check(&lake, true);
    }
}

#[test]
fn late_rows_are_read_from_the_table_until_they_are_rolled_up() {
    let folder = tempdir().unwrap();
    let lake = open(&folder);
    append(&lake, points(&[(0, 60, Some(1.0)), (0, 7200, Some(2.0))]), 1);
    lake.flush().unwrap();
    assert!(lake.roll_up(false).unwrap().rollups == 2, "two steps");
    assert_eq!(lake.roll_up(false).unwrap().rollups, 0, "and then there is nothing to do");
    append(&lake, points(&[(0, 3660, Some(5.0))]), 2);
    // Hot rows are known to the row, files to the hour.
    assert_eq!(hours(&lake, "metrics_1h"), [(0.0, 1.0), (2.0, 24.0)]);
    assert_eq!(hours(&lake, "metrics_5m"), [(0.0, 1.0), (1.0 + 5.0 / 60.0, 24.0)]);
    lake.flush().unwrap();
    assert_eq!(hours(&lake, "metrics_5m"), [(0.0, 1.0), (2.0, 24.0)]);
    assert_eq!(lake.roll_up(false).unwrap().rollups, 2, "the first time at once");
    append(&lake, points(&[(0, 3720, Some(5.0))]), 3);
    lake.flush().unwrap();
    assert_eq!(lake.roll_up(false).unwrap().rollups, 0, "then an hour's late rows together");
    lake.roll_up(true).unwrap();
    assert_eq!(hours(&lake, "metrics_5m"), [(0.0, 24.0)]);
    check(&lake, true);
    assert_eq!(ask(&lake, "SELECT points, sum FROM metrics_5m ORDER BY ts"), ["1 1.0", "2 10.0", "1 2.0"]);
}

#[test]
fn rows_go_only_when_they_are_rolled_up() {
    let folder = tempdir().unwrap();
    let lake = open(&folder);
    append(&lake, points(&[(1, 60, Some(1.0)), (1, 120, Some(4.0))]), 1);
    lake.flush().unwrap();
    // 2026-11-23 is past it, whenever this runs.
    let mut retention = Retention::default();
    retention.set(LakeTable::Rows(Table::Metrics), Some(std::time::Duration::ZERO));
    lake.set_maintenance(MaintenancePlan { enabled: false, retention, ..MaintenancePlan::default() });
    assert_eq!(lake.retain().unwrap().rows_dropped, 0);
    let report = lake.maintain().unwrap();
    assert_eq!((report.rollups, report.rows_dropped), (2, 2));
    assert_eq!(ask(&lake, "SELECT ts FROM metrics"), Vec::<String>::new());
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["2"], "rollups tell of them still");
    assert_eq!(ask(&lake, "SELECT points, count, sum, increase FROM metrics_1h"), ["2 2 5.0 3.0"]);
    // What comes for a date whose rows are gone must not make its rollup forget them.
    append(&lake, points(&[(1, 180, Some(5.0))]), 2);
    lake.flush().unwrap();
    lake.roll_up(true).unwrap();
    assert_eq!(ask(&lake, "SELECT points FROM metrics_1h"), ["2"]);
}
