//! The `lake` extension's keys.
//!
//! ```yaml
//! extensions:
//!   lake:
//!     path: ./data
//!     flush_interval: 60s            # how long rows stay in memory only (the log has them on disk)
//!     flush_size: 67108864           # bytes of hot rows that start a flush early
//!     promoted: { http.route: string } # attributes that become typed columns, besides the default ones
//!     log: { path: ./data/log, max_size: 1073741824, memory: false }
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use catchment_pipeline::config::Section;

/// Checked keys of `extensions: lake`.
#[derive(Clone, Debug, PartialEq)]
pub struct LakePlan {
    pub path: PathBuf,
    pub flush_interval: Duration,
    /// Bytes of hot rows, all tables together.
    pub flush_size: u64,
    /// Attribute key to type: `string`, `int`, `double`, `bool`.
    pub promoted: BTreeMap<String, String>,
    pub log: LogPlan,
}

/// The durable log's keys; the log itself is not the lake's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPlan {
    pub path: PathBuf,
    /// Bytes on disk.
    pub max_size: u64,
    /// Keep the log in memory only: nothing survives the process but what was flushed.
    pub memory: bool,
}

impl LakePlan {
    pub const KIND: &'static str = "lake";
    pub const SUMMARY: &'static str = "Keeps telemetry in an open Parquet lake and answers SQL over it";

    /// Pure: opens nothing. Mistakes go into the section.
    pub fn read(section: &mut Section) -> LakePlan {
        let path = PathBuf::from(section.or("path", "./data".to_owned()));
        let mut log = section.section("log");
        let mut log_key = |key: &str| log.as_mut().and_then(|log| log.get::<String>(key));
        let log_path = log_key("path").map_or_else(|| path.join("log"), PathBuf::from);
        LakePlan {
            flush_interval: section.or("flush_interval", Duration::from_secs(60)),
            flush_size: section.or("flush_size", 64 << 20),
            promoted: section.or("promoted", BTreeMap::new()),
            log: LogPlan {
                path: log_path,
                max_size: log.as_mut().map_or(1 << 30, |log| log.or("max_size", 1 << 30)),
                memory: log.as_mut().is_some_and(|log| log.or("memory", false)),
            },
            path,
        }
    }
}
