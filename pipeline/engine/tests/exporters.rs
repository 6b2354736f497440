//! Delivery: order, retry, loss, grouping, cursors, shutdown.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::stand_ins::*;
use crate::component::{ExportError, Grouping, Stage};
use crate::engine::status::{self, State};
use crate::engine::{Engine, Leftover};

const S: Duration = Duration::from_secs(1);

async fn started(bench: &mut Bench, exporter: &Arc<Scripted>) -> (Engine, crate::component::Outlet) {
    bench.start(Wiring::default().exporter("out", 1, exporter).pipeline("logs", &["in"], &[], &["out"])).await
}

fn out(engine: &Engine) -> status::Exporter {
    engine.status().snapshot().exporters.into_iter().find(|exporter| exporter.id == "out").unwrap()
}

#[tokio::test(start_paused = true)]
async fn delivers_in_order_and_commits() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let (engine, outlet) = started(&mut bench, &exporter).await;
    for name in ["a", "b", "c"] {
        outlet.send(logs(name, 2)).await.unwrap();
    }
    exporter.took(6).await;
    let Leftover { exporters } = engine.shutdown(S * 30).await;
    assert_eq!((exporter.names().concat(), exporters.len()), ("abc".to_owned(), 0));
    assert!(exporter.shut_down.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn tries_again_in_order_after_growing_waits() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    exporter.script.lock().unwrap().extend([transient(), transient()]);
    let (engine, outlet) = started(&mut bench, &exporter).await;
    let began = Instant::now();
    outlet.send(logs("a", 1)).await.unwrap();
    outlet.send(logs("b", 1)).await.unwrap();
    exporter.attempted(2).await;
    assert_eq!(out(&engine).state, State::Retrying);
    exporter.took(2).await;
    assert_eq!(began.elapsed().as_secs_f64().round(), 13.0, "5 s, then 7.5 s");
    assert_eq!(exporter.names(), ["a", "b"]);
    let out = out(&engine);
    assert_eq!((out.exported_items, out.lost_items, out.retries), (2, 0, 2));
    assert_eq!(out.last_error.unwrap().message, "not now");
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_the_destination_asks() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let asked = ExportError::Transient { retry_after: Some(S * 120), reason: "busy".to_owned() };
    exporter.script.lock().unwrap().push_back(Err(asked));
    let (_engine, outlet) = started(&mut bench, &exporter).await;
    let began = Instant::now();
    outlet.send(logs("a", 1)).await.unwrap();
    exporter.took(1).await;
    assert!((S * 120..S * 121).contains(&began.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_cut_off_and_made_again() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let (_engine, outlet) = started(&mut bench, &exporter).await;
    exporter.gate.send_replace(false);
    outlet.send(logs("a", 1)).await.unwrap();
    exporter.attempted(2).await;
    exporter.gate.send_replace(true);
    exporter.took(1).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_counted_and_what_follows_goes_on() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    exporter.script.lock().unwrap().extend([
        Err(ExportError::Permanent { reason: "never".to_owned() }),
        Err(ExportError::Permanent { reason: "panic".to_owned() }),
        Err(ExportError::Partial { rejected: 3, reason: "some".to_owned() }),
    ]);
    let (engine, outlet) = started(&mut bench, &exporter).await;
    for name in ["a", "b", "c", "d"] {
        outlet.send(logs(name, 10)).await.unwrap();
    }
    exporter.took(20).await;
    let out = out(&engine);
    assert_eq!((out.exported_items, out.lost_items), (17, 23));
    let leftover = engine.shutdown(S).await;
    assert!(leftover.exporters.is_empty(), "the cursor is past what is lost: {leftover:?}");
}

#[tokio::test(start_paused = true)]
async fn gives_up_after_max_elapsed_time_when_asked_to() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    exporter.settings.lock().unwrap().retry.max_elapsed_time = S * 60;
    *exporter.then.lock().unwrap() = transient();
    let (engine, outlet) = started(&mut bench, &exporter).await;
    outlet.send(logs("a", 4)).await.unwrap();
    tokio::time::sleep(S * 61).await;
    assert_eq!(out(&engine).lost_items, 4);
}

#[tokio::test(start_paused = true)]
async fn a_dead_destination_holds_little_and_gets_all_in_order_when_it_is_back() {
    let (mut bench, exporter) = (Bench::new(64 << 20), Scripted::new());
    *exporter.then.lock().unwrap() = transient();
    let (engine, outlet) = started(&mut bench, &exporter).await;
    let names: Vec<String> = (0..600).map(|n| format!("{n:04}")).collect();
    for name in &names {
        outlet.send(logs(name, 100)).await.unwrap();
        tokio::time::sleep(S).await;
    }
    let dead = out(&engine);
    assert_eq!(dead.in_flight_items, 100, "one piece, whatever waits behind it");
    assert_eq!((dead.backlog.items, dead.backlog.records), (60_000, 600));
    assert!(dead.backlog.oldest_age_seconds >= 0.0);
    *exporter.then.lock().unwrap() = Ok(());
    exporter.took(60_000).await;
    assert_eq!(exporter.names(), names);
    assert_eq!(out(&engine).lost_items, 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_log_refuses_and_takes_again_when_there_is_room() {
    let (mut bench, exporter) = (Bench::new(20_000), Scripted::new());
    exporter.gate.send_replace(false);
    exporter.settings.lock().unwrap().timeout = Duration::ZERO;
    let (engine, outlet) = started(&mut bench, &exporter).await;
    let mut taken = 0;
    while outlet.send(logs("x", 100)).await.is_ok() {
        taken += 100;
        assert!(taken < 100_000, "the log has no end");
    }
    let refused = engine.status().snapshot().receivers[0].refused_items;
    assert_eq!(refused, 100);
    exporter.gate.send_replace(true);
    exporter.took(taken).await;
    tokio::task::yield_now().await;
    outlet.send(logs("x", 100)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_stuck_exporter_does_not_stall_the_others() {
    let (mut bench, stuck, well) = (Bench::new(1 << 20), Scripted::new(), Scripted::new());
    stuck.gate.send_replace(false);
    let wiring = Wiring::default().exporter("stuck", 1, &stuck).exporter("out", 1, &well);
    let (engine, outlet) = bench.start(wiring.pipeline("logs", &["in"], &[], &["stuck", "out"])).await;
    for _ in 0..50 {
        outlet.send(logs("a", 1)).await.unwrap();
    }
    well.took(50).await;
    assert_eq!(stuck.items(), 0);
    let leftover = engine.shutdown(S * 30).await;
    assert_eq!(leftover.exporters[0].1.items, 50);
}

#[tokio::test(start_paused = true)]
async fn consumers_work_at_once_and_the_cursor_waits_for_the_slowest() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    exporter.settings.lock().unwrap().num_consumers = 4;
    exporter.script.lock().unwrap().push_back(transient());
    exporter.gate.send_replace(false);
    let (engine, outlet) = started(&mut bench, &exporter).await;
    for n in 0..8 {
        outlet.send(logs(&n.to_string(), 1)).await.unwrap();
    }
    exporter.attempted(4).await;
    exporter.gate.send_replace(true);
    exporter.took(7).await;
    // Long enough for every commit, and less than the 5 s until the failed one is tried again.
    tokio::time::sleep(S).await;
    assert_eq!(exporter.most_at_once.load(Ordering::SeqCst), 4);
    // Which of the first four failed is not fixed: the gate wakes them in any order. Records 0 to 7 have positions 1 to 8.
    let failed = (0..8).find(|n| !exporter.names().contains(&n.to_string())).unwrap();
    let backlog = out(&engine).backlog;
    assert_eq!(
        (backlog.committed, backlog.records),
        (failed, 8 - failed),
        "the cursor is just before the one that failed"
    );
    exporter.took(8).await;
    assert!(engine.shutdown(S).await.exporters.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_cursor_follows_what_is_durable() {
    let mut bench = Bench::new(1 << 20);
    let exporter = Arc::new(Scripted { durable: Some(watch::channel(0).0), ..Scripted::plain() });
    let (engine, outlet) = started(&mut bench, &exporter).await;
    for name in ["a", "b", "c"] {
        outlet.send(logs(name, 1)).await.unwrap();
    }
    exporter.took(3).await;
    tokio::time::sleep(S).await;
    assert_eq!(out(&engine).backlog.records, 3);
    exporter.durable.as_ref().unwrap().send_replace(2);
    tokio::time::sleep(S).await;
    assert_eq!((out(&engine).backlog.records, out(&engine).backlog.committed), (1, 2));
    assert!(engine.shutdown(S).await.exporters.is_empty(), "shutting down made the rest durable");
}

fn batched(exporter: &Arc<Scripted>, grouping: Grouping) -> Wiring {
    let wiring = Wiring::default().exporter("out", 1, exporter).processor("batch", move || Stage::Group(grouping));
    wiring.pipeline("logs", &["in"], &["batch"], &["out"])
}

#[tokio::test(start_paused = true)]
async fn joins_neighbours_up_to_a_size_or_a_timeout() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let grouping = Grouping { timeout: S, send_batch_size: 100, send_batch_max_size: 0 };
    let (_engine, outlet) = bench.start(batched(&exporter, grouping)).await;
    for name in ["a", "b", "c", "d"] {
        outlet.send(logs(name, 40)).await.unwrap();
    }
    exporter.took(120).await;
    assert_eq!(exporter.sizes(), [120], "the fourth waits for company");
    let began = Instant::now();
    exporter.took(160).await;
    assert!((S / 2..=S).contains(&began.elapsed()));
    assert_eq!(exporter.names(), ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn splits_above_the_maximum() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let grouping = Grouping { timeout: S, send_batch_size: 100, send_batch_max_size: 100 };
    let (engine, outlet) = bench.start(batched(&exporter, grouping)).await;
    for name in ["a", "b", "c"] {
        outlet.send(logs(name, 90)).await.unwrap();
    }
    exporter.took(270).await;
    assert_eq!(exporter.sizes(), [100, 100, 70]);
    assert!(engine.shutdown(S).await.exporters.is_empty());
}

#[tokio::test(start_paused = true)]
async fn shutdown_hands_over_what_is_there_without_waiting_for_company() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let grouping = Grouping { timeout: S * 3600, send_batch_size: 1000, send_batch_max_size: 0 };
    let (engine, outlet) = bench.start(batched(&exporter, grouping)).await;
    outlet.send(logs("a", 10)).await.unwrap();
    let began = Instant::now();
    assert!(engine.shutdown(S * 30).await.exporters.is_empty());
    assert_eq!(exporter.items(), 10);
    assert!(began.elapsed() < S);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_at_its_deadline_and_says_what_is_left() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    *exporter.then.lock().unwrap() = transient();
    let (engine, outlet) = started(&mut bench, &exporter).await;
    outlet.send(logs("a", 10)).await.unwrap();
    outlet.send(logs("b", 5)).await.unwrap();
    let began = Instant::now();
    let leftover = engine.shutdown(S * 30).await;
    assert!((S * 29..S * 33).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(leftover.exporters[0].1.items, 15);
}
