//! The durable log: append, fsync with group commit, then acknowledge; one cursor per exporter.
//!
//! One log serves the process. What a pipeline accepts becomes a record with the next [`Position`]; [`Log::append`]
//! returns once it is on disk. Each exporter reads through its own [`Cursor`], which survives a restart; a record
//! that every cursor interested in it has passed is deleted. Consumers are at-least-once: a cursor may be saved up to
//! [`Options::cursor_interval`] late, never early.
//!
//! | limit | value |
//! |---|---|
//! | one record | 256 MiB of OTLP, and a quarter of the budget |
//! | names of a record's pipelines | 4 KiB together |
//! | memory | [`Options::tail_bytes`], 8 MiB more for each cursor that reads from disk, and what waits in `append` |
//! | disk | [`Options::max_bytes`], and 1 MiB held in reserve |
//!
//! Without a disk ([`Log::in_memory`]) the interface is the same, `max_bytes` bounds memory, and a crash loses what
//! was not exported.

mod cursor;
mod interest;
mod memory;
mod record;
mod state;
mod stats;
mod tail;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

pub use cursor::{Committer, Cursor};
pub use interest::Backlog;
pub use record::{Counts, Entry, Pipelines, Record};
pub use stats::LogStats;

use crate::component::{OnFull, Refused};
use interest::{Interest, Reads};
use state::{Loss, State};
use stats::Instruments;

/// A record's place in the log: its sequence number, from 1, never reused. 0 is before everything. Positions grow
/// by one, except where an append failed or a record was lost.
pub type Position = u64;

#[derive(Clone, Debug)]
pub struct Options {
    /// The most the log keeps. When it is reached, [`OnFull`] of the cursor that is behind decides.
    pub max_bytes: u64,
    /// A segment file is closed when it reaches this size. At most a quarter of `max_bytes`.
    pub segment_bytes: u64,
    /// The newest records kept in memory for cursors near the head.
    pub tail_bytes: u64,
    /// Commits are saved together, at most this late.
    pub cursor_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_bytes: 4 << 30,
            segment_bytes: 64 << 20,
            tail_bytes: 32 << 20,
            cursor_interval: Duration::from_millis(200),
        }
    }
}

/// Where a cursor that the log has never seen begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record the log still has.
    Oldest,
    /// With what is appended from now on.
    Head,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// For now: no room, or the disk fails.
    #[error("{reason}")]
    Busy { retry_after: Duration, reason: String },
    /// For good: the log can never take this record.
    #[error("{reason}")]
    Rejected { reason: String },
}

impl From<AppendError> for Refused {
    fn from(error: AppendError) -> Refused {
        match error {
            AppendError::Busy { retry_after, reason } => Refused::Busy { retry_after, reason },
            AppendError::Rejected { reason } => Refused::Rejected { reason },
        }
    }
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum CursorError {
    #[error("the log's cursor `{0}` is already open: an exporter may run only once")]
    AlreadyOpen(String),
    #[error("cannot save the log's cursor `{name}`: {reason}")]
    NotSaved { name: String, reason: String },
}

/// A handle to the log; clones are cheap and equal.
#[derive(Clone, Debug)]
pub struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: Options,
    stats: Arc<LogStats>,
    /// Kept so that the observers live as long as the log.
    _instruments: Instruments,
    state: Mutex<State>,
    head: watch::Sender<Position>,
}

/// What opening a log on disk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    pub segments: u64,
    pub records: u64,
    /// Bytes cut from the end of the last segment: appends that were never acknowledged.
    pub torn_bytes: u64,
    /// Acknowledged records that cannot be read any more.
    pub lost_records: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another process uses the log in {0}: stop it, or give this one another folder")]
    Locked(String),
    #[error("the log in {folder}: {source}")]
    Io { folder: String, source: std::io::Error },
}

impl Log {
    /// Opens or creates the log in `folder`, and recovers what is in it. Blocks: the newest segment is read whole.
    pub fn open(folder: &std::path::Path, options: Options) -> Result<(Log, Recovery), OpenError> {
        let _ = options;
        Err(OpenError::Io { folder: folder.display().to_string(), source: std::io::ErrorKind::Unsupported.into() })
    }

    /// A log without a disk.
    pub fn in_memory(options: Options) -> Log {
        let stats = Arc::new(LogStats::default());
        Log(Arc::new(Shared {
            options,
            _instruments: Instruments::new(&stats),
            stats,
            state: Mutex::default(),
            head: watch::channel(0).0,
        }))
    }

    /// Returns the record's position once it is durable. Dropping the future does not undo the append.
    pub async fn append(&self, entry: Entry) -> Result<Position, AppendError> {
        self.append_all(vec![entry]).await
    }

    /// Several records under one acknowledgement, next to each other. Returns the last position.
    pub async fn append_all(&self, entries: Vec<Entry>) -> Result<Position, AppendError> {
        let outcome = self.append_in_memory(entries);
        if matches!(outcome, Err(AppendError::Busy { .. })) {
            self.0.stats.refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        outcome
    }

    /// Opens an exporter's cursor: after its last commit if the log knows `name`, else at `start`. It reads the records
    /// that belong to any of `pipelines`. A name can be open once; dropping the cursor closes it.
    pub async fn cursor(
        &self,
        name: &str,
        pipelines: Pipelines,
        on_full: OnFull,
        start: Start,
    ) -> Result<Cursor, CursorError> {
        let name: Arc<str> = name.into();
        {
            let mut state = self.state();
            if state.cursors.get(&name).is_some_and(|cursor| cursor.reads.is_some()) {
                return Err(CursorError::AlreadyOpen(name.to_string()));
            }
            let begin = match start {
                Start::Oldest => state.floor(),
                Start::Head => state.head,
            };
            state.cursors.entry(name.clone()).or_insert_with(|| Interest::at(name.clone(), begin));
            self.open_in_memory(&mut state, &name, Reads { pipelines, on_full });
        }
        Ok(Cursor::new(self.clone(), name))
    }

    /// The last acknowledged position.
    pub fn head(&self) -> Position {
        *self.0.head.borrow()
    }

    /// Forgets cursors of exporters that are not in `names`, so that they hold no data for ever. Call it when every
    /// configured exporter has opened its cursor. Open cursors are kept.
    pub fn retain_cursors(&self, names: &[&str]) {
        let mut state = self.state();
        let head = state.head;
        state.cursors.retain(|name, cursor| {
            let keep = cursor.reads.is_some() || names.contains(&name.as_ref());
            if !keep && cursor.floor(head) < head {
                tracing::warn!(
                    cursor = %name, from = cursor.floor(head) + 1, to = head,
                    "the log held data for an exporter that is no longer configured; it is let go: \
                     configure the exporter under the same id to keep such data"
                );
            }
            keep
        });
        state.unsaved = true;
        self.release(&mut state);
    }

    /// What each cursor has still to do.
    pub fn backlogs(&self) -> Vec<Backlog> {
        self.state().backlogs()
    }

    pub fn stats(&self) -> &Arc<LogStats> {
        &self.0.stats
    }

    /// Makes every commit durable now.
    pub async fn save_cursors(&self) -> std::io::Result<()> {
        Ok(())
    }

    /// Refuses further appends, saves the cursors and lets go of the files.
    pub async fn close(&self) -> std::io::Result<()> {
        self.save_cursors().await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    /// After a cursor moved: lets go of what nobody needs.
    fn release(&self, state: &mut State) {
        state.trim_tail(false);
        self.0.stats.stored_bytes.store(state.tail.bytes(), std::sync::atomic::Ordering::Relaxed);
    }

    fn report(&self, losses: &[Loss]) {
        for Loss { cursor, lost } in losses.iter().filter(|loss| loss.lost.records > 0) {
            self.0.stats.lost(*lost);
            tracing::error!(
                exporter = %cursor, records = lost.records, items = lost.items, bytes = lost.bytes,
                "data lost: the log is full and this exporter, which is behind, drops its oldest data; mend its \
                 destination, or give the log more room (max_size)"
            );
        }
    }
}
