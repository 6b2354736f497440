//! `service.telemetry`, in the Collector's shape; its `logs` are the logger's, not read here.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use catchment_pipeline::config::{Secret, Section};
use opentelemetry_otlp::{
    MetricExporter, MetricExporterBuilder, SpanExporter, WithExportConfig as _, WithTonicConfig as _,
};
use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tonic::transport::{Channel, ClientTlsConfig};

/// ```yaml
/// service:
///   telemetry:
///     resource: { deployment.environment.name: test }   # "" removes an attribute
///     metrics:
///       level: normal                                   # none turns own metrics off
///       readers:
///         - pull: { exporter: { prometheus: { host: localhost, port: 8888 } } }
///         - periodic: { interval: 60000, exporter: { otlp: { protocol: grpc, endpoint: http://localhost:4317 } } }
///     traces:
///       processors:
///         - batch: { schedule_delay: 5000, exporter: { otlp: { protocol: grpc, endpoint: http://localhost:4317 } } }
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    pub resource: BTreeMap<String, String>,
    pub metrics: bool,
    /// host:port of the Prometheus endpoint.
    pub prometheus: Option<String>,
    pub push: Vec<Push>,
    pub traces: Option<Traces>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            resource: BTreeMap::new(),
            metrics: true,
            prometheus: Some("localhost:8888".into()),
            push: Vec::new(),
            traces: None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Push {
    pub interval: Duration,
    pub exporter: Otlp,
}

#[derive(Clone, Debug)]
pub struct Traces {
    pub schedule_delay: Duration,
    pub exporters: Vec<Otlp>,
}

/// An OTLP/gRPC destination.
#[derive(Clone, Debug)]
pub struct Otlp {
    pub endpoint: String,
    pub headers: BTreeMap<String, Secret>,
    pub timeout: Duration,
}

impl Settings {
    /// Opens nothing; every mistake goes into the section.
    pub fn plan(section: &mut Section) -> Settings {
        let mut settings = Settings { resource: section.or("resource", BTreeMap::new()), ..Settings::default() };
        if let Some(mut metrics) = section.section("metrics") {
            settings.plan_metrics(&mut metrics);
        }
        if let Some(mut traces) = section.section("traces") {
            settings.traces = plan_traces(&mut traces);
        }
        settings
    }

    fn plan_metrics(&mut self, metrics: &mut Section) {
        let levels = [("none", false), ("basic", true), ("normal", true), ("detailed", true)];
        let on = metrics.choice("level", &levels).unwrap_or(true);
        if let Some(address) = metrics.get::<String>("address") {
            self.prometheus = Some(address);
        }
        if metrics.has("readers") {
            self.prometheus = None;
            for mut reader in metrics.list("readers") {
                self.plan_reader(&mut reader);
            }
        }
        if !on {
            (self.metrics, self.prometheus, self.push) = (false, None, Vec::new());
        }
    }

    fn plan_reader(&mut self, reader: &mut Section) {
        let mut known = false;
        if let Some(mut pull) = reader.section("pull") {
            known = true;
            let exporter = pull.section("exporter").and_then(|mut exporter| exporter.section("prometheus"));
            let Some(mut prometheus) = exporter else {
                return pull.mistake(
                    "exporter",
                    "a pull reader has one exporter",
                    "write exporter: { prometheus: {} }",
                );
            };
            let host = prometheus.or("host", "localhost".to_owned());
            let port = prometheus.or("port", 8888_u16);
            prometheus.accepted("without_scope_info", "there is one scope, so no labels for it");
            prometheus.accepted("with_resource_constant_labels", "the resource is target_info");
            for key in ["without_type_suffix", "without_units"] {
                if prometheus.get::<bool>(key) == Some(true) {
                    prometheus.mistake(key, "names always carry unit and type", "leave it out");
                }
            }
            let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
            if self.prometheus.replace(address).is_some() {
                reader.mistake("pull", "a second Prometheus endpoint", "keep one");
            }
        }
        if let Some(mut periodic) = reader.section("periodic") {
            known = true;
            let interval = milliseconds(&mut periodic, "interval", 60_000);
            periodic.accepted("timeout", "the exporter's own timeout holds");
            if let Some(exporter) = otlp(&mut periodic) {
                self.push.push(Push { interval, exporter });
            }
        }
        if !known {
            reader.mistake("", "a reader is `pull` or `periodic`", "write e.g. pull: { exporter: { prometheus: {} } }");
        }
    }
}

fn plan_traces(traces: &mut Section) -> Option<Traces> {
    let mut planned = Traces { schedule_delay: Duration::from_secs(5), exporters: Vec::new() };
    let on = traces.choice("level", &[("none", false), ("basic", true), ("normal", true), ("detailed", true)]);
    let propagators = traces.or("propagators", Vec::<String>::new());
    if let Some(other) = propagators.iter().find(|name| *name != "tracecontext") {
        traces.mistake("propagators", format!("`{other}` is not built in"), "write tracecontext, or leave it out");
    }
    for mut processor in traces.list("processors") {
        let Some(mut batch) = processor.section("batch") else {
            processor.mistake("", "a span processor is `batch`", "write batch: { exporter: { otlp: {} } }");
            continue;
        };
        planned.schedule_delay = milliseconds(&mut batch, "schedule_delay", 5_000);
        planned.exporters.extend(otlp(&mut batch));
    }
    (on != Some(false) && !planned.exporters.is_empty()).then_some(planned)
}

/// The Collector's telemetry keys count in milliseconds.
fn milliseconds(section: &mut Section, key: &str, default: u64) -> Duration {
    let milliseconds = section.or(key, default);
    if milliseconds == 0 {
        section.mistake(key, "no time at all", "write milliseconds, e.g. 5000");
    }
    Duration::from_millis(milliseconds.max(1))
}

fn otlp(section: &mut Section) -> Option<Otlp> {
    let Some(mut otlp) = section.section("exporter").and_then(|mut exporter| exporter.section("otlp")) else {
        section.mistake(
            "exporter",
            "no `otlp` exporter",
            "write exporter: { otlp: { endpoint: http://localhost:4317 } }",
        );
        return None;
    };
    let protocol = otlp.or("protocol", "grpc".to_owned());
    if protocol != "grpc" {
        otlp.mistake("protocol", format!("own telemetry is not sent as {protocol}"), "write grpc, and a gRPC endpoint");
    }
    let insecure = otlp.or("insecure", false);
    let endpoint = otlp.or("endpoint", "http://localhost:4317".to_owned());
    let endpoint = match (endpoint.contains("://"), insecure) {
        (true, _) => endpoint,
        (false, true) => format!("http://{endpoint}"),
        (false, false) => format!("https://{endpoint}"),
    };
    if endpoint.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).is_none() {
        otlp.mistake("endpoint", format!("`{endpoint}` is not a URL"), "write e.g. http://localhost:4317");
    }
    let headers = otlp.or("headers", BTreeMap::new());
    let timeout = milliseconds(&mut otlp, "timeout", 10_000);
    Some(Otlp { endpoint, headers, timeout })
}

impl Otlp {
    /// Lazily: nothing is sent until there is something to send.
    fn channel(&self) -> anyhow::Result<Channel> {
        let channel = Channel::from_shared(self.endpoint.clone()).context("endpoint")?.timeout(self.timeout);
        let channel = if self.endpoint.starts_with("https://") {
            channel.tls_config(ClientTlsConfig::new().with_native_roots()).context("tls")?
        } else {
            channel
        };
        Ok(channel.connect_lazy())
    }

    fn metadata(&self) -> anyhow::Result<MetadataMap> {
        let mut metadata = MetadataMap::new();
        for (key, value) in &self.headers {
            let name = AsciiMetadataKey::from_bytes(key.to_ascii_lowercase().as_bytes());
            let name = name.with_context(|| format!("headers: `{key}` is not a header name"))?;
            metadata.insert(name, value.0.parse().with_context(|| format!("headers: the value of `{key}`"))?);
        }
        Ok(metadata)
    }

    pub fn connect_metrics(&self) -> anyhow::Result<MetricExporter> {
        let exporter = MetricExporterBuilder::new().with_tonic();
        let exporter = exporter.with_channel(self.channel()?).with_metadata(self.metadata()?);
        Ok(exporter.with_timeout(self.timeout).build()?)
    }

    pub fn connect_spans(&self) -> anyhow::Result<SpanExporter> {
        let exporter = SpanExporter::builder().with_tonic();
        let exporter = exporter.with_channel(self.channel()?).with_metadata(self.metadata()?);
        Ok(exporter.with_timeout(self.timeout).build()?)
    }
}
