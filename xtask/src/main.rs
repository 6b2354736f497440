//! `cargo xtask`: the test run with real parts (the Collector, the SDKs, the lake's other readers).
//!
//! Real parts live in the folder `CATCHMENT_PEERS` (default `target/peers`), outside git. A test that needs one
//! asks `tests/common/peers.rs` for it and skips itself, in writing, when it is not there; the closing lines here
//! count such a test as skipped, not passed.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool for developers: it talks on the terminal

mod parts;
mod tally;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};

use parts::{PARTS, Place};
use tally::Tally;

const USAGE: &str = "\
cargo xtask test [--no-install] [-q] [arguments for cargo test]
    installs the real parts that are missing, then runs cargo test --workspace with them
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
        match part.ensure(place) {
            Ok(()) => eprintln!("xtask: {} is in {}", part.name, place.of(part).display()),
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
    if ours.is_empty() {
        install(place, &[])?;
    }
    let skipped = place.peers.join("skipped");
    std::fs::write(&skipped, "").with_context(|| format!("emptying {}", skipped.display()))?;

    let mut child = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(cargo)
        .current_dir(&place.repo)
        .env("CATCHMENT_PEERS", &place.peers)
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

fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
