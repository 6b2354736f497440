//! More rows than a query's memory holds: it spills, answers right, and leaves nothing behind.

use std::fs;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use futures::StreamExt;
use tempfile::{TempDir, tempdir};

use super::data::{DAY, Points, RESOURCE, SECOND, gauge};
use super::{append, lake, try_ask_with, wait};
use crate::{Lake, QueryLimits};
use catchment_pipeline::batch::{Rows, Table};

const ROWS: i64 = 150_000;

/// Every whole number below `ROWS` once, in no order that helps; half of them in files.
fn filled() -> (TempDir, Lake) {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    for (at, part) in (1..).zip([0..ROWS / 2, ROWS / 2..ROWS]) {
        let point = |n: i64| {
            let attributes =
                format!(r#"{{"cpu":"cpu{}","of":"{}"}}"#, n % 8, "a long text that is told apart ".repeat(2));
            (attributes, DAY + (n / 8) * SECOND, ((n * 7919) % ROWS) as f64)
        };
        let points = part.map(point).collect();
        let rows = gauge(&Points { metric: "m", resource: RESOURCE, points });
        append(&lake, Rows::new([(Table::Metrics, rows)]), at);
        if at == 1 {
            lake.flush().unwrap();
        }
    }
    (folder, lake)
}

fn little() -> QueryLimits {
    QueryLimits { memory: 16 << 20, ..QueryLimits::default() }
}

/// What a plan's operators say of it, together.
fn spilled(lake: &Lake, sql: &str) -> u64 {
    let plan = try_ask_with(lake, &format!("EXPLAIN ANALYZE {sql}"), little()).unwrap();
    let plan = plan.into_iter().flatten().collect::<String>();
    let counts = plan.split("spill_count=").skip(1);
    counts.map(|rest| rest.split([',', ']']).next().unwrap().trim().parse::<u64>().unwrap()).sum()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn left_behind(folder: &TempDir) -> Vec<std::path::PathBuf> {
    files(&crate::journal::aside(folder.path()))
}

#[test]
fn a_sort_of_everything_spills() {
    let (folder, lake) = filled();
    let sql = "SELECT attributes, value, ts FROM metrics ORDER BY value, ts, attributes";
    let rows = wait(async { lake.query(sql, little()).await.unwrap().collect().await }).unwrap();
    let values = rows.iter().flat_map(|rows| rows.column(1).as_primitive::<Float64Type>().values().to_vec());
    assert!(values.eq((0..ROWS).map(|n| n as f64)));
    assert!(spilled(&lake, sql) > 0);
    // Of all columns: of text that many rows share, and of lists.
    let sql = "SELECT * FROM m WHERE value < 20000 ORDER BY value";
    let limits = QueryLimits { rollups: false, ..little() };
    let rows = wait(async { lake.query(sql, limits).await.unwrap().collect().await }).unwrap();
    let values = rows.iter().map(|rows| rows.column_by_name("value").unwrap().as_primitive::<Float64Type>().clone());
    assert!(values.flat_map(|values| values.values().to_vec()).eq((0..20_000).map(f64::from)));
    assert!(spilled(&lake, sql) > 0);
    assert_eq!(left_behind(&folder), Vec::<std::path::PathBuf>::new());
}

#[test]
fn groups_of_everything_spill() {
    let (folder, lake) = filled();
    for sql in [
        "SELECT count(*), sum(n), sum(v) FROM (SELECT attributes, value, count(*) AS n, sum(value) AS v FROM metrics GROUP BY 1, 2)",
        "SELECT count(*), sum(n), sum(v) FROM (SELECT value AS v, \
         row_number() OVER (PARTITION BY value ORDER BY ts, attributes) AS n FROM metrics)",
    ] {
        let sum = (ROWS - 1) as f64 * (ROWS as f64 / 2.0);
        let answer = try_ask_with(&lake, sql, little()).unwrap();
        let [count, n, v] = &answer[0][..] else { panic!("{answer:?}") };
        assert_eq!((count.as_str(), n.as_str()), (ROWS.to_string().as_str(), ROWS.to_string().as_str()), "{sql}");
        assert_eq!(v.parse::<f64>().unwrap(), sum, "{sql}");
        assert!(spilled(&lake, sql) > 0, "{sql}");
    }
    assert_eq!(left_behind(&folder), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_dropped_query_leaves_nothing_spilled() {
    let (folder, lake) = filled();
    wait(async {
        let sql = "SELECT attributes, value, ts FROM metrics ORDER BY value, ts, attributes";
        let mut query = lake.query(sql, little()).await.unwrap();
        query.next().await.unwrap().unwrap();
        assert!(!left_behind(&folder).is_empty(), "half read, it merges what it spilled");
        drop(query);
        while !left_behind(&folder).is_empty() {
            tokio::task::yield_now().await;
        }
    });
}
