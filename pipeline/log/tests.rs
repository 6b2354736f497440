#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;

use super::*;
use crate::batch::{Batch, Signal};

/// One log record whose body is `text`.
pub(super) fn batch(text: &str) -> Batch {
    let record =
        LogRecord { body: Some(AnyValue { value: Some(Value::StringValue(text.into())) }), ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let bytes = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    Batch::from_otlp(Signal::Logs, Bytes::from(bytes)).unwrap()
}

fn entry(pipeline: &str, text: &str) -> Entry {
    Entry::new(Pipelines::new([pipeline]), batch(text))
}

pub(super) fn texts(records: &[Record]) -> Vec<String> {
    let text = |record: &Record| {
        let request = ExportLogsServiceRequest::decode(record.batch.otlp().clone()).unwrap();
        match request.resource_logs[0].scope_logs[0].log_records[0].body.clone().unwrap().value.unwrap() {
            Value::StringValue(text) => text,
            other => panic!("{other:?}"),
        }
    };
    records.iter().map(text).collect()
}

async fn cursor(log: &Log, name: &str, pipeline: &str, on_full: OnFull) -> Cursor {
    log.cursor(name, Pipelines::new([pipeline]), on_full, Start::Oldest).await.unwrap()
}

#[tokio::test]
async fn each_cursor_sees_its_pipelines_in_order() {
    let log = Log::in_memory(Options::default());
    let mut a = cursor(&log, "a", "logs/a", OnFull::Block).await;
    let mut b = cursor(&log, "b", "logs/b", OnFull::Block).await;
    assert_eq!(log.append(entry("logs/a", "1")).await.unwrap(), 1);
    assert_eq!(log.append(entry("logs/b", "2")).await.unwrap(), 2);
    let both = Entry::new(Pipelines::new(["logs/b", "logs/a"]), batch("3"));
    assert_eq!(log.append_all(vec![both, entry("logs/a", "4")]).await.unwrap(), 4);
    assert_eq!(texts(&a.next(2, u64::MAX).await), ["1", "3"]);
    assert_eq!(texts(&a.next(2, u64::MAX).await), ["4"]);
    assert_eq!(texts(&b.next(9, u64::MAX).await), ["2", "3"]);
}

#[tokio::test]
async fn the_same_handle_comes_out() {
    let log = Log::in_memory(Options::default());
    let mut reader = cursor(&log, "a", "logs", OnFull::Block).await;
    let sent = batch("x");
    log.append(Entry::new(Pipelines::new(["logs"]), sent.clone())).await.unwrap();
    let got = reader.next(1, 1).await;
    assert_eq!(got[0].batch.otlp().as_ptr(), sent.otlp().as_ptr());
}

#[tokio::test]
async fn a_reader_waits_and_wakes() {
    let log = Log::in_memory(Options::default());
    let mut reader = cursor(&log, "a", "logs", OnFull::Block).await;
    let waiting = tokio::spawn(async move { texts(&reader.next(10, 1000).await) });
    tokio::task::yield_now().await;
    log.append(entry("other", "0")).await.unwrap();
    log.append(entry("logs", "1")).await.unwrap();
    assert_eq!(waiting.await.unwrap(), ["1"]);
}

#[tokio::test]
async fn what_was_not_committed_comes_again() {
    let log = Log::in_memory(Options::default());
    let mut reader = cursor(&log, "a", "logs", OnFull::Block).await;
    for text in ["1", "2", "3"] {
        log.append(entry("logs", text)).await.unwrap();
    }
    let first = reader.next(100, 1).await;
    reader.commit(first[0].position);
    assert_eq!(texts(&reader.next(100, 1).await), ["2"]);
    assert!(matches!(
        log.cursor("a", Pipelines::new(["logs"]), OnFull::Block, Start::Head).await,
        Err(CursorError::AlreadyOpen(_))
    ));
    drop(reader);
    let mut reader = cursor(&log, "a", "logs", OnFull::Block).await;
    assert_eq!(texts(&reader.next(100, 1000).await), ["2", "3"]);
}

#[tokio::test]
async fn backlog_counts_what_is_not_committed() {
    let log = Log::in_memory(Options::default());
    let mut reader = cursor(&log, "a", "logs", OnFull::Block).await;
    assert_eq!(reader.backlog().unwrap().pending, Counts::default());
    for text in ["1", "2"] {
        log.append(entry("logs", text)).await.unwrap();
    }
    log.append(entry("other", "3")).await.unwrap();
    let size = batch("1").otlp().len() as u64;
    let records =
        |reader: &Cursor| (reader.backlog().unwrap().pending.records, reader.backlog().unwrap().pending.bytes);
    assert_eq!(records(&reader), (2, 2 * size));
    let got = reader.next(100, 1).await;
    assert_eq!(records(&reader), (2, 2 * size));
    assert!(reader.backlog().unwrap().oldest.is_some());
    reader.commit(got[0].position);
    assert_eq!(records(&reader), (1, size));
    let got = reader.next(100, 1).await;
    reader.commit(got[0].position);
    assert_eq!(records(&reader), (0, 0));
    assert_eq!(reader.backlog().unwrap().oldest, None);
    assert_eq!(reader.backlog().unwrap().committed, 3, "nothing else is for this cursor");
}

#[tokio::test]
async fn a_full_log_refuses_for_who_blocks_and_drops_for_who_may() {
    let options = Options { max_bytes: 3 * (256 + batch("1").otlp().len() as u64), ..Options::default() };
    let log = Log::in_memory(options.clone());
    let mut blocking = cursor(&log, "blocking", "logs", OnFull::Block).await;
    for text in ["1", "2", "3"] {
        log.append(entry("logs", text)).await.unwrap();
    }
    let refused = log.append(entry("logs", "4")).await.unwrap_err();
    assert!(matches!(&refused, AppendError::Busy { reason, .. } if reason.contains("`blocking`")), "{refused:?}");
    let got = blocking.next(100, 1).await;
    blocking.commit(got[0].position);
    log.append(entry("logs", "4")).await.unwrap();

    let log = Log::in_memory(options);
    let mut dropping = cursor(&log, "dropping", "logs", OnFull::DropOldest).await;
    for text in ["1", "2", "3", "4"] {
        log.append(entry("logs", text)).await.unwrap();
    }
    assert_eq!(texts(&dropping.next(100, 1000).await), ["2", "3", "4"]);
    assert_eq!(dropping.backlog().unwrap().lost.records, 1);
    assert_eq!(log.stats().lost_records.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn cursors_of_exporters_that_are_gone_hold_nothing() {
    let options = Options { max_bytes: 1000, ..Options::default() };
    let log = Log::in_memory(options);
    drop(cursor(&log, "gone", "logs", OnFull::Block).await);
    let _reader = cursor(&log, "here", "other", OnFull::Block).await;
    while log.append(entry("logs", "1")).await.is_ok() {}
    log.retain_cursors(&["here"]);
    log.append(entry("logs", "2")).await.unwrap();
    assert_eq!(log.backlogs().len(), 1);
}

fn small() -> Options {
    Options { segment_bytes: 2048, tail_bytes: 1024, ..Options::default() }
}

#[tokio::test]
async fn a_log_on_disk_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (log, recovery) = Log::open(folder.path(), small()).unwrap();
    assert_eq!(recovery, Recovery::default());
    let mut reader = cursor(&log, "a", "logs", OnFull::Block).await;
    let mut other = cursor(&log, "b", "other", OnFull::Block).await;
    let sent: Vec<String> = (0..100).map(|n| format!("{n}")).collect();
    for text in &sent {
        log.append(entry("logs", text)).await.unwrap();
    }
    let mut got = Vec::new();
    while got.len() < 50 {
        let records = reader.next(usize::MAX, 500).await;
        reader.commit(records.last().unwrap().position);
        got.extend(texts(&records));
    }
    assert!(matches!(Log::open(folder.path(), small()), Err(OpenError::Locked(_))));
    log.close().await.unwrap();
    assert!(matches!(log.append(entry("logs", "late")).await, Err(AppendError::Busy { .. })));
    drop((reader, other, log));

    let (log, recovery) = Log::open(folder.path(), small()).unwrap();
    assert_eq!((recovery.torn_bytes, recovery.lost_records), (0, 0));
    assert!(recovery.records >= 100 - got.len() as u64);
    let mut reader = cursor(&log, "a", "logs", OnFull::Block).await;
    other = cursor(&log, "b", "other", OnFull::Block).await;
    assert_eq!(log.append(entry("other", "more")).await.unwrap(), 101);
    assert_eq!(texts(&other.next(usize::MAX, 500).await), ["more"]);
    while got.len() < 100 {
        got.extend(texts(&reader.next(usize::MAX, 500).await));
    }
    assert_eq!(got, sent);
    assert_eq!(reader.backlog().unwrap().pending.records, recovery.records);
}

#[tokio::test]
async fn segments_that_all_have_passed_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(folder.path(), small()).unwrap();
    let mut reader = cursor(&log, "a", "logs", OnFull::Block).await;
    for n in 0..100 {
        log.append(entry("logs", &n.to_string())).await.unwrap();
    }
    log.save_cursors().await.unwrap();
    assert!(log.stats().segments.load(Relaxed) > 2);
    for _ in 0..100 {
        let records = reader.next(1, 1).await;
        reader.commit(records[0].position);
    }
    log.save_cursors().await.unwrap();
    assert_eq!(log.stats().segments.load(Relaxed), 1);
    let segments = std::fs::read_dir(folder.path()).unwrap();
    assert_eq!(segments.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "segment")).count(), 1);
}

/// An exporter that is wired anew still gets what was acknowledged for it; what came for others after that it does not.
#[tokio::test]
async fn a_cursor_reads_what_it_read_before_up_to_where_it_was_settled() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { tail_bytes: 0, ..small() };
    let (log, _) = Log::open(folder.path(), options.clone()).unwrap();
    let first = cursor(&log, "out", "old", OnFull::Block).await;
    for (pipeline, text) in [("old", "1"), ("other", "2"), ("old", "3")] {
        log.append(entry(pipeline, text)).await.unwrap();
    }
    drop(first);
    log.close().await.unwrap();
    drop(log);

    let (log, _) = Log::open(folder.path(), options).unwrap();
    let mut second = cursor(&log, "out", "new", OnFull::Block).await;
    log.append(entry("old", "4")).await.unwrap();
    log.settle_cursors();
    for (pipeline, text) in [("old", "5"), ("new", "6")] {
        log.append(entry(pipeline, text)).await.unwrap();
    }
    assert_eq!(second.backlog().unwrap().pending.records, 4);
    let mut got = Vec::new();
    while !second.is_drained() {
        got.extend(texts(&second.next(usize::MAX, 1).await));
    }
    assert_eq!(got, ["1", "3", "4", "6"]);
}

/// A record that cannot be read is not waited for.
#[tokio::test]
async fn damage_in_the_newest_segment_leaves_a_cursor_drained() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { tail_bytes: 0, ..Options::default() };
    let (log, _) = Log::open(folder.path(), options).unwrap();
    let mut reader = cursor(&log, "out", "a", OnFull::Block).await;
    for text in ["first", "second", "third"] {
        log.append(entry("a", text)).await.unwrap();
    }
    let segment = folder.path().join("00000000000000000001.segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(5).position(|window| window == b"third").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let mut got = Vec::new();
    while !reader.is_drained() {
        got.extend(texts(&reader.next(usize::MAX, u64::MAX).await));
    }
    assert_eq!((got, log.stats().lost_records.load(Relaxed)), (vec!["first".to_owned(), "second".to_owned()], 1));
}

#[tokio::test]
async fn concurrent_appends_share_fsyncs_and_keep_order() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(folder.path(), Options::default()).unwrap();
    let mut reader = cursor(&log, "a", "logs", OnFull::Block).await;
    let appends = (0..200).map(|n| {
        let log = log.clone();
        async move { log.append(entry("logs", &n.to_string())).await.unwrap() }
    });
    let mut positions = futures::future::join_all(appends).await;
    positions.sort_unstable();
    assert_eq!(positions, (1..=200).collect::<Vec<_>>());
    assert!(log.stats().syncs.load(Relaxed) < 200);
    let mut got = Vec::new();
    while got.len() < 200 {
        got.extend(reader.next(usize::MAX, u64::MAX).await.iter().map(|record| record.position));
    }
    assert_eq!(got, (1..=200).collect::<Vec<_>>());
}
