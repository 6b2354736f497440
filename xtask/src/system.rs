//! Programs that real parts need, and Debian's packages that bring them where they are missing.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, bail};

use crate::install::run;

pub struct Tool {
    /// Says whether it is there and whole.
    probe: &'static [&'static str],
    debian: &'static [&'static str],
}

pub const CC: Tool = Tool { probe: &["cc", "--version"], debian: &["gcc", "libc6-dev"] };
pub const CHROMIUM: Tool = Tool { probe: &["chromium", "--version"], debian: &["chromium"] };
pub const GO: Tool = Tool { probe: &["go", "version"], debian: &["golang-go"] };
pub const JAVA: Tool = Tool { probe: &["javac", "-version"], debian: &["default-jdk-headless"] };
pub const MAVEN: Tool = Tool { probe: &["mvn", "--version"], debian: &["maven"] };
pub const NODE: Tool = Tool { probe: &["node", "--version"], debian: &["nodejs"] };
pub const NPM: Tool = Tool { probe: &["npm", "--version"], debian: &["npm"] };
/// Debian's Python comes without what makes virtual environments.
pub const PYTHON: Tool = Tool { probe: &["python3", "-c", "import ensurepip"], debian: &["python3", "python3-venv"] };

impl Tool {
    /// Installs it unless it is there.
    pub fn ensure(&self) -> anyhow::Result<()> {
        if works(self.probe) {
            return Ok(());
        }
        let name = self.probe.first().copied().unwrap_or_default();
        apt(self.debian).with_context(|| format!("{name} is not installed"))?;
        if !works(self.probe) {
            bail!("`{}` fails, though Debian's {} is installed", self.probe.join(" "), self.debian.join(" "));
        }
        Ok(())
    }
}

fn works(command: &[&str]) -> bool {
    let Some((program, arguments)) = command.split_first() else { return false };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn apt(packages: &[&str]) -> anyhow::Result<()> {
    static UPDATED: OnceLock<()> = OnceLock::new();
    if !works(&["apt-get", "--version"]) {
        bail!("install it with this system's package manager");
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !root && !works(&["sudo", "-n", "true"]) {
        bail!("install it (`apt-get install {}`): only root, or sudo without a password, can here", packages.join(" "));
    }
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new(if root { "env" } else { "sudo" });
        if !root {
            command.args(["-n", "env"]);
        }
        run(command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]).args(arguments))
    };
    if UPDATED.get().is_none() {
        apt_get(&["update"])?;
        let _ = UPDATED.set(());
    }
    apt_get(&[&["install", "--no-install-recommends"], packages].concat())
}
