//! One piece until it is exported, lost, or left in the log.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::backoff::Backoff;
use super::grouping::Piece;
use super::registry::ExporterMeters;
use super::status::State;
use crate::component::{ExportError, Exporter, ExporterSettings};

/// How an exporter is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pace {
    Run,
    /// Hand over what the log holds, then stop. With a log that survives the process a failed attempt is
    /// not made again: the next start does that.
    Drain,
    /// Finish the attempts under way, and stop.
    Leave,
    /// Stop.
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Exported or lost: the log need not keep it.
    Finished,
    /// The exporter is stopping: the log keeps it.
    Left,
}

/// What every attempt of an exporter shares.
pub(super) struct Attempts {
    pub id: String,
    pub exporter: Arc<dyn Exporter>,
    pub settings: ExporterSettings,
    pub meters: Arc<ExporterMeters>,
    pub pace: watch::Receiver<Pace>,
    /// What is left in the log is there after a restart.
    pub durable_log: bool,
    /// For spreading retries.
    pub seed: u64,
}

impl Attempts {
    pub async fn finish(&self, piece: &Piece) -> Outcome {
        let _in_flight = InFlight::new(&self.meters, piece);
        let items = piece.batch.items();
        let mut backoff = Backoff::new(&self.settings.retry, Instant::now(), self.seed ^ piece.last);
        let mut failed = 0u32;
        loop {
            let (retry_after, reason) = match self.attempt(piece).await {
                None => return Outcome::Left,
                Some(Ok(())) => return self.exported(items, 0, failed),
                Some(Err(ExportError::Partial { rejected, reason })) => {
                    let rejected = usize::try_from(rejected).unwrap_or(usize::MAX).min(items);
                    if rejected > 0 {
                        self.lost(piece, rejected, "the destination rejected items", &reason);
                    }
                    return self.exported(items, rejected, failed);
                }
                Some(Err(ExportError::Permanent { reason })) => {
                    self.lost(piece, items, "the destination will never take this", &reason);
                    return Outcome::Finished;
                }
                Some(Err(ExportError::Transient { retry_after, reason })) => (retry_after, reason),
            };
            failed += 1;
            self.meters.failure.set(&reason);
            let Some(wait) = backoff.next(Instant::now(), retry_after) else {
                self.lost(piece, items, "retries are used up or disabled (retry_on_failure)", &reason);
                return Outcome::Finished;
            };
            if self.leaving() {
                return Outcome::Left;
            }
            self.meters.retries.add(1);
            self.meters.state.set(State::Retrying);
            match failed {
                1 => tracing::warn!(exporter = %self.id, %reason, retry_in = ?wait, "export failed; trying again"),
                _ => tracing::debug!(exporter = %self.id, %reason, failed, retry_in = ?wait, "export failed again"),
            }
            let mut pace = self.pace.clone();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = pace.wait_for(|pace| *pace >= Pace::Leave || (*pace == Pace::Drain && self.durable_log)) => {
                    if *self.pace.borrow() >= Pace::Leave { return Outcome::Left; }
                }
            }
        }
    }

    /// `None`: told to abort.
    async fn attempt(&self, piece: &Piece) -> Option<Result<(), ExportError>> {
        let (signal, items) = (piece.batch.signal().name(), piece.batch.items());
        let span = tracing::debug_span!("export", otel.kind = "producer", component.id = %self.id, signal, items);
        let export = self.exporter.export(&piece.batch, piece.last).instrument(span);
        let export = AssertUnwindSafe(export).catch_unwind();
        let timeout = self.settings.timeout;
        let timed =
            async { if timeout.is_zero() { Ok(export.await) } else { tokio::time::timeout(timeout, export).await } };
        let mut pace = self.pace.clone();
        let ended = tokio::select! {
            ended = timed => ended,
            _ = pace.wait_for(|pace| *pace == Pace::Abort) => return None,
        };
        Some(match ended {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(ExportError::Permanent { reason: "the exporter panicked on this batch".to_owned() }),
            Err(_) => {
                Err(ExportError::Transient { retry_after: None, reason: format!("no answer within {timeout:?}") })
            }
        })
    }

    fn leaving(&self) -> bool {
        match *self.pace.borrow() {
            Pace::Run => false,
            Pace::Drain => self.durable_log,
            Pace::Leave | Pace::Abort => true,
        }
    }

    fn exported(&self, items: usize, rejected: usize, failed: u32) -> Outcome {
        self.meters.exported.add(items - rejected);
        self.meters.state.set(State::Running);
        if failed > 0 {
            tracing::info!(exporter = %self.id, failed_attempts = failed, "exporting again");
        }
        Outcome::Finished
    }

    fn lost(&self, piece: &Piece, items: usize, why: &str, reason: &str) {
        self.meters.lost.add(items);
        self.meters.failure.set(format!("{items} items lost: {why}: {reason}"));
        let signal = piece.batch.signal().name();
        tracing::error!(exporter = %self.id, signal, items, position = piece.last, reason, "data lost: {why}");
    }
}

/// Counts a piece as in flight for as long as it lives.
struct InFlight<'a> {
    meters: &'a ExporterMeters,
    items: u64,
    bytes: u64,
}

impl<'a> InFlight<'a> {
    fn new(meters: &'a ExporterMeters, piece: &Piece) -> InFlight<'a> {
        let (items, bytes) = (piece.batch.items() as u64, piece.batch.otlp().len() as u64);
        meters.in_flight_items.fetch_add(items, Ordering::Relaxed);
        meters.in_flight_bytes.fetch_add(bytes, Ordering::Relaxed);
        InFlight { meters, items, bytes }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.meters.in_flight_items.fetch_sub(self.items, Ordering::Relaxed);
        self.meters.in_flight_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
