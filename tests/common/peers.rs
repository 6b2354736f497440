//! Where tests find the real parts that `cargo xtask peers` installed.
#![allow(dead_code, clippy::print_stderr)]

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The folder of a real part (a name of `xtask/src/parts.rs`); or `None`, after saying that this test is skipped,
/// on stderr and in the list that `cargo xtask test` closes with.
pub fn find(part: &str) -> Option<PathBuf> {
    let folder = peers().join(part);
    if folder.join("stamp").is_file() {
        return Some(folder);
    }
    skip(part, "not installed; `cargo xtask peers` installs it");
    None
}

/// The real Collector's program.
pub fn collector() -> Option<PathBuf> {
    Some(find("collector")?.join("otelcol-peer"))
}

pub fn prometheus() -> Option<PathBuf> {
    Some(find("prometheus")?.join("prometheus"))
}

/// The programs `alertmanager` and `amtool`.
pub fn alertmanager() -> Option<(PathBuf, PathBuf)> {
    let folder = find("alertmanager")?;
    Some((folder.join("alertmanager"), folder.join("amtool")))
}

pub fn victoriametrics() -> Option<PathBuf> {
    Some(find("victoriametrics")?.join("victoria-metrics"))
}

/// A Python with the OpenTelemetry SDK, duckdb, deltalake and pyarrow.
pub fn python() -> Option<PathBuf> {
    Some(find("python")?.join("venv/bin/python"))
}

/// A folder with `node_modules` (the OpenTelemetry SDK and its OTLP exporters): run scripts with `NODE_PATH` set to it.
pub fn node_modules() -> Option<PathBuf> {
    Some(find("node")?.join("node_modules"))
}

/// Node's modules `playwright-core` and `axe-core`, and the system's Chromium for them to drive.
pub struct Browser {
    pub node_modules: PathBuf,
    pub chromium: PathBuf,
}

pub fn browser() -> Option<Browser> {
    let folder = find("browser")?;
    let chromium = std::fs::read_to_string(folder.join("chromium")).unwrap_or_default();
    Some(Browser { node_modules: folder.join("node_modules"), chromium: chromium.trim().into() })
}

/// Says that the running test is skipped for want of `part`.
pub fn skip(part: &str, why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!("skipped: {test}: {part} ({why})");
    let list = peers().join("skipped");
    if let Ok(mut list) = std::fs::OpenOptions::new().append(true).open(list) {
        let program = std::env::args().next().unwrap_or_default();
        let program = Path::new(&program).file_stem().unwrap_or_default().to_string_lossy();
        // One write a line: test programs run side by side.
        let _ = list.write_all(format!("{program}::{test}\t{part}\t{why}\n").as_bytes());
    }
}

fn peers() -> PathBuf {
    match std::env::var_os("CATCHMENT_PEERS") {
        Some(folder) => folder.into(),
        None => {
            let package = Path::new(env!("CARGO_MANIFEST_DIR"));
            let repo = package.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
            repo.unwrap_or(package).join("target/peers")
        }
    }
}
