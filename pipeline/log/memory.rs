//! The log without a disk: the tail is the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::log::book::Saved;
use crate::log::interest::{Interest, Reads};
use crate::log::record::{Counts, Entry, Record};
use crate::log::state::State;
use crate::log::tail::Tail;
use crate::log::{AppendError, Loss, Position, Shared, Start};

/// Without a disk there is one segment, and this is its name.
pub(super) const SEGMENT: Position = 1;

impl Shared {
    pub(super) fn append_in_memory(&self, entries: Vec<Entry>) -> Result<Position, AppendError> {
        let accepted_at = self.now();
        let of_relay = entries.iter().any(|entry| entry.origin.is_some());
        let mut records: Vec<Record> = entries
            .into_iter()
            .map(|entry| Record { position: 0, pipelines: entry.pipelines, accepted_at, batch: entry.batch })
            .collect();
        let need: u64 = records.iter().map(Tail::weight).sum();
        let limit = self.options.max_bytes + if of_relay { self.options.relay_bytes() } else { 0 };
        if need > limit {
            return Err(AppendError::Rejected {
                reason: format!(
                    "the request takes {need} bytes, the log in memory may hold {limit}: send smaller requests"
                ),
            });
        }
        let mut state = self.state();
        self.make_room_in_memory(&mut state, limit - need)?;
        for record in &mut records {
            record.position = state.head + 1;
            self.stats.appended(record.counts());
            state.append(record.clone(), SEGMENT);
        }
        state.trim_tail(false);
        self.measure(&state);
        let head = state.head;
        drop(state);
        self.head.send_replace(head);
        Ok(head)
    }

    fn make_room_in_memory(&self, state: &mut State, target: u64) -> Result<(), AppendError> {
        let mut losses = Vec::new();
        let outcome = loop {
            if state.tail.bytes() <= target {
                break Ok(());
            }
            let Some(record) = state.tail.front().map(|kept| kept.record.clone()) else { break Ok(()) };
            match state.give_up(record.position, |cursor| cursor.drop_record(&record, SEGMENT)) {
                Ok(some) => losses.extend(some),
                Err(holder) => break Err(holder),
            }
            state.tail.pop();
        };
        self.report(&sum_up(losses));
        outcome.map_err(|holder| AppendError::Busy {
            retry_after: Duration::from_secs(1),
            reason: format!(
                "the log is full ({} bytes in memory) and waits for exporter `{}`",
                self.options.max_bytes, holder.cursor
            ),
        })
    }

    pub(super) fn open_in_memory(&self, state: &mut State, name: &Arc<str>, reads: Reads, start: Start) {
        let begin = match start {
            Start::Oldest => state.floor(),
            Start::Head => state.head,
        };
        let begin = Saved { position: begin, pipelines: None };
        let cursor = state.cursors.entry(name.clone()).or_insert_with(|| Interest::at(name.clone(), begin));
        let (from, reads) = (cursor.floor(state.head), cursor.and_before(reads));
        let mut waiting = Counts::default();
        let mut oldest = None;
        for kept in state.tail.after(from).into_iter().flatten() {
            if reads.wants(&kept.record.pipelines, kept.record.position) {
                waiting += kept.record.counts();
                oldest.get_or_insert(kept.record.accepted_at);
            }
        }
        let waiting = (waiting.records > 0).then_some((SEGMENT, waiting));
        state.open_cursor(name, reads, BTreeMap::from_iter(waiting), oldest);
    }
}

/// One line a cursor.
fn sum_up(losses: Vec<Loss>) -> Vec<Loss> {
    let mut sums: Vec<Loss> = Vec::new();
    for loss in losses {
        match sums.iter_mut().find(|sum| sum.cursor == loss.cursor) {
            Some(sum) => sum.lost += loss.lost,
            None => sums.push(loss),
        }
    }
    sums
}
