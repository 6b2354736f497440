//! Taking data out of records that are already logged, and showing that it is gone: for erasure.
//!
//! A segment is written anew aside, fsynced and renamed over the old one; a record that is emptied keeps its position,
//! with no items, and is for no cursor. Crash-safe: before the names are fsynced the old segment may come back, whole,
//! and doing it again does what is left. Appending and reading go on meanwhile: what is being written is closed first, and
//! a reader in the middle of a segment that was replaced begins it again.
//!
//! Limits: room for one more segment on disk; in memory one record, and what of the tail is changed.

mod copy;
mod look;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, PoisonError};

pub use look::{Scanned, Seen};

use crate::batch::Batch;
use crate::log::disk::Disk;
use crate::log::format::segment_name;
use crate::log::memory::SEGMENT;
use crate::log::record::{Counts, Pipelines};
use crate::log::scan::Scanner;
use crate::log::state::State;
use crate::log::store::Store;
use crate::log::{Log, Position, Shared};
use copy::{Copied, Copy};

const ASIDE: &str = ".rewritten";
const DAMAGED: &str = ".damaged";

/// What [`Log::rewrite`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Everything at or before this position was looked at.
    pub through: Position,
    /// Files written anew.
    pub segments: u64,
    /// Records that are other than they were, and of those the ones with nothing left.
    pub records: u64,
    pub emptied: u64,
    /// Items taken out.
    pub items: u64,
    /// What cursors had been handed before, and have not committed: by cursor, the last position. Their exporters may still
    /// deliver it as it was.
    pub handed_out: Vec<(Arc<str>, Position)>,
    /// Files put aside because they cannot be read. Nobody knows what they hold.
    pub unreadable: Vec<String>,
}

/// What became of one record.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) position: Position,
    pub(super) pipelines: Pipelines,
    pub(super) before: Counts,
    pub(super) after: Counts,
}

impl Rewritten {
    fn note(&mut self, changes: &[Change]) {
        for Change { before, after, .. } in changes {
            self.records += 1;
            self.emptied += u64::from(after.records == 0);
            self.items += before.items.saturating_sub(after.items);
        }
    }
}

impl Log {
    /// Puts every record at or before `through` (at most the head) through `edit`: `None` leaves it as it is, an empty
    /// batch empties it. When this returns, no cursor is handed anything else any more, and after a crash neither;
    /// [`Rewritten::handed_out`] is what they had before. On an error some segments are done and the others as they were:
    /// do it again. What is known to be damaged is left out of a segment that is written anew, and every segment with
    /// damage is. `edit` is given each record once a call, on a thread that may block.
    pub async fn rewrite<F>(&self, through: Position, edit: F) -> io::Result<Rewritten>
    where
        F: Fn(&Batch) -> Option<Batch> + Send + 'static,
    {
        let through = through.min(self.head());
        if let Some(threads) = &self.0.threads {
            threads.rotate().await?;
        }
        let shared = self.0.shared.clone();
        tokio::task::spawn_blocking(move || shared.rewrite(through, &edit)).await.map_err(io::Error::other)?
    }
}

impl Shared {
    /// What is at or before `through` is no longer being written to.
    pub(super) fn rewrite(&self, through: Position, edit: &dyn Fn(&Batch) -> Option<Batch>) -> io::Result<Rewritten> {
        let mut done = Rewritten { through, ..Rewritten::default() };
        match &self.store {
            None => self.rewrite_in_memory(through, edit, &mut done),
            Some(store) => {
                let _one_at_a_time = store.rewriting.lock().unwrap_or_else(PoisonError::into_inner);
                let mut next = self.segment_after(0);
                while let Some(first) = next.filter(|first| *first <= through) {
                    self.rewrite_segment(store, first, through, edit, &mut done)?;
                    next = self.segment_after(first);
                }
                done.unreadable = unreadable(store.disk.as_ref())?;
            }
        }
        let state = self.state();
        done.handed_out =
            state.cursors.values().filter_map(|cursor| Some((cursor.name.clone(), cursor.last_in_flight()?))).collect();
        Ok(done)
    }

    /// The oldest segment that begins after `position`.
    fn segment_after(&self, position: Position) -> Option<Position> {
        self.state().segments.iter().map(|segment| segment.first).find(|first| *first > position)
    }

    fn rewrite_segment(
        &self,
        store: &Store,
        first: Position,
        through: Position,
        edit: &dyn Fn(&Batch) -> Option<Batch>,
        done: &mut Rewritten,
    ) -> io::Result<()> {
        let (readable, last, in_tail_after) = {
            let state = self.state();
            let Some(segment) = state.segments.iter().find(|segment| segment.first == first) else { return Ok(()) };
            (segment.readable, segment.last, state.tail.begins_after())
        };
        if last < first {
            return Ok(());
        }
        let name = segment_name(first);
        let file = match store.disk.open(&name) {
            Ok(file) => file,
            // Every cursor has passed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(mut scanner) = Scanner::open(file, last + 1)? else {
            return Err(io::Error::other(format!(
                "{name} cannot be read: restart, which puts it aside, and try again"
            )));
        };
        scanner.limit(readable);
        let aside = format!("{name}{ASIDE}");
        let copied = Copy::new(store.disk.as_ref(), &name, &aside, &scanner.header, through, in_tail_after).run(
            &mut scanner,
            edit,
            |from, to, records| self.tell_damage(store, first, from, to, records),
        );
        match copied {
            Ok(None) => Ok(()),
            Ok(Some(copied)) => {
                done.note(&copied.changes);
                done.segments += u64::from(self.replace(store, &aside, &name, copied)?);
                Ok(())
            }
            Err(error) => {
                let _ = store.disk.remove(&aside);
                Err(error)
            }
        }
    }

    /// Puts the new file in the old one's place. False: the segment is gone, as every cursor has passed it.
    fn replace(&self, store: &Store, aside: &str, name: &str, copied: Copied) -> io::Result<bool> {
        let mut state = self.state();
        let Some(segment) = state.segments.iter_mut().find(|segment| segment.first == copied.segment.first) else {
            drop(state);
            store.disk.remove(aside)?;
            return Ok(false);
        };
        // Under the lock: whoever opens the file looks at its edition afterwards.
        store.disk.rename(aside, name)?;
        let edition = segment.edition + 1;
        let first = copied.segment.first;
        *segment = copied.segment;
        segment.edition = edition;
        state.rewritten(first, &copied.changes, copied.in_tail);
        self.moved(&mut state);
        drop(state);
        store.disk.sync_names()?;
        Ok(true)
    }

    fn rewrite_in_memory(&self, through: Position, edit: &dyn Fn(&Batch) -> Option<Batch>, done: &mut Rewritten) {
        let records: Vec<_> = self.state().tail.through(through).map(|kept| kept.record.clone()).collect();
        for record in records {
            let Some(batch) = edit(&record.batch) else { continue };
            let mut after = record.clone();
            after.batch = lean(&batch);
            let (position, pipelines) = (record.position, record.pipelines.clone());
            let changes = [Change { position, pipelines, before: record.counts(), after: after.counts() }];
            done.note(&changes);
            let mut state = self.state();
            state.rewritten(SEGMENT, &changes, vec![(record.position, after.batch)]);
            self.moved(&mut state);
        }
    }
}

impl State {
    fn rewritten(&mut self, segment: Position, changes: &[Change], in_tail: Vec<(Position, Batch)>) {
        self.cursors.values_mut().for_each(|cursor| cursor.rewritten(segment, changes));
        in_tail.into_iter().for_each(|(position, batch)| self.tail.replace(position, batch));
    }
}

/// As a batch comes from the disk: not with the rows it was made of.
fn lean(batch: &Batch) -> Batch {
    Batch::from_checked_otlp(batch.signal(), batch.otlp().clone(), batch.items())
}

/// A rewrite that a crash cut short left its file.
pub(super) fn clear(disk: &dyn Disk) -> io::Result<()> {
    disk.list()?.iter().filter(|name| name.ends_with(ASIDE)).try_for_each(|name| disk.remove(name))
}

fn unreadable(disk: &dyn Disk) -> io::Result<Vec<String>> {
    Ok(disk.list()?.into_iter().filter(|name| name.ends_with(DAMAGED)).collect())
}
