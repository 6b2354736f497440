//! Runs the graph: receivers -> processors -> log -> cursors -> exporters. Names no component.
//!
//! A batch is one `Batch` from the receiver to the log; the sender is answered when the log has it. From there each
//! exporter goes at its own pace (`delivery`): a slow or dead one holds at most 32 MiB, and nobody else up.
//! An exporter in several of the pipelines that a batch goes through untouched is given the batch once.

mod attempt;
mod backoff;
mod course;
mod delivery;
mod grouping;
mod intake;
mod meters;
mod plan;
mod progress;
mod registry;
mod relay;
mod reload;
mod routes;
mod running;
pub mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub use plan::{Plan, Planned};
pub use registry::Status;
pub use reload::Changes;

use crate::component::{Admission, Context, MemoryGauge, Offers};
use crate::log::Log;
use attempt::Pace;
use course::Course;
use registry::Meters;
use relay::{Go, RunningRelay};
use running::{RunningExporter, RunningReceiver, Starter};
use status::Backlog;

/// What the engine runs on.
pub struct Runtime {
    /// Made beforehand, so that others may hold it.
    pub status: Status,
    pub log: Log,
    /// Where the log is; `None`: in memory, gone with the process.
    pub log_path: Option<String>,
    pub log_limit_bytes: u64,
    pub offers: Offers,
    pub memory: Arc<MemoryGauge>,
    pub admission: Arc<Admission>,
}

/// A running graph. Dropping it without [`Engine::shutdown`] cuts everything off; the log keeps what it has.
pub struct Engine {
    starter: Starter,
    status: Status,
    plan: Plan,
    graph: Graph,
    ended: mpsc::UnboundedReceiver<String>,
    sampler: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Graph {
    /// By pipeline id.
    courses: BTreeMap<String, Arc<Course>>,
    /// By the name of their cursor: a connector's id, or `pipeline#processor`.
    relays: BTreeMap<String, RunningRelay>,
    receivers: BTreeMap<String, RunningReceiver>,
    exporters: BTreeMap<String, RunningExporter>,
}

/// What shutdown left undone, by exporter. With a log on disk the next start goes on from there.
#[derive(Debug, Default)]
pub struct Leftover {
    pub exporters: Vec<(String, Backlog)>,
}

impl Engine {
    /// Builds and starts everything, or nothing: exporters first, so that what receivers take has somewhere to go.
    pub async fn start(plan: Plan, runtime: Runtime) -> anyhow::Result<Engine> {
        let Runtime { status, log, log_path, log_limit_bytes, offers, memory, admission } = runtime;
        let (tell, ended) = mpsc::unbounded_channel();
        let durable_log = log_path.is_some();
        status.set_log(status::log_reader(log.clone(), log_path, log_limit_bytes));
        let context = Context { offers, memory, admission, ..Context::default() };
        let mut engine = Engine {
            starter: Starter { log, durable_log, context, ended: tell },
            sampler: tokio::spawn(sample(status.clone())),
            status,
            plan: Plan::default(),
            graph: Graph::default(),
            ended,
        };
        engine.apply(plan).await?;
        // Receivers take data meanwhile; ready means that SQL sees all that was acknowledged before the start.
        for caught_up in engine.graph.exporters.values_mut().filter_map(|exporter| exporter.caught_up.take()) {
            let _ = caught_up.await;
        }
        engine.status.set_ready(true);
        Ok(engine)
    }

    /// Notes a reload that came to nothing before it reached the engine.
    pub fn not_reloaded(&self, why: String) {
        self.status.set_reload(false, why);
    }

    /// Notes what a reload did, beyond the engine too.
    pub fn reloaded(&self, what: String) {
        self.status.set_reload(true, what);
    }

    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Waits until a component that should run has ended by itself, and says which and why.
    pub async fn failed(&mut self) -> String {
        match self.ended.recv().await {
            Some(which) => which,
            None => std::future::pending().await,
        }
    }

    /// Receivers finish the answers under way and stop; exporters hand over what the log holds, until the deadline;
    /// what is then left stays in the log.
    pub async fn shutdown(mut self, patience: Duration) -> Leftover {
        let deadline = Instant::now() + patience;
        self.status.set_ready(false);
        let receivers = std::mem::take(&mut self.graph.receivers);
        receivers.values().for_each(RunningReceiver::ask_to_stop);
        // Some time is kept for exporters, however long the last answers take.
        join_all(receivers.into_values().map(|receiver| receiver.stop(patience.mul_f64(0.4)))).await;
        // With a log in memory what stages hold back has nowhere to stay.
        let go = if self.starter.durable_log { Go::Drain } else { Go::Finish };
        for relay in reload::in_order(std::mem::take(&mut self.graph.relays).into_values().collect()) {
            let left = deadline.saturating_duration_since(Instant::now());
            relay.stop(go, left.mul_f64(0.5)).await;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let exporters = std::mem::take(&mut self.graph.exporters);
        let meters: Vec<_> = exporters.iter().map(|(id, exporter)| (id.clone(), exporter.meters.clone())).collect();
        join_all(exporters.into_values().map(|exporter| exporter.stop(Pace::Drain, left))).await;
        let left = meters.into_iter().map(|(id, meters)| (id, meters.backlog()));
        let leftover = Leftover { exporters: left.filter(|(_, backlog)| backlog.records > 0).collect() };
        self.report(&leftover);
        if let Err(error) = self.starter.log.close().await {
            tracing::warn!(%error, "the log did not close cleanly; the next start recovers it");
        }
        leftover
    }

    fn report(&self, leftover: &Leftover) {
        for (exporter, Backlog { records, items, bytes, .. }) in &leftover.exporters {
            match self.starter.durable_log {
                true => {
                    tracing::info!(
                        exporter,
                        records,
                        items,
                        bytes,
                        "undelivered data stays in the log for the next start"
                    );
                }
                false => tracing::error!(
                    exporter,
                    records,
                    items,
                    bytes,
                    "data lost: the log is in memory only, and the process stops before its delivery"
                ),
            }
        }
    }

    fn publish(&self) {
        let wiring = self.plan.pipelines.iter().map(|pipeline| status::Pipeline {
            id: pipeline.id.clone(),
            signal: pipeline.signal.name(),
            receivers: pipeline.receivers.clone(),
            processors: pipeline.processors.clone(),
            exporters: pipeline.exporters.clone(),
        });
        let graph = &self.graph;
        let courses = graph.courses.iter();
        let connectors = graph.relays.iter().filter(|(name, relay)| **name == relay.wiring.meters.id);
        self.status.set_graph(Meters {
            pipelines: wiring.collect(),
            receivers: (graph.receivers.iter())
                .filter(|(id, _)| plan::find(&self.plan.connectors, id).is_none())
                .map(|(id, receiver)| (id.clone(), receiver.meters.clone()))
                .collect(),
            processors: courses.map(|(id, course)| (id.clone(), course.meters.clone())).collect(),
            connectors: connectors.map(|(id, relay)| (id.clone(), relay.wiring.meters.clone())).collect(),
            exporters: graph.exporters.iter().map(|(id, exporter)| (id.clone(), exporter.meters.clone())).collect(),
        });
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.sampler.abort();
        self.graph.relays.values().for_each(RunningRelay::ask_to_leave);
        self.graph.exporters.values().for_each(|exporter| exporter.set_pace(Pace::Abort));
        self.graph.receivers.values().for_each(RunningReceiver::ask_to_stop);
    }
}

async fn sample(status: Status) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        status.sample(ticks.tick().await);
    }
}
