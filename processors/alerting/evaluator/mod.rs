//! What looks: runs the rules' SQL on their interval and as data arrives, and says to the connector what came of it. The only part of it with a clock and
//! I/O; it decides nothing.
//!
//! Groups are spread over their interval by a hash of their name, and the rules of one run in turn. Rows that arrive make the rules run that read them,
//! [`PAUSE`] after the last time at the earliest. An answer that says what the last one said is not said again before the interval is over.

mod ask;
mod group;
mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use catchment_pipeline::alerts::{Alerting, Desk, Input, View};
use catchment_pipeline::component::{Context, Outlet, Receiver, Refused};
use catchment_pipeline::engine::Status;
use catchment_storage::Lake;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::state::nanos;
use group::Watch;

pub use ask::{Question, ask};

/// Queries of rules at a time.
const QUERIES: usize = 4;
/// Between two evaluations of a group that data brings about.
pub const PAUSE: Duration = Duration::from_secs(1);
/// The connector is told at least so often that the process is there.
const ALIVE: Duration = Duration::from_secs(15);
const READY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(300);

pub struct Source {
    id: String,
    shared: Arc<Shared>,
    lake: Option<Arc<Lake>>,
    desk: Option<Arc<Desk>>,
    status: Option<Arc<Status>>,
    as_data_arrives: bool,
}

pub fn now() -> i64 {
    nanos(SystemTime::now())
}

impl Source {
    pub fn new(context: Context, shared: Arc<Shared>, as_data_arrives: bool) -> anyhow::Result<Source> {
        let lake = context.offers.get::<Lake>();
        if lake.is_none() && shared.groups.iter().any(|group| !group.rules.is_empty()) {
            anyhow::bail!(
                "connector `{}` asks the lake, but no `lake` extension runs: add `lake` to `extensions` and to `service::extensions`",
                context.id
            );
        }
        let (desk, status) = (context.offers.get::<Desk>(), context.offers.get::<Status>());
        Ok(Source { id: context.id, shared, lake, desk, status, as_data_arrives })
    }

    /// SQL sees all that was acknowledged before the start: what is only not read again yet must not look as if it were gone.
    async fn caught_up(&self) {
        while self.status.as_ref().is_some_and(|status| !status.ready()) {
            sleep(READY).await;
        }
    }

    async fn look(&self, outlet: &Outlet) {
        // From here on the connector knows for how long nobody had looked.
        let begun = now();
        send(outlet, vec![Input::Alive]).await;
        let mut heard = self.shared.heard.subscribe();
        let _ = timeout(PATIENCE, heard.wait_for(|heard| *heard >= begun)).await;
        let mut tasks = JoinSet::new();
        if let Some(lake) = &self.lake {
            self.caught_up().await;
            let queries = Arc::new(Semaphore::new(QUERIES));
            for group in self.shared.groups.iter().filter(|group| !group.rules.is_empty()) {
                let (shared, lake) = (self.shared.clone(), lake.clone());
                let watch = Watch::new(group.clone(), shared, lake, outlet.clone(), queries.clone());
                tasks.spawn(watch.run(self.as_data_arrives));
            }
        }
        loop {
            let silent = Duration::from_nanos(now().saturating_sub(*self.shared.heard.borrow()).max(0).unsigned_abs());
            match ALIVE.checked_sub(silent).filter(|left| !left.is_zero()) {
                Some(left) => sleep(left).await,
                None => {
                    send(outlet, vec![Input::Alive]).await;
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

#[async_trait]
impl Receiver for Source {
    async fn run(self: Box<Self>, outlet: Outlet, shutdown: CancellationToken) -> anyhow::Result<()> {
        let counter = Arc::new(Counter { outlet: outlet.clone(), shared: self.shared.clone() });
        if let Some(desk) = &self.desk {
            desk.open(&self.id, counter);
        }
        tokio::select! {
            () = self.look(&outlet) => {}
            () = shutdown.cancelled() => {}
        }
        if let Some(desk) = &self.desk {
            desk.close(&self.id);
        }
        Ok(())
    }
}

/// Until the log has it, or refuses it for good.
pub async fn send(outlet: &Outlet, inputs: Vec<Input>) {
    let batch = Input::batch(&inputs, now());
    loop {
        match outlet.send(batch.clone()).await {
            Ok(_) => return,
            Err(Refused::Busy { retry_after, reason }) => {
                tracing::warn!(reason, "what rules found waits: the log does not take it");
                sleep(retry_after.clamp(Duration::from_millis(100), Duration::from_secs(10))).await;
            }
            Err(Refused::Rejected { reason }) => {
                tracing::error!(reason, "data lost: what rules found was refused");
                return;
            }
        }
    }
}

/// Where who asks about alerts is served.
struct Counter {
    outlet: Outlet,
    shared: Arc<Shared>,
}

#[async_trait]
impl Alerting for Counter {
    async fn submit(&self, inputs: Vec<Input>) -> Result<(), Refused> {
        if inputs.is_empty() {
            return Ok(());
        }
        self.outlet.send(Input::batch(&inputs, now())).await.map(|_| ())
    }

    fn view(&self) -> Arc<View> {
        Arc::new(self.shared.decider().view(now()))
    }
}
