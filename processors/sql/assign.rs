//! What a statement puts where: targets, and statements carried out.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt64Array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::DataType;
use catchment_pipeline::batch::Table;
use datafusion::error::Result;

use super::Wrong;
use super::columns::{Column, Rows, Source};
use super::compile::name_of;
use super::frame::Frame;
use super::program::{ErrorMode, Evaluated, Failures, Program};
use super::statement::{Statement, Verb};
use super::values::Values;
use super::write::Writer;

#[derive(Debug)]
pub(super) struct Assignment {
    pub target: Target,
    /// `None`: what it is when nothing was sent.
    pub program: Option<Program>,
}

/// What can be assigned to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    /// A text that is a dictionary in flight.
    Text(&'static str),
    /// One of a set of attributes.
    Attribute {
        set: &'static str,
        key: String,
    },
    /// All of a set of attributes, as JSON.
    Set(&'static str),
    /// A number or a boolean.
    Plain {
        column: &'static str,
        kind: DataType,
    },
    /// A number of a point, of whichever kind.
    Value,
    ValueInt,
    ValueDouble,
    /// Nanoseconds, given as such or as a time.
    Time {
        column: &'static str,
        micros: bool,
    },
    /// From the start of a span to its end.
    Duration,
    /// Bytes, given as hex.
    Id {
        column: &'static str,
        bytes: i32,
    },
    Body,
    /// A list, which can only be emptied.
    List(&'static str),
}

const SETS: [&str; 4] = ["attributes", "resource_attributes", "scope_attributes", "metadata"];

/// Without these a row is nothing.
const ESSENTIAL: [&str; 29] = [
    "name",
    "resource_id",
    "series_id",
    "metric_name",
    "time_unix_nano",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "observed_time_unix_nano",
    "metric_type",
    "aggregation_temporality",
    "is_monotonic",
    "value_int",
    "value_double",
    "count",
    "sum",
    "min",
    "max",
    "bucket_counts",
    "explicit_bounds",
    "scale",
    "zero_count",
    "zero_threshold",
    "positive_offset",
    "positive_bucket_counts",
    "negative_offset",
    "negative_bucket_counts",
    "quantile_values",
    "kind",
    "body_is_json",
];

pub(super) fn droppable(rows: Rows, column: &Column) -> bool {
    match column.source {
        Source::Resource(_) => true,
        Source::Same("trace_id" | "span_id") => rows != Rows::Of(Table::Spans),
        Source::Same(name) => !ESSENTIAL.contains(&name),
        _ => false,
    }
}

impl Target {
    pub fn attribute(set: &'static str, key: String) -> Target {
        Target::Attribute { set, key }
    }

    /// `None`: it cannot be assigned to.
    pub fn of(column: &Column) -> Option<Target> {
        Some(match &column.source {
            Source::Micros(names) => Target::Time { column: names.first()?, micros: true },
            Source::Date(_) => return None,
            Source::Resource(key) => Target::attribute("resource_attributes", (*key).to_owned()),
            Source::Value => Target::Value,
            Source::Duration => Target::Duration,
            Source::Same(name) => match (*name, &column.kind) {
                ("resource_id" | "series_id", _) => return None,
                ("value_int", _) => Target::ValueInt,
                ("value_double", _) => Target::ValueDouble,
                ("body", _) => Target::Body,
                ("trace_id", _) => Target::Id { column: name, bytes: 16 },
                ("span_id" | "parent_span_id", _) => Target::Id { column: name, bytes: 8 },
                (name, _) if name.ends_with("time_unix_nano") => Target::Time { column: name, micros: false },
                (name, _) if SETS.contains(&name) => Target::Set(name),
                (name, DataType::Utf8) => Target::Text(name),
                (name, DataType::List(_)) => Target::List(name),
                (name, kind) => Target::Plain { column: name, kind: kind.clone() },
            },
        })
    }

    /// Whether what an expression gives can be put there.
    pub fn check(&self, kind: &DataType) -> std::result::Result<(), Wrong> {
        let is_text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let (name, wants, fits) = match self {
            Target::Attribute { key, .. } => {
                (key.as_str(), "a text, a number, true or false, or a JSON value", Values::takes(kind))
            }
            Target::Text(name) | Target::Set(name) => (*name, "a text", is_text),
            Target::Id { column, .. } => (*column, "a text of hexadecimal digits", is_text),
            Target::Body => ("body", "a text or a JSON value", is_text || matches!(kind, DataType::Union(..))),
            Target::Value => ("value", "a number", kind.is_numeric()),
            Target::ValueInt => ("value_int", "a whole number", kind.is_integer()),
            Target::ValueDouble => ("value_double", "a number", kind.is_numeric()),
            Target::Duration => ("duration_ns", "a whole number", kind.is_integer()),
            Target::Time { column, micros: true } => (*column, "a time", matches!(kind, DataType::Timestamp(..))),
            Target::Time { column, micros: false } => (*column, "a whole number of nanoseconds", kind.is_integer()),
            Target::Plain { column, kind: DataType::Boolean } => (*column, "true or false", *kind == DataType::Boolean),
            Target::Plain { column, kind: DataType::Float64 } => (*column, "a number", kind.is_numeric()),
            Target::Plain { column, .. } => (*column, "a whole number", kind.is_integer()),
            Target::List(name) => {
                let what = format!("{name} is a list and cannot be set");
                return Err(Wrong::new(what, format!("empty it: SELECT * EXCLUDE ({name})")));
            }
        };
        if fits || *kind == DataType::Null {
            return Ok(());
        }
        let what = format!("{name} takes {wants}; the expression gives {}", name_of(kind));
        Err(Wrong::new(what, "convert it: CAST(... AS TEXT), (...)::BIGINT, TRY_CAST(... AS DOUBLE)"))
    }
}

/// What comes of a statement.
#[derive(Debug)]
pub enum Outcome {
    /// No row was meant.
    Unchanged,
    Rows(RecordBatch),
}

impl Statement {
    pub fn run(&self, rows: &RecordBatch, mode: ErrorMode, failures: &mut Failures) -> Result<Outcome> {
        let mut frame = Frame::new(rows);
        let len = rows.num_rows();
        let mask = match &self.filter {
            None => Some(BooleanBuffer::new_set(len)),
            Some(filter) => filter.matches(&mut frame, mode, failures)?,
        };
        match self.verb {
            Verb::Delete => match mask {
                None => Ok(Outcome::Unchanged),
                Some(mask) => Ok(Outcome::Rows(filter_record_batch(rows, &BooleanArray::from(!&mask))?)),
            },
            Verb::Set => match mask {
                None => Ok(Outcome::Unchanged),
                Some(mask) => self.assign(rows, frame, &mask, mode, failures).map(Outcome::Rows),
            },
            Verb::Select => match mask {
                Some(mask) if mask.count_set_bits() == len => match self.assignments.is_empty() {
                    true => Ok(Outcome::Unchanged),
                    false => self.assign(rows, frame, &mask, mode, failures).map(Outcome::Rows),
                },
                mask => {
                    let mask = mask.unwrap_or_else(|| BooleanBuffer::new_unset(len));
                    let rows = filter_record_batch(rows, &BooleanArray::from(mask))?;
                    let all = BooleanBuffer::new_set(rows.num_rows());
                    match rows.num_rows() {
                        0 => Ok(Outcome::Rows(rows)),
                        _ => self.assign(&rows, Frame::new(&rows), &all, mode, failures).map(Outcome::Rows),
                    }
                }
            },
        }
    }

    /// All expressions see the rows as they were.
    fn assign(
        &self,
        rows: &RecordBatch,
        mut frame: Frame<'_>,
        mask: &BooleanBuffer,
        mode: ErrorMode,
        failures: &mut Failures,
    ) -> Result<RecordBatch> {
        let mut writer = Writer::new(self.table, rows, mode);
        let mut sets: Vec<(&'static str, Vec<Edit<'_>>)> = Vec::new();
        for Assignment { target, program } in &self.assignments {
            let (values, mask) = match program {
                Some(program) => values(program, rows, &mut frame, mask, mode, failures)?,
                None => (Evaluated::Constant(new_null_array(&DataType::Null, 1)), mask.clone()),
            };
            match target {
                // Those of one set are put there together, after the set itself.
                Target::Attribute { set, key } => {
                    let edit = Edit { key, values, mask };
                    match sets.iter_mut().find(|(name, _)| name == set) {
                        Some((_, edits)) => edits.push(edit),
                        None => sets.push((set, vec![edit])),
                    }
                }
                other => writer.write(other, &values, &mask, failures)?,
            }
        }
        for (set, edits) in sets {
            writer.edit_set(set, &edits)?;
        }
        writer.finish()
    }
}

/// An attribute and what it becomes, in the rows of the mask.
pub(super) struct Edit<'a> {
    pub key: &'a str,
    pub values: Evaluated,
    pub mask: BooleanBuffer,
}

/// What `program` gives for the rows of `mask`, and for which of them it does: rows that are not meant do not make it fail.
fn values(
    program: &Program,
    rows: &RecordBatch,
    frame: &mut Frame<'_>,
    mask: &BooleanBuffer,
    mode: ErrorMode,
    failures: &mut Failures,
) -> Result<(Evaluated, BooleanBuffer)> {
    let error = match program.evaluate(frame) {
        Ok(values) => return Ok((values, mask.clone())),
        Err(error) => error,
    };
    if mask.count_set_bits() == mask.len() && mode == ErrorMode::Propagate {
        return Err(error);
    }
    let meant = filter_record_batch(rows, &BooleanArray::from(mask.clone()))?;
    let mut frame = Frame::new(&meant);
    let (values, failed) = match mode {
        ErrorMode::Propagate => (program.evaluate(&mut frame)?, None),
        _ => program.evaluate_each(&mut frame, failures)?,
    };
    let values = values.to_rows(meant.num_rows())?;
    let mut next = 0u64;
    let places = (0..mask.len()).map(|row| {
        mask.value(row).then(|| {
            next += 1;
            next - 1
        })
    });
    let places = places.collect::<UInt64Array>();
    let scattered = take(&values, &places, None)?;
    let holds = |row: usize| {
        let place = places.is_valid(row).then(|| places.value(row) as usize);
        place.is_some_and(|place| failed.as_ref().is_none_or(|failed| !failed.value(place)))
    };
    Ok((Evaluated::Rows(scattered), BooleanBuffer::collect_bool(mask.len(), holds)))
}

/// Of which row is which of a few values: what [`Writer`] puts together with the text that is there.
pub(super) struct Picks {
    /// 0: leave the row as it is.
    pub of_row: Vec<u32>,
    pub values: ArrayRef,
}

impl Picks {
    pub fn of(values: &Evaluated, mask: &BooleanBuffer) -> Result<Picks> {
        let picked = |row: usize, key: u32| if mask.value(row) { key + 1 } else { 0 };
        Ok(match values {
            Evaluated::Constant(values) => {
                let of_row = (0..mask.len()).map(|row| picked(row, 0)).collect();
                Picks { of_row, values: values.clone() }
            }
            Evaluated::Dictionary { values, keys } => {
                let of_row = keys.values().iter().enumerate().map(|(row, key)| picked(row, *key as u32)).collect();
                Picks { of_row, values: values.clone() }
            }
            Evaluated::Rows(values) => {
                let mut seen: HashMap<Option<String>, u32> = HashMap::new();
                let mut first = Vec::new();
                let all = Values::of(values)?;
                let mut of_row = Vec::with_capacity(mask.len());
                for row in 0..mask.len() {
                    if !mask.value(row) {
                        of_row.push(0);
                        continue;
                    }
                    let text = all.get(row)?.map(|value| value.to_json());
                    let key = *seen.entry(text).or_insert_with(|| {
                        first.push(row as u64);
                        first.len() as u32 - 1
                    });
                    of_row.push(key + 1);
                }
                Picks { of_row, values: take(values, &UInt64Array::from(first), None)? }
            }
        })
    }
}

/// Only text columns have texts.
pub(super) fn text_at(values: &ArrayRef, index: usize) -> Option<&str> {
    let texts = values.as_string_opt::<i32>()?;
    texts.is_valid(index).then(|| texts.value(index))
}

/// `Arc` of any array.
pub(super) fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}
