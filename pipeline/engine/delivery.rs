//! One exporter: reads its cursor, groups, hands pieces over, and moves the cursor.
//!
//! Memory: at most [`IN_FLIGHT_BYTES`] handed over (one piece may be larger), one read of [`READ_BYTES`], and one
//! unfinished group a signal. A dead destination holds that much, and the rest stays in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::attempt::{Attempts, Outcome, Pace};
use super::grouping::Grouper;
use super::progress::{Progress, Ticket};
use crate::component::Grouping;
use crate::log::{Cursor, Position, Record};

/// OTLP bytes one exporter may have handed over and not finished.
const IN_FLIGHT_BYTES: usize = 32 << 20;
/// One read of the log: a little more than a group.
const READ_ITEMS: usize = 16_384;
const READ_BYTES: u64 = 4 << 20;

pub(super) struct Delivery {
    attempts: Arc<Attempts>,
    cursor: Cursor,
    /// By pipeline id: those that have a `batch` processor.
    groupings: BTreeMap<String, Grouping>,
    durable: Option<watch::Receiver<Position>>,
    grouper: Grouper,
    progress: Progress,
    under_way: JoinSet<(Ticket, usize, Outcome)>,
    bytes_under_way: usize,
    /// A piece was left in the log: nothing after it may be handed over.
    left: bool,
    /// Told once everything up to this position, the log's head at the start, has been exported.
    catching_up: Option<(Position, oneshot::Sender<()>)>,
}

impl Delivery {
    /// An exporter that makes data durable later is given each record by itself: a group cut short by a crash
    /// could not be told from a whole one.
    pub fn new(
        attempts: Attempts,
        cursor: Cursor,
        groupings: BTreeMap<String, Grouping>,
        catching_up: (Position, oneshot::Sender<()>),
    ) -> Delivery {
        let durable = attempts.exporter.durable();
        Delivery {
            groupings: if durable.is_some() { BTreeMap::new() } else { groupings },
            attempts: Arc::new(attempts),
            cursor,
            durable,
            grouper: Grouper::default(),
            progress: Progress::default(),
            under_way: JoinSet::new(),
            bytes_under_way: 0,
            left: false,
            catching_up: Some(catching_up),
        }
    }

    /// Until told to stop. The exporter has then been shut down and the cursor moved as far as it may.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut pace = self.attempts.pace.clone();
        loop {
            let now = *pace.borrow_and_update();
            if now == Pace::Drain {
                self.grouper.flush();
            }
            if now <= Pace::Drain {
                self.hand_over();
            }
            if self.under_way.is_empty() && self.at_end(now) {
                break;
            }
            self.note_caught_up();
            let reading = now <= Pace::Drain && !self.left && !self.grouper.has_ready();
            let due = self.grouper.due().filter(|_| reading);
            tokio::select! {
                biased;
                changed = pace.changed() => if changed.is_err() { break },
                Some(ended) = self.under_way.join_next() => self.ended(ended),
                () = moved(&mut self.durable) => self.commit(),
                records = self.cursor.next(READ_ITEMS, READ_BYTES), if reading => self.take(records),
                () = at(due) => {}
            }
        }
        self.close().await
    }

    fn note_caught_up(&mut self) {
        let idle = || self.under_way.is_empty() && self.grouper.is_empty() && self.cursor.is_drained();
        if let Some((head, tell)) = self.catching_up.take_if(|(head, _)| self.progress.floor() >= *head || idle()) {
            tracing::debug!(exporter = %self.attempts.id, head, "caught up with what the log held at the start");
            let _ = tell.send(());
        }
    }

    fn at_end(&self, pace: Pace) -> bool {
        match pace {
            Pace::Run => false,
            Pace::Drain => self.left || (self.grouper.is_empty() && self.cursor.is_drained()),
            Pace::Leave | Pace::Abort => true,
        }
    }

    fn take(&mut self, records: Vec<Record>) {
        let now = Instant::now();
        for record in records {
            let grouping = match self.groupings.is_empty() {
                true => None,
                false => record.pipelines.iter().find_map(|id| self.groupings.get(id)).copied(),
            };
            self.grouper.push(record, grouping, now);
        }
    }

    fn hand_over(&mut self) {
        let consumers = self.attempts.settings.num_consumers.max(1);
        let room =
            |under_way: usize, bytes: usize| under_way == 0 || (under_way < consumers && bytes < IN_FLIGHT_BYTES);
        while !self.left && room(self.under_way.len(), self.bytes_under_way) {
            let Some(piece) = self.grouper.pop(Instant::now()) else { break };
            let bytes = piece.batch.otlp().len();
            let ticket = self.progress.start(self.grouper.floor());
            let attempts = self.attempts.clone();
            self.bytes_under_way += bytes;
            self.under_way.spawn(async move { (ticket, bytes, attempts.finish(&piece).await) });
        }
    }

    fn ended(&mut self, ended: Result<(Ticket, usize, Outcome), tokio::task::JoinError>) {
        match ended {
            Ok((ticket, bytes, outcome)) => {
                self.bytes_under_way -= bytes;
                match outcome {
                    Outcome::Finished => self.progress.finish(ticket),
                    Outcome::Left => self.left = true,
                }
                self.commit();
            }
            // Attempts catch panics of exporters, and nobody aborts them.
            Err(error) => {
                tracing::error!(exporter = %self.attempts.id, %error, "an attempt ended unexpectedly; its data stays in the log until a restart");
                self.left = true;
            }
        }
    }

    fn commit(&self) {
        let floor = self.progress.floor();
        let durable = self.durable.as_ref().map_or(floor, |durable| *durable.borrow());
        self.cursor.commit(floor.min(durable));
    }

    async fn close(mut self) -> anyhow::Result<()> {
        let closed = self.attempts.exporter.shutdown().await;
        if let Some(durable) = &mut self.durable {
            durable.mark_unchanged();
        }
        self.commit();
        self.attempts.meters.freeze_backlog();
        closed
    }
}

/// Never, for an exporter that is durable when `export` returns.
async fn moved(durable: &mut Option<watch::Receiver<Position>>) {
    if let Some(durable) = durable
        && durable.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
