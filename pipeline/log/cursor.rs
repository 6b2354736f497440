//! Reading: one [`Cursor`] per exporter.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::log::interest::{Backlog, Interest};
use crate::log::reader::{Reader, Ready};
use crate::log::record::Record;
use crate::log::state::{Room, Taken};
use crate::log::{Log, Position, Shared};

/// After a read failed.
const RETRY: Duration = Duration::from_secs(1);

/// An exporter's place in the log. Dropping it closes it; what was handed out and not committed is handed out again
/// when it is next opened.
#[derive(Debug)]
pub struct Cursor {
    log: Log,
    name: Arc<str>,
    head: watch::Receiver<Position>,
    reader: Arc<Mutex<Reader>>,
    /// A read that is under way, kept when `next` is cancelled.
    reading: Option<JoinHandle<io::Result<Ready>>>,
}

/// Commits for a cursor that is being read elsewhere.
#[derive(Clone, Debug)]
pub struct Committer {
    log: Log,
    name: Arc<str>,
}

impl Cursor {
    pub(super) fn new(log: Log, name: Arc<str>) -> Cursor {
        let head = log.0.shared.head.subscribe();
        Cursor { log, name, head, reader: Arc::default(), reading: None }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next records, in order: waits for one, and stops before `max_items` or `max_bytes` (of OTLP) is exceeded.
    /// A single record may exceed both. None when what was read from disk was damaged, or not for this cursor. Safe to
    /// cancel: nothing is skipped.
    pub async fn next(&mut self, max_items: usize, max_bytes: u64) -> Vec<Record> {
        let shared = self.log.0.shared.clone();
        loop {
            self.head.borrow_and_update();
            let taken = shared.state().take(&self.name, max_items, max_bytes);
            match taken {
                Taken::Records(records) => return records,
                Taken::Nothing => {
                    if self.head.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                Taken::Behind(after) => return self.read_behind(after, Room::new(max_items, max_bytes)).await,
            }
        }
    }

    async fn read_behind(&mut self, after: Position, room: Room) -> Vec<Record> {
        let (shared, reader, name) = (self.log.0.shared.clone(), self.reader.clone(), self.name.clone());
        let read = move || {
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            shared.read_behind(&mut reader, &name, after, room)
        };
        let reading = self.reading.get_or_insert_with(|| tokio::task::spawn_blocking(read));
        let read = reading.await;
        self.reading = None;
        match read.map_err(io::Error::other).flatten() {
            Ok(ready) => self.log.0.shared.hand_out(&self.name, ready),
            Err(error) => {
                tracing::warn!(%error, cursor = %self.name, "cannot read the log, trying again: look at the disk");
                tokio::time::sleep(RETRY).await;
                Vec::new()
            }
        }
    }

    /// Everything the log holds for it has been handed out; some of it may not be committed yet.
    pub fn is_drained(&self) -> bool {
        self.log.0.shared.state().cursors.get(&self.name).is_none_or(Interest::is_drained)
    }

    pub fn committer(&self) -> Committer {
        Committer { log: self.log.clone(), name: self.name.clone() }
    }

    /// See [`Committer::commit`].
    pub fn commit(&self, position: Position) {
        self.log.0.shared.commit(&self.name, position);
    }

    pub fn backlog(&self) -> Option<Backlog> {
        let state = self.log.0.shared.state();
        state.cursors.get(&self.name).map(|cursor| cursor.backlog(state.head))
    }
}

impl Committer {
    /// This cursor's exporter is done with everything up to `position`. Returns at once; saved within
    /// `Options::cursor_interval`. Positions that were not handed out yet, or lie behind, change nothing.
    pub fn commit(&self, position: Position) {
        self.log.0.shared.commit(&self.name, position);
    }
}

impl Shared {
    pub(super) fn commit(&self, name: &str, position: Position) {
        let mut state = self.state();
        if state.cursors.get_mut(name).is_some_and(|cursor| cursor.commit(position)) {
            self.moved(&mut state);
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let mut state = self.log.0.shared.state();
        let head = state.head;
        if let Some(cursor) = state.cursors.get_mut(&self.name) {
            cursor.close(head);
        }
    }
}
