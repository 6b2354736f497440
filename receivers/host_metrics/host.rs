//! The host as scrapers read it: `/proc` and `/sys` under `root_path`, into one buffer that is used again.
//!
//! Limits: a file is read up to 16 MiB. Times of the kernel are ticks, memory of processes is pages; both are
//! turned into seconds and bytes with this machine's figures.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tracing::{debug, warn};

const MAX_FILE: u64 = 16 << 20;

#[derive(Debug)]
pub struct Host {
    root: PathBuf,
    /// When the host started, ns since the epoch. Read once: the kernel derives it from the wall clock anew each
    /// time, and start times that wander would cut every counter into pieces.
    pub boot: u64,
    pub ticks_per_second: f64,
    pub page_size: u64,
    buffer: Vec<u8>,
    complaints: HashSet<(&'static str, String)>,
}

impl Host {
    pub fn open(root: &Path) -> anyhow::Result<Host> {
        let mut host = Host {
            root: root.to_owned(),
            boot: 0,
            ticks_per_second: procfs::ticks_per_second() as f64,
            page_size: procfs::page_size(),
            buffer: Vec::with_capacity(16 << 10),
            complaints: HashSet::new(),
        };
        host.boot = host.kernel()?.boot.saturating_mul(1_000_000_000);
        Ok(host)
    }

    /// A path of the host as this process sees it: `proc/stat` is `<root_path>/proc/stat`.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn bytes(&mut self, path: &str) -> io::Result<&[u8]> {
        self.buffer.clear();
        File::open(self.root.join(path))?.take(MAX_FILE).read_to_end(&mut self.buffer)?;
        Ok(&self.buffer)
    }

    pub fn text(&mut self, path: &str) -> anyhow::Result<&str> {
        let shown = self.path(path);
        let bytes = self.bytes(path).with_context(|| format!("reading {}", shown.display()))?;
        std::str::from_utf8(bytes).with_context(|| format!("{} is not text", shown.display()))
    }

    pub fn kernel(&mut self) -> anyhow::Result<Kernel> {
        Kernel::parse(self.text("proc/stat")?).context("proc/stat has no boot time")
    }

    /// The processes that are there.
    pub fn pids(&self) -> anyhow::Result<Vec<i32>> {
        let folder = self.path("proc");
        let entries = std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }

    /// Says what a scraper could not read: the first time as a warning, then at debug level until it
    /// [recovers](Host::recovered).
    pub fn complain(&mut self, scraper: &'static str, cause: &str, what: impl FnOnce() -> String) {
        if self.complaints.insert((scraper, cause.to_owned())) {
            warn!(scraper, "{}; said once", what());
        } else {
            debug!(scraper, cause, "still cannot be read");
        }
    }

    pub fn recovered(&mut self, scraper: &'static str, cause: &str) {
        self.complaints.retain(|(other, of)| *other != scraper || of != cause);
    }
}

/// Whether a process went away while it was being read.
pub fn gone(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// The number after `key` in lines of `key: 12 kB` or `key 12`.
pub fn keyed(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix([':', ' ', '\t']))?;
    line.split_whitespace().next()?.parse().ok()
}

/// `/proc/stat`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kernel {
    /// Number and ticks of each online CPU, by [`CPU_STATES`].
    pub cpus: Vec<(u32, [u64; 8])>,
    /// Seconds since the epoch.
    pub boot: u64,
    pub created: u64,
    pub running: u64,
    pub blocked: u64,
}

/// The order of `/proc/stat`, in the names of the metrics. The guest columns that follow are part of user and nice.
pub const CPU_STATES: [&str; 8] = ["user", "nice", "system", "idle", "wait", "interrupt", "softirq", "steal"];

impl Kernel {
    pub fn parse(text: &str) -> Option<Kernel> {
        let mut kernel = Kernel { boot: keyed(text, "btime")?, ..Kernel::default() };
        kernel.created = keyed(text, "processes").unwrap_or(0);
        kernel.running = keyed(text, "procs_running").unwrap_or(0);
        kernel.blocked = keyed(text, "procs_blocked").unwrap_or(0);
        for line in text.lines() {
            let mut fields = line.split_ascii_whitespace();
            let number = fields.next().and_then(|name| name.strip_prefix("cpu")?.parse().ok());
            let Some(number) = number else { continue };
            let mut ticks = [0; 8];
            for (slot, field) in ticks.iter_mut().zip(fields) {
                *slot = field.parse().ok()?;
            }
            kernel.cpus.push((number, ticks));
        }
        Some(kernel)
    }
}
