//! Rows in flight, made by hand: every column of a table at its default but those given.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array, ListArray,
    StringArray, TimestampNanosecondArray, new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Int32Type};
use arrow::record_batch::RecordBatch;
use catchment_pipeline::batch::{Rows, Table};

/// 2026-11-23T00:00:00Z in nanoseconds.
pub(crate) const DAY: i64 = 1_795_392_000_000_000_000;
pub(crate) const SECOND: i64 = 1_000_000_000;

pub(crate) fn text<S: AsRef<str>>(values: &[S]) -> ArrayRef {
    Arc::new(values.iter().map(|value| Some(value.as_ref())).collect::<DictionaryArray<Int32Type>>())
}

pub(crate) fn times(values: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(values).with_timezone("UTC"))
}

fn default(name: &str, kind: &DataType, nullable: bool, rows: usize) -> ArrayRef {
    match kind {
        _ if nullable => new_null_array(kind, rows),
        DataType::Int64 => Arc::new(Int64Array::from(vec![0; rows])),
        DataType::Int32 => Arc::new(Int32Array::from(vec![0; rows])),
        DataType::Float64 => Arc::new(Float64Array::from(vec![0.0; rows])),
        DataType::Boolean => Arc::new(BooleanArray::from(vec![false; rows])),
        DataType::Timestamp(..) => times(vec![0; rows]),
        DataType::List(item) => Arc::new(ListArray::new(
            item.clone(),
            OffsetBuffer::from_lengths(vec![0; rows]),
            new_empty_array(item.data_type()),
            None,
        )),
        _ => text(&vec![if name.ends_with("attributes") { "{}" } else { "" }; rows]),
    }
}

pub(crate) fn rows(table: Table, rows: usize, given: &[(&str, ArrayRef)]) -> RecordBatch {
    let schema = table.schema();
    let columns = schema.fields().iter().map(|field| {
        let given = given.iter().find(|(name, _)| name == field.name()).map(|(_, array)| array.clone());
        given.unwrap_or_else(|| default(field.name(), field.data_type(), field.is_nullable(), rows))
    });
    RecordBatch::try_new(table.schema(), columns.collect()).unwrap()
}

pub(crate) struct Points<'a> {
    pub(crate) metric: &'a str,
    pub(crate) resource: &'a str,
    /// Attributes, nanoseconds, value.
    pub(crate) points: Vec<(String, i64, f64)>,
}

fn hash(parts: &[&str]) -> i64 {
    xxhash_rust::xxh3::xxh3_64(parts.join("\u{0}").as_bytes()) as i64
}

/// Gauge points of one metric and resource.
pub(crate) fn gauge(points: &Points) -> RecordBatch {
    let Points { metric, resource, points } = points;
    let n = points.len();
    let series = points.iter().map(|point| hash(&[metric, resource, &point.0])).collect::<Vec<_>>();
    rows(
        Table::Metrics,
        n,
        &[
            ("resource_id", Arc::new(Int64Array::from(vec![hash(&[resource]); n]))),
            ("resource_attributes", text(&vec![*resource; n])),
            ("series_id", Arc::new(Int64Array::from(series))),
            ("metric_name", text(&vec![*metric; n])),
            ("metric_type", text(&vec!["gauge"; n])),
            ("unit", text(&vec!["1"; n])),
            ("description", text(&vec!["what it says"; n])),
            ("attributes", text(&points.iter().map(|point| point.0.as_str()).collect::<Vec<_>>())),
            ("time_unix_nano", times(points.iter().map(|point| point.1).collect())),
            ("value_double", Arc::new(Float64Array::from(points.iter().map(|point| point.2).collect::<Vec<_>>()))),
        ],
    )
}

pub(crate) const RESOURCE: &str = r#"{"host.name":"h1","service.name":"shop"}"#;

/// `n` points of `system.cpu.utilization`, one a second from `start`, on two CPUs in turn, valued 0, 1, 2, ...
pub(crate) fn cpu(n: usize, start: i64) -> Rows {
    let points =
        (0..n).map(|i| (format!(r#"{{"cpu":"cpu{}"}}"#, i % 2), start + i as i64 * SECOND, i as f64)).collect();
    Rows::new([(Table::Metrics, gauge(&Points { metric: "system.cpu.utilization", resource: RESOURCE, points }))])
}

pub(crate) fn logs(n: usize, start: i64) -> RecordBatch {
    let ids = FixedSizeBinaryArray::try_from_iter((0..n).map(|i| [i as u8; 16])).unwrap();
    let bodies = (0..n).map(|i| Some(format!("line {i}"))).collect::<StringArray>();
    rows(
        Table::Logs,
        n,
        &[
            ("resource_attributes", text(&vec![RESOURCE; n])),
            ("time_unix_nano", times((0..n).map(|i| if i == 0 { 0 } else { start + i as i64 }).collect())),
            ("observed_time_unix_nano", times(vec![start + 7; n])),
            ("body", Arc::new(bodies)),
            ("trace_id", Arc::new(ids)),
        ],
    )
}

pub(crate) fn spans(n: usize, start: i64) -> RecordBatch {
    let end = (0..n as i64).map(|i| start + i + 1500).collect();
    rows(
        Table::Spans,
        n,
        &[
            ("resource_attributes", text(&vec![RESOURCE; n])),
            ("name", text(&vec!["GET /"; n])),
            ("start_time_unix_nano", times((0..n as i64).map(|i| start + i).collect())),
            ("end_time_unix_nano", times(end)),
        ],
    )
}

/// Some of every signal.
pub(crate) fn mixed(n: usize, start: i64) -> Rows {
    let metrics = cpu(n, start).table(Table::Metrics).unwrap().clone();
    let buckets = arrow::array::ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>(
        (0..n).map(|i| Some(vec![Some(i as i64), Some(1)])),
    );
    let item = Arc::new(arrow::datatypes::Field::new("item", DataType::Int64, false));
    let buckets = ListArray::new(item, buckets.offsets().clone(), buckets.values().clone(), None);
    let histograms = rows(
        Table::Histograms,
        n,
        &[
            ("resource_attributes", text(&vec![RESOURCE; n])),
            ("series_id", Arc::new(Int64Array::from(vec![77; n]))),
            ("metric_name", text(&vec!["http.server.request.duration"; n])),
            ("attributes", text(&vec![r#"{"http.route":"/"}"#; n])),
            ("time_unix_nano", times((0..n as i64).map(|i| start + i * SECOND).collect())),
            ("count", Arc::new(Int64Array::from((0..n as i64).map(|i| i + 1).collect::<Vec<_>>()))),
            ("bucket_counts", Arc::new(buckets)),
        ],
    );
    Rows::new([
        (Table::Metrics, metrics),
        (Table::Histograms, histograms),
        (Table::Logs, logs(n, start)),
        (Table::Spans, spans(n, start)),
    ])
}
