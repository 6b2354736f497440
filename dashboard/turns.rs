//! Who may query now, and who waits: one line per client address, served in turn, so that a client with many questions
//! waits for itself.
//!
//! When all places to wait are taken, a client with fewer in line takes the last place of the one with the most. Clients
//! behind one proxy have one address, and one line.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::problem::Problem;

/// Where a request comes from; `None`: not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client(pub Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Client, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Client(None)))
    }
}

#[derive(Debug)]
pub struct Turns {
    lines: Arc<Mutex<Lines>>,
    places: usize,
    patience: Duration,
}

#[derive(Debug)]
struct Lines {
    free: usize,
    /// None is empty; the first is served next.
    lines: VecDeque<(Client, VecDeque<oneshot::Sender<Turn>>)>,
}

/// Dropping it gives it to the next.
#[derive(Debug)]
pub struct Turn(Arc<Mutex<Lines>>);

impl Turns {
    pub fn new(running: usize, waiting: usize, patience: Duration) -> Turns {
        let lines = Lines { free: running, lines: VecDeque::new() };
        Turns { lines: Arc::new(Mutex::new(lines)), places: waiting, patience }
    }

    pub async fn take(&self, client: Client) -> Result<Turn, Problem> {
        let turn = {
            let mut lines = lock(&self.lines);
            if lines.free > 0 {
                lines.free -= 1;
                return Ok(Turn(self.lines.clone()));
            }
            lines.wait(client, self.places).ok_or_else(busy)?
        };
        match timeout(self.patience, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(busy()),
        }
    }
}

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

fn busy() -> Problem {
    Problem::busy("too many queries are running; ask again, or raise `max_concurrent_queries`", Duration::from_secs(1))
}

impl Lines {
    /// `None`: there is no place.
    fn wait(&mut self, client: Client, places: usize) -> Option<oneshot::Receiver<Turn>> {
        // Who has lost patience or is gone waits no more.
        self.lines.iter_mut().for_each(|(_, line)| line.retain(|waiting| !waiting.is_closed()));
        self.lines.retain(|(_, line)| !line.is_empty());
        let own = self.lines.iter().find(|(other, _)| *other == client).map_or(0, |(_, line)| line.len());
        if self.lines.iter().map(|(_, line)| line.len()).sum::<usize>() >= places {
            let (_, longest) = self.lines.iter_mut().max_by_key(|(_, line)| line.len())?;
            if longest.len() <= own + 1 {
                return None;
            }
            longest.pop_back();
        }
        let (turn, waiting) = oneshot::channel();
        match self.lines.iter_mut().find(|(other, _)| *other == client) {
            Some((_, line)) => line.push_back(turn),
            None => self.lines.push_back((client, VecDeque::from([turn]))),
        }
        Some(waiting)
    }

    /// The first of the next line, which goes to the end.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let (client, mut line) = self.lines.pop_front()?;
        let next = line.pop_front();
        if !line.is_empty() {
            self.lines.push_back((client, line));
        }
        next
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut lines = lock(&self.0);
            let next = lines.next();
            lines.free += usize::from(next.is_none());
            next
        };
        if let Some(next) = next {
            // One who is gone drops it, and so hands it on.
            drop(next.send(Turn(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn client(n: u8) -> Client {
        Client(Some([127, 0, 0, n].into()))
    }

    async fn wait(turns: &Arc<Turns>, n: u8) -> tokio::task::JoinHandle<Result<Turn, Problem>> {
        let turns = turns.clone();
        let waits = tokio::spawn(async move { turns.take(client(n)).await });
        tokio::task::yield_now().await;
        waits
    }

    #[tokio::test]
    async fn turns_wait_for_each_other() {
        let turns = Arc::new(Turns::new(1, 1, SOON));
        let first = turns.take(client(1)).await.unwrap();
        let second = wait(&turns, 1).await;
        assert_eq!(turns.take(client(1)).await.err().map(|p| p.kind), Some("busy"), "the line is full");
        drop(first);
        let second = timeout(SOON, second).await.unwrap().unwrap().unwrap();
        drop(second);
        assert!(turns.take(client(2)).await.is_ok());
    }

    #[tokio::test]
    async fn clients_are_served_in_turn() {
        let turns = Arc::new(Turns::new(1, 8, SOON));
        let mut turn = turns.take(client(1)).await.unwrap();
        let mut waiting = Vec::new();
        for n in [1, 1, 1, 2, 3, 3] {
            waiting.push((n, wait(&turns, n).await));
        }
        let mut served = Vec::new();
        while !waiting.is_empty() {
            drop(turn);
            tokio::task::yield_now().await;
            let at = waiting.iter().position(|(_, waits)| waits.is_finished()).unwrap();
            let (n, waits) = waiting.remove(at);
            served.push(n);
            turn = waits.await.unwrap().unwrap();
        }
        assert_eq!(served, [1, 2, 3, 1, 3, 1]);
    }

    #[tokio::test]
    async fn a_full_line_makes_room_for_others() {
        let turns = Arc::new(Turns::new(1, 3, SOON));
        let turn = turns.take(client(1)).await.unwrap();
        let first = wait(&turns, 1).await;
        let second = wait(&turns, 1).await;
        let third = wait(&turns, 1).await;
        let other = wait(&turns, 2).await;
        assert_eq!(third.await.unwrap().err().map(|p| p.kind), Some("busy"), "the last of the longest line");
        assert_eq!(turns.take(client(1)).await.err().map(|p| p.kind), Some("busy"));
        // One who leaves frees the place, and never holds a turn.
        first.abort();
        assert!(first.await.is_err());
        drop(turn);
        for waits in [other, second] {
            drop(timeout(SOON, waits).await.unwrap().unwrap().unwrap());
        }
        assert_eq!(lock(&turns.lines).free, 1);
    }
}
