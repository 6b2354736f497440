//! The README's programs: each stands there word for word, and each, run as a new user would, is seen in SQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;
#[path = "common/peers.rs"]
mod peers;

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Catchment, lake_config};
use serde_json::json;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_readme_shows_them_word_for_word() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for path in
        ["python/app.py", "node/app.mjs", "go/main.go", "java/src/main/java/Quickstart.java", "rust/quickstart.rs"]
    {
        let text = std::fs::read_to_string(root().join("examples").join(path)).unwrap();
        assert!(readme.contains(&text), "README.md shows another examples/{path}");
    }
}

/// Runs `program` against a fresh Catchment and checks its counter and its span.
async fn check(language: &str, mut command: Command) {
    let dir = tempfile::tempdir().unwrap();
    let catchment = Catchment::start(&lake_config(dir.path(), ""));
    let protocol = if language == "rust" { "grpc" } else { "http" };
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", catchment.url(&format!("otlp/{protocol}")));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));

    let service = format!("quickstart-{language}");
    let rows = catchment
        .sql(&format!("SELECT attributes->>'http.route', value, unit FROM metrics WHERE metric_name = 'orders' AND service_name = '{service}'"))
        .await;
    assert_eq!(json!(rows), json!([["/cart", 3.0, "{order}"]]), "{service}");
    let rows = catchment.sql(&format!("SELECT name FROM spans WHERE service_name = '{service}'")).await;
    assert_eq!(json!(rows), json!([["checkout"]]), "{service}");
}

fn command(program: impl AsRef<Path>, arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).current_dir(folder);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn python() {
    let Some(python) = peers::python() else { return };
    check("python", command(python, &["examples/python/app.py"], &root())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node() {
    let Some(node) = peers::find("node") else { return };
    std::fs::copy(root().join("examples/node/app.mjs"), node.join("quickstart.mjs")).unwrap();
    check("node", command("node", &["quickstart.mjs"], &node)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go() {
    let Some(_) = peers::find("go") else { return };
    check("go", command("go", &["run", "."], &root().join("examples/go"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn java() {
    let Some(java) = peers::find("java") else { return };
    let classpath = std::fs::read_to_string(java.join("classpath")).unwrap();
    let program = "examples/java/src/main/java/Quickstart.java";
    check("java", command("java", &["-cp", classpath.trim(), program], &root())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust() {
    let example = Path::new(env!("CARGO_BIN_EXE_catchment")).with_file_name("examples").join("quickstart");
    check("rust", command(&example, &[], &root())).await;
}

/// What the shop says it sent is what is there: the same counts by service and route, also those of failures.
#[tokio::test(flavor = "multi_thread")]
async fn shop() {
    let Some(python) = peers::python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let catchment = Catchment::start(&lake_config(dir.path(), ""));
    let mut shop =
        command(python, &["examples/shop/shop.py", "--requests", "300", "--seed", "1", "--hostile"], &root());
    let output = shop.args(["--endpoint", &catchment.url("otlp/http")]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();

    let names = "('frontend', 'cart', 'payment', 'mail', 'stock', 'catalog')";
    for (table, count) in [("spans", &said["spans"]), ("logs", &said["logs"])] {
        let rows = catchment.sql(&format!("SELECT count(*) FROM {table} WHERE service_name IN {names}")).await;
        assert_eq!(&rows[0][0], count, "{table}");
    }
    let routes = said["routes"].as_array().unwrap();
    assert_eq!(routes.len(), 9, "{routes:?}");
    for route in routes.iter().filter(|route| route["service"] != "mail") {
        let service = route["service"].as_str().unwrap();
        let table = if service == "payment" { "exp_histograms" } else { "histograms" };
        let sql = format!(
            "SELECT coalesce(sum(count), 0), coalesce(sum(count) FILTER (WHERE attributes->>'error.type' IS NOT NULL
                 OR attributes->>'http.status_code' >= '500'), 0) FROM (
                 SELECT attributes, service_name, metric_name, max(count) AS count FROM {table}
                 GROUP BY series_id, attributes, service_name, metric_name)
             WHERE service_name = '{service}' AND metric_name LIKE '%server%duration'
                 AND '{}' IN (attributes->>'rpc.method', concat_ws(' ', coalesce(attributes->>'http.request.method',
                     attributes->>'http.method'), attributes->>'http.route'))",
            route["route"].as_str().unwrap()
        );
        assert_eq!(json!(catchment.sql(&sql).await), json!([[route["requests"], route["errors"]]]), "{route}");
    }
    // Six services, seven hostile ones, and a metric under each hostile name.
    let rows = catchment.sql("SELECT count(DISTINCT service_name) FROM series").await;
    assert_eq!(rows[0][0], 5 + 7, "mail sends no metrics");
    let rows = catchment.sql("SELECT count(DISTINCT metric_name) FROM metrics WHERE metric_name LIKE '%<%' OR length(metric_name) > 5000").await;
    assert_eq!(rows[0][0], 4);
}
