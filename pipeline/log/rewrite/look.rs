//! Looking through everything the log holds.

use std::io;

use super::unreadable;
use crate::batch::Batch;
use crate::log::format::segment_name;
use crate::log::scan::{Scanner, Step, Want};
use crate::log::store::Store;
use crate::log::{Log, Position, Shared};

/// What [`Log::scan`] saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Everything at or before this position was looked at.
    pub through: Position,
    pub on_disk: Seen,
    /// The newest records, which are on disk too; without a disk, all.
    pub in_memory: Seen,
    /// Stretches of segments that cannot be read: nobody knows what they hold.
    pub damaged: u64,
    /// Files put aside because they cannot be read.
    pub unreadable: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub records: u64,
    pub items: u64,
    /// The sum of what was counted.
    pub found: u64,
}

impl Seen {
    fn note(&mut self, batch: &Batch, count: &dyn Fn(&Batch) -> usize) {
        self.records += 1;
        self.items += batch.items() as u64;
        self.found += count(batch) as u64;
    }
}

impl Log {
    /// Reads every record at or before `through` (at most the head) that the log still has, and counts in it; also those
    /// that every cursor has passed, until their segment is deleted.
    pub async fn scan<F>(&self, through: Position, count: F) -> io::Result<Scanned>
    where
        F: Fn(&Batch) -> usize + Send + 'static,
    {
        let through = through.min(self.head());
        let shared = self.0.shared.clone();
        tokio::task::spawn_blocking(move || shared.scan(through, &count)).await.map_err(io::Error::other)?
    }
}

impl Shared {
    pub(in crate::log) fn scan(&self, through: Position, count: &dyn Fn(&Batch) -> usize) -> io::Result<Scanned> {
        let mut scanned = Scanned { through, ..Scanned::default() };
        if let Some(store) = &self.store {
            let _as_it_is = store.rewriting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let mut next = self.segment_after(0);
            while let Some(first) = next.filter(|first| *first <= through) {
                self.scan_segment(store, first, through, count, &mut scanned)?;
                next = self.segment_after(first);
            }
            scanned.unreadable = unreadable(store.disk.as_ref())?;
        }
        let records: Vec<_> = self.state().tail.through(through).map(|kept| kept.record.clone()).collect();
        records.iter().for_each(|record| scanned.in_memory.note(&record.batch, count));
        Ok(scanned)
    }

    fn scan_segment(
        &self,
        store: &Store,
        first: Position,
        through: Position,
        count: &dyn Fn(&Batch) -> usize,
        scanned: &mut Scanned,
    ) -> io::Result<()> {
        let Some((readable, last)) =
            self.state().segments.iter().find(|one| one.first == first).map(|one| (one.readable, one.last))
        else {
            return Ok(());
        };
        let file = match store.disk.open(&segment_name(first)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(mut scanner) = Scanner::open(file, last.max(first) + 1)? else {
            scanned.damaged += 1;
            return Ok(());
        };
        scanner.limit(readable);
        loop {
            match scanner.next(Want::Body)? {
                Step::End => return Ok(()),
                Step::Bad { .. } => scanned.damaged += 1,
                Step::Good { header, .. } if header.position > through => return Ok(()),
                Step::Good { header, body, .. } => match header.record(body) {
                    Some(record) => scanned.on_disk.note(&record.batch, count),
                    None => scanned.damaged += 1,
                },
            }
        }
    }
}
