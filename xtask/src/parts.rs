//! The real parts our tests run beside, as values. To add one: a committed file with its pinned versions, and an
//! entry in [`PARTS`].
//!
//! A part is present when the copy of its pins that its installation left (`stamp`) equals the committed ones, so
//! a changed pin installs anew.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

pub struct Part {
    pub name: &'static str,
    /// The committed file that pins its versions.
    pins: &'static str,
    /// Fills the (empty) folder, which holds a copy of the pins.
    install: fn(&Path) -> anyhow::Result<()>,
}

/// Sorted by name.
pub const PARTS: &[Part] = &[
    Part { name: "collector", pins: "tests/peers/collector/builder.yaml", install: collector },
    Part { name: "go", pins: "examples/go/go.mod", install: go_modules },
    Part { name: "java", pins: "examples/java/pom.xml", install: java },
    Part { name: "node", pins: "tests/peers/node/package.json", install: node },
    Part { name: "python", pins: "tests/peers/python/requirements.txt", install: python },
];

/// Where the repository is, and where the real parts are kept.
pub struct Place {
    pub repo: PathBuf,
    pub peers: PathBuf,
}

impl Place {
    pub fn of(&self, part: &Part) -> PathBuf {
        self.peers.join(part.name)
    }
}

impl Part {
    /// Installs the part unless it is present with the same pins.
    pub fn ensure(&self, place: &Place) -> anyhow::Result<()> {
        let from = place.repo.join(self.pins);
        let pins = std::fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
        let folder = place.of(self);
        let stamp = folder.join("stamp");
        if std::fs::read(&stamp).is_ok_and(|installed| installed == pins) {
            return Ok(());
        }
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("clearing {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(from.file_name().unwrap_or_default()), &pins)?;
        (self.install)(&folder)?;
        std::fs::write(&stamp, &pins)?;
        Ok(())
    }
}

/// The Collector's own builder writes the program; `go build` takes the modules named in the manifest. The
/// builder's own `go mod tidy` is not used: it wants every module's test dependencies too.
fn collector(folder: &Path) -> anyhow::Result<()> {
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

/// One package at a time: the Collector's largest packages take about a gigabyte each to compile.
fn go(folder: &Path, args: &[&str]) -> anyhow::Result<()> {
    let bin = folder.join("bin");
    run(Command::new("nice")
        .args(["-n", "10", "go"])
        .args(args)
        .current_dir(folder)
        .env("GOBIN", bin)
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-buildvcs=false -p=1")
        .env("CGO_ENABLED", "0"))
}

fn go_modules(folder: &Path) -> anyhow::Result<()> {
    go(folder, &["mod", "download"])
}

/// Leaves the class path in `classpath`.
fn java(folder: &Path) -> anyhow::Result<()> {
    run(Command::new("java").arg("-version"))?;
    run(Command::new("mvn")
        .args(["--quiet", "--batch-mode", "dependency:build-classpath", "-Dmdep.outputFile=classpath"])
        .current_dir(folder))
}

fn node(folder: &Path) -> anyhow::Result<()> {
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
        .current_dir(folder))
}

fn python(folder: &Path) -> anyhow::Result<()> {
    run(Command::new("python3").args(["-m", "venv", "venv"]).current_dir(folder))?;
    run(Command::new(folder.join("venv/bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "-r", "requirements.txt"])
        .current_dir(folder))
}

/// Runs `command` quietly; an error shows the end of what it said.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let output = command.output().with_context(|| format!("starting {shown}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let lines = text.lines().collect::<Vec<_>>();
        bail!("{shown}: {}\n{}", output.status, lines[lines.len().saturating_sub(12)..].join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_pins_committed_and_the_list_is_sorted() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for part in PARTS {
            assert!(repo.join(part.pins).is_file(), "{}", part.name);
        }
        assert!(PARTS.is_sorted_by_key(|part| part.name));
    }

    #[test]
    fn a_part_is_installed_once_and_again_when_its_pins_change() -> anyhow::Result<()> {
        fn install(folder: &Path) -> anyhow::Result<()> {
            let log = folder.with_extension("log");
            let times = std::fs::read_to_string(&log).unwrap_or_default() + "x";
            Ok(std::fs::write(log, times)?)
        }
        let root = std::env::temp_dir().join(format!("catchment-xtask-{}", std::process::id()));
        let place = Place { repo: root.join("repo"), peers: root.join("peers") };
        let part = Part { name: "toy", pins: "toy/pins", install };
        let pins = place.repo.join("toy");
        std::fs::create_dir_all(&pins)?;
        let times = || std::fs::read_to_string(place.of(&part).with_extension("log"));

        std::fs::write(pins.join("pins"), "1")?;
        part.ensure(&place)?;
        part.ensure(&place)?;
        assert_eq!(times()?, "x");
        std::fs::write(pins.join("pins"), "2")?;
        part.ensure(&place)?;
        assert_eq!(times()?, "xx");
        Ok(std::fs::remove_dir_all(root)?)
    }
}
