//! What was appended when, as far as someone needs who holds an answer and asks which part of it is out of date: per
//! position the smallest and largest `ts` of each table's rows.
//!
//! Starts with the first row appended by this process (reading the log again after a restart counts). At most
//! [`MOST`] entries are kept; the older ones are joined, which makes answers about them wider, never wrong.

use std::collections::VecDeque;
use std::ops::Range;

use catchment_pipeline::log::Position;

use crate::schema::{LakeTable, TABLES};
use crate::sql::Tables;

/// 480 KiB.
const MOST: usize = 4096;

/// What rows after a position mean to an answer about a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// No row in it.
    Nothing,
    /// Rows at or after this time (microseconds, not before the window) may be new.
    Since(i64),
    /// The position is of before this process began: anything may be new.
    Unknown,
    /// The position is not reached again yet: the log is still being read after a restart. Or it is no position of
    /// this log.
    Ahead,
}

/// Smallest and largest `ts` of a table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Span {
    pub(crate) const NONE: Span = Span { first: i64::MAX, last: i64::MIN };

    pub(crate) fn and(self, other: Span) -> Span {
        Span { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    pub(crate) fn touches(self, window: &Range<i64>) -> bool {
        self.first < window.end && self.last >= window.start
    }
}

/// By table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended([Span; TABLES.len()]);

impl Default for Appended {
    fn default() -> Appended {
        Appended([Span::NONE; TABLES.len()])
    }
}

impl Appended {
    pub(crate) fn add(&mut self, table: LakeTable, span: Span) {
        if let Some(slot) = self.0.get_mut(table.index()) {
            *slot = slot.and(span);
        }
    }
}

#[derive(Debug)]
struct Entry {
    /// The rows are of after the entry before, up to and with this one.
    at: Position,
    rows: Appended,
}

#[derive(Debug)]
pub(crate) struct Changes {
    known_after: Position,
    entries: VecDeque<Entry>,
}

impl Changes {
    pub(crate) fn new(position: Position) -> Changes {
        Changes { known_after: position, entries: VecDeque::new() }
    }

    pub(crate) fn note(&mut self, at: Position, rows: Appended) {
        if self.entries.len() >= MOST {
            self.join_older();
        }
        self.entries.push_back(Entry { at, rows });
    }

    /// The older half becomes a quarter.
    fn join_older(&mut self) {
        let newer = self.entries.split_off(MOST / 2);
        let mut older = std::mem::take(&mut self.entries).into_iter();
        while let Some(mut entry) = older.next() {
            if let Some(next) = older.next() {
                entry.at = next.at;
                entry.rows.0.iter_mut().zip(next.rows.0).for_each(|(a, b)| *a = a.and(b));
            }
            self.entries.push_back(entry);
        }
        self.entries.extend(newer);
    }

    pub(crate) fn since(&self, position: Position, tables: Tables, window: &Range<i64>) -> Changed {
        let appended = self.entries.back().map_or(self.known_after, |entry| entry.at);
        if position < self.known_after {
            return Changed::Unknown;
        }
        if position > appended {
            return Changed::Ahead;
        }
        let wanted = TABLES.map(|table| tables.contains(table.into()));
        let first = self
            .entries
            .iter()
            .rev()
            .take_while(|entry| entry.at > position)
            .flat_map(|entry| entry.rows.0.iter().zip(wanted))
            .filter(|(span, wanted)| *wanted && span.touches(window))
            .map(|(span, _)| span.first.max(window.start))
            .min();
        first.map_or(Changed::Nothing, Changed::Since)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use catchment_pipeline::batch::Table;
    use proptest::prelude::*;

    const ALL: Range<i64> = i64::MIN..i64::MAX;

    fn metrics(first: i64, last: i64) -> Appended {
        let mut appended = Appended::default();
        appended.add(LakeTable::Rows(Table::Metrics), Span { first, last });
        appended
    }

    #[test]
    fn of_a_position_a_table_and_a_window() {
        let mut changes = Changes::new(10);
        let (metrics_only, logs) = (Tables::named("metrics").unwrap(), Tables::named("logs").unwrap());
        assert_eq!(changes.since(10, Tables::ALL, &ALL), Changed::Nothing);
        assert_eq!(changes.since(9, Tables::ALL, &ALL), Changed::Unknown);
        assert_eq!(changes.since(11, Tables::ALL, &ALL), Changed::Ahead);
        changes.note(12, metrics(500, 600));
        changes.note(15, metrics(100, 200));
        assert_eq!(changes.since(10, metrics_only, &ALL), Changed::Since(100));
        assert_eq!(changes.since(10, logs, &ALL), Changed::Nothing);
        assert_eq!(changes.since(10, logs.with(metrics_only), &ALL), Changed::Since(100));
        assert_eq!(changes.since(15, Tables::ALL, &ALL), Changed::Nothing);
        assert_eq!(changes.since(13, Tables::ALL, &ALL), Changed::Since(100));
        assert_eq!(changes.since(10, Tables::ALL, &(300..i64::MAX)), Changed::Since(500));
        assert_eq!(changes.since(10, Tables::ALL, &(550..i64::MAX)), Changed::Since(550));
        assert_eq!(changes.since(10, Tables::ALL, &(201..500)), Changed::Nothing);
        assert_eq!(changes.since(10, Tables::ALL, &(601..i64::MAX)), Changed::Nothing);
    }

    proptest! {
        /// Against a list of everything: never later than the truth, and exact about what is recent.
        #[test]
        fn joined_entries_are_never_wrong(
            appends in proptest::collection::vec((1u64..4, 0i64..1000, 0i64..100), 1..3 * MOST),
            asked in 0u64..12_000,
            window in (0i64..1000, 0i64..1000),
        ) {
            let mut changes = Changes::new(0);
            let mut all = Vec::new();
            let mut at = 0;
            for (step, first, length) in appends {
                at += step;
                changes.note(at, metrics(first, first + length));
                all.push((at, first, first + length));
            }
            prop_assert!(changes.entries.len() <= MOST);
            let window = window.0..window.0 + window.1;
            let asked = asked.min(at);
            let exact = all.iter().filter(|(at, first, last)| *at > asked && *first < window.end && *last >= window.start);
            let exact = exact.map(|(_, first, _)| (*first).max(window.start)).min();
            let recent = all.len().saturating_sub(MOST / 2);
            let told = changes.since(asked, Tables::ALL, &window);
            match (told, exact) {
                (Changed::Since(told), Some(exact)) => prop_assert!(told <= exact && told >= window.start),
                (Changed::Nothing, exact) => prop_assert_eq!(exact, None),
                (Changed::Since(_), None) => {}
                (other, _) => prop_assert!(false, "{:?}", other),
            }
            if recent == 0 || asked >= all[recent - 1].0 {
                prop_assert_eq!(told, exact.map_or(Changed::Nothing, Changed::Since));
            }
        }
    }
}
