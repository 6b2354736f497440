//! `dedup`: what comes again is taken out. Log records with the Collector's `logdedup` keys, metric points and spans by identity.
//!
//! ```yaml
//! dedup:
//!   interval: 10s                       # log records: how long equal ones are counted before one goes out for all
//!   log_count_attribute: log_count      # of the one that goes out; beside it first_ and last_observed_timestamp
//!   timezone: UTC                       # of those two: UTC, or an offset as +02:00
//!   exclude_fields: [body.timestamp, attributes.http\.url]   # do not tell records apart, and are gone from what goes out
//!   include_fields: [attributes.id]     # or: only these tell them apart
//!   max_entries: 100000                 # different records held back, and (each) points and spans remembered
//!   remember: 5m                        # points and spans: for how long at least
//! ```
//!
//! Log records are equal when resource, scope, severity, event name, body and attributes are. The first goes out, with the time it has
//! and the time at which it was logged here as the observed one (the Collector stamps both anew), at the next full `interval` of the clock; sooner
//! when `max_entries` or [`MAX_BYTES`] are held. `conditions` are SQL: records for which none of them holds go on at once, as they are.
//! A metric point is known by series and time, a span by trace, span id and kind (client and server of Zipkin share an id). Records
//! that do not come again are counted as `held` meanwhile; those taken out are `duplicate`s.

mod fields;
mod logs;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use catchment_pipeline::batch::{Batch, Rows, Signal, Table};
use catchment_pipeline::component::{Context, Out, ProcessorPlan, ProcessorSpec, Relay, Spec, Stability, Stage, Tally};
use catchment_pipeline::config::Section;
use xxhash_rust::xxh3::xxh3_64;

use crate::sql::{self, Complaints, Failures, Frame};
use crate::state::columns::Columns;
use crate::state::nanos;
use crate::state::seen::Seen;
use crate::state::snapshot::{Reader, Writer};
use fields::Fields;
use logs::Logs;

/// Of log records held back.
const MAX_BYTES: usize = 64 << 20;

pub static SPEC: ProcessorSpec = Spec {
    kind: "dedup",
    aliases: &["log_dedup", "logdedup"],
    summary: "Counts equal log records as one, and takes out points and spans that come again",
    signals: &Signal::TELEMETRY,
    stability: Stability::Beta,
    plan: |section| Box::new(Plan(Arc::new(read(section)))),
};

struct Settings {
    /// Log records for which none holds go on as they are; none: all are counted.
    conditions: Vec<sql::Program>,
    interval: Duration,
    count_attribute: String,
    /// Seconds east of UTC.
    offset: i32,
    fields: Fields,
    max_entries: usize,
    remember: Duration,
}

fn read(section: &mut Section) -> Settings {
    let mut conditions = Vec::new();
    for text in section.or("conditions", Vec::<String>::new()) {
        match sql::condition_for(&[sql::Rows::Of(Table::Logs)], &text) {
            Ok(programs) => conditions.extend(programs),
            Err(wrong) => section.mistake("conditions", wrong.what, wrong.mend),
        }
    }
    let settings = Settings {
        conditions,
        interval: section.or("interval", Duration::from_secs(10)),
        count_attribute: section.or("log_count_attribute", "log_count".to_owned()),
        offset: section.get::<String>("timezone").map_or(Some(0), |zone| offset(&zone)).unwrap_or_else(|| {
            section.mistake("timezone", "it is neither UTC nor an offset from it", "write UTC, or an offset as +02:00");
            0
        }),
        fields: Fields::read(section),
        max_entries: section.or("max_entries", 100_000),
        remember: section.or("remember", Duration::from_secs(300)),
    };
    if settings.interval.is_zero() {
        section.mistake("interval", "nothing is counted in no time", "write 1s or more");
    }
    if settings.count_attribute.is_empty() {
        section.mistake("log_count_attribute", "an attribute needs a name", "write a name, or leave it out");
    }
    if !(1..=10_000_000).contains(&settings.max_entries) {
        section.mistake("max_entries", "so many are not held", "write a number from 1 to 10000000");
    }
    settings
}

fn offset(zone: &str) -> Option<i32> {
    if zone.eq_ignore_ascii_case("utc") || zone == "Z" {
        return Some(0);
    }
    let (hours, minutes) = zone.strip_prefix(['+', '-'])?.split_once(':')?;
    let (hours, minutes) = (hours.parse::<i32>().ok()?, minutes.parse::<i32>().ok()?);
    let seconds = (hours * 60 + minutes) * 60;
    (hours < 15 && minutes < 60).then_some(if zone.starts_with('-') { -seconds } else { seconds })
}

struct Plan(Arc<Settings>);

impl ProcessorPlan for Plan {
    fn build(&self, context: Context) -> anyhow::Result<Stage> {
        let seen = || Seen::new(self.0.remember, self.0.max_entries);
        let (logs, points, spans) = (Logs::new(self.0.clone()), seen(), seen());
        let complaints = Complaints::new(context.id);
        let settings = self.0.clone();
        Ok(Stage::Relay(Box::new(Dedup { settings, logs, points, spans, tally: context.tally, complaints })))
    }
}

struct Dedup {
    settings: Arc<Settings>,
    complaints: Complaints,
    logs: Logs,
    points: Seen,
    spans: Seen,
    tally: Arc<Tally>,
}

/// What a row is known by; `None`: nothing, so that it cannot be told from others and goes on.
fn identities(table: Table, rows: &RecordBatch) -> Option<Vec<Option<i64>>> {
    if table == Table::Spans {
        let (traces, spans, kinds) = (rows.ids("trace_id")?, rows.ids("span_id")?, rows.int32("kind")?);
        let identity = |row: usize| {
            let mut key = [0u8; 28];
            key[..16].copy_from_slice(traces.value(row));
            key[16..24].copy_from_slice(spans.value(row));
            key[24..].copy_from_slice(&kinds[row].to_le_bytes());
            (traces.is_valid(row) && spans.is_valid(row)).then(|| xxh3_64(&key) as i64)
        };
        return Some((0..rows.num_rows()).map(identity).collect());
    }
    let (series, times) = (rows.int64("series_id")?, rows.times("time_unix_nano")?);
    let identity = |(series, time): (&i64, &i64)| {
        let mut key = [0u8; 17];
        key[..8].copy_from_slice(&series.to_le_bytes());
        key[8..16].copy_from_slice(&time.to_le_bytes());
        key[16] = table as u8;
        (*time != 0).then(|| xxh3_64(&key) as i64)
    };
    Some(series.iter().zip(times).map(identity).collect())
}

impl Dedup {
    /// Records that are counted; those for which no condition holds go on.
    fn conditioned(&self, batch: Batch, out: &mut Out) -> Option<Batch> {
        let (false, Some(rows)) = (self.settings.conditions.is_empty(), batch.rows().table(Table::Logs)) else {
            return Some(batch);
        };
        let (mut frame, mut failures) = (Frame::new(rows), Failures::default());
        let mut counted = vec![false; rows.num_rows()];
        for condition in &self.settings.conditions {
            match condition.matches(&mut frame, sql::ErrorMode::Ignore, &mut failures) {
                Ok(Some(held)) => held.set_indices().for_each(|row| counted[row] = true),
                Ok(None) => {}
                Err(error) => {
                    failures.rows += rows.num_rows();
                    failures.first.get_or_insert(sql::message(&error));
                }
            }
        }
        self.complaints.say("a condition failed for records, for which it does not hold", &failures);
        if !counted.contains(&false) {
            return Some(batch);
        }
        let counted = BooleanArray::from(counted);
        let others = arrow::compute::not(&counted).ok()?;
        let part = |mask: &BooleanArray| {
            let rows = filter_record_batch(rows, mask).ok().filter(|rows| rows.num_rows() > 0)?;
            Some(Batch::from_rows(Signal::Logs, Rows::new([(Table::Logs, rows)])))
        };
        part(&others).into_iter().for_each(|batch| out.push(batch));
        part(&counted)
    }

    /// Points or spans that did not come before.
    fn known(&mut self, batch: &Batch, now: i64) -> Option<Batch> {
        let seen = if batch.signal() == Signal::Traces { &mut self.spans } else { &mut self.points };
        seen.turn(now);
        let (mut tables, mut taken) = (Vec::new(), 0);
        for (table, rows) in batch.rows().tables() {
            let Some(identities) = identities(table, rows) else {
                tables.push((table, rows.clone()));
                continue;
            };
            let fresh: Vec<bool> =
                identities.into_iter().map(|identity| identity.is_none_or(|id| seen.is_new(id, now))).collect();
            let left = fresh.iter().filter(|fresh| **fresh).count();
            taken += fresh.len() - left;
            if left == fresh.len() {
                tables.push((table, rows.clone()));
            } else if left > 0 {
                let left = filter_record_batch(rows, &BooleanArray::from(fresh));
                tables.push((table, left.unwrap_or_else(|_| rows.clone())));
            }
        }
        self.tally.take_out("duplicate", taken);
        if taken == 0 {
            return Some(batch.clone());
        }
        let rows = Rows::new(tables);
        (!rows.is_empty()).then(|| Batch::from_rows(batch.signal(), rows))
    }
}

impl Relay for Dedup {
    fn process(&mut self, batch: Batch, now: SystemTime, out: &mut Out) {
        let now = nanos(now);
        if batch.signal() == Signal::Logs {
            self.logs.flush_due(now, out);
            if let Some(batch) = self.conditioned(batch, out) {
                self.logs.add(&batch, now, &self.tally, out);
            }
            self.tally.set_held(self.logs.held());
        } else if let Some(left) = self.known(&batch, now) {
            out.push(left);
        }
    }

    fn due(&self) -> Option<SystemTime> {
        self.logs.due().map(crate::state::time)
    }

    fn tick(&mut self, now: SystemTime, out: &mut Out) {
        self.logs.flush_due(nanos(now), out);
        self.tally.set_held(self.logs.held());
    }

    fn finish(&mut self, _: SystemTime, out: &mut Out) {
        self.logs.flush(out);
        self.tally.set_held(0);
    }

    fn save(&self, state: &mut Vec<u8>) {
        let mut out = Writer::new(state, "dedup", 2, "");
        self.logs.save(&mut out);
        self.points.save(&mut out);
        self.spans.save(&mut out);
        out.finish();
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        let mut state = Reader::new(state, "dedup", 2, "")?;
        self.logs.restore(&mut state)?;
        self.points.restore(&mut state)?;
        self.spans.restore(&mut state)?;
        state.end()?;
        self.tally.set_held(self.logs.held());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
