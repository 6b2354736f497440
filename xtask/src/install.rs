//! How each real part is installed: fills a folder that holds a copy of its pins.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, bail};

/// The Collector's own builder writes the program; `go build` takes the modules named in the manifest. The
/// builder's own `go mod tidy` is not used: it wants every module's test dependencies too.
pub fn collector(folder: &Path) -> anyhow::Result<()> {
    let manifest = std::fs::read_to_string(folder.join("builder.yaml"))?;
    let value = |key: &str| {
        let line = manifest.lines().find_map(|line| line.trim().strip_prefix(key));
        line.map(str::trim).with_context(|| format!("builder.yaml has no `{key}`"))
    };
    let version = value("version:")?;
    let (major, minor) = go_version()?;
    if (major, minor) < (1, 25) {
        bail!("building the Collector needs Go 1.25 or newer, and this is {major}.{minor}");
    }
    let builder = format!("go.opentelemetry.io/collector/cmd/builder@v{version}");
    go(folder, &["install", &builder])?;
    run(Command::new(folder.join("bin/builder"))
        .args(["--config", "builder.yaml", "--skip-get-modules", "--skip-compilation"])
        .current_dir(folder))?;

    let mut modules = format!("go.opentelemetry.io/collector/otelcol v{version}\n");
    for module in manifest.lines().filter_map(|line| line.trim().strip_prefix("- gomod: ")) {
        modules.push_str(module);
        modules.push('\n');
    }
    let build = folder.join("build");
    std::fs::write(build.join("go.mod"), format!("module otelcol-peer\n\ngo 1.25.0\n\nrequire (\n{modules})\n"))?;
    go(&build, &["build", "-mod=mod", "-trimpath", "-ldflags=-s -w", "-o", "../otelcol-peer", "."])
}

fn go_version() -> anyhow::Result<(u32, u32)> {
    let output = Command::new("go").args(["env", "GOVERSION"]).output().context("Go is not installed")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().trim_start_matches("go").to_owned();
    let mut numbers = version.split(['.', 'r', 'b', '-']).map_while(|number| number.parse().ok());
    numbers.next().zip(numbers.next()).with_context(|| format!("what version of Go is {version:?}?"))
}

/// Without its page, and without the clients of the clouds it can find its targets in.
pub fn prometheus(folder: &Path) -> anyhow::Result<()> {
    program(folder, "prometheus", "github.com/prometheus/prometheus/cmd/prometheus", "0")
}

/// Both of its programs, without its page: that is built by npm and not in the module, and the source wants it to be there.
pub fn alertmanager(folder: &Path) -> anyhow::Result<()> {
    const MODULE: &str = "github.com/prometheus/alertmanager";
    go(folder, &["mod", "download", MODULE])?;
    let mut list = go_command(folder, &["list", "-mod=mod", "-m", "-f", "{{.Dir}}", MODULE]);
    let output = list.output().context("looking for Alertmanager's source")?;
    let source = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    run(Command::new("cp").args(["-r", &source, "src"]).current_dir(folder))?;
    run(Command::new("chmod").args(["-R", "u+w", "src"]).current_dir(folder))?;
    let page = folder.join("src/ui/app/dist");
    std::fs::create_dir_all(&page)?;
    std::fs::write(page.join("index.html"), "built without its page\n")?;
    go(folder, &["mod", "edit", &format!("-replace={MODULE}=./src")])?;
    for name in ["alertmanager", "amtool"] {
        program(folder, name, &format!("{MODULE}/cmd/{name}"), "0")?;
    }
    Ok(std::fs::remove_dir_all(folder.join("src"))?)
}

/// With C's zstd, as it is published: it writes faster than Go's, and smaller files.
pub fn victoriametrics(folder: &Path) -> anyhow::Result<()> {
    program(folder, "victoria-metrics", "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics", "1")
}

/// A package of the one module that `go.mod` names.
fn program(folder: &Path, name: &str, package: &str, cgo: &str) -> anyhow::Result<()> {
    let tags = "-tags=netgo,remove_all_sd";
    let build = ["build", "-mod=mod", "-trimpath", tags, "-ldflags=-s -w", "-o", name, package];
    run(go_command(folder, &build).env("CGO_ENABLED", cgo))
}

fn go(folder: &Path, args: &[&str]) -> anyhow::Result<()> {
    run(&mut go_command(folder, args))
}

/// One package at a time: the Collector's largest packages take about a gigabyte each to compile.
fn go_command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("nice");
    command
        .args(["-n", "10", "go"])
        .args(args)
        .current_dir(folder)
        .env("GOBIN", folder.join("bin"))
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-buildvcs=false -p=1")
        .env("CGO_ENABLED", "0");
    command
}

pub fn go_modules(folder: &Path) -> anyhow::Result<()> {
    go(folder, &["mod", "download"])
}

/// Leaves the class path in `classpath`.
pub fn java(folder: &Path) -> anyhow::Result<()> {
    run(Command::new("mvn")
        .args(["--quiet", "--batch-mode", "dependency:build-classpath", "-Dmdep.outputFile=classpath"])
        .current_dir(folder))
}

pub fn node(folder: &Path) -> anyhow::Result<()> {
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
        .current_dir(folder))
}

/// What the browser app is checked and built with, exactly as its lock has it.
pub fn web(folder: &Path) -> anyhow::Result<()> {
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboard/web/package.json");
    std::fs::copy(from, folder.join("package.json")).with_context(|| format!("copying {from}"))?;
    run(Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
        .current_dir(folder))
}

pub fn python(folder: &Path) -> anyhow::Result<()> {
    run(Command::new("python3").args(["-m", "venv", "venv"]).current_dir(folder))?;
    run(Command::new(folder.join("venv/bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "-r", "requirements.txt"])
        .current_dir(folder))
}

/// Leaves the path of the system's Chromium in `chromium`.
pub fn browser(folder: &Path) -> anyhow::Result<()> {
    node(folder)?;
    let found = Command::new("which").arg("chromium").output().context("looking for chromium")?;
    Ok(std::fs::write(folder.join("chromium"), found.stdout.trim_ascii())?)
}

/// The command that runs.
static RUNNING: Mutex<Option<u32>> = Mutex::new(None);

/// Runs `command` quietly; an error shows the end of what it said.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let child = child.with_context(|| format!("starting {shown}"))?;
    *running() = Some(child.id());
    let output = child.wait_with_output();
    *running() = None;
    let output = output.with_context(|| format!("waiting for {shown}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let lines = text.lines().collect::<Vec<_>>();
        bail!("{shown}: {}\n{}", output.status, lines[lines.len().saturating_sub(12)..].join("\n"));
    }
    Ok(())
}

/// Ends the command that runs.
pub fn stop() {
    if let Some(id) = *running() {
        let _ = Command::new("kill").arg(id.to_string()).status();
    }
}

fn running() -> MutexGuard<'static, Option<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
