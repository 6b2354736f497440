//! From one graph to the next: what did not change keeps running, what changed is started anew, and when something
//! cannot be built, what was stopped for it is started again as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::watch;

use super::attempt::Pace;
use super::course::Course;
use super::plan::{Plan, Planned, find};
use super::registry::{ExporterMeters, ProcessorMeters, ReceiverMeters};
use super::relay::{BuiltRelay, Go, RelayWiring, RunningRelay};
use super::routes::{Chain, Routes, Way};
use super::running::{BuiltReceiver, ExporterWiring, RunningExporter};
use super::{Engine, Graph, RunningReceiver};
use crate::batch::{Signal, TimeLimits};
use crate::component::{ConnectorPlan, Context, Receiver, ReceiverPlan};
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
    courses: BTreeMap<String, Arc<Course>>,
    /// All relays, those among processors too, with the id that an operator knows them by.
    relays: Vec<(String, Arc<RelayWiring>)>,
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
        let (built, relays) = match self.exchange(&wanted, &mut undo, &mut changes).await {
            Ok(built) => built,
            Err(error) => {
                self.put_back(undo, &changes).await;
                return Err(error);
            }
        };
        self.plan = plan;
        self.graph.courses = wanted.courses;
        for relay in relays {
            let routes = routes_from(&self.plan, &self.graph, &relay.wiring().name);
            self.graph.relays.insert(relay.wiring().name.clone(), relay.run(&self.starter, routes));
        }
        for (name, relay) in &self.graph.relays {
            // What is taken away puts out the rest where it did before.
            if wanted.relays.iter().any(|(_, wiring)| wiring.name == *name) {
                relay.set_routes(routes_from(&self.plan, &self.graph, name));
            }
        }
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
        self.exchange_relays(&wanted.relays, &mut changes).await;
        self.stop_unwanted(&mut changes).await;
        self.publish();
        Ok(changes)
    }

    fn wanted(&self, plan: &Plan) -> anyhow::Result<Wanted> {
        let mut courses = BTreeMap::new();
        let running = |name: &str| self.graph.relays.get(name).map(|relay| relay.wiring.clone());
        for pipeline in &plan.pipelines {
            let course = match self.kept_course(plan, pipeline) {
                Some(course) => course,
                None => Arc::new(Course::build(plan, pipeline, &self.starter.context, running)?),
            };
            courses.insert(pipeline.id.clone(), course);
        }
        let relays = courses.values().flat_map(|course: &Arc<Course>| &course.relays);
        let mut relays: Vec<_> = relays.map(|(wiring, _)| (wiring.meters.id.clone(), wiring.clone())).collect();
        for connector in &plan.connectors {
            if let Some(wiring) = self.connector(plan, connector)? {
                relays.push((connector.id.clone(), wiring));
            }
        }
        let named: BTreeSet<&String> = plan.pipelines.iter().flat_map(|pipeline| &pipeline.receivers).collect();
        let receivers = plan.receivers.iter().filter(|receiver| named.contains(&receiver.id)).cloned();
        let sources = plan.connectors.iter().filter(|connector| has_source(plan, connector)).map(Source::of);
        let receivers = receivers.chain(sources).collect();
        let exporters = plan.exporters.iter().filter_map(|exporter| {
            let pipelines = plan.pipelines.iter().filter(|pipeline| pipeline.exporters.contains(&exporter.id));
            let pipelines: Vec<String> = pipelines.map(|pipeline| pipeline.id.clone()).collect();
            let grouping = |id: &String| courses.get(id).and_then(|course| course.grouping).map(|g| (id.clone(), g));
            let groupings = pipelines.iter().filter_map(grouping).collect();
            (!pipelines.is_empty()).then(|| ExporterWiring { planned: exporter.clone(), pipelines, groupings })
        });
        Ok(Wanted { receivers, exporters: exporters.collect(), courses, relays })
    }

    /// `None`: no pipeline ends in it.
    fn connector(&self, plan: &Plan, planned: &Planned<dyn ConnectorPlan>) -> anyhow::Result<Option<Arc<RelayWiring>>> {
        let id = &planned.id;
        let ends = plan.pipelines.iter().filter(|pipeline| pipeline.exporters.contains(id));
        let mut reads: Vec<&str> = ends.map(|pipeline| pipeline.id.as_str()).collect();
        let inlet = inlet(id);
        if has_source(plan, planned) {
            reads.push(&inlet);
        }
        if reads.is_empty() {
            return Ok(None);
        }
        let reads = Pipelines::new(reads);
        let running = self.graph.relays.get(id).map(|relay| relay.wiring.clone());
        if let Some(kept) =
            running.clone().filter(|wiring| wiring.fingerprint == planned.fingerprint && wiring.reads == reads)
        {
            return Ok(Some(kept));
        }
        let meters = running.map(|wiring| wiring.meters.clone());
        let meters = meters.unwrap_or_else(|| Arc::new(ProcessorMeters::new(id, planned.kind)));
        let context = Context { id: id.clone(), tally: meters.tally.clone(), ..self.starter.context.clone() };
        let relay = planned.plan.build(context);
        let relay = relay.map_err(|error| error.context(format!("cannot start connector `{id}`")))?;
        let wiring = RelayWiring::new(id.clone(), planned.fingerprint, reads, meters, relay);
        Ok(Some(Arc::new(if planned.plan.keeps_state() { wiring.keeps_state() } else { wiring })))
    }

    /// The running course, when nothing about it changed: processors may have state.
    fn kept_course(&self, plan: &Plan, pipeline: &Pipeline) -> Option<Arc<Course>> {
        let before = self.plan.pipelines.iter().find(|before| before.id == pipeline.id)?;
        let same = before.processors == pipeline.processors
            && pipeline.processors.iter().all(|id| {
                let fingerprint = |plan: &Plan| Some(find(&plan.processors, id)?.fingerprint);
                fingerprint(plan).is_some() && fingerprint(plan) == fingerprint(&self.plan)
            });
        same.then(|| self.graph.courses.get(&pipeline.id).cloned()).flatten()
    }

    /// Stops what changed and builds what is new. Receivers and relays are built but take no data yet.
    async fn exchange(
        &mut self,
        wanted: &Wanted,
        undo: &mut Undo,
        changes: &mut Changes,
    ) -> anyhow::Result<(Vec<BuiltReceiver>, Vec<BuiltRelay>)> {
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
        let mut relays = Vec::new();
        for (id, wiring) in &wanted.relays {
            if !self.graph.relays.contains_key(&wiring.name) {
                relays.push(BuiltRelay::build(&self.starter, wiring).await?);
                changes.started.push(id.clone());
            }
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
        Ok((built, relays))
    }

    /// Those that are wired otherwise or not at all go, once nothing more comes to them by the old ways, and those that
    /// take their place begin where they ended.
    async fn exchange_relays(&mut self, wanted: &[(String, Arc<RelayWiring>)], changes: &mut Changes) {
        let kept = |relay: &RunningRelay| wanted.iter().any(|(_, wiring)| Arc::ptr_eq(wiring, &relay.wiring));
        let gone: Vec<_> = self.graph.relays.extract_if(.., |_, relay| !kept(relay)).map(|(_, gone)| gone).collect();
        for relay in in_order(gone) {
            let (name, old) = (relay.wiring.name.clone(), relay.wiring.clone());
            let new = wanted.iter().find(|(_, wiring)| wiring.name == name);
            let same_stage = new.is_some_and(|(_, new)| new.state == old.state);
            relay.stop(if same_stage && self.starter.durable_log { Go::Leave } else { Go::Finish }, PATIENCE).await;
            let Some((id, wiring)) = new else {
                changes.stopped.push(old.meters.id.clone());
                continue;
            };
            changes.restarted.push(id.clone());
            match BuiltRelay::build(&self.starter, wiring).await {
                Ok(built) => {
                    let routes = routes_from(&self.plan, &self.graph, &name);
                    self.graph.relays.insert(name, built.run(&self.starter, routes));
                }
                Err(error) => self.broken(&error),
            }
        }
        let names: Vec<&str> = self.graph.relays.keys().map(String::as_str).collect();
        if let Err(error) = self.starter.log.retain_relays(&names).await {
            tracing::warn!(%error, "cannot delete what stages that are no longer configured have saved");
        }
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
        let (mut receivers, exporters) = (named(|pipeline| &pipeline.receivers), named(|pipeline| &pipeline.exporters));
        let silent = self.plan.connectors.iter().filter(|connector| !has_source(&self.plan, connector));
        for connector in silent {
            receivers.remove(&connector.id);
        }
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
        let named = named.chain(self.graph.relays.keys());
        self.starter.log.retain_cursors(&named.map(String::as_str).collect::<Vec<_>>());
    }
}

/// What the log calls what a connector's source finds for it.
fn inlet(connector: &str) -> String {
    format!("#{connector}")
}

fn has_source(plan: &Plan, connector: &Planned<dyn ConnectorPlan>) -> bool {
    let begins = || plan.pipelines.iter().any(|pipeline| pipeline.receivers.contains(&connector.id));
    connector.plan.has_source() && begins()
}

/// A connector's source, run as a receiver of the connector's id.
struct Source(Arc<dyn ConnectorPlan>);

impl Source {
    fn of(connector: &Planned<dyn ConnectorPlan>) -> Planned<dyn ReceiverPlan> {
        let Planned { id, kind, fingerprint, plan } = connector.clone();
        Planned { id, kind, fingerprint, plan: Arc::new(Source(plan)) }
    }
}

#[async_trait]
impl ReceiverPlan for Source {
    async fn build(&self, context: Context) -> anyhow::Result<Box<dyn Receiver>> {
        self.0.source(context).await?.ok_or_else(|| anyhow::anyhow!("it says that it has a source, and has none"))
    }
}

/// From a receiver into the pipelines that name it, from a connector's source to the connector.
fn routes(plan: &Plan, graph: &Graph, receiver: &str) -> Routes {
    match find(&plan.connectors, receiver) {
        None => begun(plan, graph, receiver),
        Some(connector) => {
            let chain = Chain { pipeline: connector.id.clone(), stages: Vec::new(), name: inlet(receiver) };
            let chain = Arc::new(chain);
            Routes::new(Signal::ALL.map(|signal| (signal, Way { chain: chain.clone(), limits: Vec::new() })))
        }
    }
}

fn begun(plan: &Plan, graph: &Graph, receiver: &str) -> Routes {
    let pipelines = plan.pipelines.iter().filter(|pipeline| pipeline.receivers.iter().any(|id| id == receiver));
    Routes::new(pipelines.filter_map(|pipeline| {
        let course = graph.courses.get(&pipeline.id)?;
        // Also before a relay: the sender is still there to be told.
        Some((pipeline.signal, Way { chain: course.head.clone(), limits: limits(plan, graph, pipeline) }))
    }))
}

/// From a relay, by the name of its cursor: a connector begins pipelines as a receiver does.
fn routes_from(plan: &Plan, graph: &Graph, relay: &str) -> Routes {
    for pipeline in &plan.pipelines {
        let Some(course) = graph.courses.get(&pipeline.id) else { continue };
        if let Some(index) = course.relays.iter().position(|(wiring, _)| wiring.name == relay) {
            let chain = course.relays[index].1.clone();
            let limits = if index + 1 == course.relays.len() { limits(plan, graph, pipeline) } else { Vec::new() };
            return Routes::new([(pipeline.signal, Way { chain, limits })]);
        }
    }
    begun(plan, graph, relay)
}

/// What exporters at the end of `pipeline` take, also beyond connectors that lead to pipelines of its signal, where all of those
/// have limits: the sender is told while it is there.
fn limits(plan: &Plan, graph: &Graph, pipeline: &Pipeline) -> Vec<watch::Receiver<TimeLimits>> {
    let mut limits = Vec::new();
    for id in &pipeline.exporters {
        if let Some(exporter) = graph.exporters.get(id) {
            limits.extend(exporter.accepts.clone());
            continue;
        }
        let begun = plan.pipelines.iter().filter(|begun| begun.receivers.contains(id));
        if begun.clone().all(|begun| begun.signal == pipeline.signal) {
            let beyond: Vec<_> = begun.map(|begun| self::limits(plan, graph, begun)).collect();
            if beyond.iter().all(|limits| !limits.is_empty()) {
                limits.extend(beyond.into_iter().flatten());
            }
        }
    }
    limits
}

/// Those that feed others first; where they feed each other, in any order.
pub(super) fn in_order(mut relays: Vec<RunningRelay>) -> Vec<RunningRelay> {
    let mut ordered = Vec::with_capacity(relays.len());
    while !relays.is_empty() {
        let fed = |relay: &RunningRelay| {
            relays.iter().any(|other| !Arc::ptr_eq(&other.wiring, &relay.wiring) && other.feeds(relay))
        };
        let next = relays.iter().position(|relay| !fed(relay)).unwrap_or(0);
        ordered.push(relays.swap_remove(next));
    }
    ordered
}
