//! [`Lake`]: append, flush, durable, and what it knows about itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use catchment_pipeline::batch::Rows;
use catchment_pipeline::log::Position;
use tokio::sync::watch;

use crate::config::LakePlan;
use crate::sql::{Query, QueryError, QueryLimits};

/// How a lake is opened for writing.
#[derive(Clone, Debug)]
pub struct Options {
    pub path: PathBuf,
    pub flush_interval: Duration,
    /// Bytes of hot rows that start a flush before `flush_interval` is over.
    pub flush_size: u64,
    /// Attribute key to type: `string`, `int`, `double`, `bool`.
    pub promoted: BTreeMap<String, String>,
    /// Which log the positions of [`Lake::append`] come from. Positions of another log are not compared: give the
    /// log's own identity, and a fresh one for a log in memory.
    pub log_id: String,
}

impl Options {
    pub fn new(path: impl Into<PathBuf>) -> Options {
        Options {
            path: path.into(),
            flush_interval: Duration::from_secs(60),
            flush_size: 64 << 20,
            promoted: BTreeMap::new(),
            log_id: "log".to_owned(),
        }
    }

    pub fn from_plan(plan: &LakePlan, log_id: impl Into<String>) -> Options {
        Options {
            path: plan.path.clone(),
            flush_interval: plan.flush_interval,
            flush_size: plan.flush_size,
            promoted: plan.promoted.clone(),
            log_id: log_id.into(),
        }
    }
}

/// Why rows were not taken; nothing of them is in the lake.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Memory for hot rows is used up until a flush succeeds: try again.
    #[error("{0}")]
    Busy(String),
    #[error("{0}")]
    Failed(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricInfo {
    pub name: String,
    /// `gauge`, `sum`, `histogram`, `exponential_histogram`, `summary`.
    pub kind: String,
    pub unit: String,
    pub description: String,
    /// Series seen.
    pub series: u64,
    /// Attribute keys seen on its points, sorted; at most 64.
    pub attributes: Vec<String>,
}

/// Which series; `matchers` are attribute keys (of the point or its resource) with the value they must have.
#[derive(Clone, Debug, Default)]
pub struct SeriesFilter {
    pub metric: Option<String>,
    pub matchers: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesInfo {
    pub metric: String,
    pub series_id: i64,
    pub resource_id: i64,
    /// JSON objects.
    pub attributes: String,
    pub resource_attributes: String,
}

#[derive(Clone, Debug, Default)]
pub struct LakeStats {
    pub tables: Vec<TableStats>,
    /// Every row at or before this log position is in files.
    pub durable: Position,
    /// The last one appended.
    pub appended: Position,
    pub last_flush: Option<SystemTime>,
    pub last_flush_duration: Option<Duration>,
    /// Why the last flush failed; rows stay hot and it is tried again.
    pub last_flush_error: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct TableStats {
    pub name: &'static str,
    pub hot_rows: u64,
    pub hot_bytes: u64,
    pub files: u64,
    pub file_rows: u64,
    pub file_bytes: u64,
}

/// A lake folder. One process writes it at a time; any number read it.
pub struct Lake {
    durable: watch::Sender<Position>,
}

impl Lake {
    /// Opens or makes the lake, finishes a flush that a crash cut short, and starts flushing in the background.
    pub fn open(_options: Options) -> anyhow::Result<Lake> {
        Ok(Lake { durable: watch::Sender::new(0) })
    }

    /// For questions only, also while another process writes: sees what that one has flushed so far.
    pub fn open_read_only(_path: impl AsRef<Path>) -> anyhow::Result<Lake> {
        Ok(Lake { durable: watch::Sender::new(0) })
    }

    /// Makes rows hot and visible. `at` is the log position of the last record they come from; rows at or before
    /// [`Lake::durable`] are in files already and are skipped. Takes time in proportion to the rows; does no I/O.
    pub fn append(&self, _rows: &Rows, _at: Position) -> Result<(), AppendError> {
        Ok(())
    }

    /// Every row at or before this position is in files. After opening: where reading the log should go on.
    pub fn durable(&self) -> watch::Receiver<Position> {
        self.durable.subscribe()
    }

    /// Writes hot rows to files and commits them; returns what is durable then. Blocks: call it off the async threads.
    pub fn flush(&self) -> anyhow::Result<Position> {
        Ok(*self.durable.borrow())
    }

    /// One read-only statement. Returns once it is planned; the stream ends with an error when a limit is met.
    pub async fn query(&self, _sql: &str, _limits: QueryLimits) -> Result<Query, QueryError> {
        Err(QueryError::internal("not built yet"))
    }

    /// Sorted by name.
    pub fn metrics(&self) -> Vec<MetricInfo> {
        Vec::new()
    }

    pub async fn series(&self, _filter: &SeriesFilter, _limit: usize) -> Result<Vec<SeriesInfo>, QueryError> {
        Ok(Vec::new())
    }

    /// Values of an attribute (of points or resources), sorted; of one metric or of all.
    pub async fn label_values(
        &self,
        _metric: Option<&str>,
        _key: &str,
        _limit: usize,
    ) -> Result<Vec<String>, QueryError> {
        Ok(Vec::new())
    }

    pub fn stats(&self) -> LakeStats {
        LakeStats::default()
    }
}
