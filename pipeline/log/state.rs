//! The log's shared state: the tail, the segments and what every cursor needs. One mutex, held for moments.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use crate::component::OnFull;
use crate::log::Position;
use crate::log::interest::{Backlog, Interest, Reads};
use crate::log::record::{Counts, Pipelines, Record};
use crate::log::tail::{Kept, Tail};

/// A segment file, as known in memory. Its name is its first position.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) first: Position,
    /// The last acknowledged position in it; `first - 1` while it is empty.
    pub(super) last: Position,
    /// On disk.
    pub(super) bytes: u64,
    /// Acknowledged bytes: what readers may read.
    pub(super) readable: u64,
    /// What it holds, by the pipelines it belongs to.
    pub(super) holds: BTreeMap<Pipelines, Counts>,
    pub(super) oldest: Option<SystemTime>,
    /// Grows when the file is replaced by another of that name.
    pub(super) edition: u64,
}

impl Segment {
    pub(super) fn counts(&self, reads: &Reads) -> Counts {
        let mut sum = Counts::default();
        self.holds.iter().filter(|(own, _)| reads.wants(own, self.last)).for_each(|(_, counts)| sum += *counts);
        sum
    }

    pub(super) fn note(&mut self, pipelines: &Pipelines, position: Position, counts: Counts, at: SystemTime) {
        self.last = position;
        self.oldest.get_or_insert(at);
        match self.holds.get_mut(pipelines) {
            Some(held) => *held += counts,
            None => {
                self.holds.insert(pipelines.clone(), counts);
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The last acknowledged position.
    pub(super) head: Position,
    pub(super) tail: Tail,
    /// Oldest first; the last is the one being written. Empty without a disk.
    pub(super) segments: VecDeque<Segment>,
    pub(super) cursors: BTreeMap<Arc<str>, Interest>,
    /// A commit has not been saved yet.
    pub(super) unsaved: bool,
}

/// What a cursor may take without touching the disk.
pub(super) enum Taken {
    Records(Vec<Record>),
    Nothing,
    /// The next records are on disk, after this position.
    Behind(Position),
}

/// Why there is no room, and who stands in the way.
pub(super) struct NoRoom {
    pub(super) cursor: Arc<str>,
}

/// What one cursor was made to give up.
pub(super) struct Loss {
    pub(super) cursor: Arc<str>,
    pub(super) lost: Counts,
}

impl State {
    /// Makes a record visible; it is durable (or there is no disk).
    pub(super) fn append(&mut self, record: Record, segment: Position) {
        self.head = record.position;
        self.cursors.values_mut().for_each(|cursor| cursor.appended(&record, segment));
        if let Some(active) = self.segments.back_mut() {
            active.note(&record.pipelines, record.position, record.counts(), record.accepted_at);
        }
        self.tail.push(Kept { record, segment });
    }

    pub(super) fn take(&mut self, name: &str, max_items: usize, max_bytes: u64) -> Taken {
        let State { head, tail, cursors, .. } = self;
        let Some(cursor) = cursors.get_mut(name) else { return Taken::Nothing };
        if cursor.is_drained() {
            cursor.passed(*head);
            return Taken::Nothing;
        }
        let Some(following) = tail.after(cursor.delivered()) else { return Taken::Behind(cursor.delivered()) };
        let mut room = Room::new(max_items, max_bytes);
        let mut records = Vec::new();
        for kept in following {
            if !cursor.wants(&kept.record) {
                cursor.passed(kept.record.position);
                continue;
            }
            if !room.takes(kept.record.batch.items(), kept.record.bytes()) {
                break;
            }
            cursor.hand_out(&kept.record, kept.segment);
            records.push(kept.record.clone());
        }
        cursor.looked_through(*head);
        if records.is_empty() { Taken::Nothing } else { Taken::Records(records) }
    }

    /// Of the segment's file; `None`: there is none any more.
    pub(super) fn edition(&self, segment: Position) -> Option<u64> {
        self.segments.iter().find(|known| known.first == segment).map(|known| known.edition)
    }

    /// What every cursor has passed.
    pub(super) fn floor(&self) -> Position {
        self.cursors.values().map(|cursor| cursor.floor(self.head)).min().unwrap_or(self.head)
    }

    /// The last position that a segment holds; the head, when none holds any.
    pub(super) fn last_record(&self) -> Position {
        let held = self.segments.iter().rev().find(|segment| !segment.holds.is_empty());
        held.map_or(self.head, |segment| segment.last)
    }

    /// The closed segments that every cursor has passed; they are no longer known.
    pub(super) fn take_passed(&mut self) -> Vec<Segment> {
        let floor = self.floor();
        let mut passed = Vec::new();
        while self.oldest_closed().is_some_and(|(_, last)| last <= floor) {
            passed.extend(self.segments.pop_front());
        }
        passed
    }

    /// First and last position of the oldest segment that is not being written.
    pub(super) fn oldest_closed(&self) -> Option<(Position, Position)> {
        self.segments.front().filter(|_| self.segments.len() > 1).map(|segment| (segment.first, segment.last))
    }

    /// Lets go of memory that no cursor will ask for: with a disk, what every open cursor was handed.
    pub(super) fn trim_tail(&mut self, durable: bool) {
        let through = if durable {
            let open = self.cursors.values().filter(|cursor| cursor.reads.is_some() && !cursor.is_drained());
            open.map(Interest::delivered).min().unwrap_or(self.head)
        } else {
            self.floor()
        };
        self.tail.drop_through(through);
    }

    pub(super) fn backlogs(&self) -> Vec<Backlog> {
        self.cursors.values().map(|cursor| cursor.backlog(self.head)).collect()
    }

    /// Makes the cursors that hold `through` give it up, if all of them may.
    pub(super) fn give_up(
        &mut self,
        through: Position,
        mut drop: impl FnMut(&mut Interest) -> Counts,
    ) -> Result<Vec<Loss>, NoRoom> {
        let head = self.head;
        let holds = |cursor: &Interest| cursor.floor(head) < through;
        let blocks = |cursor: &Interest| {
            holds(cursor) && cursor.reads.as_ref().is_none_or(|reads| reads.on_full == OnFull::Block)
        };
        if let Some(cursor) = self.cursors.values().find(|cursor| blocks(cursor)) {
            return Err(NoRoom { cursor: cursor.name.clone() });
        }
        let losers = self.cursors.values_mut().filter(|cursor| holds(cursor));
        Ok(losers.map(|cursor| Loss { lost: drop(cursor), cursor: cursor.name.clone() }).collect())
    }

    /// Opens or re-opens a cursor. `waiting` is what the log holds for it after its commit.
    pub(super) fn open_cursor(
        &mut self,
        name: &Arc<str>,
        reads: Reads,
        waiting: BTreeMap<Position, Counts>,
        oldest: Option<SystemTime>,
    ) {
        if let Some(cursor) = self.cursors.get_mut(name) {
            cursor.open(reads, waiting, oldest);
        }
    }
}

/// How much one hand-out may hold; the first record always fits.
pub(super) struct Room {
    items: usize,
    bytes: u64,
    empty: bool,
}

impl Room {
    pub(super) fn new(items: usize, bytes: u64) -> Room {
        Room { items, bytes, empty: true }
    }

    pub(super) fn takes(&mut self, items: usize, bytes: u64) -> bool {
        if !self.empty && (items > self.items || bytes > self.bytes) {
            return false;
        }
        self.empty = false;
        self.items = self.items.saturating_sub(items);
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }
}
