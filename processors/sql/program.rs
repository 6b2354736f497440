//! An expression, compiled once and looked at batch by batch.
//!
//! The largest parts of it that depend on one dictionary in flight only (`attributes->>'route' LIKE '/health%'`, `service_name IN ('a', 'b')`)
//! are computed once for each distinct text of a batch; what is left, row by row. Should a part fail for a text, the
//! expression is computed as it was written, since a row may not have asked for it (`CASE`).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;

use super::columns::{self, Column, Rows};
use super::frame::Frame;

/// An expression over rows of one sort.
#[derive(Debug)]
pub struct Program {
    pub rows: Rows,
    pub kind: DataType,
    pub(super) form: Form,
    /// As it was written.
    pub(super) whole: Step,
}

#[derive(Debug)]
pub(super) enum Form {
    Constant,
    Dictionary(Part),
    Mixed { parts: Vec<Part>, rest: Step },
}

/// What depends on one dictionary only.
#[derive(Debug)]
pub(super) struct Part {
    pub home: &'static str,
    pub step: Step,
}

#[derive(Debug)]
pub(super) struct Step {
    pub expr: Arc<dyn PhysicalExpr>,
    pub schema: SchemaRef,
    pub inputs: Vec<Input>,
}

#[derive(Clone, Debug)]
pub(super) enum Input {
    Column(&'static Column),
    Part(usize),
}

/// Values, one for each row, in the shortest form they have.
#[derive(Clone, Debug)]
pub enum Evaluated {
    /// One for all.
    Constant(ArrayRef),
    /// One for each distinct text of a dictionary, and which of them each row has.
    Dictionary {
        values: ArrayRef,
        keys: Int32Array,
    },
    Rows(ArrayRef),
}

/// What to do with rows for which an expression fails, as the Collector's `error_mode` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorMode {
    /// Say so, and leave the row as it is.
    Ignore,
    Silent,
    /// Refuse the batch: its sender is told.
    Propagate,
}

pub const ERROR_MODES: [(&str, ErrorMode); 3] =
    [("ignore", ErrorMode::Ignore), ("silent", ErrorMode::Silent), ("propagate", ErrorMode::Propagate)];

/// Rows for which an expression failed.
#[derive(Debug, Default)]
pub struct Failures {
    pub rows: usize,
    pub first: Option<String>,
}

impl Evaluated {
    pub fn to_rows(&self, len: usize) -> Result<ArrayRef> {
        Ok(match self {
            Evaluated::Rows(array) => array.clone(),
            Evaluated::Dictionary { values, keys } => take(values, keys, None)?,
            Evaluated::Constant(array) => take(array, &Int32Array::from(vec![0; len]), None)?,
        })
    }
}

impl Step {
    fn run(&self, arrays: Vec<ArrayRef>, rows: usize) -> Result<ArrayRef> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?;
        self.expr.evaluate(&batch)?.into_array(rows)
    }

    fn run_constant(&self) -> Result<ArrayRef> {
        self.run(Vec::new(), 1)
    }

    fn columns(&self, frame: &mut Frame<'_>) -> Result<Vec<ArrayRef>> {
        let made = self.inputs.iter().map(|input| match input {
            Input::Column(column) => Ok(frame.column(column)?),
            Input::Part(_) => Err(DataFusionError::Internal("a part of nothing".to_owned())),
        });
        made.collect()
    }
}

impl Part {
    fn run(&self, frame: &mut Frame<'_>) -> Result<Evaluated> {
        let home = frame.home(self.home)?;
        let made = self.step.inputs.iter().map(|input| match input {
            Input::Column(column) => Ok(columns::of_dictionary(column, &home.texts)?),
            Input::Part(_) => Err(DataFusionError::Internal("a part of a part".to_owned())),
        });
        let values = self.step.run(made.collect::<Result<_>>()?, home.texts.len())?;
        Ok(Evaluated::Dictionary { values, keys: home.keys })
    }
}

impl Program {
    /// It depends on these dictionaries only.
    pub fn is_about(&self, homes: &[&str]) -> bool {
        self.whole.inputs.iter().all(|input| match input {
            Input::Column(column) => column.home.is_some_and(|home| homes.contains(&home)),
            Input::Part(_) => false,
        })
    }

    pub fn evaluate(&self, frame: &mut Frame<'_>) -> Result<Evaluated> {
        if frame.len() == 0 {
            return Ok(Evaluated::Rows(new_null_array(&self.kind, 0)));
        }
        let quick = match &self.form {
            Form::Constant => return self.whole.run_constant().map(Evaluated::Constant),
            Form::Dictionary(part) => part.run(frame),
            Form::Mixed { parts, rest } => self.mixed(parts, rest, frame),
        };
        match quick {
            Ok(values) => Ok(values),
            Err(_) => {
                let arrays = self.whole.columns(frame)?;
                self.whole.run(arrays, frame.len()).map(Evaluated::Rows)
            }
        }
    }

    fn mixed(&self, parts: &[Part], rest: &Step, frame: &mut Frame<'_>) -> Result<Evaluated> {
        let parts = parts.iter().map(|part| part.run(frame)).collect::<Result<Vec<_>>>()?;
        let len = frame.len();
        let inputs = rest.inputs.iter().map(|input| match input {
            Input::Column(column) => Ok(frame.column(column)?),
            Input::Part(part) => match parts.get(*part) {
                Some(part) => part.to_rows(len),
                None => Err(DataFusionError::Internal("a part is missing".to_owned())),
            },
        });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        rest.run(inputs, len).map(Evaluated::Rows)
    }

    /// As [`Program::evaluate`]; rows for which it fails are NULL, set in the mask, and counted.
    pub fn evaluate_each(
        &self,
        frame: &mut Frame<'_>,
        failures: &mut Failures,
    ) -> Result<(Evaluated, Option<BooleanBuffer>)> {
        if let Ok(values) = self.evaluate(frame) {
            return Ok((values, None));
        }
        let arrays = self.whole.columns(frame)?;
        let len = frame.len();
        let (mut pieces, mut failed) = (Vec::new(), vec![false; len]);
        // Halves of what failed, the first on top.
        let mut open = vec![(0, len)];
        while let Some((from, count)) = open.pop() {
            let slice = arrays.iter().map(|array| array.slice(from, count)).collect();
            match self.whole.run(slice, count) {
                Ok(piece) => pieces.push(piece),
                Err(error) if count == 1 => {
                    failures.rows += 1;
                    failures.first.get_or_insert_with(|| message(&error));
                    failed.iter_mut().skip(from).take(1).for_each(|failed| *failed = true);
                    pieces.push(new_null_array(&self.kind, 1));
                }
                Err(_) => {
                    let half = count / 2;
                    open.push((from + half, count - half));
                    open.push((from, half));
                }
            }
        }
        let pieces = pieces.iter().map(AsRef::as_ref).collect::<Vec<_>>();
        Ok((Evaluated::Rows(concat(&pieces)?), Some(BooleanBuffer::from(failed))))
    }

    /// Rows for which it is true. `None`: none of them.
    pub fn matches(
        &self,
        frame: &mut Frame<'_>,
        mode: ErrorMode,
        failures: &mut Failures,
    ) -> Result<Option<BooleanBuffer>> {
        let values = match mode {
            ErrorMode::Propagate => self.evaluate(frame)?,
            _ => self.evaluate_each(frame, failures)?.0,
        };
        let len = frame.len();
        Ok(match values {
            Evaluated::Constant(array) => is_true(&array).value(0).then(|| BooleanBuffer::new_set(len)),
            Evaluated::Dictionary { values, keys } => {
                let values = is_true(&values);
                match values.count_set_bits() {
                    0 => None,
                    all if all == values.len() => Some(BooleanBuffer::new_set(len)),
                    _ => {
                        let keys = keys.values();
                        let holds = |row| keys.get(row).is_some_and(|key: &i32| values.value(*key as usize));
                        Some(BooleanBuffer::collect_bool(len, holds))
                    }
                }
            }
            Evaluated::Rows(array) => Some(is_true(&array)).filter(|values| values.count_set_bits() > 0),
        })
    }
}

fn is_true(array: &ArrayRef) -> BooleanBuffer {
    match array.as_boolean_opt() {
        Some(values) => match values.nulls() {
            Some(nulls) => values.values() & nulls.inner(),
            None => values.values().clone(),
        },
        // NULL, of no type: true for none.
        None => BooleanArray::from(vec![false; array.len()]).values().clone(),
    }
}

/// Without what DataFusion says about itself.
pub fn message(error: &DataFusionError) -> String {
    error.find_root().strip_backtrace()
}
