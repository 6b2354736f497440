//! What runs and how it fares, for `/api/v1/pipeline`, own telemetry and logs.
//!
//! Items are metric points, log records or spans. Times are milliseconds since 1970 in UTC. Totals count from the
//! start of the process, and go on over a reload that keeps the component.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

pub use super::meters::Failure;

#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    pub started_unix_ms: u64,
    pub now_unix_ms: u64,
    /// Takes data: everything has started and shutdown has not begun.
    pub ready: bool,
    pub memory: Memory,
    pub pipelines: Vec<Pipeline>,
    pub receivers: Vec<Receiver>,
    pub processors: Vec<Processor>,
    pub connectors: Vec<Connector>,
    pub exporters: Vec<Exporter>,
    pub log: Log,
    /// The last reload that was asked for.
    pub reload: Option<Reload>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Memory {
    pub resident_bytes: u64,
    /// Requests being read, decompressed or decoded.
    pub admitted_bytes: u64,
    pub admission_limit_bytes: u64,
}

/// Wiring, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pipeline {
    pub id: String,
    /// `metrics`, `logs` or `traces`.
    pub signal: &'static str,
    pub receivers: Vec<String>,
    pub processors: Vec<String>,
    pub exporters: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    #[default]
    Starting,
    Running,
    /// An exporter whose last attempt failed and that is trying again.
    Retrying,
    Stopping,
    Stopped,
    Failed,
}

#[derive(Clone, Debug, Serialize)]
pub struct Receiver {
    pub id: String,
    pub kind: String,
    pub state: State,
    pub pipelines: Vec<String>,
    pub addresses: Vec<Address>,
    /// In the log, acknowledged.
    pub accepted_items: u64,
    pub accepted_per_second: f64,
    /// Answered with "later" or "never".
    pub refused_items: u64,
    pub refused_by_reason: Refusals,
    pub last_error: Option<Failure>,
}

/// Items by why they were refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// To be sent again later: no room, or a processor that was told to wait.
    pub busy: u64,
    /// For good, for a reason that none of the following is.
    pub rejected: u64,
    /// By OTLP's data model: a span without ids, a histogram with too few buckets.
    pub invalid: u64,
    /// Older than an exporter of the pipeline takes.
    pub too_old: u64,
    /// Further ahead of the clock than an exporter of the pipeline takes.
    pub too_far_in_future: u64,
    /// A point or span whose time is not set, for an exporter that needs one.
    pub no_time: u64,
}

impl Refusals {
    /// By name, as in own telemetry.
    pub fn by_name(&self) -> [(&'static str, u64); 6] {
        [
            ("busy", self.busy),
            ("rejected", self.rejected),
            ("invalid", self.invalid),
            ("too_old", self.too_old),
            ("too_far_in_future", self.too_far_in_future),
            ("no_time", self.no_time),
        ]
    }

    pub fn total(&self) -> u64 {
        self.by_name().iter().map(|(_, items)| items).sum()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    pub protocol: &'static str,
    /// `127.0.0.1:4317`.
    pub address: String,
}

/// One for each pipeline that names the processor: each has its own instance.
#[derive(Clone, Debug, Serialize)]
pub struct Processor {
    pub id: String,
    pub kind: String,
    pub pipeline: String,
    pub incoming_items: u64,
    pub outgoing_items: u64,
    pub refused_items: u64,
    /// By reason. With all of them, `incoming + put_in = outgoing + refused + taken_out + held`.
    pub taken_out_items: BTreeMap<&'static str, u64>,
    pub put_in_items: BTreeMap<&'static str, u64>,
    pub held_items: u64,
    /// Of one that remembers, and reads the log: what it has not saved yet.
    pub backlog: Option<Backlog>,
    pub last_error: Option<Failure>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Connector {
    /// The pipelines it ends, and those it begins.
    pub from: Vec<String>,
    pub to: Vec<String>,
    #[serde(flatten)]
    pub stage: Processor,
}

#[derive(Clone, Debug, Serialize)]
pub struct Exporter {
    pub id: String,
    pub kind: String,
    pub state: State,
    pub pipelines: Vec<String>,
    pub exported_items: u64,
    pub exported_per_second: f64,
    /// Given up on, or rejected by the destination for good.
    pub lost_items: u64,
    /// Attempts that failed and were made again.
    pub retries: u64,
    pub in_flight_items: u64,
    pub in_flight_bytes: u64,
    pub backlog: Backlog,
    pub last_error: Option<Failure>,
}

/// What the log holds that the exporter has not finished.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Backlog {
    /// Everything up to this log position is finished.
    pub committed: u64,
    pub records: u64,
    pub items: u64,
    pub bytes: u64,
    /// Age of the oldest unfinished record; 0 when there is none.
    pub oldest_age_seconds: f64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Log {
    /// False: kept in memory only, and gone when the process ends.
    pub durable: bool,
    pub path: Option<String>,
    /// The position of the last record appended.
    pub last: u64,
    pub bytes: u64,
    pub limit_bytes: u64,
    pub segments: u64,
    pub appended_records: u64,
    pub appended_bytes: u64,
    pub fsyncs: u64,
    /// On average.
    pub fsync_seconds: f64,
    pub fsync_failures: u64,
    /// Appends refused for now: no room, or a failing disk.
    pub refused_requests: u64,
    /// To the budget (`drop_oldest`) or to corruption.
    pub lost_items: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reload {
    pub at_unix_ms: u64,
    pub applied: bool,
    /// What was restarted, or why nothing was.
    pub message: String,
}

pub(super) fn log_reader(log: crate::log::Log, path: Option<String>, limit_bytes: u64) -> Box<dyn Fn() -> Log + Send> {
    Box::new(move || {
        let stats = log.stats();
        let syncs = stats.syncs.load(Relaxed);
        Log {
            durable: path.is_some(),
            path: path.clone(),
            last: log.head(),
            bytes: stats.stored_bytes.load(Relaxed),
            limit_bytes,
            segments: stats.segments.load(Relaxed),
            appended_records: stats.appended_records.load(Relaxed),
            appended_bytes: stats.appended_bytes.load(Relaxed),
            fsyncs: syncs,
            fsync_seconds: stats.sync_nanos.load(Relaxed) as f64 / 1e9 / syncs.max(1) as f64,
            fsync_failures: stats.sync_failures.load(Relaxed),
            refused_requests: stats.refused.load(Relaxed),
            lost_items: stats.lost_items.load(Relaxed),
        }
    })
}
