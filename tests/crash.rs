//! kill -9 under load, again and again: nothing acknowledged is missing afterwards, nothing is there twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use harness::{Catchment, client, lake_config, load};
use tokio::sync::watch;

const KILLS: usize = 20;
const SENDERS: usize = 4;
const POINTS: usize = 200;

/// What was acknowledged.
type Ledger = watch::Sender<BTreeSet<i64>>;

/// Sends requests one after another until one is not answered, noting each acknowledged one.
async fn send_until_it_dies(url: String, next: Arc<AtomicI64>, ledger: Ledger) {
    let client = client();
    loop {
        let seq = next.fetch_add(1, Ordering::Relaxed);
        let request = client
            .post(format!("{url}/v1/metrics"))
            .header("content-type", "application/x-protobuf")
            .body(load::metrics(seq, POINTS));
        match request.send().await {
            Ok(response) if response.status().is_success() => {
                ledger.send_modify(|ledger| {
                    ledger.insert(seq);
                });
            }
            Ok(response) => assert!(matches!(response.status().as_u16(), 429 | 503), "{}", response.status()),
            Err(_) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // Flushes come often, so that kills also fall between a file's write, its commit and the cursor's move.
    let config =
        lake_config(dir.path(), "").replace("lake: { path:", "lake: { flush_interval: 1s, flush_size: 1048576, path:");
    let next = Arc::new(AtomicI64::new(1));
    let ledger = Ledger::default();

    for round in 0..KILLS {
        let mut catchment = Catchment::start(&config);
        let before = ledger.borrow().len();
        let url = catchment.url("otlp/http");
        let senders: Vec<_> =
            (0..SENDERS).map(|_| tokio::spawn(send_until_it_dies(url.clone(), next.clone(), ledger.clone()))).collect();
        // A different amount of work each round, so that the kill falls at a different moment.
        let enough = before + 5 + (round * 7) % 40;
        let mut acknowledged = ledger.subscribe();
        let reached = acknowledged.wait_for(|ledger| ledger.len() >= enough);
        tokio::time::timeout(harness::PATIENCE, reached).await.expect("requests are acknowledged").unwrap();
        catchment.kill();
        for sender in senders {
            sender.await.unwrap();
        }
    }

    let catchment = Catchment::start(&config);
    let ledger = ledger.borrow().clone();
    let rows = catchment
        .sql("SELECT CAST(attributes->>'seq' AS BIGINT) AS seq, count(*) FROM metrics WHERE metric_name = 'ledger' GROUP BY 1")
        .await;
    let found: BTreeMap<i64, i64> = rows.iter().map(|r| (r[0].as_i64().unwrap(), r[1].as_i64().unwrap())).collect();
    let missing: Vec<_> = ledger.iter().filter(|seq| !found.contains_key(seq)).collect();
    assert!(missing.is_empty(), "{} of {} acknowledged requests are missing: {missing:?}", missing.len(), ledger.len());
    let torn: Vec<_> = found.iter().filter(|(_, rows)| **rows != POINTS as i64).collect();
    assert!(torn.is_empty(), "requests with other than {POINTS} rows: {torn:?}");
    assert_eq!(catchment.stop(), Some(0));
}
