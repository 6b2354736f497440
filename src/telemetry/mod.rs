//! The process's own telemetry: metrics through the OpenTelemetry SDK, and spans when the configuration asks for them.
//!
//! Hot paths keep relaxed atomics, which they need anyway for the status; every instrument here is observable and reads
//! them when somebody collects. Nobody collects, nothing is spent. Collections are read by
//! - the `internal_telemetry` receiver, which sends them down its pipelines as OTLP (so into the own lake),
//! - `localhost:8888/metrics`, as Prometheus text,
//! - whatever `service.telemetry.metrics.readers` pushes to, through our own OTLP exporters.
//!
//! No feedback: the number of series depends on the configuration, never on traffic; and spans are made only by the
//! code of this project, never by the exporter that ships them, one set for a batch whatever is in it.

mod instruments;
mod prometheus;
mod push;
mod traces;

use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use bytes::Bytes;
use catchment_pipeline::batch::Signal;
use catchment_pipeline::config::{self, MetricExport, Temporality};
use catchment_receivers::internal_telemetry::OwnMetrics;
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{self, InstrumentKind, ManualReader, Pipeline, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use prost::Message as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use push::Destination;

pub use instruments::Sources;
pub use traces::{Switch, layer};

/// For what is left at the end, to be shipped.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Everything that collects and ships own telemetry. Started before anything that has instruments of its own.
pub struct Telemetry {
    settings: config::Telemetry,
    resource: Resource,
    meters: SdkMeterProvider,
    readers: Readers,
    shipping: Shipping,
}

/// What goes out by itself.
#[derive(Default)]
struct Shipping {
    pushes: Vec<Push>,
    tracer: Option<SdkTracerProvider>,
}

struct Push {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// Destinations of a new configuration, opened and not yet used.
pub struct Next {
    settings: config::Telemetry,
    pushes: Vec<(MetricExport, Destination)>,
    tracer: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Connects lazily: a destination that is down does not stop the start. Call it inside the async runtime.
    pub async fn start(settings: &config::Telemetry) -> anyhow::Result<Telemetry> {
        let resource = resource(settings);
        let readers = Readers::default();
        let meters = SdkMeterProvider::builder().with_resource(resource.clone());
        let meters = meters.with_reader(readers.cumulative.clone());
        let meters = meters.with_reader(readers.delta.clone()).with_reader(readers.low_memory.clone()).build();
        if settings.metrics {
            opentelemetry::global::set_meter_provider(meters.clone());
        }
        let shipping = Shipping::default();
        let mut own = Telemetry { settings: settings.clone(), resource, meters, readers, shipping };
        let next = own.open(settings).await?;
        own.ship(next);
        Ok(own)
    }

    /// Opens where `settings` send to, when that is not where things go already. Nothing changes yet.
    pub async fn prepare(&self, settings: &config::Telemetry) -> anyhow::Result<Option<Next>> {
        let now = &self.settings;
        let unchanged = now.metric_exports == settings.metric_exports
            && now.trace_exports == settings.trace_exports
            && now.trace_ratio == settings.trace_ratio;
        if unchanged { Ok(None) } else { self.open(settings).await.map(Some) }
    }

    async fn open(&self, settings: &config::Telemetry) -> anyhow::Result<Next> {
        let mut pushes = Vec::new();
        for export in settings.metric_exports.iter().filter(|_| self.settings.metrics) {
            let destination = Destination::open(&export.target, Signal::Metrics).await;
            pushes.push((export.clone(), destination.context("service::telemetry::metrics::readers")?));
        }
        let tracer = traces::provider(settings, &self.resource).await.context("service::telemetry::traces")?;
        Ok(Next { settings: settings.clone(), pushes, tracer })
    }

    /// Ships to the new destinations. What the old ones have not been sent yet, they still are.
    pub fn go_over(&mut self, next: Next, switch: &Switch) {
        let Shipping { pushes, tracer } = std::mem::take(&mut self.shipping);
        pushes.iter().for_each(|push| push.shutdown.cancel());
        self.ship(next);
        switch.set(self.tracer());
        // Waits for a last batch.
        tokio::task::spawn_blocking(move || tracer.map(|tracer| tracer.shutdown_with_timeout(LAST_WORDS)));
    }

    fn ship(&mut self, next: Next) {
        let pushes = next.pushes.into_iter().map(|(export, destination)| {
            let shutdown = CancellationToken::new();
            let reader = self.readers.of(export.temporality).clone();
            Push { task: tokio::spawn(push::metrics(reader, destination, export, shutdown.clone())), shutdown }
        });
        self.shipping = Shipping { pushes: pushes.collect(), tracer: next.tracer };
        let config::Telemetry { metric_exports, trace_exports, trace_ratio, .. } = next.settings;
        self.settings = config::Telemetry { metric_exports, trace_exports, trace_ratio, ..self.settings.clone() };
    }

    /// What `new` says otherwise and a running process cannot change.
    pub fn fixed(&self, new: &config::Telemetry) -> Vec<&'static str> {
        let now = &self.settings;
        let keys = [
            ("service::telemetry::logs::encoding", now.log_encoding != new.log_encoding),
            ("service::telemetry::metrics::level", now.metrics != new.metrics),
            ("service::telemetry::resource", now.resource != new.resource),
        ];
        keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }

    /// They are on for the life of the process, or off.
    pub fn has_metrics(&self) -> bool {
        self.settings.metrics
    }

    /// From now on, collections read the engine's status and the lake's figures too.
    pub fn observe(&self, sources: Sources) {
        if self.settings.metrics {
            instruments::register(&self.meters, sources);
        }
    }

    /// For [`layer`].
    pub fn tracer(&self) -> Option<&SdkTracerProvider> {
        self.shipping.tracer.as_ref()
    }

    /// What the `internal_telemetry` receiver collects from; `None` when own metrics are off.
    pub fn own_metrics(&self) -> Option<OwnMetrics> {
        let reader = self.readers.cumulative.clone();
        self.settings.metrics.then(|| OwnMetrics::new(move || reader.otlp()))
    }

    /// What Prometheus asks.
    pub fn prometheus(&self) -> Router {
        let reader = self.readers.cumulative.clone();
        prometheus::router(Arc::new(move || Ok(prometheus::text(&reader.read()?))))
    }

    /// Ships what is left; at most a few seconds.
    pub async fn shutdown(self) {
        let Shipping { pushes, tracer } = self.shipping;
        pushes.iter().for_each(|push| push.shutdown.cancel());
        let pushed = futures::future::join_all(pushes.into_iter().map(|push| push.task));
        let traced = tokio::task::spawn_blocking(move || {
            if let Some(Err(error)) = tracer.map(|tracer| tracer.shutdown_with_timeout(LAST_WORDS)) {
                tracing::info!(%error, "own spans were not all shipped");
            }
        });
        if tokio::time::timeout(LAST_WORDS, pushed).await.is_err() {
            tracing::info!("own metrics were not all shipped");
        }
        let _ = traced.await;
        let _ = self.meters.shutdown();
    }
}

fn resource(settings: &config::Telemetry) -> Resource {
    let instance = uuid::Uuid::new_v4().to_string();
    let mut attributes = vec![
        KeyValue::new("service.name", "catchment"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance),
    ];
    for (key, value) in &settings.resource {
        attributes.retain(|kept| kept.key.as_str() != key);
        attributes.extend(value.as_ref().map(|value| KeyValue::new(key.clone(), value.clone())));
    }
    Resource::builder_empty().with_attributes(attributes).build()
}

/// One reader a temporality. Collectors of cumulative values may share theirs; a delta is told once.
struct Readers {
    cumulative: Reader,
    delta: Reader,
    low_memory: Reader,
}

impl Default for Readers {
    fn default() -> Readers {
        Readers {
            cumulative: Reader::new(metrics::Temporality::Cumulative),
            delta: Reader::new(metrics::Temporality::Delta),
            low_memory: Reader::new(metrics::Temporality::LowMemory),
        }
    }
}

impl Readers {
    fn of(&self, temporality: Temporality) -> &Reader {
        match temporality {
            Temporality::Cumulative => &self.cumulative,
            Temporality::Delta => &self.delta,
            Temporality::LowMemory => &self.low_memory,
        }
    }
}

/// An SDK reader that several collectors share: the SDK takes readers by value.
#[derive(Clone, Debug)]
struct Reader(Arc<ManualReader>);

impl Reader {
    fn new(temporality: metrics::Temporality) -> Reader {
        Reader(Arc::new(ManualReader::builder().with_temporality(temporality).build()))
    }

    /// An `ExportMetricsServiceRequest`.
    fn otlp(&self) -> anyhow::Result<Bytes> {
        Ok(ExportMetricsServiceRequest::from(&self.read()?).encode_to_vec().into())
    }

    fn read(&self) -> anyhow::Result<ResourceMetrics> {
        let mut metrics = ResourceMetrics::default();
        self.0.collect(&mut metrics).context("own metrics cannot be collected")?;
        Ok(metrics)
    }
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> metrics::Temporality {
        self.0.temporality(kind)
    }
}

#[cfg(test)]
mod tests;
