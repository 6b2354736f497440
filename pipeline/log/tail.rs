//! The newest records, in memory, shared by all cursors; without a disk, all of them.

use std::collections::VecDeque;

use crate::batch::Batch;
use crate::log::Position;
use crate::log::record::Record;

/// What a record takes besides its payload: an estimate, so that a flood of tiny records is bounded too.
const OVERHEAD: u64 = 256;

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) record: Record,
    /// The first position of its segment.
    pub(super) segment: Position,
}

#[derive(Debug, Default)]
pub(super) struct Tail {
    kept: VecDeque<Kept>,
    bytes: u64,
    /// Every record after this position is here.
    after: Position,
}

impl Tail {
    pub(super) fn starting_after(after: Position) -> Tail {
        Tail { kept: VecDeque::new(), bytes: 0, after }
    }

    pub(super) fn weight(record: &Record) -> u64 {
        record.bytes() + OVERHEAD
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn push(&mut self, kept: Kept) {
        self.bytes += Self::weight(&kept.record);
        self.kept.push_back(kept);
    }

    pub(super) fn front(&self) -> Option<&Kept> {
        self.kept.front()
    }

    pub(super) fn pop(&mut self) -> Option<Kept> {
        let kept = self.kept.pop_front()?;
        self.bytes -= Self::weight(&kept.record);
        self.after = kept.record.position;
        Some(kept)
    }

    pub(super) fn drop_through(&mut self, position: Position) {
        while self.front().is_some_and(|kept| kept.record.position <= position) {
            self.pop();
        }
    }

    pub(super) fn shrink_to(&mut self, bytes: u64) {
        while self.bytes > bytes && self.pop().is_some() {}
    }

    /// Every record after this position is here.
    pub(super) fn begins_after(&self) -> Position {
        self.after
    }

    /// The records at or before `position`, oldest first.
    pub(super) fn through(&self, position: Position) -> impl Iterator<Item = &Kept> {
        self.kept.range(..self.kept.partition_point(|kept| kept.record.position <= position))
    }

    /// A record that is still here holds `batch` from now on.
    pub(super) fn replace(&mut self, position: Position, batch: Batch) {
        let index = self.kept.partition_point(|kept| kept.record.position < position);
        if let Some(kept) = self.kept.get_mut(index).filter(|kept| kept.record.position == position) {
            self.bytes -= Self::weight(&kept.record);
            kept.record.batch = batch;
            self.bytes += Self::weight(&kept.record);
        }
    }

    /// The records after `position`, oldest first; `None` when some of them are no longer here.
    pub(super) fn after(&self, position: Position) -> Option<impl Iterator<Item = &Kept>> {
        (position >= self.after).then(|| {
            let from = self.kept.partition_point(|kept| kept.record.position <= position);
            self.kept.range(from..)
        })
    }
}
