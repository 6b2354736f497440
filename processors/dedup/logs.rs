//! Log records that are counted: the first of each is held back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::Int32Type;
use catchment_pipeline::batch::attributes::{Attributes, Value};
use catchment_pipeline::batch::{Batch, Rows, Signal, Table};
use catchment_pipeline::component::{Out, Tally};
use chrono::{DateTime, FixedOffset, SecondsFormat};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{MAX_BYTES, Settings};
use crate::state::columns::{Columns, Dict};
use crate::state::held::{restore_rows, save_rows};
use crate::state::series::SeriesMap;
use crate::state::snapshot::{Reader, Writer};
use crate::state::{length, with};

pub struct Logs {
    settings: Arc<Settings>,
    /// When what is held goes out.
    due: Option<i64>,
    /// By what tells records apart; in the order of the rows held.
    entries: SeriesMap<Entry>,
    rows: Vec<RecordBatch>,
    bytes: usize,
}

/// Nanoseconds since 1970 of when the first and the last came.
struct Entry {
    count: i64,
    first: i64,
    last: i64,
}

impl Logs {
    pub fn new(settings: Arc<Settings>) -> Logs {
        Logs { settings, due: None, entries: SeriesMap::default(), rows: Vec::new(), bytes: 0 }
    }

    pub fn held(&self) -> usize {
        self.entries.len()
    }

    pub fn due(&self) -> Option<i64> {
        self.due
    }

    pub fn flush_due(&mut self, now: i64, out: &mut Out) {
        if self.due.is_some_and(|due| due <= now) {
            self.flush(out);
        }
    }

    pub fn add(&mut self, batch: &Batch, now: i64, tally: &Tally, out: &mut Out) {
        let Some(rows) = batch.rows().table(Table::Logs) else { return };
        let Some((rows, identities)) = self.identify(rows) else { return out.push(batch.clone()) };
        let mut firsts = Vec::with_capacity(identities.len());
        let mut duplicates = 0;
        for identity in identities {
            match self.entries.find(identity) {
                Some(slot) => {
                    let entry = &mut self.entries.states[slot];
                    (entry.count, entry.last) = (entry.count + 1, now);
                    duplicates += 1;
                    firsts.push(false);
                }
                None => {
                    self.entries.insert(identity, Entry { count: 1, first: now, last: now });
                    firsts.push(true);
                }
            }
        }
        tally.take_out("duplicate", duplicates);
        let all = duplicates == 0;
        let held = if all { Ok(rows) } else { filter_record_batch(&rows, &BooleanArray::from(firsts)) };
        if let Some(held) = held.ok().filter(|held| held.num_rows() > 0) {
            self.bytes += held.get_array_memory_size();
            self.rows.push(held);
        }
        let interval = length(self.settings.interval).max(1);
        self.due.get_or_insert((now.div_euclid(interval) + 1).saturating_mul(interval));
        if self.entries.len() >= self.settings.max_entries || self.bytes >= MAX_BYTES {
            self.flush(out);
        }
    }

    /// Rows without excluded fields, and what tells them apart.
    fn identify(&self, rows: &RecordBatch) -> Option<(RecordBatch, Vec<i64>)> {
        let mut rows = rows.clone();
        let fields = &self.settings.fields;
        if fields.excludes_attributes() {
            let only = Rows::new([(Table::Logs, rows.clone())]);
            let edited = only.map_dictionary("attributes", |_, json| fields.without(json, false)).ok()?;
            rows = edited.table(Table::Logs)?.clone();
        }
        if fields.excludes_of_body() {
            let (bodies, json) = (rows.texts("body")?, rows.bools("body_is_json")?);
            let edited = (0..rows.num_rows()).map(|row| {
                let body = bodies.is_valid(row).then(|| bodies.value(row))?;
                let edited = if json.value(row) { fields.without(body, true) } else { None };
                Some(edited.unwrap_or_else(|| body.to_owned()))
            });
            let edited: ArrayRef = Arc::new(edited.collect::<StringArray>());
            rows = with(&rows, vec![("body", edited)]).ok()?;
        }
        let identities = if fields.include.is_empty() { whole(&rows) } else { self.included(&rows) }?;
        Some((rows, identities))
    }

    /// A record that has none of the fields is told apart by all that it has.
    fn included(&self, rows: &RecordBatch) -> Option<Vec<i64>> {
        let whole = whole(rows)?;
        let (attributes, bodies, json) = (rows.dict("attributes")?, rows.texts("body")?, rows.bools("body_is_json")?);
        let origin = hashes(&rows.dict("resource_attributes")?);
        let identity = |row: usize| {
            let found = self.settings.fields.include.iter().map(|field| {
                if !field.of_body {
                    return field.find(attributes.get(row));
                }
                let body = bodies.is_valid(row).then(|| bodies.value(row))?;
                if json.value(row) {
                    field.find(body)
                } else {
                    field.is_whole_body().then(|| Value::String(body.to_owned()).to_json())
                }
            });
            let found = found.collect::<Vec<_>>();
            if found.iter().all(Option::is_none) {
                return whole[row];
            }
            let text = |hash: u64, text: &Option<String>| match text {
                Some(text) => xxh3_64_with_seed(text.as_bytes(), hash),
                None => xxh3_64_with_seed(&[0xff], hash),
            };
            found.iter().fold(origin[row], text) as i64
        };
        Some((0..rows.num_rows()).map(identity).collect())
    }

    pub fn flush(&mut self, out: &mut Out) {
        self.due = None;
        self.bytes = 0;
        let (entries, rows) = (std::mem::take(&mut self.entries), std::mem::take(&mut self.rows));
        if rows.is_empty() {
            return;
        }
        let finished = concat_batches(&Table::Logs.schema(), &rows)
            .ok()
            .and_then(|rows| self.finished(&rows, &entries.states).or(Some(rows)));
        if let Some(rows) = finished {
            out.push(Batch::from_rows(Signal::Logs, Rows::new([(Table::Logs, rows)])));
        }
    }

    fn finished(&self, rows: &RecordBatch, entries: &[Entry]) -> Option<RecordBatch> {
        let attributes = rows.dict("attributes")?;
        let text = |nanos: i64| {
            let time = DateTime::from_timestamp_nanos(nanos);
            let zone = FixedOffset::east_opt(self.settings.offset)?;
            Some(Value::String(time.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, true)))
        };
        let texts = entries.iter().enumerate().map(|(row, entry)| {
            let mut set = Attributes::parse(attributes.get(row)).unwrap_or_default();
            set.insert(self.settings.count_attribute.clone(), Value::Int(entry.count));
            set.insert("first_observed_timestamp", text(entry.first).unwrap_or(Value::Empty));
            set.insert("last_observed_timestamp", text(entry.last).unwrap_or(Value::Empty));
            set.to_json()
        });
        let texts = texts.collect::<Vec<_>>();
        let attributes: DictionaryArray<Int32Type> = texts.iter().map(String::as_str).collect();
        let observed = TimestampNanosecondArray::from_iter_values(entries.iter().map(|entry| entry.first));
        let observed: ArrayRef = Arc::new(observed.with_timezone("UTC"));
        with(rows, vec![("attributes", Arc::new(attributes)), ("observed_time_unix_nano", observed)]).ok()
    }

    pub fn save(&self, out: &mut Writer<'_>) {
        out.bool(self.due.is_some());
        self.due.iter().for_each(|due| out.i64(*due));
        self.entries.save(out, |entry, out| {
            [entry.count, entry.first, entry.last].into_iter().for_each(|number| out.i64(number));
        });
        save_rows((Signal::Logs, Table::Logs), self.rows.iter().cloned(), out);
    }

    pub fn restore(&mut self, state: &mut Reader<'_>) -> anyhow::Result<()> {
        let due = if state.bool()? { Some(state.i64()?) } else { None };
        let entries = SeriesMap::restore(state, |state| {
            Ok(Entry { count: state.i64()?, first: state.i64()?, last: state.i64()? })
        })?;
        let rows = restore_rows((Signal::Logs, Table::Logs), state)?;
        let held = rows.iter().map(RecordBatch::num_rows).sum::<usize>();
        anyhow::ensure!(held == entries.len(), "the state has other records than it counted");
        self.bytes = rows.iter().map(RecordBatch::get_array_memory_size).sum();
        (self.due, self.entries, self.rows) = (due, entries, rows);
        Ok(())
    }
}

fn hashes(dict: &Dict<'_>) -> Vec<u64> {
    dict.each(|text| xxh3_64(text.as_bytes())).collect()
}

/// By all that makes a record but its times, ids and flags.
fn whole(rows: &RecordBatch) -> Option<Vec<i64>> {
    let mut identities = vec![0u64; rows.num_rows()];
    for column in [
        "resource_attributes",
        "scope_name",
        "scope_version",
        "scope_attributes",
        "severity_text",
        "event_name",
        "attributes",
    ] {
        for (identity, hash) in identities.iter_mut().zip(hashes(&rows.dict(column)?)) {
            *identity = xxh3_64_with_seed(&hash.to_le_bytes(), *identity);
        }
    }
    let (severity, bodies, json) = (rows.int32("severity_number")?, rows.texts("body")?, rows.bools("body_is_json")?);
    for (row, identity) in identities.iter_mut().enumerate() {
        *identity = xxh3_64_with_seed(&severity[row].to_le_bytes(), *identity);
        let kind = match (bodies.is_valid(row), json.value(row)) {
            (false, _) => 0u64,
            (true, false) => 1,
            (true, true) => 2,
        };
        *identity = xxh3_64_with_seed(bodies.value(row).as_bytes(), identity.wrapping_add(kind));
    }
    Some(identities.into_iter().map(|identity| identity as i64).collect())
}
