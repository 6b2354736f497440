//! `internal_telemetry`: this process's own metrics, as one more source: they can go to the own lake, or anywhere.
//!
//! ```yaml
//! receivers:
//!   internal_telemetry: { collection_interval: 10s }
//! ```
//!
//! Values are cumulative, so a collection that finds no room is dropped: the next one says it again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{
    Context, Occasionally, Outlet, Receiver, ReceiverPlan, ReceiverSpec, Refused, Stability,
};
use catchment_pipeline::config::Section;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub const SPEC: ReceiverSpec = ReceiverSpec {
    kind: "internal_telemetry",
    aliases: &[],
    summary: "This process's own metrics: rates, refusals, losses, backlogs, flush and fsync times",
    signals: &[Signal::Metrics],
    stability: Stability::Beta,
    plan,
};

const SHORTEST: Duration = Duration::from_millis(100);

/// Collects the process's own metrics, as an OTLP `ExportMetricsServiceRequest`. The process offers one
/// ([`catchment_pipeline::component::Offers`]) unless its own metrics are turned off.
pub struct OwnMetrics(Box<Collect>);

type Collect = dyn Fn() -> anyhow::Result<Bytes> + Send + Sync;

impl OwnMetrics {
    pub fn new(collect: impl Fn() -> anyhow::Result<Bytes> + Send + Sync + 'static) -> OwnMetrics {
        OwnMetrics(Box::new(collect))
    }

    pub fn collect(&self) -> anyhow::Result<Bytes> {
        (self.0)()
    }
}

fn plan(section: &mut Section) -> Box<dyn ReceiverPlan> {
    let interval = section.or("collection_interval", Duration::from_secs(10));
    if interval < SHORTEST {
        section.mistake("collection_interval", format!("{interval:?} is too short"), "write 100ms or more, e.g. 10s");
    }
    Box::new(Plan { interval: interval.max(SHORTEST) })
}

struct Plan {
    interval: Duration,
}

#[async_trait]
impl ReceiverPlan for Plan {
    async fn build(&self, context: Context) -> anyhow::Result<Box<dyn Receiver>> {
        let own = context.offers.get::<OwnMetrics>();
        let own =
            own.context("own metrics are off: set service.telemetry.metrics.level to normal, or remove this receiver")?;
        Ok(Box::new(InternalTelemetry { own, interval: self.interval }))
    }
}

struct InternalTelemetry {
    own: Arc<OwnMetrics>,
    interval: Duration,
}

#[async_trait]
impl Receiver for InternalTelemetry {
    async fn run(self: Box<Self>, outlet: Outlet, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let failing = Occasionally::new(Duration::from_secs(300));
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let collected = self.own.collect().and_then(|otlp| Ok(Batch::from_otlp(Signal::Metrics, otlp)?));
            let batch = match collected {
                Ok(batch) if batch.is_empty() => continue,
                Ok(batch) => batch,
                // Everybody else's telemetry goes on.
                Err(error) => {
                    if let Some(times) = failing.due(Instant::now()) {
                        tracing::warn!(times, "own metrics cannot be collected: {error:#}");
                    }
                    continue;
                }
            };
            match outlet.send(batch).await {
                Ok(_) => {}
                Err(refused @ Refused::Busy { .. }) => tracing::debug!(%refused, "own metrics found no room this time"),
                Err(refused @ Refused::Rejected { .. }) => tracing::warn!(%refused, "own metrics were rejected"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
