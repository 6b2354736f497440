//! Reading: one [`Cursor`] per exporter.

use std::sync::Arc;

use tokio::sync::watch;

use crate::log::interest::{Backlog, Interest};
use crate::log::record::Record;
use crate::log::state::Taken;
use crate::log::{Log, Position};

/// An exporter's place in the log. Dropping it closes it; what was handed out and not committed is handed out again
/// when it is next opened.
#[derive(Debug)]
pub struct Cursor {
    log: Log,
    name: Arc<str>,
    head: watch::Receiver<Position>,
}

/// Commits for a cursor that is being read elsewhere.
#[derive(Clone, Debug)]
pub struct Committer {
    log: Log,
    name: Arc<str>,
}

impl Cursor {
    pub(super) fn new(log: Log, name: Arc<str>) -> Cursor {
        let head = log.0.head.subscribe();
        Cursor { log, name, head }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next records, in order: waits for one, and stops before `max_items` or `max_bytes` (of OTLP) is exceeded.
    /// A single record may exceed both. Safe to cancel: nothing is skipped.
    pub async fn next(&mut self, max_items: usize, max_bytes: u64) -> Vec<Record> {
        loop {
            self.head.borrow_and_update();
            let taken = self.log.state().take(&self.name, max_items, max_bytes);
            match taken {
                Taken::Records(records) => return records,
                Taken::Behind(_) | Taken::Nothing => {
                    if self.head.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            }
        }
    }

    /// Everything the log holds for it has been handed out; some of it may not be committed yet.
    pub fn is_drained(&self) -> bool {
        self.log.state().cursors.get(&self.name).is_none_or(Interest::is_drained)
    }

    pub fn committer(&self) -> Committer {
        Committer { log: self.log.clone(), name: self.name.clone() }
    }

    /// See [`Committer::commit`].
    pub fn commit(&self, position: Position) {
        self.log.commit(&self.name, position);
    }

    pub fn backlog(&self) -> Option<Backlog> {
        let state = self.log.state();
        state.cursors.get(&self.name).map(|cursor| cursor.backlog(state.head))
    }
}

impl Committer {
    /// This cursor's exporter is done with everything up to `position`. Returns at once; saved within
    /// `Options::cursor_interval`. Positions that were not handed out yet, or lie behind, change nothing.
    pub fn commit(&self, position: Position) {
        self.log.commit(&self.name, position);
    }
}

impl Log {
    fn commit(&self, name: &str, position: Position) {
        let mut state = self.state();
        if state.cursors.get_mut(name).is_some_and(|cursor| cursor.commit(position)) {
            state.unsaved = true;
            self.release(&mut state);
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let mut state = self.log.state();
        let head = state.head;
        if let Some(cursor) = state.cursors.get_mut(&self.name) {
            cursor.close(head);
        }
    }
}
