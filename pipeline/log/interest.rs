//! What one cursor still needs of the log: the figures behind backlog, deletion and loss.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use crate::component::OnFull;
use crate::log::Position;
use crate::log::book::Saved;
use crate::log::record::{Counts, Pipelines, Record};
use crate::log::rewrite::Change;

#[derive(Debug)]
pub(super) struct Interest {
    pub(super) name: Arc<str>,
    /// `None`: a cursor found on disk that nobody has opened yet. It holds everything after its commit.
    pub(super) reads: Option<Reads>,
    /// What it read when it was last open; `None`: nobody knows.
    known: Option<Pipelines>,
    committed: Position,
    /// Everything up to here was handed out, or is not for this cursor.
    delivered: Position,
    /// Not handed out yet, by the first position of the segment that holds it.
    waiting: BTreeMap<Position, Counts>,
    /// Handed out, not committed.
    in_flight: VecDeque<InFlight>,
    oldest: Option<SystemTime>,
    lost: Counts,
}

#[derive(Clone, Debug)]
pub(super) struct Reads {
    pub(super) pipelines: Pipelines,
    pub(super) on_full: OnFull,
    /// What it read when it was last open, and up to where it still does: records that were acknowledged for this
    /// exporter before it was wired anew.
    before: Option<(Pipelines, Position)>,
}

impl Reads {
    pub(super) fn new(pipelines: Pipelines, on_full: OnFull) -> Reads {
        Reads { pipelines, on_full, before: None }
    }

    pub(super) fn wants(&self, pipelines: &Pipelines, position: Position) -> bool {
        self.pipelines.overlaps(pipelines)
            || self.before.as_ref().is_some_and(|(before, until)| position <= *until && before.overlaps(pipelines))
    }
}

#[derive(Debug)]
struct InFlight {
    position: Position,
    counts: Counts,
    accepted_at: SystemTime,
}

/// For status pages and telemetry.
#[derive(Clone, Debug)]
pub struct Backlog {
    pub cursor: Arc<str>,
    pub committed: Position,
    /// Not committed yet, handed out or not.
    pub pending: Counts,
    /// When the oldest pending record was accepted; early by at most the gap between two records.
    pub oldest: Option<SystemTime>,
    /// Dropped from this cursor since the process started.
    pub lost: Counts,
    /// False: its exporter is not running (being reloaded, or no longer configured).
    pub open: bool,
}

impl Interest {
    pub(super) fn at(name: Arc<str>, Saved { position: committed, pipelines: known }: Saved) -> Interest {
        Interest {
            name,
            reads: None,
            known,
            committed,
            delivered: committed,
            waiting: BTreeMap::new(),
            in_flight: VecDeque::new(),
            oldest: None,
            lost: Counts::default(),
        }
    }

    /// `reads`, and until it is settled what it read before.
    pub(super) fn and_before(&self, mut reads: Reads) -> Reads {
        let known = self.known.as_ref().filter(|known| known.iter().any(|id| !reads.pipelines.contains(id)));
        reads.before = known.map(|known| (known.clone(), Position::MAX));
        reads
    }

    /// What is appended after `head` is wired the new way. Returns whether that changes anything.
    pub(super) fn settle(&mut self, head: Position) -> bool {
        match self.reads.as_mut().and_then(|reads| reads.before.as_mut()) {
            Some((_, until)) if *until == Position::MAX => {
                *until = head;
                true
            }
            _ => false,
        }
    }

    /// For the next start.
    pub(super) fn saved(&self, head: Position) -> Saved {
        let position = self.floor(head);
        let pipelines = match &self.reads {
            None => self.known.clone(),
            Some(Reads { pipelines, before: Some((before, until)), .. }) if position < *until => {
                Some(Pipelines::new(pipelines.iter().chain(before.iter())))
            }
            Some(reads) => Some(reads.pipelines.clone()),
        };
        Saved { position, pipelines }
    }

    /// Begins again after the last commit, with `waiting` as what the log holds for it from there.
    pub(super) fn open(&mut self, reads: Reads, waiting: BTreeMap<Position, Counts>, oldest: Option<SystemTime>) {
        self.reads = Some(reads);
        self.delivered = self.committed;
        self.waiting = waiting;
        self.in_flight.clear();
        self.oldest = oldest;
    }

    pub(super) fn close(&mut self, head: Position) {
        Saved { position: self.committed, pipelines: self.known } = self.saved(head);
        self.delivered = self.committed;
        self.reads = None;
        self.waiting.clear();
        self.in_flight.clear();
        self.oldest = None;
    }

    pub(super) fn wants(&self, record: &Record) -> bool {
        let reads = |reads: &Reads| reads.wants(&record.pipelines, record.position);
        self.reads.as_ref().is_some_and(reads) && !record.batch.is_empty()
    }

    pub(super) fn delivered(&self) -> Position {
        self.delivered
    }

    pub(super) fn is_drained(&self) -> bool {
        self.waiting.is_empty()
    }

    /// It needs nothing at or before this position.
    pub(super) fn floor(&self, head: Position) -> Position {
        match self.in_flight.front() {
            _ if self.reads.is_none() => self.committed,
            Some(first) => first.position.saturating_sub(1),
            None if self.waiting.is_empty() => head,
            None => self.delivered,
        }
    }

    pub(super) fn appended(&mut self, record: &Record, segment: Position) {
        if !self.wants(record) {
            return;
        }
        if self.waiting.is_empty() {
            self.passed(record.position.saturating_sub(1));
            if self.in_flight.is_empty() {
                self.oldest = Some(record.accepted_at);
            }
        }
        *self.waiting.entry(segment).or_default() += record.counts();
    }

    pub(super) fn hand_out(&mut self, record: &Record, segment: Position) {
        let counts = record.counts();
        self.no_longer_waiting(segment, counts);
        if self.in_flight.is_empty() {
            self.oldest = Some(record.accepted_at);
        }
        self.in_flight.push_back(InFlight { position: record.position, counts, accepted_at: record.accepted_at });
        self.delivered = self.delivered.max(record.position);
    }

    /// Nothing up to `position` is for this cursor, besides what was handed out.
    pub(super) fn passed(&mut self, position: Position) {
        self.delivered = self.delivered.max(position);
    }

    /// Everything up to the head was looked at: what still counts as waiting was damaged on disk.
    pub(super) fn looked_through(&mut self, head: Position) {
        if self.delivered >= head && !self.waiting.is_empty() {
            self.unreadable_before(Position::MAX);
        }
    }

    /// Returns whether it moved.
    pub(super) fn commit(&mut self, position: Position) -> bool {
        let position = position.min(self.delivered);
        if position <= self.committed {
            return false;
        }
        self.committed = position;
        let mut last = None;
        while self.in_flight.front().is_some_and(|first| first.position <= position) {
            last = self.in_flight.pop_front();
        }
        self.oldest = match self.in_flight.front() {
            Some(first) => Some(first.accepted_at),
            None if self.waiting.is_empty() => None,
            None => last.map(|last| last.accepted_at).or(self.oldest),
        };
        true
    }

    /// Gives up one record that is about to be deleted from memory.
    pub(super) fn drop_record(&mut self, record: &Record, segment: Position) -> Counts {
        let mut lost = Counts::default();
        if record.position > self.delivered && self.wants(record) {
            lost = record.counts();
            self.no_longer_waiting(segment, lost);
        }
        self.skip_to(record.position);
        self.lost += lost;
        lost
    }

    /// Gives up what is left of a segment, whose last position is `end`. What was handed out is still being
    /// exported, from memory: it is not lost, only no longer safe from a crash.
    pub(super) fn drop_segment(&mut self, segment: Position, end: Position) -> Counts {
        let lost = self.waiting.remove(&segment).unwrap_or_default();
        self.skip_to(end);
        self.lost += lost;
        lost
    }

    /// The reader is done with every segment before `segment`: what is still waiting there cannot be read.
    pub(super) fn unreadable_before(&mut self, segment: Position) -> Counts {
        let rest = self.waiting.split_off(&segment);
        let mut lost = Counts::default();
        std::mem::replace(&mut self.waiting, rest).into_values().for_each(|counts| lost += counts);
        self.lost += lost;
        lost
    }

    /// Records of `segment` are other than they were.
    pub(super) fn rewritten(&mut self, segment: Position, changes: &[Change]) {
        let Some(reads) = &self.reads else { return };
        let Some(waiting) = self.waiting.get_mut(&segment) else { return };
        for Change { position, pipelines, before, after } in changes {
            if *position > self.delivered && reads.wants(pipelines, *position) {
                *waiting -= *before;
                *waiting += *after;
            }
        }
        if waiting.records == 0 {
            self.waiting.remove(&segment);
        }
    }

    /// The last record that was handed out and is not committed.
    pub(super) fn last_in_flight(&self) -> Option<Position> {
        self.in_flight.back().map(|last| last.position)
    }

    pub(super) fn backlog(&self, head: Position) -> Backlog {
        let mut pending = Counts::default();
        self.waiting.values().for_each(|counts| pending += *counts);
        self.in_flight.iter().for_each(|one| pending += one.counts);
        Backlog {
            cursor: self.name.clone(),
            committed: self.floor(head),
            oldest: if pending.records == 0 { None } else { self.oldest },
            pending,
            lost: self.lost,
            open: self.reads.is_some(),
        }
    }

    fn skip_to(&mut self, position: Position) {
        while self.in_flight.front().is_some_and(|first| first.position <= position) {
            self.in_flight.pop_front();
        }
        self.committed = self.committed.max(position);
        self.delivered = self.delivered.max(position);
    }

    fn no_longer_waiting(&mut self, segment: Position, counts: Counts) {
        if let Some(waiting) = self.waiting.get_mut(&segment) {
            *waiting -= counts;
            if waiting.records == 0 {
                self.waiting.remove(&segment);
            }
        }
    }
}
