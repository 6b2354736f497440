#![allow(clippy::unwrap_used)]

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
