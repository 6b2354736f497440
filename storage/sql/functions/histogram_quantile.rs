//! `histogram_quantile(q, bucket_counts, explicit_bounds)`: a quantile of all rows' histograms together.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use super::histogram::Histogram;
use super::lists::{list_of, numbers, numbers_type, usage};

const HOW: &str = "histogram_quantile(q, bucket_counts, explicit_bounds)";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HistogramQuantile {
    signature: Signature,
}

impl HistogramQuantile {
    pub(super) fn new() -> HistogramQuantile {
        HistogramQuantile { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for HistogramQuantile {
    fn name(&self) -> &str {
        "histogram_quantile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let types = match given {
            [q, counts, bounds] if q.is_numeric() || q.is_null() => numbers_type(counts).zip(numbers_type(bounds)),
            _ => None,
        };
        let (counts, bounds) = types.ok_or_else(|| usage(HOW, given))?;
        Ok(vec![DataType::Float64, counts, bounds])
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name: &str, kind: DataType| Arc::new(Field::new(format_state_name(args.name, name), kind, true));
        Ok(vec![
            field("q", DataType::Float64),
            field("lengths", list_of(DataType::Float64)),
            field("bounds", list_of(DataType::Float64)),
            field("counts", list_of(DataType::Float64)),
        ])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Merged::default()))
    }
}

#[derive(Debug, Default)]
struct Merged {
    q: Option<f64>,
    histogram: Histogram,
}

impl Accumulator for Merged {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [q, counts, bounds] = values else { return Err(DataFusionError::Internal(HOW.to_owned())) };
        note(&mut self.q, q);
        let (counts, bounds) = (counts.as_list::<i32>(), bounds.as_list::<i32>());
        let (mut own, mut of) = (Vec::new(), Vec::new());
        for row in 0..counts.len() {
            if numbers(counts, row, &mut own) && numbers(bounds, row, &mut of) {
                self.histogram.add(&own, &of);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [q, lengths, bounds, counts] = states else { return Err(DataFusionError::Internal(HOW.to_owned())) };
        note(&mut self.q, q);
        let [lengths, bounds, counts] = [lengths, bounds, counts].map(|list| list.as_list::<i32>());
        let (mut of_length, mut of_bounds, mut of_counts) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..lengths.len() {
            if !numbers(lengths, row, &mut of_length) {
                continue;
            }
            numbers(bounds, row, &mut of_bounds);
            numbers(counts, row, &mut of_counts);
            let (mut bounds, mut counts) = (of_bounds.as_slice(), of_counts.as_slice());
            for length in &of_length {
                let length = *length as usize;
                let parts = bounds.split_at_checked(length).zip(counts.split_at_checked(length + 1));
                let Some(((own, more), (counted, further))) = parts else { break };
                self.histogram.add(counted, own);
                (bounds, counts) = (more, further);
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (mut lengths, mut bounds, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for (own, counted) in self.histogram.parts() {
            lengths.push(own.len() as f64);
            bounds.extend(own);
            counts.extend(counted);
        }
        Ok(vec![ScalarValue::Float64(self.q), doubles(lengths), doubles(bounds), doubles(counts)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.q.and_then(|q| self.histogram.quantile(q))))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.histogram.size()
    }
}

/// Which quantile: the first one that is said.
pub(super) fn note(q: &mut Option<f64>, said: &ArrayRef) {
    if q.is_none() {
        *q = said.as_primitive_opt::<Float64Type>().and_then(|said| said.iter().flatten().next());
    }
}

/// One row that is a list.
pub(super) fn doubles(values: Vec<f64>) -> ScalarValue {
    let values = arrow::array::Float64Array::from(values);
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([values.len()]);
    let item = Arc::new(Field::new("element", DataType::Float64, true));
    ScalarValue::List(Arc::new(arrow::array::ListArray::new(item, offsets, Arc::new(values), None)))
}
