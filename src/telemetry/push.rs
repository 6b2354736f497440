//! Own telemetry that is pushed: it takes the exporters that everybody's telemetry takes, one attempt a batch. What a
//! destination does not take is dropped: metrics say it again, and spans are nobody's data.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{Admission, Context, ExportError, Exporter, Occasionally};
use catchment_pipeline::config::{MetricExport, OtlpTarget, Protocol, Section};
use serde_json::json;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Reader;

/// A destination that does not answer is spoken of this often at the most.
const SAY_EVERY: Duration = Duration::from_secs(300);

pub struct Destination {
    exporter: Arc<dyn Exporter>,
    signal: Signal,
    endpoint: String,
    timeout: Duration,
    failing: AtomicBool,
    said: Occasionally,
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.signal.name(), self.endpoint)
    }
}

impl Destination {
    /// Connects lazily: that it is down does not stop the start. Call it inside the async runtime.
    pub async fn open(target: &OtlpTarget, signal: Signal) -> anyhow::Result<Destination> {
        let kind = if target.protocol == Protocol::Grpc { "otlp_grpc" } else { "otlp_http" };
        let spec = catchment_exporters::SPECS.iter().find(|spec| spec.kind == kind);
        let spec = spec.with_context(|| format!("this binary has no exporter {kind}"))?;
        let mut section = Section::parse(&keys(target, signal).to_string());
        let plan = (spec.plan)(&mut section);
        if let [mistake, ..] = section.mistakes().as_slice() {
            bail!("{}: {mistake}", target.endpoint);
        }
        let context = Context {
            id: "own telemetry".to_owned(),
            admission: Arc::new(Admission::new(1 << 20)),
            ..Context::default()
        };
        Ok(Destination {
            exporter: plan.build(context).await?,
            signal,
            endpoint: target.endpoint.clone(),
            timeout: target.timeout,
            failing: AtomicBool::new(false),
            said: Occasionally::new(SAY_EVERY),
        })
    }

    /// One attempt. That it failed is said here, and loses nobody's telemetry but ours.
    pub async fn send(&self, otlp: Bytes) {
        let why = match Batch::from_otlp(self.signal, otlp) {
            Ok(batch) if batch.is_empty() => return,
            Ok(batch) => match tokio::time::timeout(self.timeout, self.exporter.export(&batch, 0)).await {
                Ok(Ok(())) => None,
                Ok(Err(ExportError::Transient { reason, .. } | ExportError::Permanent { reason })) => Some(reason),
                Ok(Err(partial @ ExportError::Partial { .. })) => Some(partial.to_string()),
                Err(_) => Some(format!("no answer within {:?}", self.timeout)),
            },
            Err(error) => Some(error.to_string()),
        };
        let (endpoint, signal) = (self.endpoint.as_str(), self.signal.name());
        match why {
            None if self.failing.swap(false, Ordering::Relaxed) => {
                tracing::info!(endpoint, signal, "own telemetry is taken again");
            }
            None => {}
            Some(reason) => {
                self.failing.store(true, Ordering::Relaxed);
                match self.said.due(Instant::now()) {
                    Some(batches) => tracing::warn!(
                        endpoint,
                        signal,
                        batches,
                        reason,
                        "own telemetry is not taken (service::telemetry); said every {SAY_EVERY:?} at the most"
                    ),
                    None => tracing::debug!(endpoint, signal, reason, "own telemetry is not taken"),
                }
            }
        }
    }
}

/// The exporter's keys. Its own retry and queue are the engine's business, and not asked for.
fn keys(target: &OtlpTarget, signal: Signal) -> serde_json::Value {
    let headers = target.headers.iter().map(|(name, value)| (name.clone(), json!(value.0)));
    let headers = headers.collect::<serde_json::Map<_, _>>();
    let compression = if target.gzip { "gzip" } else { "none" };
    let tls = json!({ "ca_file": target.ca_file, "cert_file": target.cert_file, "key_file": target.key_file });
    let mut keys = json!({ "headers": headers, "compression": compression, "tls": tls });
    let path = target.endpoint.splitn(4, '/').nth(3).unwrap_or_default();
    let endpoint = match (target.protocol, path.is_empty()) {
        (Protocol::Grpc, _) | (_, true) => "endpoint".to_owned(),
        // A whole path is the signal's own.
        _ => format!("{}_endpoint", signal.name()),
    };
    keys[endpoint] = json!(target.endpoint);
    if target.protocol == Protocol::HttpJson {
        keys["encoding"] = json!("json");
    }
    keys
}

/// Sends metrics every interval, and once more when told to stop.
pub async fn metrics(reader: Reader, to: Destination, export: MetricExport, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(export.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once, when there is nothing to say yet.
    ticks.tick().await;
    loop {
        let last = shutdown.run_until_cancelled(ticks.tick()).await.is_none();
        match reader.otlp() {
            Ok(otlp) => to.send(otlp).await,
            Err(error) => tracing::warn!("{error:#}"),
        }
        if last {
            return;
        }
    }
}
