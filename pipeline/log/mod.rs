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
//! | memory | [`Options::tail_bytes`], what a cursor that reads from disk asks for at once, and what waits in `append` |
//! | disk | [`Options::max_bytes`], an eighth more for relays, the states of relays, and 1 MiB held in reserve |
//!
//! Without a disk ([`Log::in_memory`]) the interface is the same, `max_bytes` bounds memory, and a crash loses what
//! was not exported.

mod book;
mod cursor;
mod disk;
mod format;
mod interest;
mod memory;
mod reader;
mod record;
mod relay;
mod rewrite;
mod scan;
#[cfg(test)]
pub(crate) mod sim;
mod state;
mod stats;
mod store;
mod tail;
#[cfg(test)]
mod tests;
mod threads;
mod writer;

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{oneshot, watch};

pub use cursor::{Committer, Cursor};
pub(crate) use format::{nanos, time_of};
pub use interest::Backlog;
pub use record::{Counts, Entry, Origin, Pipelines, Record};
pub use relay::Saved as RelayState;
pub use rewrite::{Rewritten, Scanned, Seen};
pub use stats::LogStats;

use crate::component::{OnFull, Refused};
use disk::{Disk, Folder};
use interest::Reads;
use state::{Loss, State};
use stats::Instruments;
use store::{Recovered, Store};
use threads::{Keep, Threads};

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

impl Options {
    /// What relays may append beyond `max_bytes`: they must be able to put out what they make of a full log, to empty it.
    fn relay_bytes(&self) -> u64 {
        self.max_bytes / 8
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

impl AppendError {
    fn closed() -> AppendError {
        AppendError::Busy { retry_after: Duration::from_secs(1), reason: "the log is closed".into() }
    }
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

/// What opening a log on disk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    pub segments: u64,
    pub records: u64,
    /// Bytes cut from the end of the newest segment: appends that were never acknowledged.
    pub torn_bytes: u64,
    /// Acknowledged records that are known to be unreadable; damage inside older segments is found when it is read.
    pub lost_records: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another process uses the log in {0}: stop it, or give this one another folder")]
    Locked(String),
    #[error("cannot open the log in {folder}: {source}")]
    Io { folder: String, source: io::Error },
}

/// A handle to the log; clones are cheap and equal.
#[derive(Clone, Debug)]
pub struct Log(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    threads: Option<Threads>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    stats: Arc<LogStats>,
    instruments: Instruments,
    state: Mutex<State>,
    head: watch::Sender<Position>,
    store: Option<Arc<Store>>,
    /// Tells the keeper that a commit waits to be saved.
    keeper: Mutex<Option<std::sync::mpsc::Sender<Keep>>>,
}

impl Log {
    /// Opens or creates the log in `folder`, and recovers what is in it. Blocks: the newest segment is read whole, of
    /// the others the record headers.
    pub fn open(folder: &Path, options: Options) -> Result<(Log, Recovery), OpenError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked(folder.display().to_string()),
            _ => OpenError::Io { folder: folder.display().to_string(), source },
        };
        let disk = Folder::lock(folder).map_err(failed)?;
        let (shared, recovery) = Shared::on_disk(Arc::new(disk), options).map_err(failed)?;
        if let Some(store) = &shared.store
            && let Err(error) = book::keep_reserve(store.disk.as_ref())
        {
            tracing::warn!(%error, "no room for the log's reserve: free some space");
        }
        let shared = Arc::new(shared);
        let threads = Threads::start(&shared).map_err(failed)?;
        Ok((Log(Arc::new(Handle { shared, threads: Some(threads) })), recovery))
    }

    /// As [`Log::open`], on a disk of a test.
    #[cfg(test)]
    pub(crate) fn on_disk(disk: &sim::SimDisk, options: Options) -> io::Result<Log> {
        let shared = Arc::new(Shared::on_disk(Arc::new(disk.clone()), options)?.0);
        let threads = Threads::start(&shared)?;
        Ok(Log(Arc::new(Handle { shared, threads: Some(threads) })))
    }

    /// A log without a disk.
    pub fn in_memory(options: Options) -> Log {
        Log(Arc::new(Handle { shared: Arc::new(Shared::new(options, State::default(), None)), threads: None }))
    }

    /// Returns the record's position once it is durable. Dropping the future does not undo the append.
    pub async fn append(&self, entry: Entry) -> Result<Position, AppendError> {
        self.append_all(vec![entry]).await
    }

    /// Several records under one acknowledgement, next to each other. Returns the last position.
    pub async fn append_all(&self, entries: Vec<Entry>) -> Result<Position, AppendError> {
        let shared = &self.0.shared;
        let outcome = match &self.0.threads {
            None => shared.append_in_memory(entries),
            Some(threads) => {
                let (reply, answer) = oneshot::channel();
                let sent = shared.prepare(entries, reply).and_then(|waiting| threads.write(waiting));
                match sent {
                    Ok(()) => answer.await.unwrap_or_else(|_| Err(AppendError::closed())),
                    Err(error) => Err(error),
                }
            }
        };
        if matches!(outcome, Err(AppendError::Busy { .. })) {
            shared.stats.refused.fetch_add(1, Relaxed);
        }
        outcome
    }

    /// Opens an exporter's cursor: after its last commit if the log knows `name`, else at `start`. It reads the records
    /// that belong to any of `pipelines`, and those that belong to what it read when it was last open, until
    /// [`Log::settle_cursors`]. A name can be open once; dropping the cursor closes it. On disk the new cursor is durable
    /// when this returns. Blocks for some milliseconds: call it at start and reload.
    pub async fn cursor(
        &self,
        name: &str,
        pipelines: Pipelines,
        on_full: OnFull,
        start: Start,
    ) -> Result<Cursor, CursorError> {
        let name: Arc<str> = name.into();
        self.0.shared.open_cursor(&name, Reads::new(pipelines, on_full), start)?;
        Ok(Cursor::new(self.clone(), name))
    }

    /// The last acknowledged position.
    pub fn head(&self) -> Position {
        *self.0.shared.head.borrow()
    }

    /// Forgets cursors of exporters that are not in `names`, so that they hold no data for ever. Call it when every
    /// configured exporter has opened its cursor. Open cursors are kept.
    pub fn retain_cursors(&self, names: &[&str]) {
        let shared = &self.0.shared;
        let mut state = shared.state();
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
        shared.moved(&mut state);
    }

    /// Whatever is appended from now on is wired as the open cursors are: what they read before, under other
    /// pipelines, they read up to here and no further.
    pub fn settle_cursors(&self) {
        let shared = &self.0.shared;
        let mut state = shared.state();
        let head = state.head;
        let mut changed = false;
        state.cursors.values_mut().for_each(|cursor| changed |= cursor.settle(head));
        if changed {
            shared.moved(&mut state);
        }
    }

    /// [`Options::max_bytes`].
    pub fn limit_bytes(&self) -> u64 {
        self.0.shared.options.max_bytes
    }

    /// What each cursor has still to do.
    pub fn backlogs(&self) -> Vec<Backlog> {
        self.0.shared.state().backlogs()
    }

    pub fn stats(&self) -> &Arc<LogStats> {
        &self.0.shared.stats
    }

    /// Makes every commit durable now.
    pub async fn save_cursors(&self) -> io::Result<()> {
        let shared = self.0.shared.clone();
        tokio::task::spawn_blocking(move || shared.save_and_delete()).await.map_err(io::Error::other)?
    }

    /// Refuses further appends, finishes those that wait, saves the cursors and stops the threads. The folder is
    /// unlocked when the last handle is dropped.
    pub async fn close(&self) -> io::Result<()> {
        let handle = self.0.clone();
        let stop = move || handle.threads.as_ref().map_or(Ok(()), |threads| threads.stop(&handle.shared));
        tokio::task::spawn_blocking(stop).await.map_err(io::Error::other)?
    }
}

impl Shared {
    fn new(options: Options, state: State, store: Option<Store>) -> Shared {
        let stats = Arc::new(LogStats::default());
        let shared = Shared {
            options,
            instruments: Instruments::new(&stats),
            stats,
            head: watch::channel(state.head).0,
            state: Mutex::new(state),
            store: store.map(Arc::new),
            keeper: Mutex::default(),
        };
        shared.measure(&shared.state());
        shared
    }

    fn on_disk(disk: Arc<dyn Disk>, options: Options) -> io::Result<(Shared, Recovery)> {
        let Recovered { store, state, recovery } = store::recover(disk)?;
        let shared = Shared::new(options, state, Some(store));
        shared.stats.lost(Counts { records: recovery.lost_records, ..Counts::default() });
        Ok((shared, recovery))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> SystemTime {
        self.store.as_ref().map_or_else(SystemTime::now, |store| store.disk.now())
    }

    fn segment_bytes(&self) -> u64 {
        self.options.segment_bytes.min(self.options.max_bytes / 4)
    }

    fn open_cursor(&self, name: &Arc<str>, reads: Reads, start: Start) -> Result<(), CursorError> {
        let not_saved = |error: io::Error| CursorError::NotSaved { name: name.to_string(), reason: error.to_string() };
        if reads.pipelines.iter().chain([name.as_ref()]).any(|id| id.contains(['\n', '\t'])) {
            return Err(not_saved(io::ErrorKind::InvalidInput.into()));
        }
        {
            let mut state = self.state();
            if state.cursors.get(name).is_some_and(|cursor| cursor.reads.is_some()) {
                return Err(CursorError::AlreadyOpen(name.to_string()));
            }
            match &self.store {
                Some(store) => self.open_on_disk(store, &mut state, name, reads, start).map_err(not_saved)?,
                None => self.open_in_memory(&mut state, name, reads, start),
            }
        }
        // Else a crash could make it begin later than it did, past records it should have seen.
        self.save_and_delete().map_err(not_saved)
    }

    /// After a cursor moved: lets go of memory nobody needs; disk follows when the cursors have been saved.
    fn moved(&self, state: &mut State) {
        state.trim_tail(self.store.is_some());
        self.measure(state);
        if !std::mem::replace(&mut state.unsaved, true) {
            self.wake_keeper();
        }
    }

    fn wake_keeper(&self) {
        if let Some(keeper) = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = keeper.send(Keep::Moved);
        }
    }

    fn measure(&self, state: &State) {
        let disk = state.segments.iter().map(|segment| segment.bytes).sum();
        self.stats.stored_bytes.store(if self.store.is_some() { disk } else { state.tail.bytes() }, Relaxed);
        self.stats.segments.store(state.segments.len() as u64, Relaxed);
    }

    fn report(&self, losses: &[Loss]) {
        for Loss { cursor, lost } in losses.iter().filter(|loss| loss.lost.records > 0) {
            self.stats.lost(*lost);
            tracing::error!(
                exporter = %cursor, records = lost.records, items = lost.items, bytes = lost.bytes,
                "data lost: the log is full and this exporter, which is behind, drops its oldest data; mend its \
                 destination, or give the log more room"
            );
        }
    }
}
