//! `catchment lake ...`: told to a running instance, and without one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use harness::{Catchment, grpc, lake_config, load};
use serde_json::Value;

const POINTS: usize = 50;
const REQUESTS: usize = 12;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).unwrap()
    }
}

fn lake(folder: &Path, args: &[&str]) -> Ran {
    let binary = env!("CARGO_BIN_EXE_catchment");
    let mut command = Command::new(binary);
    command.arg("lake").args(args).arg("--lake").arg(folder).env_remove("RUST_LOG");
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Nothing is merged but when it is told to.
fn config(folder: &Path) -> String {
    lake_config(folder, "").replace("lake: {", "lake: { maintenance: { enabled: false },")
}

fn table(info: &Value, name: &str) -> Value {
    info["tables"].as_array().unwrap().iter().find(|table| table["name"] == name).unwrap().clone()
}

async fn send(catchment: &Catchment, seq: i64) {
    let request = grpc::frame(&load::metrics(seq, POINTS));
    assert!(grpc::export(&grpc::client(), catchment.address("otlp/grpc"), request).await);
    let all = format!("SELECT count(*) FROM metrics WHERE attributes->>'seq' = '{seq}'");
    catchment.sql_until(&all, |rows| rows[0][0] == POINTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_a_running_instance_and_work_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let catchment = Catchment::start(&config(folder));
    let socket = folder.join("control.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    for seq in 0..REQUESTS as i64 {
        send(&catchment, seq).await;
        if seq == 0 {
            let info = lake(folder, &["info", "--json"]).json();
            assert_eq!(table(&info, "metrics")["hot_rows"], POINTS, "only the instance knows: {info}");
        }
        // An export has the instance write what is in memory, to a file of its own each time.
        let to = folder.join(format!("{seq}.parquet"));
        let wrote = lake(folder, &["export", "--table", "metrics", "--to", to.to_str().unwrap(), "--json"]).json();
        assert_eq!(wrote["rows"], (seq as usize + 1) * POINTS);
    }
    let before = table(&lake(folder, &["info", "--json"]).json(), "metrics");
    assert_eq!((&before["hot_rows"], &before["rows"]), (&Value::from(0), &Value::from(REQUESTS * POINTS)));
    let merged = lake(folder, &["compact", "--all", "--json"]).json();
    assert!(merged["files_merged"].as_u64().unwrap() > 0, "{merged}");
    let after = table(&lake(folder, &["info", "--json"]).json(), "metrics");
    assert_eq!((&after["files"], &after["rows"]), (&Value::from(1), &before["rows"]));
    assert_eq!(catchment.sql("SELECT count(*) FROM metrics").await[0][0], REQUESTS * POINTS);
    let checked = lake(folder, &["check"]);
    assert_eq!((checked.code, checked.err.as_str()), (0, ""), "{}", checked.out);
    let deleted = lake(folder, &["vacuum", "--after", "0s", "--json"]).json();
    assert!(deleted["files_deleted"].as_u64().unwrap() >= merged["files_merged"].as_u64().unwrap(), "{deleted}");
    lake(folder, &["rollup", "--now", "--json"]).json();
    lake(folder, &["retain", "--json"]).json();

    assert_eq!(catchment.stop(), Some(0));
    assert!(!socket.exists(), "taken away at the end");
    without_an_instance(folder);
}

fn without_an_instance(folder: &Path) {
    assert!(lake(folder, &["compact", "--all"]).out.starts_with("Merged"), "rollups are new");
    assert!(lake(folder, &["compact", "--all"]).out.starts_with("Nothing to merge"));
    let retain = lake(folder, &["retain"]);
    assert!(retain.code == 1 && retain.err.contains("--config"), "{}", retain.err);
    assert_eq!(lake(folder, &["vacuum", "--json"]).code, 0);
    assert!(lake(folder, &["rollup"]).out.contains("Nothing to roll up"));
    let info = lake(folder, &["info"]).out;
    assert!(info.contains("metrics_5m") && info.lines().count() == 15, "{info}");
    let checked = lake(folder, &["check"]);
    assert_eq!((checked.code, checked.err.as_str()), (0, ""), "{}", checked.out);
    assert!(checked.out.contains("nothing is wrong"), "{}", checked.out);
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_exported_and_damage_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let catchment = Catchment::start(&config(folder));
    send(&catchment, 1).await;
    send(&catchment, 100_000).await;
    let to = |name: &str| folder.join(name);
    let export = |name: &str, more: &[&str]| {
        let file = to(name);
        lake(folder, &[&["export", "--table", "metrics", "--to", file.to_str().unwrap()][..], more].concat())
    };
    assert_eq!(export("all.jsonl", &[]).code, 0, "hot rows are written first");
    let all = lines(&to("all.jsonl"));
    assert_eq!(all.len(), 2 * POINTS);
    let row: Value = serde_json::from_str(&all[0]).unwrap();
    assert_eq!(row["metric_name"], "ledger");
    let again = export("all.jsonl", &[]);
    assert!(again.code == 1 && again.err.contains("is there already"), "{}", again.err);
    let some = export("some.csv", &["--where", "attributes->>'seq' = '1' -- the first", "--json"]).json();
    assert_eq!((&some["rows"], lines(&to("some.csv")).len()), (&Value::from(POINTS), POINTS + 1));
    // `load` begins at 1_790_000_000 s, 2026-09-21T14:13:20Z; 100000 s later it is the 22nd.
    let early = export("early.parquet", &["--until", "2026-09-22", "--json"]).json();
    let late = export("late.parquet", &["--from", "2026-09-22T00:00:00Z", "--json"]).json();
    assert_eq!((&early["rows"], &late["rows"]), (&Value::from(POINTS), &Value::from(POINTS)));
    let wrong = export("wrong.parquet", &["--where", "nothing = 1"]);
    assert!(wrong.code == 1 && wrong.err.contains("nothing"), "{}", wrong.err);
    assert!(!to("wrong.parquet").exists() && export("x.xlsx", &[]).code == 1);
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with(".tmp-")));
    drop(catchment);
    assert!(to("control.sock").exists(), "a killed instance leaves it");
    assert_eq!(lake(folder, &["compact"]).code, 0, "and it is in nobody's way");
    assert_eq!(lake(folder, &["vacuum", "--after", "0s"]).code, 0, "what was merged is gone");

    let date = folder.join("metrics/date=2026-09-21");
    let file = std::fs::read_dir(date).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&file, "no Parquet").unwrap();
    let checked = lake(folder, &["check"]);
    assert_eq!(checked.code, 1);
    assert!(checked.out.contains(file.file_name().unwrap().to_str().unwrap()), "{}", checked.out);
    let catchment = Catchment::start(&config(folder));
    assert_eq!(catchment.stop(), Some(0), "a stale socket is replaced");
}

/// In a running instance whose other exporter is behind: what it has not delivered yet lies in the log.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_erased_from_files_memory_and_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let nobody = "  otlp_http: { endpoint: 'http://127.0.0.1:1', retry_on_failure: { max_elapsed_time: 0s } }";
    let behind = lake_config(folder, nobody).replace("exporters: [parquet", "exporters: [otlp_http, parquet");
    let catchment = Catchment::start(&behind);
    for seq in 0..3 {
        send(&catchment, seq).await;
    }
    let erase = |condition: &str| lake(folder, &["erase", "--where", condition, "--json"]);
    let erased = erase("attributes->>'seq' = '1'").json();
    assert_eq!(erased["rows"][0], serde_json::json!(["metrics", POINTS]), "{erased}");
    assert_eq!((&erased["in_log"], &erased["remaining"]), (&Value::from(POINTS), &Value::from(0)), "{erased}");
    let left = catchment.sql("SELECT count(*), count(DISTINCT attributes->>'seq') FROM metrics").await;
    assert_eq!(left, [[Value::from(2 * POINTS), Value::from(2)]]);
    drop(catchment);

    let wrong = erase("no_such_column = 1");
    assert!(wrong.code == 1 && wrong.err.contains("no_such_column"), "{}", wrong.err);
    let again = erase("attributes->>'seq' = '2'").json();
    assert_eq!((&again["in_log"], &again["remaining"]), (&Value::from(POINTS), &Value::from(0)), "{again}");
    let catchment = Catchment::start(&behind);
    catchment.sql_until("SELECT count(*) FROM metrics", |rows| rows[0][0] == POINTS).await;
    let seqs = catchment.sql("SELECT DISTINCT attributes->>'seq' FROM metrics").await;
    assert_eq!(seqs, [[Value::from("0")]], "reading the log again brings nothing back");
}

#[test]
fn a_folder_that_is_no_lake_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["info"][..], &["check"], &["compact"], &["vacuum"]] {
        let ran = lake(dir.path(), args);
        assert!(ran.code == 1 && ran.err.contains("is not a lake"), "{args:?}: {}", ran.err);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_rule_that_no_table_can_be_asked_is_a_mistake_in_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let rule = "      rules:\n        - { where: \"no_such_column = 1\", keep: 2d }";
    let config = dir.path().join("catchment.yaml");
    let yaml = format!("extensions:\n  lake:\n    path: {}\n    retention:\n{rule}\n", dir.path().display());
    std::fs::write(&config, yaml).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_catchment")).arg("validate").arg("--config").arg(&config).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("catchment.yaml:6:20") && said.contains("no_such_column"), "{said}");
}
