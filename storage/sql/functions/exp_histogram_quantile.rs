//! `exp_histogram_quantile(q, buckets)`, or with the columns that `buckets` is made of: a quantile of all rows'
//! exponential histograms together.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use super::exp_histogram::{ExpHistogram, REACH};
use super::histogram_quantile::{doubles, note};
use super::lists::{ExpRows, exp_buckets, list_of, numbers, usage};

const HOW: &str = "exp_histogram_quantile(q, buckets) or exp_histogram_quantile(q, scale, zero_count, zero_threshold, \
                   positive_offset, positive_bucket_counts, negative_offset, negative_bucket_counts)";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ExpHistogramQuantile {
    signature: Signature,
}

impl ExpHistogramQuantile {
    pub(super) fn new() -> ExpHistogramQuantile {
        ExpHistogramQuantile { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for ExpHistogramQuantile {
    fn name(&self) -> &str {
        "exp_histogram_quantile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let columns = exp_buckets();
        let fits = |given: &DataType, wanted: &DataType| match wanted {
            DataType::List(_) => given.is_nested() || given.is_null(),
            _ => given.is_numeric() || given.is_null(),
        };
        match given {
            [_, DataType::Struct(fields)] if fields.len() == columns.len() => {
                Ok(vec![DataType::Float64, DataType::Struct(columns)])
            }
            [_, rest @ ..] if rest.len() == columns.len() => {
                if !rest.iter().zip(&columns).all(|(given, wanted)| fits(given, wanted.data_type())) {
                    return Err(usage(HOW, given));
                }
                let columns = columns.iter().map(|column| column.data_type().clone());
                Ok([DataType::Float64].into_iter().chain(columns).collect())
            }
            _ => Err(usage(HOW, given)),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name: &str, kind: DataType| Arc::new(Field::new(format_state_name(args.name, name), kind, true));
        let lists = ["positive", "positive_counts", "negative", "negative_counts"];
        let numbers = [field("q", DataType::Float64), field("scale", DataType::Int64)];
        let zero = [field("zero", DataType::Float64), field("threshold", DataType::Float64)];
        let lists = lists.map(|name| field(name, list_of(DataType::Float64)));
        Ok(numbers.into_iter().chain(zero).chain(lists).collect())
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Merged::default()))
    }
}

#[derive(Debug, Default)]
struct Merged {
    q: Option<f64>,
    histogram: ExpHistogram,
}

impl Accumulator for Merged {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [q, columns @ ..] = values else { return Err(DataFusionError::Internal(HOW.to_owned())) };
        note(&mut self.q, q);
        let whole = match columns {
            [whole] => whole.as_struct().clone(),
            columns => StructArray::try_new(exp_buckets(), columns.to_vec(), None)?,
        };
        let mut rows = ExpRows::new(&whole)?;
        for row in 0..whole.len() {
            if let Some(histogram) = rows.get(row) {
                self.histogram.merge(histogram);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [q, scale, zero, threshold, lists @ ..] = states else {
            return Err(DataFusionError::Internal(HOW.to_owned()));
        };
        note(&mut self.q, q);
        let scale = scale.as_primitive::<Int64Type>();
        let [zero, threshold] = [zero, threshold].map(|column| column.as_primitive::<Float64Type>());
        let mut values = vec![Vec::new(); lists.len()];
        for row in (0..scale.len()).filter(|row| scale.is_valid(*row)) {
            for (list, values) in lists.iter().zip(&mut values) {
                numbers(list.as_list(), row, values);
            }
            let [positive, positive_counts, negative, negative_counts] = values.as_slice() else { continue };
            // An index is below 2^53: its offset has 32 bits and its list fits memory.
            let buckets = |index: &[f64], counts: &[f64]| {
                index.iter().map(|index| *index as i64).zip(counts.iter().copied()).collect::<Vec<_>>()
            };
            self.histogram.merge(ExpHistogram::from_sparse(
                i32::try_from(scale.value(row)).ok(),
                zero.value(row),
                threshold.value(row),
                buckets(positive, positive_counts).into_iter(),
                buckets(negative, negative_counts).into_iter(),
            ));
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (zero, threshold) = self.histogram.zero();
        let mut state = vec![
            ScalarValue::Float64(self.q),
            ScalarValue::Int64(self.histogram.scale().map(i64::from)),
            ScalarValue::Float64(Some(zero)),
            ScalarValue::Float64(Some(threshold)),
        ];
        for side in [self.histogram.positive(), self.histogram.negative()] {
            state.push(doubles(side.keys().map(|index| *index as f64).collect()));
            state.push(doubles(side.values().copied().collect()));
        }
        Ok(state)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // As coarse as rollups of it are, so that one asked of them is the same.
        self.histogram.fit(REACH);
        Ok(ScalarValue::Float64(self.q.and_then(|q| self.histogram.quantile(q))))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.histogram.size()
    }
}
