//! DuckDB, delta-rs and pandas (Python) read the lake's folder and agree with our own SQL, row for row.
//!
//! Skipped, saying so, where `cargo xtask peers python` has not been.

#[path = "../../tests/common/peers.rs"]
mod common;

use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use super::data::{DAY, SECOND, mixed};
use super::{append, ask, lake};

#[test]
fn duckdb_deltalake_and_pandas_agree() {
    let Some(python) = common::python() else { return };
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    for at in 1..=55 {
        append(&lake, mixed(7, DAY + i64::try_from(at).unwrap() * 3600 * SECOND), at);
        lake.flush().unwrap();
    }
    let questions = [
        (
            "metrics",
            "SELECT CAST(ts AS BIGINT), metric_name, service_name, attributes, value_double, CAST(date AS VARCHAR) FROM metrics ORDER BY 1, 4",
        ),
        ("histograms", "SELECT CAST(ts AS BIGINT), count, bucket_counts[1], series_id FROM histograms ORDER BY 1"),
        (
            "logs",
            "SELECT time_unix_nano, observed_time_unix_nano, body, trace_id, host_name FROM logs ORDER BY 1, 2, 3",
        ),
        ("spans", "SELECT start_time_unix_nano, end_time_unix_nano, name FROM spans ORDER BY 1"),
        ("series", "SELECT metric_name, series_id, attributes FROM series ORDER BY 1, 2"),
    ];
    for (table, sql) in questions {
        let ours = ask(&lake, sql).into_iter().map(|row| format!("{row}\n")).collect::<String>();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/lake.py");
        let theirs = sql.replace("CAST(ts AS BIGINT)", "epoch_us(ts)");
        for reader in ["deltalake", "pandas", "duckdb"] {
            let run =
                Command::new(&python).arg(&script).args([reader, table, &theirs]).arg(folder.path()).output().unwrap();
            assert!(run.status.success(), "{reader} {table}: {}", String::from_utf8_lossy(&run.stderr));
            let theirs = String::from_utf8_lossy(&run.stdout);
            assert!(theirs == ours, "{reader} {table}\nours:\n{:.400}\ntheirs:\n{theirs:.400}", ours);
        }
    }
}
