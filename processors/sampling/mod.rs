//! `probabilistic_sampler`: keeps a share of spans and log records, decided by their trace id, with the Collector's keys and decisions.
//!
//! ```yaml
//! probabilistic_sampler:
//!   sampling_percentage: 15       # 100 and more: all; 0: none but what asks to be sampled
//!   mode: hash_seed               # or proportional (that share of what comes), equalizing (no more than that share of what was)
//!   hash_seed: 22                 # of hash_seed; equal in all collectors of a tier
//!   sampling_precision: 4         # hexadecimal digits of the threshold, 1 to 14
//!   fail_closed: true             # drop what no decision can be made about: no trace id, a threshold that is a lie
//!   attribute_source: traceID     # of log records; or record
//!   from_attribute: user.id       # of log records: decide by it, where there is no trace id, or always with `record`
//!   sampling_priority: priority   # of log records: an attribute with the percentage for this one
//! ```
//!
//! Of a trace, all parts are decided alike, here and in any collector set up alike, and what a lower share keeps a higher one keeps too (OpenTelemetry's
//! consistent probability sampling). What was decided is written to the span's `tracestate` (`ot=th:...;rv:...`) or the record's attributes
//! `sampling.threshold` and `sampling.randomness`. A span's attribute `sampling.priority` is 0 to drop it and above 0 to keep it. Counted as `not_sampled`.

mod decide;
mod state;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use catchment_pipeline::batch::attributes::{Attributes, Value};
use catchment_pipeline::batch::{Batch, Rows, Signal, Table};
use catchment_pipeline::component::{
    Context, Processor, ProcessorPlan, ProcessorSpec, Refused, Spec, Stability, Stage, Tally,
};
use catchment_pipeline::config::Section;
use decide::{Decision, Mode, Priority, Sampler, Settings, Source};
use state::State;

pub static SPEC: ProcessorSpec = Spec {
    kind: "probabilistic_sampler",
    aliases: &["sampling"],
    summary: "Keeps a share of spans and log records, decided by trace id as OpenTelemetry's consistent sampling has it",
    signals: &[Signal::Logs, Signal::Traces],
    stability: Stability::Beta,
    plan: |section| Box::new(Plan(read(section))),
};

#[derive(Clone)]
struct Plan(Arc<Settings>);

fn read(section: &mut Section) -> Arc<Settings> {
    let percentage = section.or("sampling_percentage", 0.0f64);
    // Above 0 and still too little to be told from it.
    if !percentage.is_finite() || percentage < 0.0 || (percentage > 0.0 && percentage / 100.0 < decide::LEAST) {
        section.mistake(
            "sampling_percentage",
            format!("{percentage} is no percentage"),
            "write a number from 0 to 100",
        );
    }
    let modes = [("hash_seed", Mode::HashSeed), ("proportional", Mode::Proportional), ("equalizing", Mode::Equalizing)];
    let precision = section.or("sampling_precision", 4u32);
    if !(1..=14).contains(&precision) {
        section.mistake("sampling_precision", format!("{precision} digits are not possible"), "write 1 to 14");
    }
    let sources = [("traceID", Source::TraceId), ("record", Source::Record)];
    let source = section.choice("attribute_source", &sources).unwrap_or(Source::TraceId);
    let from_attribute = section.get::<String>("from_attribute").filter(|name| !name.is_empty());
    if source == Source::Record && from_attribute.is_none() {
        section.mistake(
            "from_attribute",
            "attribute_source is record, and nothing says which attribute",
            "add from_attribute: name",
        );
    }
    Arc::new(Settings {
        percentage: percentage as f32,
        mode: section.choice("mode", &modes),
        hash_seed: section.or("hash_seed", 0),
        precision,
        fail_closed: section.or("fail_closed", true),
        source,
        from_attribute,
        priority: section.get::<String>("sampling_priority").filter(|name| !name.is_empty()),
    })
}

impl ProcessorPlan for Plan {
    fn build(&self, context: Context) -> anyhow::Result<Stage> {
        let [logs, spans] = [true, false].map(|logs| Sampler::new(&self.0, logs));
        Ok(Stage::Transform(Box::new(Sampling { settings: self.0.clone(), logs, spans, tally: context.tally })))
    }
}

struct Sampling {
    settings: Arc<Settings>,
    logs: Sampler,
    spans: Sampler,
    tally: Arc<Tally>,
}

impl Processor for Sampling {
    fn process(&mut self, batch: Batch, _: SystemTime, out: &mut Vec<Batch>) -> Result<(), Refused> {
        let mut tables = Vec::new();
        for (table, rows) in batch.rows().tables() {
            let sampled = match table {
                Table::Spans => self.spans(rows),
                Table::Logs => self.logs(rows),
                _ => Ok(rows.clone()),
            };
            tables.push((table, sampled.map_err(|error| Refused::Rejected { reason: format!("sampling: {error}") })?));
        }
        let rows = Rows::new(tables);
        self.tally.take_out("not_sampled", batch.items().saturating_sub(rows.len()));
        if !rows.is_empty() {
            out.push(Batch::from_rows(batch.signal(), rows));
        }
        Ok(())
    }
}

fn missing(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("there is no column {name}"))
}

fn dictionary<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a DictionaryArray<Int32Type>, ArrowError> {
    rows.column_by_name(name).and_then(|column| column.as_dictionary_opt()).ok_or_else(|| missing(name))
}

/// What `read` makes of each distinct text, when a row asks for it.
struct Distinct<'a, T> {
    keys: &'a Int32Array,
    texts: &'a StringArray,
    made: Vec<Option<T>>,
    read: Box<dyn Fn(&str) -> T + 'a>,
}

impl<'a, T: Clone> Distinct<'a, T> {
    fn new(rows: &'a RecordBatch, name: &str, read: impl Fn(&str) -> T + 'a) -> Result<Self, ArrowError> {
        let column = dictionary(rows, name)?;
        let texts = column.values().as_string_opt::<i32>().ok_or_else(|| missing(name))?;
        Ok(Distinct { keys: column.keys(), texts, made: vec![None; texts.len()], read: Box::new(read) })
    }

    fn text(&self, row: usize) -> &'a str {
        let key = usize::try_from(self.keys.value(row)).unwrap_or(usize::MAX);
        if key < self.texts.len() { self.texts.value(key) } else { "" }
    }

    fn get(&mut self, row: usize) -> T {
        let text = self.text(row);
        let key = usize::try_from(self.keys.value(row)).unwrap_or(usize::MAX);
        match self.made.get_mut(key) {
            Some(slot) => slot.get_or_insert_with(|| (self.read)(text)).clone(),
            None => (self.read)(text),
        }
    }
}

/// A dictionary of texts as rows ask for them.
#[derive(Default)]
struct Texts {
    keys: Vec<i32>,
    texts: Vec<String>,
    seen: HashMap<String, i32>,
}

impl Texts {
    fn push(&mut self, text: String) {
        let next = self.texts.len() as i32;
        let key = *self.seen.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            next
        });
        self.keys.push(key);
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        let texts: ArrayRef = Arc::new(StringArray::from(self.texts));
        Ok(Arc::new(DictionaryArray::try_new(Int32Array::from(self.keys), texts)?))
    }
}

/// 16 bytes, and not all of them 0.
fn trace_id(rows: &RecordBatch, row: usize) -> Option<&[u8]> {
    let ids = rows.column_by_name("trace_id")?.as_fixed_size_binary_opt()?;
    ids.is_valid(row).then(|| ids.value(row)).filter(|id| id.iter().any(|byte| *byte != 0))
}

fn keep(
    table: Table,
    rows: &RecordBatch,
    kept: Vec<bool>,
    name: &str,
    texts: Texts,
) -> Result<RecordBatch, ArrowError> {
    let rows = filter_record_batch(rows, &BooleanArray::from(kept))?;
    match rows.num_rows() {
        0 => Ok(rows),
        _ => table.with_columns(&rows, [(name, texts.finish()?)]),
    }
}

impl Sampling {
    fn spans(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let mut priorities = Distinct::new(rows, "attributes", span_priority)?;
        let mut states = Distinct::new(rows, "trace_state", |text| State::parse(text).ok())?;
        let (mut kept, mut texts) = (Vec::with_capacity(rows.num_rows()), Texts::default());
        for row in 0..rows.num_rows() {
            let (state, priority) = (states.get(row), priorities.get(row));
            let decision = self.spans.decide(trace_id(rows, row), None, state, priority, self.settings.fail_closed);
            kept.push(decision.sampled);
            if decision.sampled {
                texts.push(decision.state.map_or_else(|| states.text(row).to_owned(), |state| state.to_string()));
            }
        }
        keep(Table::Spans, rows, kept, "trace_state", texts)
    }

    fn logs(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let mut said = Distinct::new(rows, "attributes", |json| Said::read(json, &self.settings))?;
        let (mut kept, mut texts) = (Vec::with_capacity(rows.num_rows()), Texts::default());
        for row in 0..rows.num_rows() {
            let Said { state, priority, from } = said.get(row);
            let id = trace_id(rows, row).filter(|_| self.logs.looks_at_ids(self.settings.source));
            let decision = self.logs.decide(id, from.as_deref(), state, priority, self.settings.fail_closed);
            kept.push(decision.sampled);
            if decision.sampled {
                texts.push(noted(said.text(row), decision));
            }
        }
        keep(Table::Logs, rows, kept, "attributes", texts)
    }
}

fn noted(json: &str, decision: Decision) -> String {
    let (Some(state), Ok(mut set)) = (decision.state, Attributes::parse(json)) else { return json.to_owned() };
    match state.threshold_text() {
        Some(text) => set.insert("sampling.threshold", Value::String(text)),
        None => drop(set.remove("sampling.threshold")),
    }
    if let Some(text) = state.randomness_text() {
        set.insert("sampling.randomness", Value::String(text));
    }
    set.to_json()
}

/// What the attributes of a log record say about sampling.
#[derive(Clone)]
struct Said {
    /// `None`: it cannot be read.
    state: Option<State>,
    priority: Priority,
    from: Option<Vec<u8>>,
}

impl Said {
    fn read(json: &str, settings: &Settings) -> Said {
        let set = Attributes::parse(json).unwrap_or_default();
        let text = |key| match set.get(key) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        };
        let state = State::of(text("sampling.threshold"), text("sampling.randomness")).ok();
        let priority = settings.priority.as_deref().and_then(|key| match set.get(key)? {
            Value::Int(percent) => Some(*percent as f64),
            Value::Double(percent) => Some(*percent),
            _ => None,
        });
        let priority = match priority.filter(|percent| *percent != 0.0) {
            Some(percent) => {
                decide::threshold(percent / 100.0, settings.precision).map_or(Priority::Defer, Priority::At)
            }
            None => Priority::Defer,
        };
        let from = settings.from_attribute.as_deref().and_then(|key| set.get(key)).map(|value| match value {
            Value::Bytes(bytes) => bytes.clone(),
            other => crate::actions::as_string(other).into_owned().into_bytes(),
        });
        Said { state, priority, from: from.filter(|bytes| !bytes.is_empty()) }
    }
}

/// As OpenTracing's conventions have it, of whichever type.
fn span_priority(json: &str) -> Priority {
    let set = Attributes::parse(json).unwrap_or_default();
    let number = match set.get("sampling.priority") {
        Some(Value::Int(number)) => Some(*number as f64),
        Some(Value::Double(number)) => Some(*number),
        Some(Value::String(text)) => text.parse::<f64>().ok(),
        _ => None,
    };
    match number {
        Some(0.0) => Priority::At(decide::NEVER),
        Some(number) if number > 0.0 => Priority::At(decide::ALWAYS),
        _ => Priority::Defer,
    }
}

#[cfg(test)]
mod tests;
