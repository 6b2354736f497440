//! A check finds what is wrong and names it, and says nothing of what is not.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::{TempDir, tempdir};

use super::data::{DAY, SECOND, mixed};
use super::{append, lake};
use crate::{CheckReport, Compact, Lake};

fn flushed(folder: &TempDir, flushes: u64) -> Lake {
    let lake = lake(folder);
    for at in 1..=flushes {
        append(&lake, mixed(7, DAY + at as i64 * 60 * SECOND), at);
        lake.flush().unwrap();
    }
    lake
}

fn check(folder: &TempDir) -> CheckReport {
    Lake::check(folder.path()).unwrap()
}

/// Files of `metrics` by name, the first flushed first.
fn metrics(folder: &TempDir) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.path().join("metrics/date=2026-11-23")).unwrap();
    let mut files = files.map(|file| file.unwrap().path()).collect::<Vec<_>>();
    files.sort();
    files
}

/// The one problem, whose file is `at` of `metrics`.
fn problem(folder: &TempDir, at: usize) -> String {
    let report = check(folder);
    let [problem] = &report.problems[..] else { panic!("{report:?}") };
    assert!(!report.is_whole());
    assert_eq!(folder.path().join(&problem.path), metrics(folder)[at]);
    problem.what.clone()
}

#[test]
fn a_whole_lake_is_whole() {
    let folder = tempdir().unwrap();
    let lake = flushed(&folder, 9);
    append(&lake, mixed(7, DAY + 7200 * SECOND), 10);
    lake.flush().unwrap();
    let report = check(&folder);
    assert_eq!((report.problems, report.unnamed, report.replaced), (vec![], Vec::<String>::new(), 0));
    assert_eq!((report.tables[0].files, report.tables[0].rows), (10, 70));
    lake.roll_up(true).unwrap();
    let merged = lake.compact(Compact::All).unwrap().files_merged;
    let report = check(&folder);
    assert_eq!((report.problems, report.unnamed, report.replaced), (vec![], vec![], merged), "while it is written");
    assert_eq!((report.tables[0].files, report.tables[0].rows), (1, 70));
    lake.vacuum(Some(Duration::ZERO)).unwrap();
    assert_eq!(check(&folder).replaced, 0);
}

#[test]
fn a_damaged_file_is_named() {
    let folder = tempdir().unwrap();
    drop(flushed(&folder, 3));
    let path = &metrics(&folder)[1];
    let whole = fs::read(path).unwrap();
    let mut bytes = whole.clone();
    bytes[4..132].fill(0xff);
    fs::write(path, &bytes).unwrap();
    problem(&folder, 1);
    fs::write(path, &whole[..whole.len() - 100]).unwrap();
    assert!(problem(&folder, 1).contains("bytes, and the table's log says"));
    bytes.clone_from(&whole);
    let end = bytes.len();
    bytes[end - 8..end - 4].fill(0xff);
    fs::write(path, &bytes).unwrap();
    problem(&folder, 1);
    fs::write(path, &whole).unwrap();
    assert!(check(&folder).is_whole());
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempdir().unwrap();
    drop(flushed(&folder, 3));
    let path = metrics(&folder).remove(2);
    fs::remove_file(&path).unwrap();
    let report = check(&folder);
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(folder.path().join(&report.problems[0].path), path);
    assert!(report.problems[0].what.contains("missing"));
    assert_eq!(report.tables[0].files, 2);
}

#[test]
fn swapped_files_are_named() {
    let folder = tempdir().unwrap();
    drop(flushed(&folder, 2));
    let [a, b] = &metrics(&folder)[..] else { panic!() };
    let aside = folder.path().join("aside");
    fs::rename(a, &aside).unwrap();
    fs::rename(b, a).unwrap();
    fs::rename(&aside, b).unwrap();
    let report = check(&folder);
    let named = report.problems.iter().map(|problem| folder.path().join(&problem.path)).collect::<Vec<_>>();
    assert_eq!(named, [a.clone(), b.clone()], "{report:?}");
    let same_size = fs::metadata(a).unwrap().len() == fs::metadata(b).unwrap().len();
    let what = if same_size { "has a row of" } else { "bytes, and the table's log" };
    assert!(report.problems.iter().all(|problem| problem.what.contains(what)), "{report:?}");
}

#[test]
fn what_no_commit_names_is_listed_and_no_mistake() {
    let folder = tempdir().unwrap();
    drop(flushed(&folder, 1));
    fs::copy(&metrics(&folder)[0], folder.path().join("metrics/date=2026-11-23/orphan.parquet")).unwrap();
    let report = check(&folder);
    assert!(report.is_whole());
    assert_eq!(report.unnamed, ["metrics/date=2026-11-23/orphan.parquet"]);
}

#[test]
fn a_folder_without_a_lake_is_refused() {
    let folder = tempdir().unwrap();
    assert!(Lake::check(folder.path()).unwrap_err().to_string().contains("is not a lake"));
}
