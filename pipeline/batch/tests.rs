#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, DictionaryArray, Int64Array};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;

use super::*;

/// A log record each: `0a` resource group { `12` scope group { `12` record { observed time } } }.
fn logs(records: usize) -> Bytes {
    [0x0a, 13, 0x12, 11, 0x12, 9, 0x59, 1, 0, 0, 0, 0, 0, 0, 0].repeat(records).into()
}

#[test]
fn bytes_join_without_decoding() {
    let batch = Batch::from_otlp(Signal::Logs, logs(2)).unwrap();
    let joined = Batch::concat(&[batch.clone(), batch.clone()]);
    assert_eq!(joined.otlp(), &logs(4));
    assert_eq!((joined.items(), joined.size()), (4, logs(4).len()));
    assert_eq!(joined.rows().len(), 4);
    assert!(joined.size() > logs(4).len());
    assert!(Batch::concat(&[]).is_empty());
}

#[test]
fn parts_have_at_most_so_many() {
    let parts = Batch::from_otlp(Signal::Logs, logs(5)).unwrap().split(2);
    assert_eq!(parts.iter().map(Batch::items).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(parts.iter().map(|part| part.rows().len()).sum::<usize>(), 5);
    let rows = Batch::concat(&parts);
    assert_eq!(rows.items(), 5);
    assert_eq!(Batch::from_otlp(Signal::Logs, logs(1)).unwrap().split(0).len(), 1);
}

#[test]
fn a_dictionary_value_is_edited_once() {
    let rows = Batch::from_otlp(Signal::Logs, logs(3)).unwrap();
    let mut calls = 0;
    let edited = rows.rows().map_dictionary("attributes", |table, value| {
        assert_eq!((table, value), (Table::Logs, "{}"));
        calls += 1;
        Some(r#"{"a":1}"#.to_owned())
    });
    assert_eq!(calls, 1);
    let bytes = Batch::from_rows(Signal::Logs, edited.unwrap()).otlp().clone();
    assert_eq!(bytes.windows(3).filter(|window| window == b"\x0a\x01a").count(), 3);
    assert!(rows.rows().map_dictionary("no such column", |_, _| None).is_ok());
}

#[test]
fn rows_are_filtered_table_by_table() {
    let rows = Batch::from_otlp(Signal::Logs, logs(3)).unwrap().rows().clone();
    let kept =
        rows.filter(|_, rows| Ok::<_, ArrowError>(Some(BooleanArray::from(vec![true, false, rows.num_rows() == 3]))));
    assert_eq!(kept.unwrap().len(), 2);
    assert!(rows.filter(|_, _| Ok::<_, ArrowError>(Some(BooleanArray::from(vec![false; 3])))).unwrap().is_empty());
    assert_eq!(rows.filter(|_, _| Ok::<_, ArrowError>(None)).unwrap().len(), 3);
}

#[test]
fn a_replaced_column_changes_identities_and_has_to_fit() {
    let rows = Batch::from_otlp(Signal::Logs, logs(3)).unwrap().rows().clone();
    let rows = rows.table(Table::Logs).unwrap();
    let resources: DictionaryArray<Int32Type> = [r#"{"a":1}"#, "{}", r#"{"a":1}"#].into_iter().collect();
    let resources: ArrayRef = Arc::new(resources);
    let changed = Table::Logs.with_columns(rows, [("resource_attributes", resources.clone())]).unwrap();
    let ids = |rows: &arrow::array::RecordBatch| {
        rows.column_by_name("resource_id").unwrap().as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
    };
    let id = |text: &str| xxhash_rust::xxh3::xxh3_64(text.as_bytes()) as i64;
    assert_eq!(ids(&changed), [id(r#"{"a":1}"#), id("{}"), id(r#"{"a":1}"#)]);
    assert_eq!(ids(rows), [id("{}"); 3]);
    let wrong: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    assert!(Table::Logs.with_columns(rows, [("attributes", wrong.clone())]).is_err());
    assert!(Table::Logs.with_columns(rows, [("no such column", wrong)]).is_err());
    assert!(Table::Logs.with_columns(rows, [("attributes", resources.slice(0, 2))]).is_err());
}
