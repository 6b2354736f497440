//! Flushing: rows in memory become files of every table, all of them or none.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use catchment_pipeline::log::Position;

use crate::delta::DeltaLog;
use crate::disk::Lock;
use crate::files;
use crate::hot::Chunks;
use crate::journal::{Journal, aside};
use crate::lake::lock;
use crate::opening::clear_files;
use crate::schema::TABLES;
use crate::shared::Shared;

/// What only the one who flushes touches.
pub(crate) struct Writer {
    pub(crate) logs: Vec<DeltaLog>,
    /// Written, but not carried out to its end: before anything else is flushed, it is.
    pub(crate) unfinished: Option<Journal>,
    /// Keeps other writers out; `None`: opened for reading.
    pub(crate) lock: Option<Lock>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct FlushReport {
    pub(crate) at: Option<SystemTime>,
    pub(crate) took: Option<Duration>,
    pub(crate) error: Option<String>,
    /// Since the start.
    pub(crate) flushes: u64,
    pub(crate) failures: u64,
    pub(crate) time: Duration,
}

/// Points of a flush after which a crash leaves something different behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Staged,
    Journaled,
    Committed,
}

impl Shared {
    pub(crate) fn flush_soon(&self) {
        lock(&self.signal).flush_now = true;
        self.wake.notify_all();
    }

    pub(crate) fn flush_until_closed(&self) {
        loop {
            let mut signal = lock(&self.signal);
            let since = Instant::now();
            while !signal.close && !signal.flush_now {
                let left = lock(&self.pace).interval.saturating_sub(since.elapsed());
                if left.is_zero() {
                    break;
                }
                signal = self.wake.wait_timeout(signal, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            if signal.close {
                return;
            }
            signal.flush_now = false;
            drop(signal);
            let flushed = std::panic::catch_unwind(AssertUnwindSafe(|| self.flush()));
            let flushed = flushed.unwrap_or_else(|_| {
                let error = "it panicked, which is a mistake in this program";
                lock(&self.report).error = Some(error.to_owned());
                Err(anyhow::anyhow!(error))
            });
            if let Err(error) = flushed {
                tracing::warn!(lake = %self.path.display(), "flush failed, its rows stay in memory and in the log, and it is tried again: {error:#}");
            }
        }
    }

    pub(crate) fn flush(&self) -> anyhow::Result<Position> {
        let mut writer = lock(&self.writer);
        if writer.lock.is_none() {
            return Ok(0);
        }
        let started = Instant::now();
        let result = self.flush_with(&mut writer);
        let mut report = lock(&self.report);
        report.at = Some(SystemTime::now());
        report.took = Some(started.elapsed());
        report.flushes += 1;
        report.failures += u64::from(result.is_err());
        report.time += started.elapsed();
        report.error = result.as_ref().err().map(|error| format!("{error:#}"));
        result
    }

    /// Locked, and with no flush half done: of such a one some tables have files that the others wait for, and queries still
    /// see its rows in memory.
    pub(crate) fn settled_writer(&self) -> anyhow::Result<MutexGuard<'_, Writer>> {
        let mut writer = lock(&self.writer);
        anyhow::ensure!(writer.lock.is_some(), "the lake was opened for reading");
        self.finish_unfinished(&mut writer)?;
        Ok(writer)
    }

    fn finish_unfinished(&self, writer: &mut Writer) -> anyhow::Result<()> {
        writer.unfinished.take().map_or(Ok(()), |journal| self.finish(writer, journal))
    }

    fn flush_with(&self, writer: &mut Writer) -> anyhow::Result<Position> {
        self.finish_unfinished(writer)?;
        let (position, chunks) = lock(&self.state).start_flush();
        if chunks.iter().any(|chunks| !chunks.is_empty()) {
            let _span = tracing::debug_span!("flush", position).entered();
            let journal = self.stage(position, &chunks)?;
            self.step(Step::Staged)?;
            journal.write(&*self.disk, &self.path)?;
            self.step(Step::Journaled)?;
            self.finish(writer, journal)?;
        } else {
            self.durable.send_replace(position);
        }
        Ok(position)
    }

    /// Sorts and writes every table's rows aside.
    fn stage(&self, position: Position, chunks: &[Chunks]) -> anyhow::Result<Journal> {
        let aside = aside(&self.path);
        // What an attempt left that failed, for want of space perhaps; operators of queries spill to folders beside.
        Journal::withdraw(&*self.disk, &self.path)?;
        clear_files(&*self.disk, &aside).with_context(|| format!("clearing {}", aside.display()))?;
        let mut tables = BTreeMap::new();
        for (table, chunks) in TABLES.into_iter().zip(chunks).filter(|(_, chunks)| !chunks.is_empty()) {
            let rolled_up = |date| table.rolled().map_or_else(Vec::new, |rolled| self.rolled_up_at_all(rolled, date));
            let staged = files::write(&self.disk, table, chunks, &rolled_up, &aside)
                .with_context(|| format!("writing rows of table `{}`", table.name()))?;
            tables.insert(table.name().to_owned(), staged);
        }
        Ok(Journal { app: self.app.clone(), position, tables })
    }

    /// Carries a written journal out, then lets files take the place of the rows in memory.
    fn finish(&self, writer: &mut Writer, journal: Journal) -> anyhow::Result<()> {
        if let Err(error) = journal.complete(&*self.disk, &self.path, &mut writer.logs) {
            writer.unfinished = Some(journal);
            return Err(error);
        }
        self.step(Step::Committed)?;
        Journal::remove(&*self.disk, &self.path);
        let files = writer.logs.iter().map(|log| log.files().cloned().collect());
        lock(&self.state).end_flush(files.collect());
        self.durable.send_replace(journal.position);
        Ok(())
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    fn step(&self, _done: Step) -> anyhow::Result<()> {
        Ok(())
    }

    /// In tests a flush can be made to end here, as a crash would.
    #[cfg(test)]
    fn step(&self, done: Step) -> anyhow::Result<()> {
        anyhow::ensure!(*lock(&self.crash_after) != Some(done), "crash after {done:?}");
        Ok(())
    }
}
