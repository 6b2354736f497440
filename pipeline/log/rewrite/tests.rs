#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use super::*;
use crate::component::OnFull;
use crate::log::tests::{batch, texts};
use crate::log::{Cursor, Entry, Options, Start};

fn text(batch: &Batch) -> String {
    let record = crate::log::Record {
        position: 0,
        pipelines: Pipelines::new(["logs"]),
        accepted_at: std::time::UNIX_EPOCH,
        batch: batch.clone(),
    };
    if batch.is_empty() { String::new() } else { texts(&[record]).remove(0) }
}

fn nothing(batch: &Batch) -> Batch {
    Batch::from_rows(batch.signal(), crate::batch::Rows::default())
}

/// Empties what says `secret`, and shortens what says `long`.
fn censor(batch: &Batch) -> Option<Batch> {
    match text(batch) {
        text if text.starts_with("secret") => Some(nothing(batch)),
        text if text.starts_with("long") => Some(self::batch("short")),
        _ => None,
    }
}

fn secrets(batch: &Batch) -> usize {
    usize::from(text(batch).starts_with("secret") || text(batch).starts_with("long"))
}

async fn cursor(log: &Log, name: &str) -> Cursor {
    log.cursor(name, Pipelines::new(["logs"]), OnFull::Block, Start::Oldest).await.unwrap()
}

async fn send(log: &Log, text: &str) -> Position {
    log.append(Entry::new(Pipelines::new(["logs"]), batch(text))).await.unwrap()
}

async fn all(cursor: &mut Cursor) -> Vec<String> {
    let mut got = Vec::new();
    while !cursor.is_drained() {
        got.extend(texts(&cursor.next(3, 500).await));
    }
    got
}

/// 40 records; of each four one is emptied and one shortened.
fn said(n: u64) -> String {
    match n % 4 {
        0 => format!("secret {n}"),
        1 => format!("long {n} {}", "x".repeat(100)),
        _ => format!("plain {n}"),
    }
}

fn left(n: u64) -> Option<String> {
    match n % 4 {
        0 => None,
        1 => Some("short".to_owned()),
        _ => Some(said(n)),
    }
}

fn small(tail_bytes: u64) -> Options {
    Options { segment_bytes: 2048, tail_bytes, ..Options::default() }
}

async fn rewritten_while_read(log: &Log) {
    let (mut reading, mut behind) = (cursor(log, "reading").await, cursor(log, "behind").await);
    for n in 0..40 {
        send(log, &said(n)).await;
    }
    // In the middle of a segment, whose file it has open.
    let before = reading.next(6, u64::MAX).await;
    assert_eq!(before.len(), 6);
    let head = log.head();
    send(log, "secret, but later").await;
    let scanned = log.scan(head, secrets).await.unwrap();
    assert_eq!(scanned.on_disk.found.max(scanned.in_memory.found), 20);
    let done = log.rewrite(head, censor).await.unwrap();
    assert_eq!((done.through, done.records, done.emptied, done.items), (40, 20, 10, 10));
    assert_eq!(done.handed_out, [("reading".into(), 6)]);
    let expected: Vec<String> = (0..40).filter_map(left).chain(["secret, but later".to_owned()]).collect();
    let pending = |cursor: &Cursor| cursor.backlog().unwrap().pending;
    assert_eq!((pending(&behind).records, pending(&behind).items), (31, 31));
    let size = expected.iter().map(|text| batch(text).otlp().len() as u64).sum::<u64>();
    assert_eq!(pending(&behind).bytes, size);
    assert_eq!(all(&mut behind).await, expected);
    assert_eq!(
        all(&mut reading).await,
        (6..40).filter_map(left).chain(["secret, but later".to_owned()]).collect::<Vec<_>>()
    );

    let scanned = log.scan(head, secrets).await.unwrap();
    assert_eq!((scanned.on_disk.found, scanned.in_memory.found, scanned.damaged), (0, 0, 0));
    let later = log.scan(Position::MAX, secrets).await.unwrap();
    assert_eq!((later.through, later.on_disk.found.max(later.in_memory.found)), (41, 1));
    // Again, and there is nothing to do.
    let again = log.rewrite(head, censor).await.unwrap();
    assert_eq!((again.records, again.segments), (0, 0));
    assert_eq!(send(log, "next").await, 42);
    assert_eq!((all(&mut behind).await, all(&mut reading).await), (vec!["next".to_owned()], vec!["next".to_owned()]));
}

#[tokio::test]
async fn a_log_in_memory() {
    rewritten_while_read(&Log::in_memory(Options::default())).await;
}

#[tokio::test]
async fn a_log_on_disk_whose_records_are_still_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    rewritten_while_read(&Log::open(folder.path(), small(1 << 20)).unwrap().0).await;
}

#[tokio::test]
async fn a_log_on_disk_that_cursors_read() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(folder.path(), small(0)).unwrap();
    rewritten_while_read(&log).await;
    log.close().await.unwrap();
    drop(log);

    let (log, recovery) = Log::open(folder.path(), small(0)).unwrap();
    assert_eq!((recovery.records, recovery.lost_records, recovery.torn_bytes), (42, 0, 0));
    let mut new = cursor(&log, "new").await;
    assert_eq!(new.backlog().unwrap().pending.records, 32);
    let expected: Vec<String> = (0..40).filter_map(left).chain(["secret, but later".into(), "next".into()]).collect();
    assert_eq!(all(&mut new).await, expected);
    let bytes: Vec<u8> = std::fs::read_dir(folder.path())
        .unwrap()
        .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    let found: BTreeSet<_> = bytes.windows(8).filter(|window| window.starts_with(b"secret")).collect();
    assert_eq!(found, BTreeSet::from([&b"secret, "[..]]), "in no file of the folder");
}

/// What a damaged record holds nobody knows: it does not survive a rewrite, and its loss is told.
#[tokio::test]
async fn damage_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(folder.path(), Options { tail_bytes: 0, ..Options::default() }).unwrap();
    let mut reader = cursor(&log, "out").await;
    for text in ["first", "hidden", "third"] {
        send(&log, text).await;
    }
    let segment = folder.path().join("00000000000000000001.segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(6).position(|window| window == b"hidden").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    assert_eq!(log.scan(Position::MAX, |_| 0).await.unwrap().damaged, 1);
    let done = log.rewrite(Position::MAX, |_| None).await.unwrap();
    assert_eq!((done.segments, done.records), (1, 0));
    assert!(!std::fs::read(&segment).unwrap().windows(5).any(|window| window == b"idden"));
    assert_eq!(log.stats().lost_records.load(std::sync::atomic::Ordering::Relaxed), 1);
    let mut got = Vec::new();
    while !reader.is_drained() {
        got.extend(texts(&reader.next(1, 1).await));
    }
    assert_eq!(got, ["first", "third"]);
    assert_eq!(log.scan(Position::MAX, |_| 0).await.unwrap().damaged, 0);
}

#[tokio::test]
async fn appending_goes_on_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(folder.path(), small(1024)).unwrap();
    let mut reader = cursor(&log, "out").await;
    let appending = tokio::spawn({
        let log = log.clone();
        async move {
            for n in 0..400 {
                send(&log, &said(n)).await;
            }
        }
    });
    let mut got = Vec::new();
    while !appending.is_finished() {
        log.rewrite(Position::MAX, censor).await.unwrap();
        tokio::task::yield_now().await;
    }
    appending.await.unwrap();
    log.rewrite(Position::MAX, censor).await.unwrap();
    got.extend(all(&mut reader).await);
    assert_eq!(got, (0..400).filter_map(left).collect::<Vec<_>>());
}
