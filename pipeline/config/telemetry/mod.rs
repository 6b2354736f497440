//! `service::telemetry`: what the process says about itself, in the Collector's shape.

mod otlp;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use otlp::{OtlpTarget, Protocol, Temporality};

use super::node::Node;
use super::section::Section;

#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    pub log_level: LogLevel,
    pub log_encoding: Encoding,
    /// False: no metrics about the process itself are made (`level: none`).
    pub metrics: bool,
    /// Where Prometheus reads the metrics, `host:port`; empty for nowhere.
    pub prometheus: Vec<String>,
    /// Where metrics are pushed to. At most one destination has a temporality other than cumulative.
    pub metric_exports: Vec<MetricExport>,
    /// Where spans are pushed to; empty: none are made.
    pub trace_exports: Vec<SpanExport>,
    /// Share of the traces that is made, 0 to 1.
    pub trace_ratio: f64,
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

#[derive(Clone, Debug, PartialEq)]
pub struct MetricExport {
    pub interval: Duration,
    pub temporality: Temporality,
    pub target: OtlpTarget,
}

/// Spans leave in batches.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanExport {
    /// A span waits this long for others.
    pub schedule_delay: Duration,
    /// More than this many waiting are dropped.
    pub max_queue_size: usize,
    pub max_batch_size: usize,
    pub target: OtlpTarget,
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
            trace_ratio: 1.0,
            resource: BTreeMap::new(),
        }
    }
}

impl Telemetry {
    pub fn read(mut section: Section) -> Telemetry {
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
                self.read_periodic(&mut periodic);
            }
        }
        if !self.metrics {
            self.prometheus.clear();
            self.metric_exports.clear();
        }
    }

    fn read_periodic(&mut self, periodic: &mut Section) {
        let millis = periodic.or("interval", 60_000);
        if millis < 100 {
            periodic.mistake("interval", format!("{millis} ms is too short"), "write 100 or more, e.g. 60000");
        }
        let timeout = periodic.get("timeout").map(Duration::from_millis);
        let Some(mut otlp) = otlp::exporter_of(periodic) else { return };
        let temporality = otlp::temporality(&mut otlp);
        if temporality != Temporality::Cumulative
            && self.metric_exports.iter().any(|other| other.temporality == temporality)
        {
            let what = "another reader has this temporality already: what one is told, the other would miss";
            otlp.mistake("temporality_preference", what, "write cumulative here or there");
        }
        let Some(mut target) = OtlpTarget::read(&mut otlp) else { return };
        target.timeout = timeout.map_or(target.timeout, |timeout| timeout.min(target.timeout));
        self.metric_exports.push(MetricExport { interval: Duration::from_millis(millis), temporality, target });
    }

    fn read_traces(&mut self, mut traces: Section) {
        let levels = ["none", "basic", "normal", "detailed"].map(|level| (level, level != "none"));
        let enabled = traces.choice("level", &levels).unwrap_or(true);
        traces.accepted("propagators", "no trace comes in from elsewhere, or goes on there");
        traces.accepted("limits", "spans about the process itself have a handful of attributes");
        if let Some(sampler) = traces.section("sampler") {
            self.trace_ratio = ratio(sampler);
        }
        for mut processor in traces.list("processors") {
            for kind in ["batch", "simple"] {
                if let Some(mut inner) = processor.section(kind) {
                    self.trace_exports.extend(span_export(&mut inner, kind == "batch"));
                }
            }
        }
        if !enabled {
            self.trace_exports.clear();
        }
    }
}

/// A trace begins here and ends here: what a sampler says about parents elsewhere never comes up.
fn ratio(mut sampler: Section) -> f64 {
    let on = sampler.section("always_on").map(|_| 1.0);
    let off = sampler.section("always_off").map(|_| 0.0);
    let share = sampler.section("trace_id_ratio_based").map(|mut section| {
        let ratio = section.or("ratio", 1.0);
        if !(0.0..=1.0).contains(&ratio) {
            section.mistake("ratio", "it is a share of all traces", "write a number from 0 to 1");
        }
        ratio
    });
    let parent_based = sampler.section("parent_based").map(|mut section| {
        for key in
            ["remote_parent_sampled", "remote_parent_not_sampled", "local_parent_sampled", "local_parent_not_sampled"]
        {
            section.accepted(key, "a span does as its parent does, and every parent is here");
        }
        section.section("root").map_or(1.0, ratio)
    });
    on.or(off).or(share).or(parent_based).unwrap_or(1.0)
}

fn span_export(section: &mut Section, batch: bool) -> Option<SpanExport> {
    let mut export_timeout = None;
    let (mut schedule_delay, mut max_queue_size, mut max_batch_size) = (5_000, 2_048, 512);
    if batch {
        schedule_delay = section.or("schedule_delay", schedule_delay);
        export_timeout = section.get("export_timeout").map(Duration::from_millis);
        max_queue_size = section.or("max_queue_size", max_queue_size);
        max_batch_size = section.or("max_export_batch_size", max_batch_size);
        for (key, size) in [("max_queue_size", max_queue_size), ("max_export_batch_size", max_batch_size)] {
            if !(1..=1 << 20).contains(&size) {
                section.mistake(key, format!("{size} spans cannot be held"), "write a number from 1 to 1048576");
            }
        }
    }
    let mut otlp = otlp::exporter_of(section)?;
    let mut target = OtlpTarget::read(&mut otlp)?;
    target.timeout = export_timeout.map_or(target.timeout, |timeout| timeout.min(target.timeout));
    let schedule_delay = Duration::from_millis(schedule_delay);
    Some(SpanExport { schedule_delay, max_queue_size, max_batch_size, target })
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
