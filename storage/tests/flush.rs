//! Nothing is lost, hidden or doubled: by a flush, by a crash in one, or by reading the log again.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::tempdir;

use super::data::{DAY, SECOND, cpu, mixed};
use super::{append, ask, lake, options, try_ask, wait};
use crate::delta::DeltaLog;
use crate::disk::{Disk, System};
use crate::flush::Step;
use crate::journal::Journal;
use crate::lake::lock;
use crate::schema::TABLES;
use crate::{AppendError, Lake, Options};

const COUNTS: &str = "SELECT (SELECT count(*) FROM metrics) AS m, (SELECT count(*) FROM histograms) AS h, \
                      (SELECT count(*) FROM logs) AS l, (SELECT count(*) FROM spans) AS s";

#[test]
fn rows_are_visible_before_and_after_a_flush() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    let all = "SELECT ts, metric_name, service_name, host_name, attributes, value, value_int, unit, date FROM metrics ORDER BY ts";
    append(&lake, mixed(5, DAY), 1);
    let hot = ask(&lake, all);
    assert_eq!(hot[1], r#"2026-11-23T00:00:01Z system.cpu.utilization shop h1 {"cpu":"cpu1"} 1.0 - 1 2026-11-23"#);
    assert_eq!(*lake.durable().borrow(), 0);
    assert_eq!(lake.flush().unwrap(), 1);
    assert_eq!(*lake.durable().borrow(), 1);
    assert_eq!(ask(&lake, all), hot);
    assert_eq!(ask(&lake, COUNTS), ["5 5 5 5"]);
    let stats = lake.stats();
    assert_eq!((stats.tables[0].hot_rows, stats.tables[0].files, stats.tables[0].file_rows), (0, 1, 5));
    append(&lake, mixed(5, DAY + 60 * SECOND), 2);
    assert_eq!(ask(&lake, COUNTS), ["10 10 10 10"]);
}

#[test]
fn a_position_is_taken_once() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, cpu(3, DAY), 4);
    append(&lake, cpu(3, DAY), 4);
    append(&lake, cpu(3, DAY), 3);
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["3"]);
}

#[test]
fn a_crash_at_any_point_of_a_flush_keeps_every_row_once() {
    for step in [Step::Staged, Step::Journaled, Step::Committed] {
        let folder = tempdir().unwrap();
        {
            let lake = lake(&folder);
            append(&lake, mixed(4, DAY), 1);
            lake.flush().unwrap();
            append(&lake, mixed(6, DAY + 10 * SECOND), 2);
            *lock(&lake.shared().crash_after) = Some(step);
            assert!(lake.flush().unwrap_err().to_string().contains("crash"), "{step:?}");
            assert_eq!(ask(&lake, COUNTS), ["10 10 10 10"], "still visible {step:?}");
        }
        let lake = lake(&folder);
        let durable = *lake.durable().borrow();
        assert_eq!(durable, if step == Step::Staged { 1 } else { 2 }, "{step:?}");
        // The engine reads the log again from its cursor, which may be behind.
        append(&lake, mixed(4, DAY), 1);
        append(&lake, mixed(6, DAY + 10 * SECOND), 2);
        append(&lake, mixed(1, DAY + 100 * SECOND), 3);
        assert_eq!(ask(&lake, COUNTS), ["11 11 11 11"], "{step:?}");
        lake.flush().unwrap();
        assert_eq!(ask(&lake, COUNTS), ["11 11 11 11"], "{step:?}");
        assert_eq!(ask(&lake, "SELECT sum(value) FROM metrics"), ["21.0"]);
        let aside = fs::read_dir(folder.path().join("tmp")).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(aside.filter(|path| path.is_file()).count(), 0, "nothing left aside");
    }
}

#[test]
fn a_crash_between_two_tables_commits_is_finished() {
    let folder = tempdir().unwrap();
    {
        let lake = lake(&folder);
        append(&lake, mixed(4, DAY), 9);
        *lock(&lake.shared().crash_after) = Some(Step::Journaled);
        lake.flush().unwrap_err();
    }
    let whole = Journal::read(&System, folder.path()).unwrap().unwrap();
    let mut first = whole.clone();
    first.tables.retain(|table, _| table == "metrics");
    let disk: Arc<dyn Disk> = Arc::new(System);
    let mut logs = TABLES.map(|table| DeltaLog::open(&disk, &folder.path().join(table.name())).unwrap());
    first.complete(&System, folder.path(), &mut logs).unwrap();
    for _ in 0..2 {
        let lake = lake(&folder);
        assert_eq!(*lake.durable().borrow(), 9);
        assert_eq!(ask(&lake, COUNTS), ["4 4 4 4"]);
    }
}

#[test]
fn what_a_crash_leaves_half_written_is_ignored() {
    let folder = tempdir().unwrap();
    {
        let lake = lake(&folder);
        append(&lake, cpu(4, DAY), 1);
        lake.flush().unwrap();
    }
    fs::write(folder.path().join("tmp/half.parquet"), "PAR1").unwrap();
    fs::write(folder.path().join("metrics/_delta_log/.tmp-1-00000000000000000002.json"), "{\"add\":").unwrap();
    fs::write(folder.path().join(".tmp-1-flush.json"), "{").unwrap();
    let lake = lake(&folder);
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["4"]);
    assert!(!folder.path().join("tmp/half.parquet").exists());
}

#[test]
fn questions_during_flushes_see_whole_appends() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for at in 1..=60 {
                append(&lake, cpu(10, DAY + i64::try_from(at).unwrap() * 10 * SECOND), at);
                if at % 3 == 0 {
                    lake.flush().unwrap();
                }
            }
            done.store(true, Ordering::Release);
        });
        let mut seen = 0;
        let mut asked = 0;
        while !done.load(Ordering::Acquire) {
            let rows = try_ask(&lake, "SELECT count(*), count(DISTINCT ts) FROM metrics").unwrap();
            let count = rows[0][0].parse::<u64>().unwrap();
            assert_eq!(rows[0][0], rows[0][1], "a row doubled");
            assert!(count >= seen && count % 10 == 0, "{count} after {seen}: a row hidden");
            seen = count;
            asked += 1;
        }
        assert!(asked > 3, "the test asked {asked} times only");
    });
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["600"]);
}

#[test]
fn late_rows_go_to_their_own_date() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, cpu(2, DAY), 1);
    append(&lake, cpu(2, DAY - 24 * 3600 * SECOND), 2);
    append(&lake, cpu(2, DAY - 1 - SECOND), 3);
    lake.flush().unwrap();
    let by_date = ["2026-11-22 4", "2026-11-23 2"];
    assert_eq!(ask(&lake, "SELECT date, count(*) FROM metrics GROUP BY date ORDER BY date"), by_date);
    assert!(folder.path().join("metrics/date=2026-11-22").is_dir());
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics WHERE date = '2026-11-22'"), ["4"]);
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics WHERE ts >= '2026-11-23T00:00:00Z'"), ["2"]);
}

#[test]
fn another_logs_positions_are_not_compared() {
    let folder = tempdir().unwrap();
    {
        let lake = lake(&folder);
        append(&lake, cpu(4, DAY), 100);
        lake.flush().unwrap();
    }
    let lake = Lake::open(Options { log_id: "another".to_owned(), ..options(&folder) }).unwrap();
    assert_eq!(*lake.durable().borrow(), 0);
    append(&lake, cpu(4, DAY), 1);
    lake.flush().unwrap();
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["8"]);
}

#[test]
fn one_process_writes_any_number_read() {
    let folder = tempdir().unwrap();
    let writer = lake(&folder);
    append(&writer, cpu(4, DAY), 1);
    writer.flush().unwrap();
    append(&writer, cpu(4, DAY), 2);
    let error = Lake::open(options(&folder)).err().unwrap();
    assert!(error.to_string().contains("another process writes the lake"), "{error:#}");
    let reader = Lake::open_read_only(folder.path()).unwrap();
    assert_eq!(ask(&reader, "SELECT count(*) FROM \"system.cpu.utilization\""), ["4"]);
    assert!(matches!(reader.append(&cpu(1, DAY), 9), Err(AppendError::Failed(_))));
    let nothing = tempdir().unwrap();
    assert!(Lake::open_read_only(nothing.path()).err().unwrap().to_string().contains("is not a lake"));
}

#[test]
fn appending_is_refused_while_flushing_fails() {
    let folder = tempdir().unwrap();
    let lake = Lake::open(Options { flush_size: 1, ..options(&folder) }).unwrap();
    *lock(&lake.shared().crash_after) = Some(Step::Staged);
    let refused = (1..10_000).find_map(|at| lake.append(&cpu(2000, DAY), at).err()).expect("memory is bounded");
    assert!(matches!(&refused, AppendError::Busy(why) if why.contains("wait for their flush")), "{refused}");
    *lock(&lake.shared().crash_after) = None;
    lake.flush().unwrap();
    lake.append(&cpu(1, DAY), 10_000).unwrap();
}

#[test]
fn a_changed_pace_holds_from_now_on() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    let mut durable = lake.durable();
    append(&lake, cpu(1, DAY), 1);
    lake.set_flush(Duration::from_millis(1), 64 << 20);
    wait(durable.wait_for(|durable| *durable == 1)).unwrap();
    lake.set_flush(Duration::from_secs(3600), 1);
    append(&lake, cpu(1, DAY), 2);
    wait(durable.wait_for(|durable| *durable == 2)).unwrap();
    // Rows are durable before their flush is counted: one more begins after that.
    lake.flush().unwrap();
    assert!(lake.stats().flushes >= 3 && lake.stats().flush_failures == 0);
}

#[test]
fn a_long_table_log_is_read_from_its_checkpoint() {
    let folder = tempdir().unwrap();
    {
        let lake = lake(&folder);
        for at in 1..=55 {
            append(&lake, cpu(2, DAY), at);
            lake.flush().unwrap();
        }
    }
    let log = folder.path().join("metrics/_delta_log");
    assert!(log.join("00000000000000000050.checkpoint.parquet").exists());
    for version in 0..50 {
        fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    let lake = lake(&folder);
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["110"]);
    assert_eq!(*lake.durable().borrow(), 55);
}

#[test]
fn another_writers_commit_is_outwaited() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, cpu(2, DAY), 1);
    lake.flush().unwrap();
    let log = folder.path().join("metrics/_delta_log");
    fs::write(log.join(format!("{:020}.json", 2)), "{\"commitInfo\":{\"operation\":\"OPTIMIZE\"}}\n").unwrap();
    append(&lake, cpu(2, DAY), 2);
    lake.flush().unwrap();
    assert!(log.join(format!("{:020}.json", 3)).exists());
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["4"]);
}

#[test]
fn a_flush_that_failed_leaves_nothing_behind() {
    let folder = tempdir().unwrap();
    let left = || {
        fs::read_dir(folder.path().join("tmp"))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().is_file())
            .count()
    };
    {
        let lake = lake(&folder);
        append(&lake, mixed(4, DAY), 1);
        *lock(&lake.shared().crash_after) = Some(Step::Staged);
        lake.flush().unwrap_err();
        lake.flush().unwrap_err();
        assert_eq!(left(), 5, "one attempt's: a full disk is not filled further by trying again");
        *lock(&lake.shared().crash_after) = None;
        // Written, though nobody was told so: what it names goes away with it.
        let journal = r#"{"app":"catchment/log","position":1,"tables":{"metrics":[{"aside":"gone.parquet","add":{"path":"date=2026-11-23/gone.parquet"}}]}}"#;
        fs::write(folder.path().join("flush.json"), journal).unwrap();
        append(&lake, mixed(2, DAY + 10 * SECOND), 2);
        *lock(&lake.shared().crash_after) = Some(Step::Staged);
        lake.flush().unwrap_err();
        assert!(!folder.path().join("flush.json").exists());
        *lock(&lake.shared().crash_after) = None;
        lake.flush().unwrap();
        assert_eq!(left(), 0);
    }
    assert_eq!(ask(&lake(&folder), COUNTS), ["6 6 6 6"]);
}

#[test]
fn one_appends_at_a_time() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    let first = lake.claim("parquet").unwrap();
    let again = lake.claim("parquet").unwrap();
    let error = lake.claim("parquet/2").unwrap_err().to_string();
    assert!(
        error.contains("`parquet` writes into the lake already") && error.contains("leave `parquet/2` out"),
        "{error}"
    );
    drop((first, again));
    lake.claim("parquet/2").unwrap();
}

/// It may have turned on what this program does not know, deletion vectors for one.
#[test]
fn another_writers_newer_protocol_stops_a_flush() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, cpu(2, DAY), 1);
    lake.flush().unwrap();
    let protocol = "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7}}\n";
    fs::write(folder.path().join(format!("metrics/_delta_log/{:020}.json", 2)), protocol).unwrap();
    append(&lake, cpu(2, DAY), 2);
    for _ in 0..2 {
        let error = format!("{:#}", lake.flush().unwrap_err());
        assert!(error.contains("needs Delta protocol 3/7"), "{error}");
    }
    assert_eq!(*lake.durable().borrow(), 1);
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["4"], "and its rows stay");
}
