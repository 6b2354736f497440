//! From a receiver into the log: every pipeline's processors, then one append for all of them.

use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::registry::ReceiverMeters;
use super::routes::Routes;
use crate::batch::times::Outside;
use crate::batch::{Batch, Signal};
use crate::component::{Accept, Accepted, Refused};
use crate::log::Log;
use crate::otlp;

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
        std::mem::replace(&mut *current, Arc::new(routes)).over()
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
        let Some(taken) = routes.take(&batch, now)? else {
            return Err(Refused::Rejected {
                reason: format!("no pipeline carries {} from receiver `{}`", signal.name(), self.id),
            });
        };
        let told = self.told(signal, invalid, &taken.outside);
        if !taken.entries.is_empty() {
            self.log.append_all(taken.entries).instrument(tracing::debug_span!("append")).await?;
        }
        self.meters.refused.outside(&taken.outside);
        Ok((told, taken.some))
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
