//! The process's own telemetry: metrics through the OpenTelemetry SDK, and spans when the configuration asks for them.
//!
//! Hot paths keep relaxed atomics, which they need anyway for the status; every instrument here is observable and reads
//! them when somebody collects. Nobody collects, nothing is spent. Collections are read by
//! - the `internal_telemetry` receiver, which sends them down its pipelines as OTLP (so into the own lake),
//! - `localhost:8888/metrics`, as Prometheus text,
//! - whatever `service.telemetry.metrics.readers` pushes to.
//!
//! No feedback: the number of series depends on the configuration, never on traffic; and spans are made only by the
//! code of this project, never by the exporter that ships them, one set for a batch whatever is in it.

mod instruments;
mod otlp;
mod prometheus;
mod traces;

use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use catchment_dashboard::{HttpServer, Limits};
use catchment_pipeline::config;
use catchment_receivers::internal_telemetry::OwnMetrics;
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    InstrumentKind, ManualReader, PeriodicReader, Pipeline, SdkMeterProvider, Temporality,
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use prost::Message as _;
use tokio_util::sync::CancellationToken;

pub use instruments::Sources;
pub use traces::layer;

/// Everything that collects and ships own telemetry. Started before anything that has instruments of its own.
pub struct Telemetry {
    meters: SdkMeterProvider,
    reader: Reader,
    tracer: Option<SdkTracerProvider>,
    metrics: bool,
}

impl Telemetry {
    /// Connects lazily: a destination that is down does not stop the start. Call it inside the async runtime.
    pub fn start(settings: &config::Telemetry) -> anyhow::Result<Telemetry> {
        let resource = resource(settings);
        let reader = Reader(Arc::new(ManualReader::builder().with_temporality(Temporality::Cumulative).build()));
        let mut meters = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader.clone());
        for (interval, target) in &settings.metric_exports {
            let exporter = otlp::metrics(target).context("service::telemetry::metrics::readers")?;
            meters = meters.with_reader(PeriodicReader::builder(exporter).with_interval(*interval).build());
        }
        let meters = meters.build();
        if settings.metrics {
            opentelemetry::global::set_meter_provider(meters.clone());
        }
        let tracer = match settings.trace_exports.as_slice() {
            [] => None,
            targets => Some(traces::provider(targets, resource).context("service::telemetry::traces")?),
        };
        Ok(Telemetry { meters, reader, tracer, metrics: settings.metrics })
    }

    /// From now on, collections read the engine's status and the lake's figures too.
    pub fn observe(&self, sources: Sources) {
        if self.metrics {
            instruments::register(&self.meters, sources);
        }
    }

    /// For [`layer`].
    pub fn tracer(&self) -> Option<&SdkTracerProvider> {
        self.tracer.as_ref()
    }

    /// What the `internal_telemetry` receiver collects from; `None` when own metrics are off.
    pub fn own_metrics(&self) -> Option<OwnMetrics> {
        let reader = self.reader.clone();
        let collect = move || Ok(ExportMetricsServiceRequest::from(&reader.read()?).encode_to_vec().into());
        self.metrics.then(|| OwnMetrics::new(collect))
    }

    /// Serves Prometheus text until `shutdown`, on a socket bound beforehand.
    pub fn serve_prometheus(
        &self,
        server: HttpServer,
        shutdown: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let reader = self.reader.clone();
        let router = prometheus::router(Arc::new(move || Ok(prometheus::text(&reader.read()?))));
        server.run(router, Limits::default(), shutdown)
    }

    /// Ships what is left; at most about 5 seconds. Blocks: call it off the async threads.
    pub fn shutdown(self) {
        if let Some(Err(error)) = self.tracer.map(|tracer| tracer.shutdown_with_timeout(Duration::from_secs(2))) {
            tracing::info!(%error, "own spans were not all shipped");
        }
        if let Err(error) = self.meters.shutdown() {
            tracing::info!(%error, "own metrics were not all shipped");
        }
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

/// One SDK reader that several collectors share: the SDK takes readers by value.
#[derive(Clone, Debug)]
struct Reader(Arc<ManualReader>);

impl Reader {
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

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

#[cfg(test)]
mod tests;
