//! Where batches go from one place of the graph: into every pipeline that leads on from there, as far as the log.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::meters::lock;
use super::registry::ProcessorMeters;
use crate::batch::times::Outside;
use crate::batch::{Batch, Signal, TimeLimits};
use crate::component::{Processor, Refused};
use crate::log::{Entry, Pipelines};

/// Stages between two places of the log, shared by all who send through them.
pub(super) struct Chain {
    pub pipeline: String,
    pub stages: Vec<Stage>,
    /// What the log calls the outcome: the pipeline, or the relay that reads it.
    pub name: String,
}

pub(super) struct Stage {
    pub processor: Mutex<Box<dyn Processor>>,
    pub meters: Arc<ProcessorMeters>,
}

impl Chain {
    fn process(&self, batch: &Batch) -> Result<Vec<Batch>, Refused> {
        let mut batches = vec![batch.clone()];
        for stage in &self.stages {
            let now = SystemTime::now();
            let mut out = Vec::with_capacity(batches.len());
            for batch in batches {
                let items = batch.items();
                stage.meters.incoming.add(items);
                lock(&stage.processor).process(batch, now, &mut out).inspect_err(|refused| {
                    stage.meters.refused.add(items);
                    stage.meters.failure.set(refused.to_string());
                })?;
            }
            stage.meters.outgoing.add(out.iter().map(Batch::items).sum());
            batches = out;
        }
        batches.retain(|batch| !batch.is_empty());
        Ok(batches)
    }
}

/// All ways on from a receiver, a connector or a relay among a pipeline's processors.
pub(super) struct Routes {
    routes: HashMap<Signal, Route>,
    /// Cancelled when the last batch that goes this way is in the log.
    over: CancellationToken,
    _in_use: DropGuard,
}

/// A chain, and what the exporters at its end take.
pub(super) struct Way {
    pub chain: Arc<Chain>,
    pub limits: Vec<watch::Receiver<TimeLimits>>,
}

impl Way {
    /// `None`: any time, and none at all.
    fn limits(&self) -> Option<TimeLimits> {
        self.limits.iter().map(|limits| *limits.borrow()).reduce(TimeLimits::and)
    }
}

/// What is to be logged of a batch.
pub(super) struct Taken {
    pub entries: Vec<Entry>,
    /// What at least one way did not take.
    pub outside: Outside,
    /// False: no way took any of it.
    pub some: bool,
}

impl Routes {
    pub fn new(ways: impl IntoIterator<Item = (Signal, Way)>) -> Routes {
        let mut by_signal: HashMap<Signal, Vec<Way>> = HashMap::new();
        for (signal, way) in ways {
            by_signal.entry(signal).or_default().push(way);
        }
        let routes = by_signal.into_iter().map(|(signal, ways)| {
            let all = Pipelines::new(ways.iter().map(|way| way.chain.name.as_str()));
            (signal, Route { ways, all })
        });
        let over = CancellationToken::new();
        Routes { routes: routes.collect(), _in_use: over.clone().drop_guard(), over }
    }

    /// Cancelled when nothing is on these ways any more.
    pub fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    /// What the log calls the ends of all ways.
    pub fn ends(&self) -> BTreeSet<&str> {
        self.routes.values().flat_map(|route| route.all.iter()).collect()
    }

    /// `None`: no way is for this signal.
    pub fn take(&self, batch: &Batch, now: SystemTime) -> Result<Option<Taken>, Refused> {
        self.routes
            .get(&batch.signal())
            .map(|route| route.take(&route.ways.iter().collect::<Vec<_>>(), batch, now))
            .transpose()
    }

    /// The same, only to these pipelines; those that there are not are left out.
    pub fn take_to(&self, pipelines: &[String], batch: &Batch, now: SystemTime) -> Result<Option<Taken>, Refused> {
        let Some(route) = self.routes.get(&batch.signal()) else { return Ok(None) };
        let ways = route.ways.iter().filter(|way| pipelines.contains(&way.chain.pipeline));
        route.take(&ways.collect::<Vec<_>>(), batch, now).map(Some)
    }
}

struct Route {
    ways: Vec<Way>,
    /// The ends of all `ways`, as the log names them.
    all: Pipelines,
}

impl Route {
    fn take(&self, ways: &[&Way], batch: &Batch, now: SystemTime) -> Result<Taken, Refused> {
        let (batches, outside) = within(ways, batch, now);
        let some = batches.iter().any(|batch| !batch.is_empty());
        Ok(Taken { entries: if some { self.entries(ways, &batches)? } else { Vec::new() }, outside, some })
    }

    /// What is to be logged: a batch that several pipelines left as it was is there once, for all of them.
    fn entries(&self, ways: &[&Way], batches: &[Batch]) -> Result<Vec<Entry>, Refused> {
        let mut untouched: Vec<(&Batch, Vec<&str>)> = Vec::new();
        let mut entries = Vec::new();
        for (Way { chain, .. }, batch) in ways.iter().zip(batches).filter(|(_, batch)| !batch.is_empty()) {
            for out in chain.process(batch)? {
                if !out.is_same(batch) {
                    entries.push(Entry::new(Pipelines::new([chain.name.as_str()]), out));
                    continue;
                }
                match untouched.iter_mut().find(|(other, _)| other.is_same(batch)) {
                    Some((_, names)) => names.push(&chain.name),
                    None => untouched.push((batch, vec![&chain.name])),
                }
            }
        }
        entries.extend(untouched.into_iter().map(|(batch, names)| {
            let all = names.len() == self.ways.len();
            Entry::new(if all { self.all.clone() } else { Pipelines::new(names) }, batch.clone())
        }));
        Ok(entries)
    }
}

/// What each way takes of a batch, the same handle where ways take the same, and what at least one of them does not.
/// A batch whose times every exporter takes, which is the rule, costs two comparisons.
fn within(ways: &[&Way], batch: &Batch, now: SystemTime) -> (Vec<Batch>, Outside) {
    let all = || (vec![batch.clone(); ways.len()], Outside::default());
    let limits: Vec<_> = ways.iter().map(|way| way.limits()).collect();
    let Some(strictest) = limits.iter().copied().flatten().reduce(TimeLimits::and) else { return all() };
    let window = strictest.window(now);
    if window.holds(batch.times()) {
        return all();
    }
    let (within, outside) = batch.within(&window);
    let way = |limits: Option<TimeLimits>| match limits {
        None => batch.clone(),
        Some(limits) if limits == strictest => within.clone(),
        Some(limits) => batch.within(&limits.window(now)).0,
    };
    (limits.into_iter().map(way).collect(), outside)
}
