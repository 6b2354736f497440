//! Own spans, when `service.telemetry.traces` names somewhere to send them.

use catchment_pipeline::config::OtlpTarget;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::otlp;

pub fn provider(targets: &[OtlpTarget], resource: Resource) -> anyhow::Result<SdkTracerProvider> {
    let mut provider = SdkTracerProvider::builder().with_resource(resource);
    for target in targets {
        provider = provider.with_batch_exporter(otlp::spans(target)?);
    }
    Ok(provider.build())
}

/// Turns this project's `tracing` spans into OpenTelemetry spans. Spans of libraries stay out: among them are those of
/// the client that ships these, which would otherwise beget spans for ever. Log events are the logger's.
pub fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("catchment"));
    tracing_opentelemetry::layer().with_tracer(provider.tracer("catchment")).with_filter(ours)
}
