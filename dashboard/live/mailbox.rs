//! What one connection has to be told, as little as can be said of it: for each of its streams, since when it is out of
//! date. However slow the client, this does not grow.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::Notify;

use super::lock;

/// What a client is missing of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Everything.
    All,
    /// Rows from this time on (ms).
    Since(i64),
}

impl Missing {
    pub fn since(self) -> Option<i64> {
        match self {
            Missing::All => None,
            Missing::Since(since) => Some(since),
        }
    }

    fn and(self, other: Missing) -> Missing {
        match (self, other) {
            (Missing::Since(a), Missing::Since(b)) => Missing::Since(a.min(b)),
            _ => Missing::All,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    pub rows: Option<Missing>,
    /// The stream has a problem the client has not heard of.
    pub problem: bool,
}

#[derive(Debug, Default)]
pub struct Mailbox {
    due: Mutex<BTreeMap<u64, Due>>,
    filled: Notify,
}

impl Mailbox {
    pub fn put_rows(&self, stream: u64, missing: Missing) {
        let mut due = lock(&self.due);
        let due = due.entry(stream).or_default();
        due.rows = Some(due.rows.map_or(missing, |before| before.and(missing)));
        self.filled.notify_one();
    }

    pub fn put_problem(&self, stream: u64) {
        lock(&self.due).entry(stream).or_default().problem = true;
        self.filled.notify_one();
    }

    /// One stream's, so that what changes while it is being sent is taken along by those that follow.
    pub fn take(&self) -> Option<(u64, Due)> {
        lock(&self.due).pop_first()
    }

    /// Returns when there may be something to take.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    pub fn forget(&self, stream: u64) {
        lock(&self.due).remove(&stream);
    }
}
