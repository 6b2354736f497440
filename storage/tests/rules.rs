//! Retention by rule: what matches goes when it is due, and nothing else; each file is asked once.

use std::time::Duration;

use catchment_pipeline::batch::{Rows, Table};
use tempfile::{TempDir, tempdir};

use super::data::{Points, SECOND, gauge, mixed};
use super::{append, ask, lake as plain, options, try_ask_with};
use crate::schema::{LakeTable, TABLES};
use crate::{Compact, Lake, MaintenancePlan, Options, QueryLimits, RulePlan};

const DAY: i64 = 86_400 * SECOND;
const KEEP: Duration = Duration::from_secs(3 * 86_400);

fn open(folder: &TempDir, rules: Vec<RulePlan>) -> Lake {
    let maintenance = MaintenancePlan { enabled: false, rules, ..MaintenancePlan::default() };
    Lake::open(Options { maintenance, ..options(folder) }).unwrap()
}

/// Noon of the day so many days ago.
fn noon(lake: &Lake, days: i64) -> i64 {
    (lake.shared().disk.now_ms() * 1_000_000).div_euclid(DAY) * DAY - days * DAY + DAY / 2
}

/// Twenty points of each service.
fn points(services: &[&str], start: i64) -> Rows {
    let of = |service: &&str| {
        let points = (0..20).map(|n| (r#"{"cpu":"0"}"#.to_owned(), start + n * 60 * SECOND, n as f64)).collect();
        gauge(&Points { metric: "load", resource: &format!(r#"{{"service.name":"{service}"}}"#), points })
    };
    let all = services.iter().map(of).collect::<Vec<_>>();
    Rows::new([(Table::Metrics, arrow::compute::concat_batches(&all[0].schema(), &all).unwrap())])
}

/// Rows by service, those of rollups after them.
fn counts(lake: &Lake) -> Vec<String> {
    let limits = QueryLimits { rollups: false, ..QueryLimits::default() };
    let count = |table: &str| {
        let sql = format!("SELECT service_name, count(*) FROM {table} GROUP BY 1 ORDER BY 1");
        let rows = try_ask_with(lake, &sql, limits.clone()).unwrap();
        rows.into_iter().map(|row| row.join(" ")).collect::<Vec<_>>().join(", ")
    };
    ["metrics", "metrics_5m", "metrics_1h"].map(count).to_vec()
}

/// How many rules each file was asked, fewest first.
fn asked(lake: &Lake, table: &str) -> Vec<usize> {
    let table = LakeTable::by_name(table).unwrap();
    let files = lake.shared().with_state(|state| state.tables[table.index()].files.clone());
    let mut asked = files.iter().map(|file| file.tags.asked.len()).collect::<Vec<_>>();
    asked.sort_unstable();
    asked
}

#[test]
fn what_matches_goes_when_it_is_due_and_its_rollups_with_it() {
    let folder = tempdir().unwrap();
    let lake = open(&folder, vec![RulePlan::new("service_name = 'test'", KEEP)]);
    for (at, days, services) in [(1, 6, &["shop", "test"][..]), (2, 5, &["test"]), (3, 1, &["shop", "test"])] {
        append(&lake, points(services, noon(&lake, days)), at);
    }
    append(&lake, mixed(7, noon(&lake, 5)), 4);
    lake.flush().unwrap();
    let all = counts(&lake);
    assert_eq!(lake.retain().unwrap().rows_dropped, 0, "rollups do not stand for them yet");
    assert_eq!(counts(&lake), all);
    lake.roll_up(true).unwrap();
    assert_eq!(counts(&lake), ["shop 47, test 60", "shop 10, test 12", "shop 4, test 3"]);
    let report = lake.retain().unwrap();
    assert_eq!(counts(&lake), ["shop 47, test 20", "shop 10, test 4", "shop 4, test 1"]);
    assert_eq!(report.rows_dropped, 2 * 20 + 2 * 4 + 2);
    assert_eq!((report.files_thinned, report.files_dropped), (2 * 3, 0), "{report:?}");
    let again = lake.retain().unwrap();
    assert_eq!((again.rows_dropped, again.files_thinned), (0, 0));
    assert!(lake.compact(Compact::All).unwrap().merges > 0);
    drop(lake);
    let lake = open(&folder, vec![RulePlan::new("service_name = 'test'", KEEP)]);
    assert_eq!(asked(&lake, "metrics"), [0, 1, 1], "known after a restart and a merge; the newest date is not due");
    // What comes late goes as well, the next day or when told to.
    append(&lake, points(&["test"], noon(&lake, 5) + 3600 * SECOND), 5);
    lake.flush().unwrap();
    lake.roll_up(true).unwrap();
    assert!(counts(&lake)[0].ends_with("test 40"));
    lake.retain().unwrap();
    assert!(counts(&lake)[0].ends_with("test 20"));
}

#[test]
fn rollups_tell_of_rows_that_only_their_own_table_drops() {
    let folder = tempdir().unwrap();
    let metrics = LakeTable::by_name("metrics").unwrap();
    let lake = open(&folder, vec![RulePlan::new("service_name = 'test'", KEEP).of(&[metrics])]);
    append(&lake, points(&["shop", "test"], noon(&lake, 5)), 1);
    lake.flush().unwrap();
    lake.roll_up(true).unwrap();
    let rolled = counts(&lake)[1..].to_vec();
    lake.retain().unwrap();
    assert_eq!(counts(&lake)[0], "shop 20");
    assert_eq!(counts(&lake)[1..], rolled);
    append(&lake, points(&["shop"], noon(&lake, 5) + 1), 2);
    lake.flush().unwrap();
    lake.roll_up(true).unwrap();
    assert_eq!(counts(&lake)[1..], rolled, "made anew they would tell of less");
    assert_eq!(counts(&lake)[0], "shop 40");
}

/// Conditions on values are no business of rollups.
#[test]
fn single_rows_go_and_whole_files_when_all_match() {
    let folder = tempdir().unwrap();
    let rules = vec![
        RulePlan::new("value >= 10", KEEP),
        RulePlan::new("body IS NOT NULL", KEEP),
        RulePlan::new("no_such_column = 1", KEEP),
    ];
    let lake = open(&folder, rules);
    append(&lake, points(&["shop"], noon(&lake, 5)), 1);
    append(&lake, mixed(3, noon(&lake, 4)), 2);
    append(&lake, mixed(3, noon(&lake, 0)), 3);
    lake.flush().unwrap();
    lake.roll_up(true).unwrap();
    let rolled = counts(&lake)[1..].to_vec();
    let report = lake.retain().unwrap();
    assert_eq!((report.rows_dropped, report.files_dropped, report.files_thinned), (10 + 3, 1, 1), "{report:?}");
    assert_eq!(counts(&lake)[1..], rolled);
    assert_eq!(ask(&lake, "SELECT count(*) FROM logs"), ["3"]);
    assert_eq!(asked(&lake, "metrics_5m"), [0; 3]);
}

#[test]
fn rules_can_change_while_the_lake_is_open_and_the_background_follows_them() {
    let folder = tempdir().unwrap();
    let lake = open(&folder, Vec::new());
    append(&lake, points(&["shop", "test"], noon(&lake, 5)), 1);
    lake.flush().unwrap();
    lake.roll_up(true).unwrap();
    lake.retain().unwrap();
    assert_eq!(counts(&lake)[0], "shop 20, test 20");
    let rules = vec![RulePlan::new("service_name = 'test'", KEEP)];
    let interval = Duration::from_millis(1);
    lake.set_maintenance(MaintenancePlan { interval, rules, ..MaintenancePlan::default() });
    while counts(&lake).iter().any(|counts| counts.contains("test")) {
        std::thread::yield_now();
    }
    assert_eq!(counts(&lake), ["shop 20", "shop 4", "shop 1"]);
}

/// A day has more files than a round asks.
#[test]
fn a_round_asks_few_files_and_the_next_goes_on() {
    let folder = tempdir().unwrap();
    let lake = open(&folder, vec![RulePlan::new("service_name = 'nobody'", KEEP)]);
    for at in 1..=20 {
        append(&lake, points(&["shop"], noon(&lake, 5) + at as i64), at);
        lake.flush().unwrap();
    }
    lake.roll_up(true).unwrap();
    let done = || asked(&lake, "metrics").into_iter().sum::<usize>();
    lake.shared().retain(crate::maintain::Share::Round).unwrap();
    assert_eq!(done(), 16);
    lake.shared().retain(crate::maintain::Share::Round).unwrap();
    assert_eq!(done(), 20);
    append(&lake, points(&["shop"], noon(&lake, 5)), 21);
    lake.flush().unwrap();
    lake.roll_up(true).unwrap();
    lake.shared().retain(crate::maintain::Share::Round).unwrap();
    assert_eq!(done(), 20, "a date is gone through once a day");
    lake.shared().retain(crate::maintain::Share::All).unwrap();
    assert_eq!(done(), 21);
}

/// Conditions mean in a rule what they mean in a query.
#[test]
fn every_table_is_asked_as_sql_asks() {
    let folder = tempdir().unwrap();
    let lake = plain(&folder);
    append(&lake, mixed(7, noon(&lake, 0)), 1);
    lake.flush().unwrap();
    for table in TABLES {
        let rows = ask(&lake, &format!("SELECT count(*) FROM {} WHERE ts IS NOT NULL", table.name()));
        let rule =
            crate::maintain::Rule::new("", KEEP, None, std::sync::Arc::new(lake.judge("ts IS NOT NULL").unwrap()));
        assert_eq!(rule.tables.contains(&table), matches!(table, LakeTable::Rows(_)), "{} {rows:?}", table.name());
    }
}
