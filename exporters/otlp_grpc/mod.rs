//! `otlp_grpc` (also `otlp`): to an OTLP/gRPC endpoint, in the Collector's keys.
//!
//! ```yaml
//! exporters:
//!   otlp_grpc:
//!     endpoint: collector.example:4317      # or http://, https://
//!     compression: gzip                     # none, zstd, snappy
//!     headers: { authorization: "Bearer ${env:TOKEN}" }
//!     tls: { insecure: false, ca_file: /etc/ca.pem }
//! ```
//!
//! The batch's OTLP bytes are sent as they are: no message is decoded or built. One HTTP/2 connection, made when
//! it is needed and made again when it is lost. An answer is read up to 4 MiB. `balancer_name`, `wait_for_ready`
//! and buffer sizes are accepted, do nothing, and say so.

mod call;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use catchment_pipeline::batch::Signal;
use catchment_pipeline::component::tls::ClientTls;
use catchment_pipeline::component::{Context, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, Stability};
use catchment_pipeline::config::{Secret, Section};

use crate::otlp_compress::{Compress, GRPC};

pub const SPEC: ExporterSpec = ExporterSpec {
    kind: "otlp_grpc",
    aliases: &["otlp"],
    summary: "to an OTLP/gRPC endpoint",
    signals: &Signal::ALL,
    stability: Stability::Beta,
    plan,
};

#[derive(Debug, Clone)]
struct Plan {
    settings: ExporterSettings,
    host: String,
    port: u16,
    /// `:authority`, where it is not the endpoint.
    authority: Option<String>,
    tls: Option<ClientTls>,
    compress: Compress,
    headers: BTreeMap<String, Secret>,
    ping_interval: Option<Duration>,
    ping_timeout: Duration,
    ping_while_idle: bool,
}

fn plan(section: &mut Section) -> Box<dyn ExporterPlan> {
    Box::new(read(section))
}

fn read(section: &mut Section) -> Plan {
    let tls = ClientTls::read(section);
    let text = section.required::<String>("endpoint").unwrap_or_default();
    let (secure, host, port) = endpoint(&text).unwrap_or_else(|what| {
        if !text.is_empty() {
            section.mistake("endpoint", what, "write host:port, for example localhost:4317");
        }
        (None, "localhost".to_owned(), 4317)
    });
    section.accepted("balancer_name", "there is one connection, to the first address that answers");
    section.accepted("wait_for_ready", "every attempt waits for the connection, up to timeout");
    section.accepted("read_buffer_size", "buffers size themselves here");
    section.accepted("write_buffer_size", "buffers size themselves here");
    let (mut ping_interval, mut ping_timeout, mut ping_while_idle) = (None, Duration::from_secs(20), false);
    if let Some(mut keepalive) = section.section("keepalive") {
        ping_interval = keepalive.get::<Duration>("time").filter(|time| !time.is_zero());
        ping_timeout = keepalive.or("timeout", ping_timeout);
        ping_while_idle = keepalive.or("permit_without_stream", false);
    }
    let headers = section.or("headers", BTreeMap::new());
    for (name, value) in &headers {
        if tonic::metadata::AsciiMetadataKey::from_bytes(name.as_bytes()).is_err() || !is_header_value(value) {
            section.mistake(
                "headers",
                format!("{name:?} cannot be sent as gRPC metadata"),
                "use ASCII names and values",
            );
        }
    }
    Plan {
        settings: ExporterSettings::read(section, Duration::from_secs(5)),
        host,
        port,
        authority: section.get("authority"),
        // The scheme has the last word.
        tls: secure.unwrap_or(!tls.insecure).then_some(tls),
        compress: Compress::read(section, &GRPC),
        headers,
        ping_interval,
        ping_timeout,
        ping_while_idle,
    }
}

fn is_header_value(value: &Secret) -> bool {
    http::HeaderValue::from_str(&value.0).is_ok()
}

/// Whether TLS is asked for (`None`: it does not say), host and port of `host:port`, `http://`, `https://` or
/// gRPC's `dns:///host:port`.
fn endpoint(text: &str) -> Result<(Option<bool>, String, u16), String> {
    let (secure, rest) = match text.split_once("://") {
        Some(("http", rest)) => (Some(false), rest),
        Some(("https", rest)) => (Some(true), rest),
        Some(("dns" | "passthrough", rest)) => (None, rest.rsplit('/').next().unwrap_or(rest)),
        Some((scheme, _)) => return Err(format!("scheme {scheme:?} is not supported")),
        None => (None, text),
    };
    let rest = rest.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']')) {
        Some((host, port)) => (host, port.parse().map_err(|_| format!("{port:?} is not a port"))?),
        None => match secure {
            Some(true) => (rest, 443),
            Some(false) => (rest, 80),
            None => return Err(format!("{text:?} has no port")),
        },
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains('/') {
        return Err(format!("{text:?} is not host:port"));
    }
    Ok((secure, host.to_owned(), port))
}

#[async_trait]
impl ExporterPlan for Plan {
    fn settings(&self) -> ExporterSettings {
        self.settings.clone()
    }

    async fn build(&self, _context: Context) -> anyhow::Result<Arc<dyn Exporter>> {
        Ok(Arc::new(call::OtlpGrpc::new(self)?))
    }
}
