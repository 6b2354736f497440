//! `latest` holds what a scan of everything finds.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use catchment_pipeline::batch::{Rows, Table};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::tempdir;

use super::data::{DAY, Points, SECOND, gauge, mixed};
use super::{append, ask, lake, wait};
use crate::{Lake, QueryLimits, Tables};

const LATEST: &str =
    "SELECT series_id, ts, metric_name, host_name, attributes, value_int, value_double, value FROM latest ORDER BY 1";
/// Times are distinct within a series.
const SCANNED: &str = "SELECT DISTINCT ON (series_id) series_id, ts, metric_name, host_name, attributes, value_int, value_double, value \
                       FROM metrics ORDER BY series_id, ts DESC";

fn points(metric: &str, points: &[(u8, i64, f64)]) -> Rows {
    let resource = r#"{"host.name":"h","service.name":"shop"}"#;
    let points =
        points.iter().map(|(label, second, value)| (format!(r#"{{"l":"{label}"}}"#), DAY + second * SECOND, *value));
    let rows = gauge(&Points { metric, resource, points: points.collect() });
    // Every third value is an integer, every seventh missing.
    let doubles = rows.column_by_name("value_double").unwrap().clone();
    let doubles = doubles.as_any().downcast_ref::<Float64Array>().unwrap();
    let (mut columns, schema) = (rows.columns().to_vec(), rows.schema());
    let kind = |value: f64| (value as i64 % 3, value as i64 % 7);
    let ints = doubles.values().iter().map(|value| (kind(*value).0 == 0).then_some(*value as i64));
    columns[schema.index_of("value_int").unwrap()] = Arc::new(ints.collect::<Int64Array>()) as ArrayRef;
    let doubles = doubles.values().iter().map(|value| (kind(*value).0 != 0 && kind(*value).1 != 0).then_some(*value));
    columns[schema.index_of("value_double").unwrap()] = Arc::new(doubles.collect::<Float64Array>());
    Rows::new([(Table::Metrics, RecordBatch::try_new(schema, columns).unwrap())])
}

#[derive(Clone, Debug)]
enum Act {
    Append(bool, Vec<(u8, i64, f64)>),
    Flush,
    Reopen,
}

/// Against the scan, with late points, flushes and restarts in between.
#[test]
fn is_what_a_scan_finds() {
    let point = (0u8..4, 0i64..1000, 0u16..500).prop_map(|(label, second, value)| (label, second, f64::from(value)));
    let act = prop_oneof![
        4 => (any::<bool>(), prop::collection::vec(point, 1..8)).prop_map(|(metric, points)| Act::Append(metric, points)),
        2 => Just(Act::Flush),
        1 => Just(Act::Reopen),
    ];
    let mut runner = TestRunner::new(Config { cases: 16, ..Config::default() });
    runner
        .run(&prop::collection::vec(act, 1..12), |acts| {
            let folder = tempdir().unwrap();
            let mut open = lake(&folder);
            let (mut at, mut seen) = (0, std::collections::HashSet::new());
            for act in acts {
                match act {
                    Act::Append(metric, mut new) => {
                        new.retain(|(label, second, _)| seen.insert((metric, *label, *second)));
                        if !new.is_empty() {
                            at += 1;
                            append(&open, points(if metric { "m" } else { "n" }, &new), at);
                        }
                    }
                    Act::Flush => drop(open.flush().unwrap()),
                    Act::Reopen => {
                        open.flush().unwrap();
                        drop(open);
                        open = lake(&folder);
                    }
                }
                prop_assert_eq!(ask(&open, LATEST), ask(&open, SCANNED));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn after_a_restart_late_points_lose_and_new_ones_win() {
    let folder = tempdir().unwrap();
    {
        let lake = lake(&folder);
        append(&lake, points("m", &[(0, 100, 1.0), (1, 100, 1.0), (2, 100, 1.0)]), 1);
        lake.flush().unwrap();
    }
    let lake = lake(&folder);
    append(&lake, points("m", &[(0, 50, 2.0), (1, 150, 2.0)]), 2);
    let values = "SELECT attributes->>'l', value FROM latest WHERE metric_name = 'm' ORDER BY 1";
    assert_eq!(ask(&lake, values), ["0 1.0", "1 2.0", "2 1.0"]);
    // The same time again: what came later.
    append(&lake, points("m", &[(1, 150, 4.0)]), 3);
    assert_eq!(ask(&lake, values), ["0 1.0", "1 4.0", "2 1.0"]);
}

#[test]
fn series_that_ended_a_day_before_are_gone() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, points("m", &[(0, 0, 1.0), (1, 1, 1.0)]), 1);
    append(&lake, points("m", &[(2, 86_401, 1.0)]), 2);
    assert_eq!(ask(&lake, "SELECT attributes->>'l' FROM latest ORDER BY 1"), ["1", "2"]);
}

#[test]
fn a_query_sees_its_snapshot_and_says_what_it_reads() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, mixed(4, DAY), 1);
    let ask = |lake: &Lake| wait(lake.query("SELECT value FROM latest", QueryLimits::default())).unwrap();
    let query = ask(&lake);
    assert_eq!((query.reads, query.position), (Tables::named("metrics").unwrap(), 1));
    append(&lake, mixed(4, DAY + 60 * SECOND), 2);
    let rows = wait(query.collect()).unwrap();
    // Two CPUs; histograms have no value.
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    assert_eq!(super::ask(&lake, "SELECT max(ts) = (SELECT max(ts) FROM metrics) FROM latest"), ["true"]);
}
