//! `/api/v1/live`: queries that are kept up to date over a WebSocket, for as many pages as look at them.
//!
//! ```text
//! socket (one a connection) --> hub --> stream (one a different query) --> evaluation --> SQL
//!    ^                                     | who watches, the newest version
//!    +------------- mailbox: "stream 3, from 12:00:10 on" <----------------+
//! ```
//!
//! Nothing waits for a client and nothing queues for one: its mailbox says only since when it is out of date, and when its
//! socket can take more it is sent the newest rows from then on. Frames are encoded once, whoever they are for.
//!
//! | limit | |
//! |---|---|
//! | message from a client | 64 KiB |
//! | subscriptions of a connection | 256 |
//! | connections, streams, evaluations at a time | `max_live_connections`, `max_live_streams`, `max_live_evaluations` |
//! | rows of a result | 200,000 of mode `series` after thinning; 5,000 of the others |
//! | bytes of a result | 16 MiB; of all together 256 MiB |
//! | a client that does not take 4 KiB for 30 s, or says nothing for 60 s | is cut off |

mod evaluation;
mod frame;
mod gather;
mod hub;
mod mailbox;
mod protocol;
mod rows;
mod socket;
mod stream;
mod subscribe;
#[cfg(test)]
mod tests;
mod thin;
mod upgrade;
mod window;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use hub::Hub;
pub use protocol::MAX_ROWS;
pub use upgrade::live;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
