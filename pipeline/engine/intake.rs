//! From a receiver into the log: every pipeline's processors, then one append for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::SystemTime;

use async_trait::async_trait;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument as _;

use super::meters::lock;
use super::registry::{ProcessorMeters, ReceiverMeters};
use crate::batch::{Batch, Signal};
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

struct Route {
    chains: Vec<Arc<Chain>>,
    /// All of `chains`, as the log names them.
    all: Pipelines,
}

impl Routes {
    pub fn new(chains: impl IntoIterator<Item = (Signal, Arc<Chain>)>) -> Routes {
        let mut by_signal: HashMap<Signal, Vec<Arc<Chain>>> = HashMap::new();
        for (signal, chain) in chains {
            by_signal.entry(signal).or_default().push(chain);
        }
        let routes = by_signal.into_iter().map(|(signal, chains)| {
            let all = Pipelines::new(chains.iter().map(|chain| chain.id.as_str()));
            (signal, Route { chains, all })
        });
        let over = CancellationToken::new();
        Routes { routes: routes.collect(), _in_use: over.clone().drop_guard(), over }
    }
}

impl Route {
    /// What is to be logged: a batch that several pipelines left as it was is there once, for all of them.
    fn entries(&self, batch: &Batch) -> Result<Vec<Entry>, Refused> {
        if self.chains.iter().all(|chain| chain.stages.is_empty()) {
            return Ok(vec![Entry { pipelines: self.all.clone(), batch: batch.clone() }]);
        }
        let mut untouched = Vec::new();
        let mut entries = Vec::new();
        for chain in &self.chains {
            for out in chain.process(batch)? {
                match out.is_same(batch) {
                    true => untouched.push(chain),
                    false => entries.push(Entry { pipelines: chain.alone.clone(), batch: out }),
                }
            }
        }
        if !untouched.is_empty() {
            let pipelines = match untouched.len() == self.chains.len() {
                true => self.all.clone(),
                false => Pipelines::new(untouched.iter().map(|chain| chain.id.as_str())),
            };
            entries.push(Entry { pipelines, batch: batch.clone() });
        }
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

    /// What the sender is told about its invalid items.
    fn invalid(&self, signal: Signal, items: usize) -> Accepted {
        if items == 0 {
            return Accepted::default();
        }
        let reason = format!("{items} invalid: {}", otlp::valid::reason(signal));
        self.meters.failure.set(&reason);
        Accepted { rejected: items, reason }
    }

    async fn take(&self, batch: Batch) -> Result<(), Refused> {
        // Held until the batch is in the log: see `set_routes`.
        let routes = self.routes.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let signal = batch.signal();
        let Some(route) = routes.routes.get(&signal) else {
            return Err(Refused::Rejected {
                reason: format!("no pipeline carries {} from receiver `{}`", signal.name(), self.id),
            });
        };
        let entries = route.entries(&batch)?;
        if !entries.is_empty() {
            self.log.append_all(entries).instrument(tracing::debug_span!("append")).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Accept for Intake {
    async fn accept(&self, batch: Batch) -> Result<Accepted, Refused> {
        let (invalid, all) = (batch.invalid_items(), batch.items());
        if all == 0 {
            return Ok(Accepted::default());
        }
        let accepted = self.invalid(batch.signal(), invalid);
        if invalid == all {
            self.meters.refused.add(invalid);
            return Err(Refused::Rejected { reason: accepted.reason });
        }
        let batch = batch.without_invalid();
        let items = batch.items();
        let signal = batch.signal().name();
        let span = tracing::debug_span!("receive", otel.kind = "consumer", component.id = %self.id, signal, items);
        match self.take(batch).instrument(span).await {
            Ok(()) => {
                self.meters.accepted.add(items);
                self.meters.refused.add(accepted.rejected);
                Ok(accepted)
            }
            Err(refused) => {
                self.meters.refused.add(all);
                self.meters.failure.set(refused.to_string());
                Err(refused)
            }
        }
    }
}
