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
