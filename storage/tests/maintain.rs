//! Merging, retention and vacuum change files, never answers.

use std::fs;
use std::time::Duration;

use tempfile::{TempDir, tempdir};

use super::data::{DAY, SECOND, cpu, mixed};
use super::{append, ask, lake, options};
use crate::schema::{LakeTable, TABLES};
use crate::{Compact, Lake, MaintenancePlan, Options};

const HOUR: i64 = 3600 * SECOND;

/// Rows of every kind in `flushes` files a table.
fn flushed(lake: &Lake, flushes: u64, day: i64) {
    for n in 0..flushes {
        let at = *lake.changes().borrow() + 1;
        append(lake, mixed(7, day + n as i64 * 5 * SECOND), at);
        lake.flush().unwrap();
    }
}

fn everything(lake: &Lake) -> Vec<Vec<String>> {
    let all = |table: &LakeTable| {
        let mut rows = ask(lake, &format!("SELECT * FROM {}", table.name()));
        rows.sort();
        rows
    };
    TABLES.iter().map(all).collect()
}

fn files(folder: &TempDir, table: &str) -> usize {
    let dates = fs::read_dir(folder.path().join(table)).unwrap().map(|entry| entry.unwrap().path());
    let dates = dates.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("date="));
    dates.map(|date| fs::read_dir(date).unwrap().count()).sum()
}

#[test]
fn merging_changes_no_answer() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    flushed(&lake, 9, DAY);
    flushed(&lake, 3, DAY - 24 * HOUR);
    append(&lake, mixed(2, DAY + HOUR), 100);
    let before = everything(&lake);
    let report = lake.compact(Compact::All).unwrap();
    assert_eq!((report.files_merged, report.files_written), (4 * 12 + 1, 4 * 2 + 1), "four tables, and `series`");
    assert_eq!(everything(&lake), before);
    assert_eq!(lake.stats().tables[0].files, 2);
    assert_eq!(files(&folder, "metrics"), 14, "who reads from outside has time");
    assert_eq!(lake.compact(Compact::All).unwrap().merges, 0, "and then there is nothing to do");
    drop(lake);
    let lake = super::lake(&folder);
    append(&lake, mixed(2, DAY + HOUR), 100);
    assert_eq!(everything(&lake), before);
    lake.vacuum(Some(Duration::ZERO)).unwrap();
    assert_eq!(files(&folder, "metrics"), 2);
    assert_eq!(everything(&lake), before);
}

#[test]
fn rows_are_in_order_after_a_merge() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    flushed(&lake, 10, DAY);
    lake.compact(Compact::All).unwrap();
    let rows = ask(&lake, "SELECT resource_id, series_id, ts FROM metrics");
    assert_eq!(rows.len(), 70);
    assert_eq!(
        rows,
        ask(&lake, "SELECT resource_id, series_id, ts FROM metrics ORDER BY metric_name, resource_id, series_id, ts")
    );
}

#[test]
fn a_running_query_keeps_its_files() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    flushed(&lake, 8, DAY);
    let snapshot = lake.shared().snapshot();
    lake.compact(Compact::All).unwrap();
    lake.vacuum(Some(Duration::ZERO)).unwrap();
    assert_eq!(files(&folder, "metrics"), 9);
    drop(snapshot);
    assert_eq!(lake.vacuum(Some(Duration::ZERO)).unwrap().files_deleted, 4 * 8 + 1, "of four tables, and `series`");
    assert_eq!(files(&folder, "metrics"), 1);
}

#[test]
fn days_past_their_retention_are_dropped_whole() {
    let folder = tempdir().unwrap();
    let now = lake(&tempdir().unwrap()).shared().disk.now_ms() * 1_000_000;
    let mut plan = MaintenancePlan { enabled: false, ..MaintenancePlan::default() };
    let lake = Lake::open(Options { maintenance: plan.clone(), ..options(&folder) }).unwrap();
    for (at, days) in [(1, 0), (2, 14), (3, 15), (4, 17), (5, 100)] {
        append(&lake, mixed(1, now - days * 24 * HOUR), at);
    }
    lake.flush().unwrap();
    let counts = || {
        ask(
            &lake,
            "SELECT (SELECT count(*) FROM (SELECT ts FROM metrics LIMIT 100)) AS m, (SELECT count(*) FROM logs) AS l, (SELECT count(*) FROM spans) AS s",
        )
    };
    assert_eq!(counts(), ["5 5 5"]);
    lake.roll_up(true).unwrap();
    let report = lake.retain().unwrap();
    // A day that began within the retention is kept to its end.
    assert_eq!(counts(), ["3 4 4"]);
    assert_eq!(report.rows_dropped, 2 * 2 + 1 + 1 + 2, "and what was rolled up in five minutes of the oldest day");
    plan.retention = serde_retention("metrics", None);
    lake.set_maintenance(plan);
    assert_eq!(lake.retain().unwrap().rows_dropped, 0);
}

fn serde_retention(table: &str, keep: Option<Duration>) -> crate::Retention {
    let mut retention = crate::Retention::default();
    retention.set(LakeTable::by_name(table).unwrap(), keep);
    retention
}

#[test]
fn the_background_does_what_is_due() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    flushed(&lake, 8, DAY);
    let before = everything(&lake);
    let plan = MaintenancePlan {
        interval: Duration::from_millis(1),
        vacuum_after: Duration::ZERO,
        retention: TABLES.iter().fold(crate::Retention::default(), |mut all, table| {
            all.set(*table, None);
            all
        }),
        rollups: crate::RollupPlan { enabled: false, delay: Duration::ZERO },
        ..MaintenancePlan::default()
    };
    lake.set_maintenance(plan);
    while files(&folder, "metrics") > 1 || files(&folder, "logs") > 1 {
        std::thread::yield_now();
    }
    assert_eq!(everything(&lake), before);
}

#[test]
fn a_file_that_no_commit_names_is_deleted_and_another_programs_left() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    flushed(&lake, 8, DAY);
    let date = folder.path().join("metrics/date=2026-11-23");
    fs::write(date.join("orphan.parquet"), "left by a crash").unwrap();
    lake.vacuum(None).unwrap();
    assert!(date.join("orphan.parquet").exists(), "it may be about to be committed");
    lake.vacuum(Some(Duration::ZERO)).unwrap();
    assert_eq!(files(&folder, "metrics"), 8);
}

/// Looking through all folders is nothing for every round.
#[test]
fn the_background_looks_for_files_that_no_commit_names_now_and_then() {
    let folder = tempdir().unwrap();
    let plan = MaintenancePlan { enabled: false, vacuum_after: Duration::ZERO, ..MaintenancePlan::default() };
    let lake = Lake::open(Options { maintenance: plan, ..options(&folder) }).unwrap();
    flushed(&lake, 1, DAY);
    let orphan = folder.path().join("metrics/date=2026-11-23/orphan.parquet");
    for there in [false, true] {
        fs::write(&orphan, "left by a crash").unwrap();
        lake.maintain().unwrap();
        assert_eq!(orphan.exists(), there);
    }
    lake.vacuum(None).unwrap();
    assert!(!orphan.exists());
}

#[test]
fn merging_goes_on_beside_flushes_and_questions() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    std::thread::scope(|scope| {
        let flushing = scope.spawn(|| {
            for at in 1..=40 {
                append(&lake, cpu(10, DAY + at as i64 * 10 * SECOND), at);
                lake.flush().unwrap();
            }
        });
        let mut seen = 0;
        while !flushing.is_finished() {
            lake.compact(Compact::Due).unwrap();
            lake.vacuum(Some(Duration::ZERO)).unwrap();
            let row = &ask(&lake, "SELECT count(*), count(DISTINCT ts) FROM metrics")[0];
            let (count, distinct) = row.split_once(' ').unwrap();
            assert_eq!(count, distinct, "a row doubled");
            let count = count.parse::<u64>().unwrap();
            assert!(count >= seen && count % 10 == 0, "{count} after {seen}: a row hidden");
            seen = count;
        }
    });
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["400"]);
    assert!(lake.stats().tables[0].files < 24);
}

#[test]
fn another_writer_who_took_a_file_first_wins() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    flushed(&lake, 8, DAY);
    let gone = lake.shared().with_state(|state| state.tables[0].files[3].path.clone());
    let log = folder.path().join("metrics/_delta_log");
    let last = fs::read_dir(&log).unwrap().count() as i64;
    let remove = format!("{{\"remove\":{{\"path\":\"{gone}\",\"deletionTimestamp\":1,\"dataChange\":true}}}}\n");
    fs::write(log.join(format!("{last:020}.json")), remove).unwrap();
    lake.compact(Compact::All).unwrap();
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["49"], "its rows are not put back");
    assert_eq!(lake.stats().tables[0].files, 1);
}
