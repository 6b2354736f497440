//! How many bytes values have, without what they share with others.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ColumnarValue;

const VIEW: usize = 16;

/// As if it were copied whole.
pub(in crate::sql) fn bytes(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().lengths().map(|length| length as usize + VIEW).sum(),
        DataType::BinaryView => array.as_binary_view().lengths().map(|length| length as usize + VIEW).sum(),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

/// Bytes that taking a row again copies; a view's text is shared, not copied.
pub(super) fn copied(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8View | DataType::BinaryView => array.len() * VIEW,
        _ => bytes(array),
    }
}

pub(super) fn scalar(value: &ScalarValue) -> usize {
    match value.try_as_str() {
        Some(text) => text.map_or(0, str::len) + VIEW,
        None => value.size(),
    }
}

/// Bytes of each row, about.
pub(super) fn rows(array: &ArrayRef) -> Vec<usize> {
    fn of_offsets<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, item: usize) -> Vec<usize> {
        offsets.lengths().map(|length| length.saturating_mul(item)).collect()
    }
    let item = |values: &ArrayRef| bytes(values).div_ceil(values.len().max(1)).max(1);
    match array.data_type() {
        DataType::Utf8 => of_offsets(array.as_string::<i32>().offsets(), 1),
        DataType::LargeUtf8 => of_offsets(array.as_string::<i64>().offsets(), 1),
        DataType::Utf8View => array.as_string_view().lengths().map(|length| length as usize).collect(),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            of_offsets(list.offsets(), item(list.values()))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            of_offsets(list.offsets(), item(list.values()))
        }
        _ => vec![bytes(array).div_ceil(array.len().max(1)); array.len()],
    }
}

/// Of an argument, for this many rows.
pub(super) fn argument(value: &ColumnarValue, number_rows: usize) -> usize {
    match value {
        ColumnarValue::Array(array) => bytes(array),
        ColumnarValue::Scalar(value) => scalar(value).saturating_mul(number_rows),
    }
}

/// The largest row of a batch, in bytes that a copy of it takes; looked for only when the batch could have a large one.
pub(super) fn largest_row(batch: &RecordBatch, bound: usize) -> usize {
    if batch.columns().iter().map(|column| copied(column)).fold(0, usize::saturating_add) <= bound {
        return 0;
    }
    let mut all = vec![0usize; batch.num_rows()];
    for column in batch.columns() {
        let views = matches!(column.data_type(), DataType::Utf8View | DataType::BinaryView);
        let of = if views { vec![VIEW; column.len()] } else { rows(column) };
        all.iter_mut().zip(of).for_each(|(sum, bytes)| *sum = sum.saturating_add(bytes));
    }
    all.into_iter().max().unwrap_or(0)
}
