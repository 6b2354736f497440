//! `counter_delta(current, previous [, aggregation_temporality])`: what a counter counted since its last point.
//!
//! Numbers, lists of bucket counts (element by element), or `buckets` of an exponential histogram. No previous point:
//! NULL. Less than before, or in a list of another length: the counter began anew, and all it holds is new. With
//! temporality 1 (delta) a point says itself what is new.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Float64Builder, Int32Builder, Int64Array, Int64Builder, ListArray,
    ListBuilder, NullBufferBuilder, StructArray,
};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::exp_histogram::{ExpHistogram, REACH};
use super::lists::{ExpRows, exp_buckets, list_of, numbers_type, usage};

const HOW: &str =
    "counter_delta(current, previous [, aggregation_temporality]) with numbers, lists of counts or `buckets`";
const DELTA: i64 = 1;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CounterDelta {
    signature: Signature,
}

impl CounterDelta {
    pub(super) fn new() -> CounterDelta {
        CounterDelta { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// The type that both arguments are taken as.
fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    let struct_type = || DataType::Struct(exp_buckets());
    let number = |kind: &DataType| kind.is_numeric() || kind.is_null();
    match (a, b) {
        (DataType::Struct(_), DataType::Struct(_) | DataType::Null) | (DataType::Null, DataType::Struct(_)) => {
            Some(struct_type())
        }
        (a, b) if number(a) && number(b) => {
            let whole = |kind: &DataType| kind.is_integer() || kind.is_null();
            Some(if whole(a) && whole(b) { DataType::Int64 } else { DataType::Float64 })
        }
        // Counts are whole numbers.
        (a, b) => numbers_type(a).and(numbers_type(b)).map(|_| list_of(DataType::Int64)),
    }
}

impl ScalarUDFImpl for CounterDelta {
    fn name(&self) -> &str {
        "counter_delta"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let (values, rest) = given.split_at(given.len().min(2));
        let kind = match values {
            [a, b] => common(a, b),
            _ => None,
        };
        let kind = kind.ok_or_else(|| usage(HOW, given))?;
        match rest {
            [] => Ok(vec![kind.clone(), kind]),
            [temporality] if temporality.is_integer() || temporality.is_null() => {
                Ok(vec![kind.clone(), kind, DataType::Int64])
            }
            _ => Err(usage(HOW, given)),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        given.first().cloned().ok_or_else(|| usage(HOW, given))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let (current, previous) = match arrays.as_slice() {
            [current, previous, ..] => (current, previous),
            _ => return Err(DataFusionError::Execution(HOW.to_owned())),
        };
        let temporality = arrays.get(2).and_then(|array| array.as_primitive_opt::<Int64Type>());
        let own = |row: usize| temporality.is_some_and(|all| all.is_valid(row) && all.value(row) == DELTA);
        let result: ArrayRef = match current.data_type() {
            DataType::Int64 => Arc::new(ints(current.as_primitive(), previous.as_primitive(), own)),
            DataType::Float64 => Arc::new(doubles(current.as_primitive(), previous.as_primitive(), own)),
            DataType::List(_) => Arc::new(lists(current.as_list(), previous.as_list(), own)?),
            _ => Arc::new(exp_histograms(current.as_struct(), previous.as_struct(), own)?),
        };
        Ok(ColumnarValue::Array(result))
    }
}

fn ints(current: &Int64Array, previous: &Int64Array, own: impl Fn(usize) -> bool) -> Int64Array {
    let rows = current.iter().zip(previous.iter()).enumerate();
    rows.map(|(row, (current, previous))| match (current?, previous) {
        (current, _) if own(row) => Some(current),
        (current, Some(previous)) if current < previous => Some(current),
        (current, Some(previous)) => Some(current.saturating_sub(previous)),
        (_, None) => None,
    })
    .collect()
}

fn doubles(current: &Float64Array, previous: &Float64Array, own: impl Fn(usize) -> bool) -> Float64Array {
    let rows = current.iter().zip(previous.iter()).enumerate();
    rows.map(|(row, (current, previous))| match (current?, previous) {
        (current, _) if own(row) => Some(current),
        (current, Some(previous)) if current < previous => Some(current),
        (current, Some(previous)) => Some(current - previous),
        (_, None) => None,
    })
    .collect()
}

fn lists(current: &ListArray, previous: &ListArray, own: impl Fn(usize) -> bool) -> Result<ListArray> {
    let DataType::List(item) = list_of(DataType::Int64) else {
        return Err(DataFusionError::Internal("a list is a list".to_owned()));
    };
    let mut result = ListBuilder::new(Int64Builder::with_capacity(current.values().len())).with_field(item);
    for row in 0..current.len() {
        let delta = own(row);
        // A point without buckets is one where nothing was recorded: what comes after it has no predecessor either.
        let gap = previous.is_null(row) || (previous.value_length(row) == 0 && current.value_length(row) > 0);
        if current.is_null(row) || (gap && !delta) {
            result.append_null();
            continue;
        }
        let now = current.value(row);
        let now = now.as_primitive::<Int64Type>().values();
        let before = if delta { None } else { Some(previous.value(row)) };
        let before = before.as_ref().map(|before| before.as_primitive::<Int64Type>().values());
        match before {
            Some(before) if before.len() == now.len() && now.iter().zip(before).all(|(now, before)| now >= before) => {
                now.iter()
                    .zip(before)
                    .for_each(|(now, before)| result.values().append_value(now.saturating_sub(*before)));
            }
            _ => result.values().append_slice(now),
        }
        result.append(true);
    }
    Ok(result.finish())
}

fn exp_histograms(current: &StructArray, previous: &StructArray, own: impl Fn(usize) -> bool) -> Result<StructArray> {
    let (mut now, mut before) = (ExpRows::new(current)?, ExpRows::new(previous)?);
    let mut result = ExpBuilder::new(current.len());
    for row in 0..current.len() {
        let delta = own(row);
        match (now.get(row), before.get(row)) {
            (Some(now), _) if delta => result.append(&now),
            (Some(now), Some(before)) => result.append(now.since(before).as_ref().unwrap_or(&now)),
            _ => result.append_null(),
        }
    }
    result.finish()
}

/// Rows of [`exp_buckets`] in the making.
pub(crate) struct ExpBuilder {
    scale: Int32Builder,
    zero: Int64Builder,
    threshold: Float64Builder,
    offsets: [Int32Builder; 2],
    counts: [ListBuilder<Int64Builder>; 2],
    nulls: NullBufferBuilder,
}

impl ExpBuilder {
    pub(crate) fn new(rows: usize) -> ExpBuilder {
        let list = || {
            let list = ListBuilder::new(Int64Builder::new());
            match list_of(DataType::Int64) {
                DataType::List(item) => list.with_field(item),
                _ => list,
            }
        };
        ExpBuilder {
            scale: Int32Builder::with_capacity(rows),
            zero: Int64Builder::with_capacity(rows),
            threshold: Float64Builder::with_capacity(rows),
            offsets: [Int32Builder::with_capacity(rows), Int32Builder::with_capacity(rows)],
            counts: [list(), list()],
            nulls: NullBufferBuilder::new(rows),
        }
    }

    /// Coarser where its buckets lie far apart: what is between them is written too.
    pub(crate) fn append(&mut self, histogram: &ExpHistogram) {
        let mut histogram = histogram.clone();
        histogram.fit(REACH);
        let (zero, threshold) = histogram.zero();
        self.scale.append_option(histogram.scale());
        self.zero.append_value(zero as i64);
        self.threshold.append_value(threshold);
        let sides = [histogram.positive(), histogram.negative()];
        for ((buckets, offset), counts) in sides.into_iter().zip(&mut self.offsets).zip(&mut self.counts) {
            let mut next = buckets.first_key_value().map(|(index, _)| *index);
            offset.append_option(next.and_then(|first| i32::try_from(first).ok()));
            for (index, count) in buckets {
                let gap = next.map_or(0, |next| index - next);
                (0..gap).for_each(|_| counts.values().append_value(0));
                counts.values().append_value(*count as i64);
                next = Some(index + 1);
            }
            counts.append(true);
        }
        self.nulls.append_non_null();
    }

    pub(crate) fn append_option(&mut self, histogram: Option<&ExpHistogram>) {
        match histogram {
            Some(histogram) => self.append(histogram),
            None => self.append_null(),
        }
    }

    fn append_null(&mut self) {
        self.scale.append_null();
        self.zero.append_null();
        self.threshold.append_null();
        self.offsets.iter_mut().for_each(Int32Builder::append_null);
        self.counts.iter_mut().for_each(ListBuilder::append_null);
        self.nulls.append_null();
    }

    pub(crate) fn finish(mut self) -> Result<StructArray> {
        let [positive_offset, negative_offset] = &mut self.offsets;
        let [positive, negative] = &mut self.counts;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.scale.finish()),
            Arc::new(self.zero.finish()),
            Arc::new(self.threshold.finish()),
            Arc::new(positive_offset.finish()),
            Arc::new(positive.finish()),
            Arc::new(negative_offset.finish()),
            Arc::new(negative.finish()),
        ];
        Ok(StructArray::try_new(exp_buckets(), columns, self.nulls.finish())?)
    }
}
