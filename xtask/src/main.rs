//! `cargo xtask`: the test run with real parts (the Collector, the SDKs, the lake's other readers).
//!
//! Real parts live in the folder `CATCHMENT_PEERS` (default `target/peers`), outside git. A test that needs one
//! asks `tests/common/peers.rs` for it and skips itself, in writing, when it is not there; the closing lines here
//! count such a test as skipped, not passed.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool for developers: it talks on the terminal

mod install;
mod parts;
mod system;
mod tally;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context as _, bail};

use parts::{PARTS, Place};
use tally::Tally;

/// Nobody waits for real parts any more.
static STOPPED: AtomicBool = AtomicBool::new(false);

const USAGE: &str = "\
cargo xtask test [--no-install] [-q] [arguments for cargo test]
    installs the real parts that are missing while it builds, then runs cargo test --workspace with them
cargo xtask peers [name...]
    installs the real parts (all, or those named) and says where they are";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> anyhow::Result<ExitCode> {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the repository")?;
    let peers = match std::env::var_os("CATCHMENT_PEERS") {
        Some(folder) => std::path::absolute(PathBuf::from(folder))?,
        None => repo.join("target/peers"),
    };
    std::fs::create_dir_all(&peers).with_context(|| format!("creating {}", peers.display()))?;
    let place = Place { repo: repo.to_owned(), peers };
    match args.split_first().map(|(command, rest)| (command.as_str(), rest)) {
        Some(("test", rest)) => test(&place, rest),
        Some(("peers", names)) => Ok(code(install(&place, names)?)),
        _ => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

/// Installs what is missing; a part that cannot be installed is said, and does not stop the others.
fn install(place: &Place, names: &[String]) -> anyhow::Result<bool> {
    if let Some(unknown) = names.iter().find(|name| !PARTS.iter().any(|part| part.name == name.as_str())) {
        let known = PARTS.iter().map(|part| part.name).collect::<Vec<_>>().join(", ");
        bail!("no real part is called {unknown}; there are {known}");
    }
    let mut all = true;
    for part in PARTS.iter().filter(|part| names.is_empty() || names.iter().any(|name| name == part.name)) {
        if STOPPED.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        match part.ensure(place) {
            Ok(()) => {
                let took = began.elapsed().as_secs();
                eprintln!("xtask: {} is in {} ({took} s)", part.name, place.of(part).display());
            }
            Err(error) => {
                all = false;
                eprintln!("xtask: {} cannot be had: {error:#}", part.name);
            }
        }
    }
    Ok(all)
}

fn test(place: &Place, args: &[String]) -> anyhow::Result<ExitCode> {
    let (ours, cargo): (Vec<_>, Vec<_>) = args.iter().partition(|arg| *arg == "--no-install");
    if ours.is_empty() && !build_and_install(place, &cargo)? {
        return Ok(ExitCode::FAILURE);
    }
    let skipped = place.peers.join("skipped");
    std::fs::write(&skipped, "").with_context(|| format!("emptying {}", skipped.display()))?;

    let mut child = cargo_test(place)
        .arg("--no-fail-fast")
        .args(cargo)
        .stdout(Stdio::piped())
        .spawn()
        .context("starting cargo test")?;
    let output = child.stdout.take().context("cargo test's output")?;
    let mut tally = Tally::follow(output, std::io::stdout())?;
    let passed = child.wait()?.success();
    tally.skips(&std::fs::read_to_string(&skipped)?);
    println!("{tally}");
    Ok(code(passed))
}

/// The tests are built while the parts are installed: mostly, those wait for the network. False: they do not build.
fn build_and_install(place: &Place, cargo: &[&String]) -> anyhow::Result<bool> {
    let for_cargo = cargo.iter().take_while(|arg| *arg != &"--");
    std::thread::scope(|scope| {
        let installing = scope.spawn(|| install(place, &[]));
        let built = cargo_test(place).arg("--no-run").args(for_cargo).status().context("starting cargo test")?;
        if !built.success() {
            STOPPED.store(true, Ordering::Relaxed);
            install::stop();
        }
        let installed = installing.join().unwrap_or_else(|_| bail!("installing real parts ended in a panic"));
        installed.map(|_| built.success())
    })
}

/// Without what `cargo run` says of this program: `ring` is built anew, and all that is above it, when that changes.
fn cargo_test(place: &Place) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let named = name.to_string_lossy();
        if named.starts_with("CARGO_PKG_") || named.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command.args(["test", "--workspace"]).current_dir(&place.repo).env("CATCHMENT_PEERS", &place.peers);
    command
}

fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
