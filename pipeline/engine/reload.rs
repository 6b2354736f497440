//! From one graph to the next: what did not change keeps running, what changed is started anew, and when something
//! cannot be built, what was stopped for it is started again as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;

use super::attempt::Pace;
use super::intake::{Chain, Routes, Stage, Way};
use super::plan::{Plan, Planned};
use super::registry::{ExporterMeters, ProcessorMeters, ReceiverMeters};
use super::running::{BuiltReceiver, ExporterWiring, RunningExporter};
use super::{Engine, Graph, RunningReceiver};
use crate::component::{Context, ProcessorPlan, ReceiverPlan, Stage as Built};
use crate::config::Pipeline;
use crate::log::Pipelines;

/// How long a component may take to stop before a reload cuts it off; the log has the data.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a reload did, by component id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub started: Vec<String>,
    pub restarted: Vec<String>,
    pub stopped: Vec<String>,
}

impl Changes {
    /// Both, in one.
    pub fn and(mut self, more: Changes) -> Changes {
        self.started.extend(more.started);
        self.restarted.extend(more.restarted);
        self.stopped.extend(more.stopped);
        self
    }
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        for (what, ids) in [("started", &self.started), ("restarted", &self.restarted), ("stopped", &self.stopped)] {
            if !ids.is_empty() {
                parts.push(format!("{what} {}", ids.join(", ")));
            }
        }
        if parts.is_empty() { f.write_str("nothing to restart") } else { f.write_str(&parts.join("; ")) }
    }
}

/// What is to run, derived from a plan before anything is touched.
struct Wanted {
    chains: BTreeMap<String, Arc<Chain>>,
    receivers: Vec<Planned<dyn ReceiverPlan>>,
    exporters: Vec<ExporterWiring>,
}

/// What has been replaced so far, so that it can be put back.
#[derive(Default)]
struct Undo {
    receivers: Vec<(Planned<dyn ReceiverPlan>, Arc<ReceiverMeters>)>,
    exporters: Vec<(ExporterWiring, Arc<ExporterMeters>)>,
}

impl Engine {
    /// Goes over to `plan`. On an error the old graph runs as before. No acknowledged row is lost: they are in the log.
    /// That it succeeded is for the caller to note ([`Engine::reloaded`]), who may have more to do.
    pub async fn reload(&mut self, plan: Plan) -> anyhow::Result<Changes> {
        self.apply(plan).await.inspect_err(|error| self.not_reloaded(format!("{error:#}")))
    }

    pub(super) async fn apply(&mut self, plan: Plan) -> anyhow::Result<Changes> {
        let wanted = self.wanted(&plan)?;
        let mut undo = Undo::default();
        let mut changes = Changes::default();
        let built = match self.exchange(&wanted, &mut undo, &mut changes).await {
            Ok(built) => built,
            Err(error) => {
                self.put_back(undo, &changes).await;
                return Err(error);
            }
        };
        self.plan = plan;
        self.graph.chains = wanted.chains;
        let old_ways = self.graph.receivers.iter().map(|(id, receiver)| {
            let over = receiver.intake.set_routes(routes(&self.plan, &self.graph, id));
            over.cancelled_owned()
        });
        let old_ways = join_all(old_ways.collect::<Vec<_>>());
        for receiver in built {
            let id = receiver.id().to_owned();
            let routes = routes(&self.plan, &self.graph, &id);
            self.graph.receivers.insert(id, receiver.run(&self.starter, routes));
        }
        // Exporters read what came by their old pipelines until nothing more can.
        match tokio::time::timeout(PATIENCE, old_ways).await {
            Ok(_) => self.starter.log.settle_cursors(),
            Err(_) => tracing::warn!("requests from before the reload are still not in the log: look at the disk"),
        }
        self.stop_unwanted(&mut changes).await;
        self.publish();
        Ok(changes)
    }

    fn wanted(&self, plan: &Plan) -> anyhow::Result<Wanted> {
        let mut chains = BTreeMap::new();
        for pipeline in &plan.pipelines {
            let chain = match self.kept_chain(plan, pipeline) {
                Some(chain) => chain,
                None => Arc::new(self.chain(plan, pipeline)?),
            };
            chains.insert(pipeline.id.clone(), chain);
        }
        let named: BTreeSet<&String> = plan.pipelines.iter().flat_map(|pipeline| &pipeline.receivers).collect();
        let receivers = plan.receivers.iter().filter(|receiver| named.contains(&receiver.id)).cloned().collect();
        let exporters = plan.exporters.iter().filter_map(|exporter| {
            let pipelines = plan.pipelines.iter().filter(|pipeline| pipeline.exporters.contains(&exporter.id));
            let pipelines: Vec<String> = pipelines.map(|pipeline| pipeline.id.clone()).collect();
            let grouping = |id: &String| chains.get(id).and_then(|chain| chain.grouping).map(|g| (id.clone(), g));
            let groupings = pipelines.iter().filter_map(grouping).collect();
            (!pipelines.is_empty()).then(|| ExporterWiring { planned: exporter.clone(), pipelines, groupings })
        });
        Ok(Wanted { receivers, exporters: exporters.collect(), chains })
    }

    /// The running chain, when nothing about it changed: processors may have state.
    fn kept_chain(&self, plan: &Plan, pipeline: &Pipeline) -> Option<Arc<Chain>> {
        let before = self.plan.pipelines.iter().find(|before| before.id == pipeline.id)?;
        let same = before.processors == pipeline.processors
            && pipeline.processors.iter().all(|id| {
                let fingerprint = |plan: &Plan| Some(find(&plan.processors, id)?.fingerprint);
                fingerprint(plan).is_some() && fingerprint(plan) == fingerprint(&self.plan)
            });
        same.then(|| self.graph.chains.get(&pipeline.id).cloned()).flatten()
    }

    fn chain(&self, plan: &Plan, pipeline: &Pipeline) -> anyhow::Result<Chain> {
        let mut chain = Chain {
            id: pipeline.id.clone(),
            stages: Vec::new(),
            grouping: None,
            alone: Pipelines::new([pipeline.id.as_str()]),
            meters: Vec::new(),
        };
        for id in &pipeline.processors {
            let named = |error: anyhow::Error| {
                error.context(format!("cannot start processor `{id}` of pipeline `{}`", pipeline.id))
            };
            let planned: &Planned<dyn ProcessorPlan> =
                find(&plan.processors, id).ok_or_else(|| named(anyhow::anyhow!("it is not configured")))?;
            let meters =
                ProcessorMeters { id: id.clone(), kind: planned.kind.to_string(), ..ProcessorMeters::default() };
            let context = Context { id: id.clone(), tally: meters.tally.clone(), ..self.starter.context.clone() };
            match planned.plan.build(context).map_err(named)? {
                Built::Group(grouping) => chain.grouping = Some(grouping),
                Built::Relay(_) => anyhow::bail!("processor `{id}`: nothing runs stages that remember yet"),
                Built::Transform(processor) => {
                    let meters = Arc::new(meters);
                    chain.meters.push(meters.clone());
                    chain.stages.push(Stage { processor: Mutex::new(processor), meters });
                }
            }
        }
        Ok(chain)
    }

    /// Stops what changed and builds what is new. Receivers are built but take no data yet.
    async fn exchange(
        &mut self,
        wanted: &Wanted,
        undo: &mut Undo,
        changes: &mut Changes,
    ) -> anyhow::Result<Vec<BuiltReceiver>> {
        for wiring in &wanted.exporters {
            let id = &wiring.planned.id;
            let before = match self.graph.exporters.get(id) {
                Some(running) if running.wiring.same(wiring) => continue,
                Some(_) => self.graph.exporters.remove(id),
                None => None,
            };
            let meters = before.as_ref().map(|running| running.meters.clone());
            match before {
                Some(running) => {
                    undo.exporters.push((running.wiring.clone(), running.meters.clone()));
                    running.stop(Pace::Leave, PATIENCE).await;
                    changes.restarted.push(id.clone());
                }
                None => changes.started.push(id.clone()),
            }
            let running = RunningExporter::start(&self.starter, wiring, meters).await?;
            self.graph.exporters.insert(id.clone(), running);
        }
        let mut built = Vec::new();
        for planned in &wanted.receivers {
            let before = match self.graph.receivers.get(&planned.id) {
                Some(running) if running.planned.fingerprint == planned.fingerprint => continue,
                Some(_) => self.graph.receivers.remove(&planned.id),
                None => None,
            };
            let meters = before.as_ref().map(|running| running.meters.clone());
            match before {
                // It may hold the very port that the new one asks for.
                Some(running) => {
                    undo.receivers.push((running.planned.clone(), running.meters.clone()));
                    running.stop(PATIENCE).await;
                    changes.restarted.push(planned.id.clone());
                }
                None => changes.started.push(planned.id.clone()),
            }
            built.push(BuiltReceiver::build(&self.starter, planned, meters).await?);
        }
        Ok(built)
    }

    async fn put_back(&mut self, undo: Undo, changes: &Changes) {
        let new: Vec<_> = changes.started.iter().filter_map(|id| self.graph.exporters.remove(id)).collect();
        join_all(new.into_iter().map(|exporter| exporter.stop(Pace::Abort, Duration::ZERO))).await;
        for (wiring, meters) in undo.exporters {
            let id = wiring.planned.id.clone();
            if let Some(new) = self.graph.exporters.remove(&id) {
                new.stop(Pace::Leave, PATIENCE).await;
            }
            match RunningExporter::start(&self.starter, &wiring, Some(meters)).await {
                Ok(running) => drop(self.graph.exporters.insert(id, running)),
                Err(error) => self.broken(&error),
            }
        }
        for (planned, meters) in undo.receivers {
            match BuiltReceiver::build(&self.starter, &planned, Some(meters)).await {
                Ok(built) => {
                    let routes = routes(&self.plan, &self.graph, &planned.id);
                    self.graph.receivers.insert(planned.id.clone(), built.run(&self.starter, routes));
                }
                Err(error) => self.broken(&error),
            }
        }
        self.starter.log.settle_cursors();
        // At the first start there is no old graph, and what earlier ones left in the log is kept.
        if !self.plan.pipelines.is_empty() {
            self.forget_cursors();
        }
        self.publish();
    }

    /// Neither the new nor the old: whoever runs the engine is told, as if it had ended by itself.
    fn broken(&self, error: &anyhow::Error) {
        let _ = self.starter.ended.send(format!("{error:#}, neither with the new configuration nor with the old one"));
    }

    async fn stop_unwanted(&mut self, changes: &mut Changes) {
        let pipelines = &self.plan.pipelines;
        let named = |ids: fn(&Pipeline) -> &Vec<String>| pipelines.iter().flat_map(ids).collect::<BTreeSet<_>>();
        let (receivers, exporters) = (named(|pipeline| &pipeline.receivers), named(|pipeline| &pipeline.exporters));
        let gone: Vec<RunningReceiver> =
            self.graph.receivers.extract_if(.., |id, _| !receivers.contains(id)).map(|(_, gone)| gone).collect();
        changes.stopped.extend(gone.iter().map(|receiver| receiver.planned.id.clone()));
        gone.iter().for_each(RunningReceiver::ask_to_stop);
        join_all(gone.into_iter().map(|receiver| receiver.stop(PATIENCE))).await;
        let gone: Vec<RunningExporter> =
            self.graph.exporters.extract_if(.., |id, _| !exporters.contains(id)).map(|(_, gone)| gone).collect();
        changes.stopped.extend(gone.iter().map(|exporter| exporter.wiring.planned.id.clone()));
        join_all(gone.into_iter().map(|exporter| exporter.stop(Pace::Drain, PATIENCE))).await;
        self.forget_cursors();
    }

    /// Only exporters of the plan hold data in the log.
    fn forget_cursors(&self) {
        let named = self.plan.pipelines.iter().flat_map(|pipeline| &pipeline.exporters);
        self.starter.log.retain_cursors(&named.map(String::as_str).collect::<Vec<_>>());
    }
}

fn find<'a, P: ?Sized>(list: &'a [Planned<P>], id: &str) -> Option<&'a Planned<P>> {
    list.iter().find(|planned| planned.id == id)
}

fn routes(plan: &Plan, graph: &Graph, receiver: &str) -> Routes {
    let pipelines = plan.pipelines.iter().filter(|pipeline| pipeline.receivers.iter().any(|id| id == receiver));
    Routes::new(pipelines.filter_map(|pipeline| {
        let exporters = pipeline.exporters.iter().filter_map(|id| graph.exporters.get(id));
        let limits = exporters.filter_map(|exporter| exporter.accepts.clone()).collect();
        Some((pipeline.signal, Way { chain: graph.chains.get(&pipeline.id)?.clone(), limits }))
    }))
}
