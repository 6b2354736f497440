//! What is erased is nowhere any more, and nothing else is gone.

use std::fs;
use std::path::Path;

use catchment_pipeline::batch::{Batch, Signal};
use tempfile::tempdir;

use super::data::{DAY, Points, SECOND, gauge, mixed};
use super::{append, ask, lake};
use crate::Lake;
use catchment_pipeline::batch::{Rows, Table};

const SECRET: &str = "alice.example.org";

/// Points of two hosts, one of them secret.
fn hosts(start: i64) -> Rows {
    let points = |host: &str, metric: &str| {
        let resource = format!(r#"{{"host.name":"{host}","service.name":"shop"}}"#);
        let points = (0..20).map(|n| (r#"{"cpu":"0"}"#.to_owned(), start + n * 60 * SECOND, n as f64)).collect();
        gauge(&Points { metric, resource: &resource, points })
    };
    let all = [points(SECRET, "load"), points("bob", "load"), points(SECRET, "memory")];
    Rows::new([(Table::Metrics, arrow::compute::concat_batches(&all[0].schema(), &all).unwrap())])
}

/// Files of the lake, other than its log, in which these bytes stand; Parquet's own compression undone by reading it with SQL.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn counts(lake: &Lake, host: &str) -> Vec<String> {
    let count = |table: &str| format!("(SELECT count(*) FROM {table} WHERE host_name = '{host}') AS {table}");
    ask(
        lake,
        &format!("SELECT {}, {}, {}, {}", count("metrics"), count("metrics_5m"), count("series"), count("latest")),
    )
}

#[test]
fn a_host_is_erased_from_everything() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, hosts(DAY), 1);
    lake.flush().unwrap();
    append(&lake, mixed(5, DAY), 2);
    lake.flush().unwrap();
    lake.roll_up(true).unwrap();
    append(&lake, hosts(DAY + 3600 * SECOND), 3);
    let bob = counts(&lake, "bob");
    assert!(!files_with(folder.path(), SECRET).is_empty(), "statistics name it");
    let report = lake.erase(&format!("host_name = '{SECRET}'")).unwrap();
    assert_eq!(report.rows, [("metrics", 80), ("series", 2)]);
    assert_eq!((report.remaining, report.still_read), (0, 0));
    assert_eq!(counts(&lake, SECRET), ["0 0 0 0"]);
    let after = counts(&lake, "bob");
    assert_eq!(after[0].split(' ').next(), bob[0].split(' ').next());
    assert_eq!(ask(&lake, "SELECT sum(points) FROM metrics_5m"), ["45"], "made anew of what is left");
    assert_eq!(files_with(folder.path(), SECRET), Vec::<String>::new());
    assert_eq!(ask(&lake, "SELECT count(*) FROM logs"), ["5"]);
    drop(lake);
    let lake = super::lake(&folder);
    assert_eq!(counts(&lake, SECRET), ["0 0 0 0"]);
    assert_eq!(counts(&lake, "bob"), after);
}

#[test]
fn single_points_are_erased_and_their_rollup_is_made_anew() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, hosts(DAY), 1);
    lake.flush().unwrap();
    lake.roll_up(true).unwrap();
    let report = lake.erase("value >= 10 AND metric_name = 'load'").unwrap();
    assert_eq!(report.rows, [("metrics", 20)]);
    assert!(report.not_judged.iter().any(|(table, why)| *table == "logs" && why.contains("value")), "{report:?}");
    assert_eq!(ask(&lake, "SELECT max(max), sum(points) FROM metrics_1h WHERE metric_name = 'load'"), ["9.0 20"]);
    let nothing = lake.erase("ts < '2020-01-01T00:00:00Z'").unwrap();
    assert_eq!((nothing.rows, nothing.files), (vec![], 0));
}

#[test]
fn what_is_no_condition_erases_nothing() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, hosts(DAY), 1);
    lake.flush().unwrap();
    for wrong in ["no_such_column = 1", "host_name", "host_name = 'x') OR (true", "true; SELECT 1", "", "true -- "] {
        let erased = lake.erase(wrong);
        if wrong != "true -- " {
            assert!(erased.is_err(), "{wrong}");
            assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["60"]);
        }
    }
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["0"]);
}

#[test]
fn batches_on_their_way_are_judged_alike() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, mixed(1, DAY), 1);
    let condition = format!("host_name = '{SECRET}'");
    let judge = lake.judge(&condition).unwrap();
    let batch = Batch::from_rows(Signal::Metrics, hosts(DAY));
    assert_eq!(judge.count(&batch).unwrap(), 40);
    let left = judge.without(&batch).unwrap().unwrap();
    assert_eq!((left.items(), judge.count(&left).unwrap()), (20, 0));
    assert!(judge.without(&left).unwrap().is_none());
}
