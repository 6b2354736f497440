//! Every exporter, under the engine.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use catchment_pipeline::batch::Signal;
use catchment_pipeline::component::{Context, ExporterSpec, Offers, Outlet};
use catchment_pipeline::config::{Pipeline, Section};
use catchment_pipeline::engine::{Engine, Leftover, Plan, Planned, Runtime, Status};
use catchment_pipeline::log::{Log, Options};
use catchment_storage::Lake;
use tokio::sync::mpsc;

use crate::data::batch;
use crate::door::Door;
use crate::sink::Sink;

struct Bench {
    engine: Engine,
    outlet: Outlet,
    sink: Sink,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn start(spec: &'static ExporterSpec) -> Bench {
        let sink = Sink::start().await;
        let folder = tempfile::tempdir().unwrap();
        let yaml = crate::example("exporter", spec.kind)
            .replace("SINK_GRPC", &sink.grpc.port().to_string())
            .replace("SINK_HTTP", &sink.http.port().to_string())
            .replace("SINK_SMTP", &sink.smtp.port().to_string())
            .replace("FOLDER", folder.path().to_str().unwrap());
        let plan = Arc::from((spec.plan)(&mut Section::parse(&yaml)));
        let (outlets, mut taken) = mpsc::unbounded_channel();
        let id = |id: &str| id.to_owned();
        let pipeline = |signal: Signal| Pipeline {
            id: id(signal.name()),
            signal,
            receivers: vec![id("door")],
            processors: Vec::new(),
            exporters: vec![id(spec.kind)],
        };
        let plan = Plan {
            connectors: Vec::new(),
            receivers: vec![Planned { id: id("door"), kind: "door", fingerprint: 0, plan: Arc::new(Door(outlets)) }],
            processors: Vec::new(),
            exporters: vec![Planned { id: id(spec.kind), kind: spec.kind, fingerprint: 0, plan }],
            pipelines: spec.signals.iter().map(|signal| pipeline(*signal)).collect(),
        };
        let mut offers = Offers::default();
        let lake = Lake::open(catchment_storage::Options::new(folder.path().join("lake"))).unwrap();
        offers.put(Arc::new(lake));
        let Context { memory, admission, .. } = crate::context("", Offers::default());
        let runtime = Runtime {
            status: Status::new(memory.clone(), admission.clone()),
            log: Log::in_memory(Options::default()),
            log_path: None,
            log_limit_bytes: 0,
            offers,
            memory,
            admission,
        };
        let engine = Engine::start(plan, runtime).await.unwrap();
        let outlet = taken.recv().await.unwrap();
        Bench { engine, outlet, sink, _folder: folder }
    }

    async fn send(&self, spec: &ExporterSpec, rounds: usize) -> u64 {
        let mut sent = 0;
        for _ in 0..rounds {
            for signal in spec.signals {
                self.outlet.send(batch(*signal, 7)).await.unwrap();
                sent += 7;
            }
        }
        sent
    }

    /// Exported, lost.
    fn figures(&self) -> (u64, u64) {
        let exporter = self.engine.status().snapshot().exporters.remove(0);
        (exporter.exported_items, exporter.lost_items)
    }

    async fn until(&self, what: &str, reached: impl Fn(&Bench) -> bool) {
        let began = Instant::now();
        while !reached(self) {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{what}: {:?}",
                self.engine.status().snapshot().exporters
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_taken_is_delivered_and_counted() {
    for spec in catchment_exporters::SPECS {
        let bench = Bench::start(spec).await;
        let sent = bench.send(spec, 20).await;
        bench.until(spec.kind, |bench| bench.figures() == (sent, 0)).await;
        let Leftover { exporters } = bench.engine.shutdown(Duration::from_secs(20)).await;
        assert!(exporters.is_empty(), "{}: {exporters:?}", spec.kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_in_the_middle_ends_and_accounts_for_everything() {
    for spec in catchment_exporters::SPECS {
        let bench = Bench::start(spec).await;
        let sent = bench.send(spec, 100).await;
        let status = bench.engine.status();
        let began = Instant::now();
        let left: u64 =
            bench.engine.shutdown(Duration::from_secs(20)).await.exporters.iter().map(|(_, c)| c.items).sum();
        assert!(began.elapsed() < Duration::from_secs(20), "{}", spec.kind);
        let exporter = status.snapshot().exporters.remove(0);
        assert_eq!((exporter.exported_items + left, exporter.lost_items), (sent, 0), "{}", spec.kind);
    }
}

/// Of those that send over the network: an answer that says "later" is tried again, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_busy_gets_everything_later() {
    for spec in catchment_exporters::SPECS.iter().filter(|spec| crate::example("exporter", spec.kind).contains("SINK"))
    {
        let bench = Bench::start(spec).await;
        bench.sink.refuses.store(true, Ordering::SeqCst);
        let sent = bench.send(spec, 5).await;
        let failed = |bench: &Bench| bench.engine.status().snapshot().exporters[0].last_error.is_some();
        bench.until(spec.kind, failed).await;
        assert_eq!(bench.figures(), (0, 0), "{}", spec.kind);
        bench.sink.refuses.store(false, Ordering::SeqCst);
        bench.until(spec.kind, |bench| bench.figures() == (sent, 0)).await;
    }
}
