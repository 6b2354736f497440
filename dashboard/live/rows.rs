//! What a stream holds of a query's result: columns that browsers read, in one order whatever order the rows came in,
//! and how two results differ.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{
    DataType, DurationMicrosecondType, Field, FieldRef, Fields, Float64Type, Schema, SchemaRef, TimeUnit,
    TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows as Keys, SortField};

use super::window::{Window, floor};
use crate::problem::Problem;

type Result<T> = std::result::Result<T, Problem>;

pub(super) fn internal(error: ArrowError) -> Problem {
    Problem::internal(format!("the result cannot be handled: {error}"))
}

/// How a query's columns become a stream's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    pub schema: SchemaRef,
    /// The first timestamp.
    pub time: Option<usize>,
}

impl Columns {
    /// `Err`: a column that no browser reads.
    pub fn of(schema: &Schema) -> Result<Columns> {
        let fields = schema.fields().iter().map(browser_field).collect::<Result<Vec<FieldRef>>>()?;
        let time = fields.iter().position(|field| matches!(field.data_type(), DataType::Timestamp(..)));
        Ok(Columns { schema: Arc::new(Schema::new(fields)), time })
    }

    pub fn convert(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.schema.fields().iter().zip(rows.columns());
        let columns = columns.map(|(field, column)| match column.data_type() {
            DataType::Duration(_) => seconds(column),
            _ => cast(column, field.data_type()),
        });
        let columns = columns.collect::<std::result::Result<Vec<ArrayRef>, _>>().map_err(internal)?;
        RecordBatch::try_new(self.schema.clone(), columns).map_err(internal)
    }

    /// A series is all rows whose labels are equal: what is neither a time nor a number.
    pub fn labels(&self) -> impl Iterator<Item = usize> {
        let is_label = |field: &FieldRef| !is_number(field.data_type()) && !field.data_type().is_temporal();
        self.schema.fields().iter().enumerate().filter(move |(_, field)| is_label(field)).map(|(at, _)| at)
    }

    /// The first number.
    pub fn value(&self) -> Option<usize> {
        self.schema.fields().iter().position(|field| is_number(field.data_type()))
    }

    pub fn name(&self, column: usize) -> &str {
        self.schema.field(column).name()
    }
}

fn seconds(durations: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    let micros = cast(durations, &DataType::Duration(TimeUnit::Microsecond))?;
    let micros = micros.as_primitive::<DurationMicrosecondType>();
    Ok(Arc::new(micros.unary::<_, Float64Type>(|micros| micros as f64 / 1e6)))
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

fn browser_field(field: &FieldRef) -> Result<FieldRef> {
    let name = field.name();
    let data_type = browser_type(field.data_type()).ok_or_else(|| {
        let kind = field.data_type();
        let message =
            format!("column \"{name}\" is of type {kind}, which no chart or table shows: cast it, e.g. to text");
        Problem::new(http::StatusCode::BAD_REQUEST, "bad_sql", message)
    })?;
    Ok(Arc::new(Field::new(name, data_type, true)))
}

/// `None`: neither shown nor compared.
pub fn browser_type(data_type: &DataType) -> Option<DataType> {
    use DataType::*;
    Some(match data_type {
        Null | Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float32 | Float64 => {
            data_type.clone()
        }
        Float16 => Float32,
        Utf8 | LargeUtf8 | Utf8View => Utf8,
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => Binary,
        Timestamp(..) => Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Date32 | Date64 => Date32,
        Time32(_) | Time64(_) => Utf8,
        // Seconds.
        Duration(_) => Float64,
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => Float64,
        Dictionary(_, values) => browser_type(values)?,
        RunEndEncoded(_, values) => browser_type(values.data_type())?,
        List(item) | LargeList(item) | FixedSizeList(item, _) | ListView(item) | LargeListView(item) => {
            List(nested(item)?)
        }
        Struct(fields) => Struct(fields.iter().map(nested).collect::<Option<Fields>>()?),
        Interval(_) => Utf8,
        Map(..) | Union(..) => return None,
    })
}

fn nested(field: &FieldRef) -> Option<FieldRef> {
    Some(Arc::new(Field::new(field.name(), browser_type(field.data_type())?, true)))
}

/// Microseconds of the column `time`.
pub fn times(rows: &RecordBatch, time: usize) -> &[i64] {
    rows.column(time).as_primitive_opt::<TimestampMicrosecondType>().map_or(&[], |column| column.values())
}

/// The rows whose time is in the window, in time's order; rows of one time in the order of their other
/// columns, so that equal results are equal however they were come by.
pub fn in_order(batches: &[RecordBatch], schema: &SchemaRef, time: usize, window: Window) -> Result<RecordBatch> {
    let rows = concat_batches(schema, batches).map_err(internal)?;
    let within = window.from.saturating_mul(1000)..window.to.saturating_mul(1000);
    let nulls = rows.column(time).nulls();
    let is_in = |(row, at): &(usize, &i64)| within.contains(*at) && nulls.is_none_or(|nulls| nulls.is_valid(*row));
    let wanted = times(&rows, time).iter().enumerate().filter(is_in).map(|(row, _)| row as u32);
    let rows = take_record_batch(&rows, &UInt32Array::from_iter_values(wanted)).map_err(internal)?;
    let keys = keys(&rows, Some(time))?;
    let mut order = (0..rows.num_rows() as u32).collect::<Vec<_>>();
    order.sort_unstable_by(|a, b| keys.row(*a as usize).cmp(&keys.row(*b as usize)));
    if order.is_sorted() {
        return Ok(rows);
    }
    take_record_batch(&rows, &UInt32Array::from(order)).map_err(internal)
}

/// Bytes that compare as the rows do, `first` before the other columns.
fn keys(rows: &RecordBatch, first: Option<usize>) -> Result<Keys> {
    let others = (0..rows.num_columns()).filter(|column| Some(*column) != first);
    let columns = first.into_iter().chain(others).map(|column| rows.column(column).clone()).collect::<Vec<_>>();
    keys_of(&columns)
}

pub fn keys_of(columns: &[ArrayRef]) -> Result<Keys> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    RowConverter::new(fields).and_then(|converter| converter.convert_columns(columns)).map_err(internal)
}

/// The number of rows before `at` milliseconds.
pub fn before(rows: &RecordBatch, time: usize, at: i64) -> usize {
    let at = at.saturating_mul(1000);
    times(rows, time).partition_point(|time| *time < at)
}

pub fn first(rows: &RecordBatch, most: usize) -> Result<RecordBatch> {
    part(rows, 0, rows.num_rows().min(most))
}

pub fn last(rows: &RecordBatch, most: usize) -> Result<RecordBatch> {
    let surplus = rows.num_rows().saturating_sub(most);
    part(rows, surplus, rows.num_rows() - surplus)
}

/// Copied: a slice would keep what is cut off.
fn part(rows: &RecordBatch, offset: usize, length: usize) -> Result<RecordBatch> {
    if length == rows.num_rows() {
        return Ok(rows.clone());
    }
    let wanted = (offset..offset + length).map(|row| row as u32);
    take_record_batch(rows, &UInt32Array::from_iter_values(wanted)).map_err(internal)
}

/// `old` with everything from `from` on replaced by `tail`, and nothing before `start`.
pub fn replace_tail(old: &RecordBatch, tail: &RecordBatch, time: usize, start: i64, from: i64) -> Result<RecordBatch> {
    let (first, kept) = (before(old, time, start), before(old, time, from));
    let head = old.slice(first, kept.saturating_sub(first));
    if head.num_rows() == 0 {
        return Ok(tail.clone());
    }
    concat_batches(&old.schema(), [&head, tail]).map_err(internal)
}

/// The time (ms, at or before the row's own) of the first row from `from` on in which the results differ.
pub fn first_difference(old: &RecordBatch, new: &RecordBatch, time: usize, from: i64) -> Result<Option<i64>> {
    let rest = |rows: &RecordBatch| {
        let first = before(rows, time, from);
        rows.slice(first, rows.num_rows() - first)
    };
    let (old, new) = (rest(old), rest(new));
    let (a, b) = (keys(&old, Some(time))?, keys(&new, Some(time))?);
    let common = a.num_rows().min(b.num_rows());
    let row = (0..common).find(|row| a.row(*row) != b.row(*row)).unwrap_or(common);
    let at = |rows: &RecordBatch| times(rows, time).get(row).copied();
    Ok(at(&old).into_iter().chain(at(&new)).min().map(|micros| floor(micros, 1000) / 1000))
}

pub fn same(a: &RecordBatch, b: &RecordBatch) -> Result<bool> {
    if a.schema() != b.schema() || a.num_rows() != b.num_rows() {
        return Ok(false);
    }
    if a.num_columns() == 0 {
        return Ok(true);
    }
    let (a, b) = (keys(a, None)?, keys(b, None)?);
    Ok((0..a.num_rows()).all(|row| a.row(row) == b.row(row)))
}

/// Bytes that rows take; a slice counts as its own rows.
pub fn size(rows: &RecordBatch) -> usize {
    let of = |column: &ArrayRef| {
        let data = column.to_data();
        data.get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    };
    rows.columns().iter().map(of).sum()
}

/// Milliseconds to the bucket's beginning, of each row.
pub fn buckets(rows: &RecordBatch, time: usize, step: i64) -> Int64Array {
    times(rows, time).iter().map(|micros| floor(micros.div_euclid(1000), step)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{
        Decimal128Array, DictionaryArray, DurationMillisecondArray, Float64Array, Int64Array, ListBuilder,
        StringViewArray, StringViewBuilder, TimestampMicrosecondArray, TimestampNanosecondArray, UnionArray,
    };
    use arrow::datatypes::{Int32Type, UnionFields};

    use super::*;

    fn column(array: impl Array + 'static) -> ArrayRef {
        Arc::new(array)
    }

    #[test]
    fn columns_become_what_browsers_read() {
        let mut list = ListBuilder::new(StringViewBuilder::new());
        list.append_value([Some("x")]);
        let dictionary: DictionaryArray<Int32Type> = ["a"].into_iter().collect();
        let decimal = Decimal128Array::from(vec![125]).with_precision_and_scale(5, 2).unwrap();
        let rows = RecordBatch::try_from_iter([
            ("n", column(Int64Array::from(vec![1]))),
            ("t", column(TimestampNanosecondArray::from(vec![1_999_999]).with_timezone("+00:00"))),
            ("view", column(StringViewArray::from(vec!["a text longer than a view holds inline"]))),
            ("dict", column(dictionary)),
            ("list", column(list.finish())),
            ("decimal", column(decimal)),
            ("took", column(DurationMillisecondArray::from(vec![1500]))),
        ])
        .unwrap();
        let columns = Columns::of(&rows.schema()).unwrap();
        let types = columns.schema.fields().iter().map(|field| field.data_type().to_string()).collect::<Vec<_>>();
        let expect = ["Int64", "Timestamp(µs, \"UTC\")", "Utf8", "Utf8", "List(Utf8)", "Float64", "Float64"];
        assert_eq!(types, expect);
        let converted = columns.convert(&rows).unwrap();
        assert_eq!(times(&converted, 1), [1999]);
        assert_eq!(converted.column(5).as_primitive::<Float64Type>().value(0), 1.25);
        assert_eq!(converted.column(6).as_primitive::<Float64Type>().value(0), 1.5);
        assert_eq!((columns.time, columns.value()), (Some(1), Some(0)));
        assert_eq!(columns.labels().collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn a_type_that_nobody_shows_is_named() {
        let fields: UnionFields = [(0, Arc::new(Field::new("a", DataType::Int64, true)))].into_iter().collect();
        let union = UnionArray::try_new(fields, vec![0].into(), None, vec![column(Int64Array::from(vec![1]))]).unwrap();
        let rows = RecordBatch::try_from_iter([("json", column(union))]).unwrap();
        let problem = Columns::of(&rows.schema()).unwrap_err();
        assert!(problem.kind == "bad_sql" && problem.message.contains("\"json\""), "{problem:?}");
    }

    /// Milliseconds and a value.
    fn points(points: &[(i64, f64)]) -> RecordBatch {
        let time = TimestampMicrosecondArray::from_iter_values(points.iter().map(|point| point.0 * 1000));
        let value = points.iter().map(|point| Some(point.1)).collect::<Float64Array>();
        let columns = [("t", column(time.with_timezone("UTC")), true), ("v", column(value), true)];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    #[test]
    fn a_tail_takes_the_place_of_what_was_there() {
        let old = points(&[(1, 1.0), (2, 2.0), (2, 3.0), (3, 4.0)]);
        let replaced = replace_tail(&old, &points(&[(2, 9.0), (4, 5.0)]), 0, 0, 2).unwrap();
        assert_eq!(replaced, points(&[(1, 1.0), (2, 9.0), (4, 5.0)]));
        let none = points(&[]);
        assert_eq!(replace_tail(&old, &none, 0, 2, 3).unwrap(), points(&[(2, 2.0), (2, 3.0)]));
        assert_eq!(replace_tail(&old, &none, 0, 5, 5).unwrap(), none);
    }

    #[test]
    fn the_first_difference_is_found() {
        let old = points(&[(1, 1.0), (2, 2.0), (4, 4.0)]);
        let check = |new: &[(i64, f64)], from: i64, expect: Option<i64>| {
            assert_eq!(first_difference(&old, &points(new), 0, from).unwrap(), expect, "{new:?} from {from}");
        };
        check(&[(1, 1.0), (2, 2.0), (4, 4.0)], 0, None);
        check(&[(1, 0.0), (2, 2.0), (4, 4.0)], 2, None);
        check(&[(1, 1.0), (2, 2.5), (4, 4.0)], 0, Some(2));
        check(&[(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)], 0, Some(3));
        check(&[(1, 1.0), (2, 2.0)], 0, Some(4));
        check(&[(1, 1.0), (2, 2.0), (4, 4.0), (4, 5.0)], 0, Some(4));
        check(&[], 0, Some(1));
        check(&[(1, 1.0), (2, f64::NAN), (4, 4.0)], 0, Some(2));
    }

    #[test]
    fn order_does_not_depend_on_how_rows_came() {
        let schema = points(&[]).schema();
        let window = Window { from: 1, to: 4 };
        let one =
            in_order(&[points(&[(3, 1.0), (0, 1.0), (2, 7.0)]), points(&[(2, 5.0), (4, 1.0)])], &schema, 0, window);
        let other = in_order(&[points(&[(2, 5.0)]), points(&[(2, 7.0), (3, 1.0)])], &schema, 0, window).unwrap();
        assert_eq!(one.unwrap(), other);
        assert_eq!(other, points(&[(2, 5.0), (2, 7.0), (3, 1.0)]));
    }
}
