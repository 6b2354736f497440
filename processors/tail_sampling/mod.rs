//! `tail_sampling`: traces are kept or dropped whole, once what they hold is known, with the Collector's keys and policies.
//!
//! ```yaml
//! tail_sampling:
//!   decision_wait: 30s              # from a trace's first span to its decision, unless that is certain before
//!   num_traces: 50000               # waiting at once; the oldest is decided early when there are more
//!   decision_cache: { sampled_cache_size: 100000, non_sampled_cache_size: 100000 }   # default: twice num_traces
//!   max_bytes: 512MiB               # of spans held back (ours); the oldest are decided early
//!   policies:
//!     - { name: errors, type: status_code, status_code: { status_codes: [ERROR] } }
//!     - { name: slow, type: latency, latency: { threshold_ms: 5000 } }
//!     - { name: some, type: probabilistic, probabilistic: { sampling_percentage: 10 } }
//! ```
//!
//! A trace goes on as soon as no span to come can change that: with its first error above, and it is dropped as soon as nothing can keep it.
//! `drop` policies and `invert_match` make it wait. Spans that come later follow the decision, as long as it is remembered. Decisions are
//! made at full seconds. Policies: `always_sample`, `and`, `boolean_attribute`, `bytes_limiting`, `composite`, `drop`, `latency`, `not`,
//! `numeric_attribute`, `probabilistic` (the Collector's hash: the same traces are kept), `rate_limiting`, `span_count`, `status_code`,
//! `string_attribute`, `trace_flags`, `trace_state`, and in the place of `ottl_condition` `sql_condition` (one of its `conditions` holds for a span). Spans dropped are counted as `not_sampled`, those of
//! a trace over `maximum_trace_size_bytes` as `trace_too_large`. Bytes are those of columns in memory. Held spans survive a crash.

mod leaves;
mod policy;
mod read;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use catchment_pipeline::batch::{Batch, Rows, Signal, Table};
use catchment_pipeline::component::{Context, Out, ProcessorPlan, ProcessorSpec, Relay, Spec, Stability, Stage, Tally};
use xxhash_rust::xxh3::xxh3_64;

use crate::sql::{Complaints, Failures};
use crate::state::columns::Columns;
use crate::state::held::{At, Held, restore_rows, save_rows};
use crate::state::seen::Seen;
use crate::state::series::SeriesMap;
use crate::state::snapshot::{Reader, Writer};
use crate::state::{length, nanos, time};
use policy::{Facts, Memory, decide, early};
use read::Settings;

const SPANS: (Signal, Table) = (Signal::Traces, Table::Spans);
/// Spans in one part of the saved state.
const HELD_TOGETHER: usize = 8192;
const SECOND: i64 = 1_000_000_000;
/// Generations of remembered decisions are changed by their size, not by time.
const EVER: Duration = Duration::from_secs(1 << 30);

pub static SPEC: ProcessorSpec = Spec {
    kind: "tail_sampling",
    aliases: &["tailsampling"],
    summary: "Keeps or drops whole traces by what their spans say",
    signals: &[Signal::Traces],
    stability: Stability::Beta,
    plan: |section| Box::new(Plan(Arc::new(read::read(section)))),
};

struct Plan(Arc<Settings>);

impl ProcessorPlan for Plan {
    fn build(&self, context: Context) -> anyhow::Result<Stage> {
        Ok(Stage::Relay(Box::new(Sampler::new(self.0.clone(), context))))
    }
}

struct Trace {
    facts: Facts,
    /// When it is decided at the latest; when it was, it is remembered until then.
    deadline: i64,
    decided: Option<bool>,
    rows: Vec<At>,
}

struct Sampler {
    settings: Arc<Settings>,
    tally: Arc<Tally>,
    complaints: Complaints,
    memory: Memory,
    /// By hash of the trace id, in order of arrival.
    traces: SeriesMap<Trace>,
    held: Held,
    /// Traces that wait, and bytes of their spans.
    waiting: usize,
    bytes: u64,
    /// The first that may wait.
    oldest: usize,
    next_deadline: i64,
    sampled: Seen,
    not_sampled: Seen,
}

impl Sampler {
    fn new(settings: Arc<Settings>, context: Context) -> Sampler {
        Sampler {
            memory: settings.memory.clone(),
            tally: context.tally,
            complaints: Complaints::new(context.id),
            traces: SeriesMap::default(),
            held: Held::default(),
            waiting: 0,
            bytes: 0,
            oldest: 0,
            next_deadline: i64::MAX,
            sampled: Seen::new(EVER, settings.sampled_cache / 2),
            not_sampled: Seen::new(EVER, settings.not_sampled_cache / 2),
            settings,
        }
    }

    /// Spans go on, are dropped or wait.
    fn add(&mut self, rows: &RecordBatch, now: i64, out: &mut Out) -> Option<()> {
        let (ids, starts, ends) =
            (rows.ids("trace_id")?, rows.times("start_time_unix_nano")?, rows.times("end_time_unix_nano")?);
        let mut failures = Failures::default();
        let found = leaves::found(&self.settings.leaves, rows, &mut failures)?;
        self.complaints.say("a condition failed for spans, for which it does not hold", &failures);
        let roots = leaves::roots(rows);
        let row_bytes = (rows.get_array_memory_size() / rows.num_rows().max(1)).max(1) as u64;
        let (mut passes, mut waits, mut dropped) = (vec![false; rows.num_rows()], vec![false; rows.num_rows()], 0);
        let (mut touched, mut places): (Vec<usize>, Vec<usize>) = Default::default();
        for row in 0..rows.num_rows() {
            if ids.is_null(row) {
                passes[row] = true;
                continue;
            }
            let Ok(id) = <[u8; 16]>::try_from(ids.value(row)) else { continue };
            let hash = xxh3_64(&id) as i64;
            let slot = match self.slot(hash, id, now) {
                Ok(slot) => slot,
                Err(sampled) => {
                    passes[row] = sampled;
                    dropped += usize::from(!sampled);
                    continue;
                }
            };
            let trace = &mut self.traces.states[slot];
            let facts = &mut trace.facts;
            facts.spans += 1;
            facts.bytes += row_bytes;
            facts.start = facts.start.min(starts[row]);
            facts.end = facts.end.max(ends[row]);
            facts.found |= found[row];
            self.bytes += row_bytes;
            if roots[row] && !self.settings.after_root.is_zero() {
                trace.deadline = trace.deadline.min(full_second(now, self.settings.after_root));
                self.next_deadline = self.next_deadline.min(trace.deadline);
            }
            if places.last() != Some(&slot) {
                touched.push(slot);
            }
            waits[row] = true;
            places.push(slot);
        }
        self.tally.take_out("not_sampled", dropped);
        if passes.contains(&true) {
            let rows = filter_record_batch(rows, &BooleanArray::from(passes)).ok()?;
            put_out(rows, out);
        }
        if waits.contains(&true) {
            let waiting = filter_record_batch(rows, &BooleanArray::from(waits)).ok()?;
            let segment = self.held.push(waiting);
            for (row, slot) in places.into_iter().enumerate() {
                self.traces.states[slot].rows.push((segment, row as u32));
            }
        }
        touched.sort_unstable();
        touched.dedup();
        self.decide_certain(&touched, out);
        Some(())
    }

    /// The trace that a span waits with, or what was decided on it.
    fn slot(&mut self, hash: i64, id: [u8; 16], now: i64) -> Result<usize, bool> {
        if let Some(slot) = self.traces.find(hash) {
            return self.traces.states[slot].decided.map_or(Ok(slot), Err);
        }
        for (seen, sampled) in [(&mut self.sampled, true), (&mut self.not_sampled, false)] {
            if seen.has(hash) {
                seen.add(hash, 0);
                return Err(sampled);
            }
        }
        let facts = Facts { id, spans: 0, bytes: 0, start: i64::MAX, end: i64::MIN, found: 0 };
        let deadline = full_second(now, self.settings.decision_wait);
        self.next_deadline = self.next_deadline.min(deadline);
        self.waiting += 1;
        Ok(self.traces.insert(hash, Trace { facts, deadline, decided: None, rows: Vec::new() }))
    }

    fn decide_certain(&mut self, touched: &[usize], out: &mut Out) {
        let max_trace = self.settings.max_trace;
        let mut kept = Vec::new();
        for slot in touched {
            let Some(trace) = self.traces.states.get(*slot).filter(|trace| trace.decided.is_none()) else { continue };
            if max_trace > 0 && trace.facts.bytes > max_trace {
                self.settle(*slot, false, "trace_too_large", &mut kept);
            } else if let Some(sampled) = early(&self.settings.policies, &trace.facts) {
                self.settle(*slot, sampled, "not_sampled", &mut kept);
            }
        }
        self.let_go(kept, out);
    }

    /// Notes a decision; rows that go on are added to `kept`.
    fn settle(&mut self, slot: usize, sampled: bool, reason: &'static str, kept: &mut Vec<At>) {
        let trace = &mut self.traces.states[slot];
        trace.decided = Some(sampled);
        let rows = std::mem::take(&mut trace.rows);
        let hash = xxh3_64(&trace.facts.id) as i64;
        self.waiting -= 1;
        self.bytes = self.bytes.saturating_sub(trace.facts.bytes);
        if sampled {
            kept.extend(rows);
            self.sampled.add(hash, 0);
        } else {
            self.tally.take_out(reason, rows.len());
            self.held.release(&rows);
            self.not_sampled.add(hash, 0);
        }
    }

    fn let_go(&mut self, kept: Vec<At>, out: &mut Out) {
        match self.held.get(&kept) {
            Ok(rows) => rows.into_iter().for_each(|rows| put_out(rows, out)),
            Err(error) => {
                tracing::error!(%error, spans = kept.len(), "tail_sampling: data lost: spans do not fit into columns");
                self.tally.take_out("failed", kept.len());
            }
        }
        self.held.release(&kept);
    }

    /// Decides on `slot` with the spans that are there.
    fn decide(&mut self, slot: usize, now: i64, kept: &mut Vec<At>) {
        let settings = self.settings.clone();
        let sampled = decide(&settings.policies, &self.traces.states[slot].facts, now, &mut self.memory);
        self.settle(slot, sampled, "not_sampled", kept);
    }

    /// All that is due, second by second.
    fn advance(&mut self, now: i64, out: &mut Out) {
        while self.next_deadline <= now {
            let due = self.next_deadline;
            let mut kept = Vec::new();
            for slot in 0..self.traces.len() {
                let trace = &self.traces.states[slot];
                if trace.deadline <= due && trace.decided.is_none() {
                    self.decide(slot, due, &mut kept);
                }
            }
            self.let_go(kept, out);
            self.forget(|trace| trace.deadline > due);
        }
    }

    fn forget(&mut self, keep: impl Fn(&Trace) -> bool) {
        self.traces.retain(keep);
        self.oldest = 0;
        self.next_deadline = self.traces.states.iter().map(|trace| trace.deadline).min().unwrap_or(i64::MAX);
    }

    /// Within the bounds again: the oldest are decided before their time.
    fn shrink(&mut self, now: i64, out: &mut Out) {
        let mut kept = Vec::new();
        while self.waiting > self.settings.num_traces || (self.waiting > 0 && self.bytes > self.settings.max_bytes) {
            match self.traces.states.get(self.oldest) {
                Some(trace) if trace.decided.is_none() => self.decide(self.oldest, now, &mut kept),
                Some(_) => self.oldest += 1,
                None => break,
            }
        }
        self.let_go(kept, out);
        if self.traces.len() > self.waiting + self.settings.num_traces + 1024 {
            self.forget(|trace| trace.decided.is_none());
        }
        if self.held.is_sparse() {
            let rows: Vec<At> = self.traces.states.iter().flat_map(|trace| trace.rows.iter().copied()).collect();
            if let Ok(segment) = self.held.compact(&rows) {
                let rows = self.traces.states.iter_mut().flat_map(|trace| &mut trace.rows);
                (0..).zip(rows).for_each(|(row, at)| *at = (segment, row));
            }
        }
    }
}

fn full_second(now: i64, wait: Duration) -> i64 {
    now.saturating_add(length(wait)).saturating_add(SECOND - 1) / SECOND * SECOND
}

fn put_out(rows: RecordBatch, out: &mut Out) {
    out.push(Batch::from_rows(Signal::Traces, Rows::new([(Table::Spans, rows)])));
}

impl Relay for Sampler {
    fn process(&mut self, batch: Batch, now: SystemTime, out: &mut Out) {
        let now = nanos(now);
        self.advance(now, out);
        if let Some(rows) = batch.rows().table(Table::Spans)
            && self.add(rows, now, out).is_none()
        {
            tracing::error!(spans = rows.num_rows(), "tail_sampling: data lost: spans do not fit into columns");
        }
        self.shrink(now, out);
        self.tally.set_held(self.held.live());
    }

    fn due(&self) -> Option<SystemTime> {
        (self.next_deadline != i64::MAX).then(|| time(self.next_deadline))
    }

    fn tick(&mut self, now: SystemTime, out: &mut Out) {
        self.advance(nanos(now), out);
        self.tally.set_held(self.held.live());
    }

    fn finish(&mut self, now: SystemTime, out: &mut Out) {
        let mut kept = Vec::new();
        for slot in 0..self.traces.len() {
            if self.traces.states[slot].decided.is_some() {
                continue;
            }
            if self.settings.drop_pending {
                self.settle(slot, false, "not_sampled", &mut kept);
            } else {
                self.decide(slot, nanos(now), &mut kept);
            }
        }
        self.let_go(kept, out);
        self.forget(|_| false);
        self.tally.set_held(0);
    }

    fn save(&self, state: &mut Vec<u8>) {
        let mut out = Writer::new(state, "tail_sampling", 2, &format!("{:?}", self.settings.leaves));
        self.memory.save(&mut out);
        self.sampled.save(&mut out);
        self.not_sampled.save(&mut out);
        self.traces.save(&mut out, |trace, out| {
            let Facts { id, spans, bytes, start, end, found } = &trace.facts;
            out.bytes(id);
            [*spans, *bytes, *found].into_iter().for_each(|number| out.u64(number));
            [*start, *end, trace.deadline].into_iter().for_each(|time| out.i64(time));
            out.u64(trace.decided.map_or(2, u64::from));
            out.len(trace.rows.len());
        });
        let rows: Vec<At> = self.traces.states.iter().flat_map(|trace| trace.rows.iter().copied()).collect();
        let held = rows.chunks(HELD_TOGETHER).filter_map(|rows| self.held.get(rows).ok().flatten());
        save_rows(SPANS, held, &mut out);
        out.finish();
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        let mut state = Reader::new(state, "tail_sampling", 2, &format!("{:?}", self.settings.leaves))?;
        self.memory.restore(&mut state)?;
        self.sampled.restore(&mut state)?;
        self.not_sampled.restore(&mut state)?;
        // Traces that wait, their bytes, and rows so far; rows are numbered in the order of traces.
        let sums = std::cell::Cell::new((0usize, 0u64, 0u32));
        self.traces = SeriesMap::restore(&mut state, |state| {
            let id = <[u8; 16]>::try_from(state.bytes()?)?;
            let (spans, bytes, found) = (state.u64()?, state.u64()?, state.u64()?);
            let (start, end, deadline) = (state.i64()?, state.i64()?, state.i64()?);
            let decided = [Some(false), Some(true), None].get(state.u64()? as usize).copied().flatten();
            let (waiting, held, row) = sums.get();
            // A span takes more than one byte in what follows.
            let len = u32::try_from(state.len()?)?;
            let next = row.checked_add(len).context("the state counts too many spans")?;
            let open = decided.is_none();
            sums.set((waiting + usize::from(open), held + if open { bytes } else { 0 }, next));
            let facts = Facts { id, spans, bytes, start, end, found };
            Ok(Trace { facts, deadline, decided, rows: (row..next).map(|row| (0, row)).collect() })
        })?;
        let (waiting, bytes, rows) = sums.get();
        let held = restore_rows(SPANS, &mut state)?;
        state.end()?;
        anyhow::ensure!(
            held.iter().map(RecordBatch::num_rows).sum::<usize>() == rows as usize,
            "the state has other spans than it counted"
        );
        self.held = Held::default();
        let mut places = Vec::with_capacity(rows as usize);
        for rows in held {
            let len = rows.num_rows() as u32;
            let segment = self.held.push(rows);
            places.extend((0..len).map(|row| (segment, row)));
        }
        let waiting_rows = self.traces.states.iter_mut().flat_map(|trace| &mut trace.rows);
        waiting_rows.zip(places).for_each(|(row, place)| *row = place);
        (self.waiting, self.bytes) = (waiting, bytes);
        self.forget(|_| true);
        self.tally.set_held(self.held.live());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
