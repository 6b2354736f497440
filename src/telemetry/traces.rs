//! Own spans, when `service.telemetry.traces` names somewhere to send them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use catchment_pipeline::batch::Signal;
use catchment_pipeline::config;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use prost::Message as _;
use tokio::runtime::Handle;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, reload};

use super::push::Destination;

/// `None`: no spans are asked for. Call it inside the async runtime.
pub async fn provider(settings: &config::Telemetry, resource: &Resource) -> anyhow::Result<Option<SdkTracerProvider>> {
    if settings.trace_exports.is_empty() {
        return Ok(None);
    }
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.trace_ratio)));
    let mut provider = SdkTracerProvider::builder().with_resource(resource.clone()).with_sampler(sampler);
    for export in &settings.trace_exports {
        let to = Arc::new(Destination::open(&export.target, Signal::Traces).await?);
        let spans = Spans { to, runtime: Handle::current(), resource: resource.into() };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(export.max_queue_size)
            .with_max_export_batch_size(export.max_batch_size.min(export.max_queue_size))
            .with_scheduled_delay(export.schedule_delay);
        let processor = BatchSpanProcessor::builder(spans).with_batch_config(config.build()).build();
        provider = provider.with_span_processor(processor);
    }
    Ok(Some(provider.build()))
}

struct Spans {
    to: Arc<Destination>,
    runtime: Handle,
    resource: ResourceAttributesWithSchema,
}

impl std::fmt::Debug for Spans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to.fmt(f)
    }
}

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let (to, otlp) = (self.to.clone(), ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        // The SDK asks from a thread of its own, where there is no runtime.
        let _ = self.runtime.spawn(async move { to.send(otlp.into()).await }).await;
        // A failure was said where it happened. The SDK would say it as an ERROR, each time.
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

/// Exchanges where spans go while the process runs.
pub struct Switch(Box<Exchange>);

type Exchange = dyn Fn(Option<&SdkTracerProvider>) + Send + Sync;

impl Switch {
    pub fn set(&self, provider: Option<&SdkTracerProvider>) {
        (self.0)(provider);
    }
}

/// Turns this project's `tracing` spans into OpenTelemetry spans. Spans of libraries stay out: among them are those of
/// the client that ships these, which would otherwise beget spans for ever. Log events are the logger's.
pub fn layer<S>(provider: Option<&SdkTracerProvider>) -> (impl Layer<S> + use<S>, Switch)
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let wanted = Arc::new(AtomicBool::new(provider.is_some()));
    let of = |provider: &SdkTracerProvider| tracing_opentelemetry::layer().with_tracer(provider.tracer("catchment"));
    let (layer, handle) = reload::Layer::new(provider.map(of));
    let own = wanted.clone();
    // No span of ours is finer than debug; saying so passes the finer call sites of libraries over.
    let ours = filter_fn(move |metadata| {
        own.load(Ordering::Relaxed)
            && metadata.is_span()
            && *metadata.level() <= Level::DEBUG
            && metadata.target().starts_with("catchment")
    })
    .with_max_level_hint(LevelFilter::DEBUG);
    let switch = Switch(Box::new(move |provider| {
        // What a filter said of a call site is kept until a layer is exchanged: first the filter.
        wanted.store(provider.is_some(), Ordering::Relaxed);
        if let Err(error) = handle.reload(provider.map(of)) {
            tracing::warn!(%error, "own spans go where they went");
        }
    }));
    (layer.with_filter(ours), switch)
}
