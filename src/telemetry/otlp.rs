//! Where own telemetry is pushed to: OTLP/gRPC, connected lazily.

use std::time::Duration;

use anyhow::Context as _;
use catchment_pipeline::config::OtlpTarget;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tonic::transport::{Channel, ClientTlsConfig};

/// Of one attempt.
const TIMEOUT: Duration = Duration::from_secs(10);

pub fn metrics(target: &OtlpTarget) -> anyhow::Result<MetricExporter> {
    let exporter = MetricExporter::builder().with_tonic();
    let exporter = exporter.with_channel(channel(target)?).with_metadata(metadata(target)?);
    Ok(exporter.with_timeout(TIMEOUT).build()?)
}

pub fn spans(target: &OtlpTarget) -> anyhow::Result<SpanExporter> {
    let exporter = SpanExporter::builder().with_tonic();
    let exporter = exporter.with_channel(channel(target)?).with_metadata(metadata(target)?);
    Ok(exporter.with_timeout(TIMEOUT).build()?)
}

/// Nothing is sent until there is something to send.
fn channel(target: &OtlpTarget) -> anyhow::Result<Channel> {
    let named = || format!("endpoint `{}` is not a URL", target.endpoint);
    let channel = Channel::from_shared(target.endpoint.clone()).with_context(named)?.timeout(TIMEOUT);
    let channel = match target.endpoint.starts_with("https://") {
        true => channel.tls_config(ClientTlsConfig::new().with_native_roots()).context("TLS")?,
        false => channel,
    };
    Ok(channel.connect_lazy())
}

fn metadata(target: &OtlpTarget) -> anyhow::Result<MetadataMap> {
    let mut metadata = MetadataMap::new();
    for (key, value) in &target.headers {
        let name = AsciiMetadataKey::from_bytes(key.to_ascii_lowercase().as_bytes());
        let name = name.with_context(|| format!("headers: `{key}` is not a header's name"))?;
        metadata.insert(name, value.0.parse().with_context(|| format!("headers: the value of `{key}`"))?);
    }
    Ok(metadata)
}
