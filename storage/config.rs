//! The `lake` extension's keys.
//!
//! ```yaml
//! extensions:
//!   lake:
//!     path: ./data
//!     flush_interval: 60s            # how long rows stay in memory only (the log has them on disk)
//!     flush_size: 64MiB              # of hot rows that start a flush early
//!     accept: { late: 14d, future: 10m }   # how far from now the time of a row may lie; 0: no limit
//!     promoted: { team: string }     # resource attributes that become typed columns, besides the default ones
//!     maintenance: {...}             # see `maintain::policy`
//!     retention: { metrics: 15d, rules: [{ where: "service_name = 'load-test'", keep: 2d }] }
//!     query:                         # SQL from all doors
//!       memory: 256MiB               # of one query's operators; past it they spill to disk or fail
//!       timeout: 30s                 # from asking to the last row
//!       max_rows: 1000000            # of one answer
//!       max_concurrent: 8            # all doors together
//!       metadata_cache: 64MiB        # footers and page indexes of files kept in memory
//!     log: { path: ./data/log, max_size: 1GiB, memory: false }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use catchment_pipeline::batch::TimeLimits;
use catchment_pipeline::config::{ByteSize, Section};

use crate::maintain::{MaintenancePlan, Retention};

const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_SIZE: u64 = 64 << 20;
const SMALLEST_SIZE: u64 = 1 << 20;
/// What a sort takes before it can spill.
const SMALLEST_MEMORY: u64 = 16 << 20;
/// A day less than raw metrics are kept by default: what was acknowledged is not dropped as too old at once.
const DEFAULT_LATE: Duration = Duration::from_secs(14 * 86_400);
/// As Prometheus and Mimir have it.
const DEFAULT_FUTURE: Duration = Duration::from_secs(600);
const DEFAULT_LOG_SIZE: u64 = 1 << 30;

/// Checked keys of `extensions: lake`.
#[derive(Clone, Debug, PartialEq)]
pub struct LakePlan {
    pub path: PathBuf,
    pub flush_interval: Duration,
    /// Bytes of hot rows, all tables together.
    pub flush_size: u64,
    /// Resource attribute key to type: `string`, `int`, `double`, `bool`.
    pub promoted: BTreeMap<String, String>,
    /// Rows of other times are refused, and the sender is told.
    pub accept: TimeLimits,
    pub log: LogPlan,
    pub maintenance: MaintenancePlan,
    pub query: QueryPlan,
}

/// What one query may use and what all share, through whatever door they come. A door may give less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryPlan {
    /// Bytes of one query's operators.
    pub memory: u64,
    /// From the call to the last row.
    pub timeout: Duration,
    /// Of one answer.
    pub max_rows: u64,
    /// Queries that run at once; others wait, on their own deadline.
    pub max_concurrent: usize,
    /// Bytes of Parquet footers and page indexes kept.
    pub metadata_cache: u64,
}

impl Default for QueryPlan {
    fn default() -> QueryPlan {
        QueryPlan {
            memory: 256 << 20,
            timeout: Duration::from_secs(30),
            max_rows: 1_000_000,
            max_concurrent: 8,
            metadata_cache: 64 << 20,
        }
    }
}

impl QueryPlan {
    fn read(section: Option<Section>) -> QueryPlan {
        let mut plan = QueryPlan::default();
        if let Some(mut section) = section {
            plan.memory = section.or("memory", ByteSize(plan.memory)).0;
            if plan.memory < SMALLEST_MEMORY {
                let what = format!("{} bytes is too little to sort or group anything", plan.memory);
                section.mistake("memory", what, format!("at least {}MiB", SMALLEST_MEMORY >> 20));
            }
            plan.timeout = section.or("timeout", plan.timeout);
            if plan.timeout.is_zero() {
                section.mistake("timeout", "no time at all", "write a duration, e.g. 30s");
            }
            plan.max_rows = section.or("max_rows", plan.max_rows);
            if plan.max_rows == 0 {
                section.mistake("max_rows", "every answer would be too long", "at least 1");
            }
            plan.max_concurrent = section.or("max_concurrent", plan.max_concurrent);
            if plan.max_concurrent == 0 {
                section.mistake("max_concurrent", "no query would ever run", "at least 1");
            }
            plan.metadata_cache = section.or("metadata_cache", ByteSize(plan.metadata_cache)).0;
        }
        plan
    }
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
        if let Some((scheme, _)) = path.to_string_lossy().split_once("://") {
            section.mistake("path", format!("a lake in `{scheme}://` is not built yet"), "give a folder");
        }
        let flush_interval = section.or("flush_interval", DEFAULT_INTERVAL);
        if flush_interval < SHORTEST_INTERVAL {
            let mend = format!("at least {SHORTEST_INTERVAL:?}; rows are visible to SQL before they are flushed");
            section.mistake("flush_interval", "too short: each flush writes files", mend);
        }
        let flush_size = section.or("flush_size", ByteSize(DEFAULT_SIZE)).0;
        if flush_size < SMALLEST_SIZE {
            section.mistake(
                "flush_size",
                format!("{flush_size} bytes is too little"),
                format!("at least {SMALLEST_SIZE}"),
            );
        }
        let promoted = section.or("promoted", BTreeMap::new());
        let columns = crate::schema::promoted(&promoted).unwrap_or_else(|what| {
            section.mistake("promoted", what, "for example `promoted: { team: string }`");
            Vec::new()
        });
        let log = LogPlan::read(section.section("log"), &path);
        let query = QueryPlan::read(section.section("query"));
        let maintenance = MaintenancePlan::read(section, &columns);
        let accept = accept(section.section("accept"), &maintenance.retention);
        LakePlan { path, flush_interval, flush_size, promoted, accept, log, maintenance, query }
    }
}

/// What is dropped at once is better refused: its sender can be told.
fn accept(section: Option<Section>, retention: &Retention) -> TimeLimits {
    let shortest = retention.shortest();
    let mut late = shortest.map_or(DEFAULT_LATE, |(keep, _)| keep.min(DEFAULT_LATE));
    let mut future = DEFAULT_FUTURE;
    if let Some(mut section) = section {
        late = section.or("late", late);
        future = section.or("future", future);
        if let Some((keep, table)) = shortest {
            let mend = format!("at most what `retention` keeps, or keep `{table}` longer");
            if late > keep {
                section.mistake("late", format!("rows of `{table}` so late would be dropped as too old at once"), mend);
            } else if late.is_zero() {
                section.warning(
                    "late",
                    format!("old rows of `{table}` are taken, and dropped as too old at once"),
                    mend,
                );
            }
        }
    }
    let limit = |limit: Duration| Some(limit).filter(|limit| !limit.is_zero());
    TimeLimits { late: limit(late), future: limit(future) }
}

impl LogPlan {
    fn read(section: Option<Section>, lake: &Path) -> LogPlan {
        let mut plan = LogPlan { path: lake.join("log"), max_size: DEFAULT_LOG_SIZE, memory: false };
        if let Some(mut section) = section {
            plan.path = section.get::<String>("path").map_or(plan.path, PathBuf::from);
            plan.max_size = section.or("max_size", ByteSize(plan.max_size)).0;
            plan.memory = section.or("memory", plan.memory);
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(yaml: &str) -> String {
        let mut section = Section::parse(yaml);
        LakePlan::read(&mut section);
        section.mistakes().join("\n")
    }

    #[test]
    fn defaults_and_every_key() {
        let plan = LakePlan::read(&mut Section::parse("path: /lake"));
        assert_eq!(plan.flush_interval, Duration::from_secs(60));
        assert_eq!(plan.log, LogPlan { path: "/lake/log".into(), max_size: 1 << 30, memory: false });
        let yaml = "{path: d, flush_interval: 5s, flush_size: 2MB, promoted: {team: string}, log: {path: l, max_size: 5, memory: true}}";
        let plan = LakePlan::read(&mut Section::parse(yaml));
        assert_eq!(plan.log, LogPlan { path: "l".into(), max_size: 5, memory: true });
        assert_eq!((plan.flush_interval, plan.flush_size), (Duration::from_secs(5), 2_000_000));
        let day = Duration::from_secs(86_400);
        let limits = |yaml| LakePlan::read(&mut Section::parse(yaml)).accept;
        let default = TimeLimits { late: Some(14 * day), future: Some(Duration::from_secs(600)) };
        assert_eq!(limits("path: d"), default);
        assert_eq!(limits("accept: {late: 3d}"), TimeLimits { late: Some(3 * day), ..default });
        let shorter = TimeLimits { late: Some(3 * day), ..default };
        assert_eq!(limits("retention: {logs: 3d}"), shorter);
        assert!(
            mistakes("{retention: {logs: 3d}, accept: {late: 4d}}").contains("rows of `logs` so late would be dropped")
        );
        let all = "metrics: forever, histograms: forever, exp_histograms: forever, summaries: forever, logs: forever, spans: forever";
        let yaml = format!("{{retention: {{{all}}}, accept: {{late: 1y}}}}");
        assert_eq!((mistakes(&yaml), limits(&yaml).late), (String::new(), Some(365 * day)));
        assert_eq!(limits("accept: {late: 0, future: 0}"), TimeLimits { late: None, future: None });
        assert_eq!(plan.promoted.get("team").map(String::as_str), Some("string"));
        assert_eq!(plan.query, QueryPlan::default());
        let yaml = "query: {memory: 1GiB, timeout: 2m, max_rows: 5, max_concurrent: 3, metadata_cache: 1MiB}";
        let query = QueryPlan {
            memory: 1 << 30,
            timeout: Duration::from_secs(120),
            max_rows: 5,
            max_concurrent: 3,
            metadata_cache: 1 << 20,
        };
        assert_eq!(LakePlan::read(&mut Section::parse(yaml)).query, query);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(mistakes("path: ./data"), "");
        assert!(mistakes("path: s3://bucket/lake").contains("`s3://` is not built yet"));
        assert!(mistakes("flush_interval: 10ms").contains("too short"));
        assert!(mistakes("query: {max_concurrent: 0}").contains("no query would ever run"));
        assert!(mistakes("query: {memory: 1MiB}").contains("too little"));
        assert!(mistakes("query: {timeout: 0s}").contains("no time at all"));
        assert!(mistakes("query: {max_rows: 0}").contains("too long"));
        assert!(mistakes("flush_size: 10").contains("too little"));
        assert!(mistakes("promoted: {team: text}").contains("`text` is not one of"));
    }
}
