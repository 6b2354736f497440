//! `service::telemetry`: what the process says about itself, in the Collector's shape.

use std::collections::BTreeMap;
use std::time::Duration;

use super::node::Node;
use super::read::Secret;
use super::section::Section;

#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    pub log_level: LogLevel,
    pub log_encoding: Encoding,
    /// False: no metrics about the process itself are made (`level: none`).
    pub metrics: bool,
    /// Where Prometheus reads the metrics, `host:port`; empty for nowhere.
    pub prometheus: Vec<String>,
    /// Where metrics are pushed to, and how often.
    pub metric_exports: Vec<(Duration, OtlpTarget)>,
    /// Where spans are pushed to; empty: none are made.
    pub trace_exports: Vec<OtlpTarget>,
    /// Resource attributes besides our own; `None` removes one of ours.
    pub resource: BTreeMap<String, Option<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Text for people.
    Console,
    Json,
}

/// An OTLP/gRPC destination.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpTarget {
    /// A URL: `http://` is in the clear.
    pub endpoint: String,
    pub headers: BTreeMap<String, Secret>,
}

impl Default for Telemetry {
    fn default() -> Telemetry {
        Telemetry {
            log_level: LogLevel::Info,
            log_encoding: Encoding::Console,
            metrics: true,
            prometheus: vec!["localhost:8888".to_owned()],
            metric_exports: Vec::new(),
            trace_exports: Vec::new(),
            resource: BTreeMap::new(),
        }
    }
}

impl Telemetry {
    pub(super) fn read(mut section: Section) -> Telemetry {
        let mut telemetry = Telemetry::default();
        if let Some(logs) = section.section("logs") {
            telemetry.read_logs(logs);
        }
        if let Some(metrics) = section.section("metrics") {
            telemetry.read_metrics(metrics);
        }
        if let Some(traces) = section.section("traces") {
            telemetry.read_traces(traces);
        }
        if let Some(resource) = section.section("resource") {
            telemetry.resource = read_resource(resource);
        }
        telemetry
    }

    fn read_logs(&mut self, mut logs: Section) {
        use LogLevel::{Debug, Error, Info, Warn};
        let levels = [("debug", Debug), ("info", Info), ("warn", Warn), ("error", Error)];
        self.log_level = logs.choice("level", &levels).unwrap_or(self.log_level);
        let encodings = [("console", Encoding::Console), ("json", Encoding::Json)];
        self.log_encoding = logs.choice("encoding", &encodings).unwrap_or(self.log_encoding);
        for key in ["development", "disable_caller", "disable_stacktrace", "disable_zap_resource", "initial_fields"] {
            logs.accepted(key, "it is about the Collector's own logger");
        }
        logs.accepted("sampling", "repeated lines are not dropped");
        for key in ["output_paths", "error_output_paths", "processors"] {
            logs.accepted(key, "logs go to stderr");
        }
    }

    fn read_metrics(&mut self, mut metrics: Section) {
        let levels = ["none", "basic", "normal", "detailed"].map(|level| (level, level != "none"));
        self.metrics = metrics.choice("level", &levels).unwrap_or(true);
        metrics.accepted("views", "every metric is kept as it is");
        if let Some(address) = metrics.get::<String>("address") {
            self.prometheus = vec![address];
        }
        if metrics.has("readers") {
            self.prometheus.clear();
        }
        for mut reader in metrics.list("readers") {
            if let Some(mut pull) = reader.section("pull") {
                let prometheus = pull.section("exporter").and_then(|mut exporter| exporter.section("prometheus"));
                match prometheus {
                    Some(prometheus) => self.prometheus.push(prometheus_address(prometheus)),
                    None => pull.mistake("", "it has no exporter", "write exporter: { prometheus: { host, port } }"),
                }
            }
            if let Some(mut periodic) = reader.section("periodic") {
                let millis = periodic.or("interval", 60_000);
                periodic.accepted("timeout", "an attempt may last as long as the interval");
                if let Some(target) = target_of(&mut periodic) {
                    self.metric_exports.push((Duration::from_millis(millis), target));
                }
            }
        }
        if !self.metrics {
            self.prometheus.clear();
            self.metric_exports.clear();
        }
    }

    fn read_traces(&mut self, mut traces: Section) {
        let levels = ["none", "basic", "normal", "detailed"].map(|level| (level, level != "none"));
        let enabled = traces.choice("level", &levels).unwrap_or(true);
        for key in ["propagators", "sampler", "limits"] {
            traces.accepted(key, "every span about the process itself is exported");
        }
        for mut processor in traces.list("processors") {
            for kind in ["batch", "simple"] {
                let Some(mut inner) = processor.section(kind) else { continue };
                for key in ["schedule_delay", "export_timeout", "max_queue_size", "max_export_batch_size"] {
                    inner.accepted(key, "spans are batched with the SDK's defaults");
                }
                self.trace_exports.extend(target_of(&mut inner));
            }
        }
        if !enabled {
            self.trace_exports.clear();
        }
    }
}

fn prometheus_address(mut prometheus: Section) -> String {
    let host = prometheus.or("host", "localhost".to_owned());
    let port = prometheus.or("port", 8888u16);
    for key in ["without_scope_info", "without_units", "without_type_suffix", "with_resource_constant_labels"] {
        prometheus.accepted(key, "names follow OpenTelemetry's rules for Prometheus");
    }
    match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// `exporter: { otlp: { protocol, endpoint, headers } }`.
fn target_of(section: &mut Section) -> Option<OtlpTarget> {
    let mut exporter = section.section("exporter")?;
    let mut otlp = exporter.section("otlp")?;
    let protocol = otlp.or("protocol", "grpc".to_owned());
    if protocol != "grpc" {
        let what = format!("telemetry about the process itself is not sent as {protocol}");
        otlp.mistake("protocol", what, "write grpc, and the destination's gRPC endpoint (port 4317 mostly)");
    }
    let insecure = otlp.or("insecure", false);
    for key in ["compression", "timeout", "temporality_preference", "default_histogram_aggregation"] {
        otlp.accepted(key, "the SDK's defaults are used");
    }
    let headers = headers(&mut otlp);
    let endpoint = otlp.required::<String>("endpoint")?;
    let endpoint = match (endpoint.contains("://"), insecure) {
        (true, _) => endpoint,
        (false, true) => format!("http://{endpoint}"),
        (false, false) => format!("https://{endpoint}"),
    };
    Some(OtlpTarget { endpoint, headers })
}

/// A mapping, or the newer list of `{ name, value }`.
fn headers(otlp: &mut Section) -> BTreeMap<String, Secret> {
    let is_list = otlp.value("headers").is_some_and(|node| node.entries().is_empty() && !node.is_null());
    if !is_list {
        return otlp.or("headers", BTreeMap::new());
    }
    let pairs = otlp.list("headers").into_iter().filter_map(|mut header| {
        let (name, value) = (header.required("name"), header.required("value"));
        name.zip(value)
    });
    pairs.collect()
}

/// `name: value` for each attribute, or the newer `attributes: [{ name, value }]`.
fn read_resource(mut resource: Section) -> BTreeMap<String, Option<String>> {
    if resource.has("attributes") {
        resource.accepted("schema_url", "our own is used");
        let pairs = resource.list("attributes").into_iter().filter_map(|mut attribute| {
            attribute.accepted("type", "every attribute is a text");
            attribute.required("name").map(|name| (name, attribute.get("value")))
        });
        return pairs.collect();
    }
    let names = resource.keys().map(str::to_owned).collect::<Vec<_>>();
    let values = names.into_iter().map(|name| {
        let value = resource.get::<Node>(&name).and_then(|node| node.text().map(str::to_owned));
        (name, value)
    });
    values.collect()
}
