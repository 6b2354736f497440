//! Under the engine: a notification that failed is delivered once, and one that a crash cut short again, with the same key.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catchment_pipeline::batch::Signal;
use catchment_pipeline::component::{Admission, MemoryGauge, Offers, Outlet};
use catchment_pipeline::config::Pipeline;
use catchment_pipeline::engine::{Engine, Plan, Planned, Runtime, Status};
use catchment_pipeline::log::{Log, Options};
use tokio::sync::mpsc;

use crate::door::Door;
use crate::http::{Seen, Server};
use crate::{batch, given, plan};

async fn start(folder: &Path, kind: &'static str, yaml: &str) -> (Engine, Outlet) {
    let (outlets, mut taken) = mpsc::unbounded_channel();
    let id = str::to_owned;
    let plan = Plan {
        connectors: Vec::new(),
        receivers: vec![Planned { id: id("door"), kind: "door", fingerprint: 0, plan: Arc::new(Door(outlets)) }],
        processors: Vec::new(),
        exporters: vec![Planned { id: id(kind), kind, fingerprint: 0, plan: Arc::from(plan(kind, yaml)) }],
        pipelines: vec![Pipeline {
            id: id("alerts"),
            signal: Signal::Alerts,
            receivers: vec![id("door")],
            processors: Vec::new(),
            exporters: vec![id(kind)],
        }],
    };
    let memory = Arc::new(MemoryGauge::default());
    let admission = Arc::new(Admission::new(64 << 20));
    let (log, _) = Log::open(folder, Options::default()).unwrap();
    let runtime = Runtime {
        status: Status::new(memory.clone(), admission.clone()),
        log,
        log_path: Some(folder.display().to_string()),
        log_limit_bytes: 0,
        offers: Offers::default(),
        memory,
        admission,
    };
    let engine = Engine::start(plan, runtime).await.unwrap();
    (engine, taken.recv().await.unwrap())
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn anything(_: &Seen) -> Result<(), String> {
    Ok(())
}

const RETRY: &str = "retry_on_failure: { initial_interval: 10ms, max_interval: 10ms }";

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_then_success_is_one_delivery() {
    let server = Server::start(anything, 200, "").await;
    server.says(429, &[("retry-after", "0")], "");
    server.says(503, &[], "");
    let folder = tempfile::tempdir().unwrap();
    let yaml = format!("{{ url: '{}', allow_private: true, {RETRY} }}", server.url("/hook"));
    let (engine, outlet) = start(folder.path(), "webhook", &yaml).await;
    for id in ["n1", "n2"] {
        outlet.send(batch(&[given::notification(id)])).await.unwrap();
    }
    let status = engine.status();
    until("both are exported", || status.snapshot().exporters[0].exported_items == 2).await;
    let ids: Vec<_> = server.bodies().iter().map(|body| body["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, ["n1", "n1", "n1", "n2"], "in order, and no more often than refused");
    assert_eq!(status.snapshot().exporters[0].lost_items, 0);
    engine.shutdown(Duration::from_secs(20)).await;
}

/// The disk as kill -9 leaves it: what the log had fsynced when the request was out and its answer was not.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_sending_and_recording_delivers_again_with_the_same_key() {
    let server = Server::start(anything, 200, "").await;
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    std::fs::create_dir(&before).unwrap();
    let yaml = format!("{{ url: '{}', allow_private: true, timeout: 30s, {RETRY} }}", server.url("/hook"));
    // Taken by the destination; the answer is an invitation to try again, so that nothing is recorded.
    for _ in 0..10_000 {
        server.says(503, &[], "");
    }
    let (engine, outlet) = start(&before, "webhook", &yaml).await;
    outlet.send(batch(&[given::notification("the-same")])).await.unwrap();
    until("it is sent", || !server.seen.lock().unwrap().is_empty()).await;
    copy(&before, &after);
    engine.shutdown(Duration::ZERO).await;

    server.answers.lock().unwrap().clear();
    server.seen.lock().unwrap().clear();
    let (engine, _outlet) = start(&after, "webhook", &yaml).await;
    let status = engine.status();
    until("it is sent again", || status.snapshot().exporters[0].exported_items == 1).await;
    let seen =
        server.seen.lock().unwrap().iter().map(|seen| seen.headers["idempotency-key"].clone()).collect::<Vec<_>>();
    assert_eq!(seen, ["the-same"]);
    engine.shutdown(Duration::from_secs(20)).await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
