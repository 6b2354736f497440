#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]
//! The lake through its own door: append, flush, crash, open again, ask.

mod bounds;
mod check;
pub(crate) mod data;
mod erase;
mod flush;
mod functions;
mod increases;
mod latest;
mod live;
mod lookup;
mod maintain;
mod peers;
mod rollup_choice;
mod rollups;
mod rules;
mod sandbox;
mod scan;
mod sim;
mod spill;
mod views;

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use catchment_pipeline::batch::Rows;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

use crate::{Lake, Options, QueryError, QueryLimits};

/// Never flushes unless told to.
pub(crate) fn options(folder: &TempDir) -> Options {
    Options { flush_interval: std::time::Duration::from_secs(3600), ..Options::new(folder.path()) }
}

pub(crate) fn lake(folder: &TempDir) -> Lake {
    Lake::open(options(folder)).unwrap()
}

/// Asks of hot rows, of files, and of files by a lake opened anew.
pub(crate) fn both(rows: Rows, check: impl Fn(&Lake)) {
    let folder = tempfile::tempdir().unwrap();
    {
        let lake = lake(&folder);
        append(&lake, rows, 1);
        check(&lake);
        lake.flush().unwrap();
        check(&lake);
    }
    check(&lake(&folder));
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(crate) fn try_ask(lake: &Lake, sql: &str) -> Result<Vec<Vec<String>>, QueryError> {
    try_ask_with(lake, sql, QueryLimits::default())
}

/// Rows as text; NULL is `-`.
pub(crate) fn try_ask_with(lake: &Lake, sql: &str, limits: QueryLimits) -> Result<Vec<Vec<String>>, QueryError> {
    let batches = wait(async { lake.query(sql, limits).await?.collect().await })?;
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter().map(|column| cast(column, &DataType::Utf8).unwrap()).collect::<Vec<_>>();
        for row in 0..batch.num_rows() {
            let cell = |column: &Arc<dyn arrow::array::Array>| match column.is_null(row) {
                true => "-".to_owned(),
                false => column.as_string::<i32>().value(row).to_owned(),
            };
            rows.push(columns.iter().map(cell).collect());
        }
    }
    Ok(rows)
}

/// Rows joined with spaces.
pub(crate) fn ask(lake: &Lake, sql: &str) -> Vec<String> {
    match try_ask(lake, sql) {
        Ok(rows) => rows.into_iter().map(|row| row.join(" ")).collect(),
        Err(error) => panic!("{sql}: {error:?}"),
    }
}

/// Files that a plan reads; each partition may name a file.
pub(crate) fn files_of(plan: &str) -> usize {
    let files = plan.split(['[', ',', ' ']).filter_map(|word| word.split_once(".parquet"));
    files.map(|(name, _)| name).collect::<std::collections::BTreeSet<_>>().len()
}

pub(crate) fn append(lake: &Lake, rows: Rows, at: u64) {
    lake.append(&rows, at).unwrap();
}

/// Rows and values that a condition holds of, every row being asked for one by one: no filter reaches the scan.
pub(crate) fn whole(condition: &str) -> String {
    format!(
        "SELECT count(*), sum(value) FROM (SELECT *, random() AS r FROM metrics) WHERE CASE WHEN r < 2 THEN {condition} END"
    )
}

pub(crate) fn narrowing_changes_no_answer(lake: &Lake, conditions: impl Strategy<Value = String>, cases: u32) {
    let mut runner = TestRunner::new(Config { cases, ..Config::default() });
    runner
        .run(&conditions, |condition| {
            let narrow = ask(lake, &format!("SELECT count(*), sum(value) FROM metrics WHERE {condition}"));
            prop_assert_eq!(narrow, ask(lake, &whole(&condition)), "{}", condition);
            Ok(())
        })
        .unwrap();
}
