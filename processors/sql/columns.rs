//! What SQL sees of rows in flight: the lake's columns, each with what it is made of and where it is the same.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, Float64Array, Int64Array, ListArray, PrimitiveArray, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Field, Fields, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampNanosecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use catchment_pipeline::batch::{Table, attributes};

/// Resource attributes that are columns, as the lake has them unless told otherwise.
const PROMOTED: [(&str, &str); 9] = [
    ("service_name", "service.name"),
    ("service_namespace", "service.namespace"),
    ("service_instance_id", "service.instance.id"),
    ("host_name", "host.name"),
    ("deployment_environment_name", "deployment.environment.name"),
    ("k8s_namespace_name", "k8s.namespace.name"),
    ("k8s_pod_name", "k8s.pod.name"),
    ("k8s_container_name", "k8s.container.name"),
    ("k8s_node_name", "k8s.node.name"),
];

const MICROS_A_DAY: i64 = 86_400_000_000;

/// What rows are of: a table, or the events within spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    Of(Table),
    SpanEvents,
}

#[derive(Clone, Debug)]
pub enum Source {
    /// A column in flight, texts of dictionaries, ids as hex, times as nanoseconds.
    Same(&'static str),
    /// The first of these that is not zero, in microseconds.
    Micros(&'static [&'static str]),
    Date(&'static [&'static str]),
    /// A text among the attributes of the resource.
    Resource(&'static str),
    /// A number, whether it is whole or not.
    Value,
    /// Nanoseconds from the start to the end of a span.
    Duration,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub kind: DataType,
    pub source: Source,
    /// The dictionary in flight that it depends on, and on nothing else.
    pub home: Option<&'static str>,
}

impl Column {
    /// Not made of another.
    pub fn is_in_flight(&self) -> bool {
        matches!(self.source, Source::Same(_))
    }
}

/// Columns of `rows`, always in the same order.
pub fn columns(rows: Rows) -> &'static [Column] {
    static ALL: LazyLock<Vec<Vec<Column>>> =
        LazyLock::new(|| Table::ALL.map(Rows::Of).into_iter().chain([Rows::SpanEvents]).map(build).collect());
    let index = match rows {
        Rows::Of(table) => table as usize,
        Rows::SpanEvents => Table::ALL.len(),
    };
    ALL.get(index).map_or(&[], Vec::as_slice)
}

fn is_dict(kind: &DataType) -> bool {
    matches!(kind, DataType::Dictionary(..))
}

fn micros() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn times(table: Table) -> &'static [&'static str] {
    match table {
        Table::Logs | Table::Alerts => &["time_unix_nano", "observed_time_unix_nano"],
        Table::Spans => &["start_time_unix_nano"],
        _ => &["time_unix_nano"],
    }
}

/// A type in flight, as SQL has it.
fn sql_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Dictionary(_, values) => (**values).clone(),
        DataType::Timestamp(..) => DataType::Int64,
        DataType::FixedSizeBinary(_) => DataType::Utf8,
        DataType::List(item) => DataType::List(Arc::new(Field::new("item", sql_type(item.data_type()), true))),
        DataType::Struct(fields) => {
            let field = |field: &Arc<Field>| Field::new(field.name(), sql_type(field.data_type()), true);
            DataType::Struct(fields.iter().map(field).collect::<Fields>())
        }
        other => other.clone(),
    }
}

fn build(rows: Rows) -> Vec<Column> {
    let table = match rows {
        Rows::Of(table) => table,
        Rows::SpanEvents => return build_events(),
    };
    let made = |name: &str, kind: DataType, source: Source| Column { name: name.to_owned(), kind, source, home: None };
    let mut columns = vec![
        made("ts", micros(), Source::Micros(times(table))),
        made("date", DataType::Date32, Source::Date(times(table))),
    ];
    match table {
        Table::Metrics => columns.push(made("value", DataType::Float64, Source::Value)),
        Table::Spans => columns.push(made("duration_ns", DataType::Int64, Source::Duration)),
        _ => {}
    }
    if table.is_metric() {
        columns.push(made("start_ts", micros(), Source::Micros(&["start_time_unix_nano"])));
    }
    columns.extend(PROMOTED.map(|(name, key)| Column {
        home: Some("resource_attributes"),
        ..made(name, DataType::Utf8, Source::Resource(key))
    }));
    for field in table.schema().fields() {
        // Names live as long as the process: there are few, and they are made once.
        let name: &'static str = field.name().clone().leak();
        let home = is_dict(field.data_type()).then_some(name);
        columns.push(Column { home, ..made(name, sql_type(field.data_type()), Source::Same(name)) });
    }
    columns
}

/// What a span event has of its own, its span's `span_name`, and what the span's resource and scope say.
fn build_events() -> Vec<Column> {
    let made = |name: &str, kind: DataType, source: Source, home| Column { name: name.to_owned(), kind, source, home };
    let own = [
        ("ts", micros(), Source::Micros(&["time_unix_nano"]), None),
        ("time_unix_nano", DataType::Int64, Source::Same("time_unix_nano"), None),
        ("name", DataType::Utf8, Source::Same("name"), Some("name")),
        ("attributes", DataType::Utf8, Source::Same("attributes"), Some("attributes")),
        ("dropped_attributes_count", DataType::Int64, Source::Same("dropped_attributes_count"), None),
        ("span_name", DataType::Utf8, Source::Same("span_name"), Some("span_name")),
        ("span_attributes", DataType::Utf8, Source::Same("span_attributes"), Some("span_attributes")),
    ];
    let own = own.into_iter().map(|(name, kind, source, home)| made(name, kind, source, home));
    let origin = build(Rows::Of(Table::Spans)).into_iter().filter(|column| match column.home {
        Some(home) => home.starts_with("resource_") || home.starts_with("scope_"),
        None => false,
    });
    own.chain(origin).collect()
}

/// `column` of each row; texts that are dictionaries in flight are not asked for here, but by [`of_dictionary`].
pub fn of_rows(column: &Column, rows: &RecordBatch) -> Result<ArrayRef, ArrowError> {
    let nanos = |name: &str| rows.column_by_name(name)?.as_primitive_opt::<TimestampNanosecondType>();
    let missing = || ArrowError::SchemaError(format!("there is no column {} here", column.name));
    Ok(match &column.source {
        Source::Micros(names) => {
            Arc::new(TimestampMicrosecondArray::from(first_micros(names, rows)).with_timezone("UTC"))
        }
        Source::Date(names) => {
            let days = first_micros(names, rows).into_iter().map(|micros| micros.div_euclid(MICROS_A_DAY) as i32);
            Arc::new(PrimitiveArray::<Date32Type>::from_iter_values(days))
        }
        Source::Value => Arc::new(values(rows).ok_or_else(missing)?),
        Source::Duration => {
            let (start, end) =
                (nanos("start_time_unix_nano").ok_or_else(missing)?, nanos("end_time_unix_nano").ok_or_else(missing)?);
            let durations = start.values().iter().zip(end.values()).map(|(start, end)| end.wrapping_sub(*start));
            Arc::new(Int64Array::from_iter_values(durations))
        }
        Source::Same(name) => plain(rows.column_by_name(name).ok_or_else(missing)?)?,
        Source::Resource(_) => return Err(missing()),
    })
}

/// `column` of each distinct text of its home.
pub fn of_dictionary(column: &Column, texts: &StringArray) -> Result<ArrayRef, ArrowError> {
    Ok(match column.source {
        Source::Resource(key) => {
            let text = |json: Option<&str>| attributes::get_str(json?, key).map(|text| text.into_owned());
            Arc::new(texts.iter().map(text).collect::<StringArray>())
        }
        _ => Arc::new(texts.clone()),
    })
}

fn first_micros(names: &[&str], rows: &RecordBatch) -> Vec<i64> {
    let columns =
        names.iter().filter_map(|name| rows.column_by_name(name)?.as_primitive_opt::<TimestampNanosecondType>());
    let columns = columns.map(|column| column.values()).collect::<Vec<_>>();
    let of_row = |row: usize| columns.iter().filter_map(|column| column.get(row)).find(|nanos| **nanos != 0);
    (0..rows.num_rows()).map(|row| of_row(row).map_or(0, |nanos| nanos.div_euclid(1000))).collect()
}

fn values(rows: &RecordBatch) -> Option<Float64Array> {
    let ints = rows.column_by_name("value_int")?.as_primitive_opt::<Int64Type>()?;
    let doubles = rows.column_by_name("value_double")?.as_primitive_opt::<Float64Type>()?;
    if ints.null_count() == ints.len() {
        return Some(doubles.clone());
    }
    let pairs = doubles.iter().zip(ints);
    Some(pairs.map(|(double, int)| double.or(int.map(|int| int as f64))).collect())
}

/// As [`sql_type`] says, sharing buffers where bits stay the same.
fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Dictionary(..) => match array.as_dictionary_opt::<Int32Type>() {
            Some(dictionary) => arrow::compute::take(dictionary.values(), dictionary.keys(), None)?,
            None => array.clone(),
        },
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let nanos = array.as_primitive::<TimestampNanosecondType>();
            Arc::new(PrimitiveArray::<Int64Type>::new(nanos.values().clone(), nanos.nulls().cloned()))
        }
        DataType::FixedSizeBinary(_) => Arc::new(hex(array.as_fixed_size_binary())?),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let DataType::List(item) = sql_type(array.data_type()) else { return Ok(array.clone()) };
            let values = plain(list.values())?;
            Arc::new(ListArray::try_new(item, list.offsets().clone(), values, list.nulls().cloned())?)
        }
        DataType::Struct(_) => {
            let item = array.as_struct();
            let DataType::Struct(fields) = sql_type(array.data_type()) else { return Ok(array.clone()) };
            let children = item.columns().iter().map(plain).collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new_with_length(fields, children, item.nulls().cloned(), item.len())?)
        }
        _ => array.clone(),
    })
}

/// Lower-case hex text.
fn hex(ids: &FixedSizeBinaryArray) -> Result<StringArray, ArrowError> {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = String::with_capacity(ids.value_data().len() * 2);
    let mut lengths = Vec::with_capacity(ids.len());
    for id in ids {
        let before = text.len();
        for byte in id.unwrap_or_default() {
            text.extend([byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
        }
        lengths.push(text.len() - before);
    }
    StringArray::try_new(OffsetBuffer::from_lengths(lengths), Buffer::from(text.into_bytes()), ids.nulls().cloned())
}
