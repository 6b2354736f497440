//! The log's two threads: the writer, and the keeper, which saves cursors and deletes segments so that neither
//! holds up an append.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::log::writer::{Waiting, Work, Writer};
use crate::log::{AppendError, Shared};

#[derive(Debug)]
pub(super) struct Threads {
    /// `None` once the log is closed.
    queue: Mutex<Option<Sender<Work>>>,
    running: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// A cursor moved.
    Moved,
}

impl Threads {
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Threads> {
        let (queue, waiting) = channel();
        let (keeper, messages) = channel();
        let writer = Writer::new(shared.clone());
        let keeping = shared.clone();
        let writing = Builder::new().name("log-writer".into()).spawn(move || writer.run(&waiting))?;
        let keeping = Builder::new().name("log-keeper".into()).spawn(move || keep(&keeping, &messages))?;
        *shared.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
        Ok(Threads { queue: Mutex::new(Some(queue)), running: Mutex::new(vec![writing, keeping]) })
    }

    pub(super) fn write(&self, waiting: Waiting) -> Result<(), AppendError> {
        self.ask(Work::Append(waiting)).ok_or_else(AppendError::closed)
    }

    /// Returns when the segment that was being written is closed.
    pub(super) async fn rotate(&self) -> io::Result<()> {
        let (reply, answer) = oneshot::channel();
        let closed = || io::Error::other("the log is closed");
        self.ask(Work::Rotate(reply)).ok_or_else(closed)?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    fn ask(&self, work: Work) -> Option<()> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref()?.send(work).ok()
    }

    /// Returns when everything is on disk, or why the cursors are not.
    pub(super) fn stop(&self, shared: &Shared) -> io::Result<()> {
        self.hang_up(shared);
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        running.into_iter().for_each(|thread| drop(thread.join()));
        shared.save_and_delete()
    }

    pub(super) fn hang_up(&self, shared: &Shared) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        shared.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for super::Handle {
    fn drop(&mut self) {
        if let Some(threads) = &self.threads {
            threads.hang_up(&self.shared);
        }
    }
}

/// Saves at most once an interval, and a last time when the log is closed.
fn keep(shared: &Shared, messages: &Receiver<Keep>) {
    let mut failing = false;
    while let Ok(Keep::Moved) = messages.recv() {
        let until = Instant::now() + shared.options.cursor_interval;
        let mut open = true;
        while open && Instant::now() < until {
            open = messages.recv_timeout(until.saturating_duration_since(Instant::now()))
                != Err(RecvTimeoutError::Disconnected);
        }
        match shared.save_and_delete() {
            Ok(()) => failing = false,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "cannot save the log's cursors: after a crash exporters would send again what \
                                            they have sent since; free space or look at the disk");
                }
                shared.wake_keeper();
            }
        }
    }
}
