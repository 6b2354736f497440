//! From a receiver into the log: every pipeline's processors, then one append for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::SystemTime;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument as _;

use super::meters::lock;
use super::registry::{ProcessorMeters, ReceiverMeters};
use crate::batch::times::Outside;
use crate::batch::{Batch, Signal, TimeLimits};
use crate::component::{Accept, Accepted, Grouping, Processor, Refused};
use crate::log::{Entry, Log, Pipelines};
use crate::otlp;

/// A pipeline's processors, shared by its receivers.
pub(super) struct Chain {
    pub id: String,
    pub stages: Vec<Stage>,
    pub grouping: Option<Grouping>,
    /// The chain alone, as the log names it.
    pub alone: Pipelines,
    pub meters: Vec<Arc<ProcessorMeters>>,
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

/// The pipelines of one receiver.
pub(super) struct Routes {
    routes: HashMap<Signal, Route>,
    /// Cancelled when the last batch that goes this way is in the log.
    over: CancellationToken,
    _in_use: DropGuard,
}

/// A pipeline, and what its exporters take.
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

struct Route {
    ways: Vec<Way>,
    /// The pipelines of all `ways`, as the log names them.
    all: Pipelines,
}

impl Routes {
    pub fn new(ways: impl IntoIterator<Item = (Signal, Way)>) -> Routes {
        let mut by_signal: HashMap<Signal, Vec<Way>> = HashMap::new();
        for (signal, way) in ways {
            by_signal.entry(signal).or_default().push(way);
        }
        let routes = by_signal.into_iter().map(|(signal, ways)| {
            let all = Pipelines::new(ways.iter().map(|way| way.chain.id.as_str()));
            (signal, Route { ways, all })
        });
        let over = CancellationToken::new();
        Routes { routes: routes.collect(), _in_use: over.clone().drop_guard(), over }
    }
}

/// What a route takes of a batch.
struct Taken {
    /// One for each way; the same handle where ways take the same.
    batches: Vec<Batch>,
    /// What at least one way did not take.
    outside: Outside,
}

impl Route {
    /// A batch whose times every exporter takes, which is the rule, costs two comparisons.
    fn within(&self, batch: &Batch, now: SystemTime) -> Taken {
        let all = || Taken { batches: vec![batch.clone(); self.ways.len()], outside: Outside::default() };
        let limits: Vec<_> = self.ways.iter().map(Way::limits).collect();
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
        Taken { batches: limits.into_iter().map(way).collect(), outside }
    }

    /// What is to be logged: a batch that several pipelines left as it was is there once, for all of them.
    fn entries(&self, batches: &[Batch]) -> Result<Vec<Entry>, Refused> {
        let mut untouched: Vec<(&Batch, Vec<&str>)> = Vec::new();
        let mut entries = Vec::new();
        for (Way { chain, .. }, batch) in self.ways.iter().zip(batches).filter(|(_, batch)| !batch.is_empty()) {
            for out in chain.process(batch)? {
                if !out.is_same(batch) {
                    entries.push(Entry { pipelines: chain.alone.clone(), batch: out });
                    continue;
                }
                match untouched.iter_mut().find(|(other, _)| other.is_same(batch)) {
                    Some((_, ids)) => ids.push(&chain.id),
                    None => untouched.push((batch, vec![&chain.id])),
                }
            }
        }
        entries.extend(untouched.into_iter().map(|(batch, ids)| {
            let all = ids.len() == self.ways.len();
            Entry { pipelines: if all { self.all.clone() } else { Pipelines::new(ids) }, batch: batch.clone() }
        }));
        Ok(entries)
    }
}

pub(super) struct Intake {
    id: String,
    log: Log,
    routes: RwLock<Arc<Routes>>,
    meters: Arc<ReceiverMeters>,
}

impl Intake {
    pub fn new(id: String, log: Log, meters: Arc<ReceiverMeters>) -> Intake {
        Intake { id, log, routes: RwLock::new(Arc::new(Routes::new([]))), meters }
    }

    /// What is being taken goes the old way, and what comes next the new one. The token is cancelled when nothing is
    /// on the old way any more.
    pub fn set_routes(&self, routes: Routes) -> CancellationToken {
        let mut current = self.routes.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::replace(&mut *current, Arc::new(routes)).over.clone()
    }

    /// What the sender is told about items that were taken out.
    fn told(&self, signal: Signal, invalid: usize, outside: &Outside) -> Accepted {
        let mut reasons = Vec::new();
        if invalid > 0 {
            reasons.push(format!("{invalid} invalid: {}", otlp::valid::reason(signal)));
        }
        if outside.items() > 0 {
            reasons.push(format!("{} of a time that is not taken: {outside}", outside.items()));
        }
        let reason = reasons.join("; ");
        if !reason.is_empty() {
            self.meters.failure.set(&reason);
        }
        Accepted { rejected: invalid + outside.items(), reason }
    }

    /// Takes `batch` but for what it reports; `invalid` items were taken out before. False: nothing of it was left.
    async fn take(&self, batch: Batch, invalid: usize, now: SystemTime) -> Result<(Accepted, bool), Refused> {
        // Held until the batch is in the log: see `set_routes`.
        let routes = self.routes.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let signal = batch.signal();
        let Some(route) = routes.routes.get(&signal) else {
            return Err(Refused::Rejected {
                reason: format!("no pipeline carries {} from receiver `{}`", signal.name(), self.id),
            });
        };
        let Taken { batches, outside } = route.within(&batch, now);
        let told = self.told(signal, invalid, &outside);
        if batches.iter().all(Batch::is_empty) {
            self.meters.refused.outside(&outside);
            return Ok((told, false));
        }
        let entries = route.entries(&batches)?;
        if !entries.is_empty() {
            self.log.append_all(entries).instrument(tracing::debug_span!("append")).await?;
        }
        self.meters.refused.outside(&outside);
        Ok((told, true))
    }
}

#[async_trait]
impl Accept for Intake {
    async fn accept(&self, batch: Batch) -> Result<Accepted, Refused> {
        let (invalid, all) = (batch.invalid_items(), batch.items());
        let signal = batch.signal();
        let batch = batch.without_invalid();
        let items = batch.items();
        let outcome = match items {
            0 => Ok((self.told(signal, invalid, &Outside::default()), all == 0)),
            _ => {
                let (id, signal) = (&self.id, signal.name());
                let span = tracing::debug_span!("receive", otel.kind = "consumer", component.id = %id, signal, items);
                self.take(batch, invalid, SystemTime::now()).instrument(span).await
            }
        };
        let refused = &self.meters.refused;
        match outcome {
            Ok((told, some)) => {
                refused.invalid.add(invalid);
                self.meters.accepted.add(all - told.rejected);
                // When nothing is left, there is no success to be partial.
                if some { Ok(told) } else { Err(Refused::Rejected { reason: told.reason }) }
            }
            Err(error) => {
                match error {
                    Refused::Busy { .. } => refused.busy.add(all),
                    Refused::Rejected { .. } => refused.rejected.add(all),
                }
                self.meters.failure.set(error.to_string());
                Err(error)
            }
        }
    }
}
