//! Own metrics as Prometheus text (exposition format 0.0.4), names by OpenTelemetry's Prometheus compatibility rules:
//! dots become underscores, units are words at the end, totals end in `_total`, the resource is `target_info`.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};

type Collect = Arc<dyn Fn() -> anyhow::Result<String> + Send + Sync>;

pub fn router(collect: Collect) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(collect)
}

async fn scrape(State(collect): State<Collect>) -> Response {
    match collect() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

/// Exponential histograms have no text form and are left out; this process makes none.
pub fn text(metrics: &ResourceMetrics) -> String {
    let mut families = BTreeMap::new();
    let resource = metrics.resource().iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let resource = resource.collect::<Vec<_>>();
    let mut info = Family::new("gauge", "What this process is");
    info.sample("target_info", &labels(&mut resource.iter()), 1);
    families.insert("target_info".to_owned(), info);
    for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
        let (name, unit, help) = (metric.name(), metric.unit(), metric.description());
        let family = match metric.data() {
            AggregatedMetrics::F64(data) => family(name, unit, help, data),
            AggregatedMetrics::U64(data) => family(name, unit, help, data),
            AggregatedMetrics::I64(data) => family(name, unit, help, data),
        };
        // Two instruments whose names become the same: the first is kept, as a family may be there only once.
        if let Some((name, family)) = family {
            families.entry(name).or_insert(family);
        }
    }
    let mut out = String::with_capacity(16 << 10);
    for (name, family) in families {
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {}\n{}", family.kind, family.samples);
    }
    out
}

struct Family {
    kind: &'static str,
    help: String,
    samples: String,
}

impl Family {
    fn new(kind: &'static str, help: &str) -> Family {
        Family { kind, help: help.to_owned(), samples: String::new() }
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.samples, "{name} {value}"),
            _ => writeln!(self.samples, "{name}{{{labels}}} {value}"),
        };
    }
}

fn family<T: Copy + Display>(name: &str, unit: &str, help: &str, data: &MetricData<T>) -> Option<(String, Family)> {
    match data {
        MetricData::Gauge(gauge) => {
            let name = if unit == "1" { suffixed(clean(name), "ratio") } else { with_unit(name, unit) };
            let mut family = Family::new("gauge", help);
            gauge.data_points().for_each(|p| family.sample(&name, &labels(&mut p.attributes()), p.value()));
            Some((name, family))
        }
        MetricData::Sum(sum) => {
            let (kind, name) = match sum.is_monotonic() {
                true => ("counter", suffixed(with_unit(name, unit), "total")),
                false => ("gauge", with_unit(name, unit)),
            };
            let mut family = Family::new(kind, help);
            sum.data_points().for_each(|p| family.sample(&name, &labels(&mut p.attributes()), p.value()));
            Some((name, family))
        }
        MetricData::Histogram(histogram) => {
            let name = with_unit(name, unit);
            let mut family = Family::new("histogram", help);
            for point in histogram.data_points() {
                let labels = labels(&mut point.attributes());
                let comma = if labels.is_empty() { "" } else { "," };
                let mut below = 0;
                let bounds = point.bounds().map(|bound| bound.to_string()).chain(["+Inf".to_owned()]);
                for (bound, count) in bounds.zip(point.bucket_counts()) {
                    below += count;
                    family.sample(&format!("{name}_bucket"), &format!("{labels}{comma}le=\"{bound}\""), below);
                }
                family.sample(&format!("{name}_sum"), &labels, point.sum());
                family.sample(&format!("{name}_count"), &labels, point.count());
            }
            Some((name, family))
        }
        MetricData::ExponentialHistogram(_) => None,
    }
}

fn with_unit(name: &str, unit: &str) -> String {
    let word = match unit {
        "s" => "seconds",
        "ms" => "milliseconds",
        "By" => "bytes",
        "%" => "percent",
        // Annotations such as {item} and the dimensionless 1 are not part of a name.
        _ => "",
    };
    suffixed(clean(name), word)
}

fn suffixed(name: String, suffix: &str) -> String {
    if suffix.is_empty() || name.ends_with(&format!("_{suffix}")) { name } else { format!("{name}_{suffix}") }
}

fn clean(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name = name.chars().map(fits).collect::<String>();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// Keys that become the same are joined by `;`, as the compatibility rules say.
fn labels(attributes: &mut dyn Iterator<Item = &KeyValue>) -> String {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for attribute in attributes {
        let value = attribute.value.as_str();
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        joined
            .entry(clean(attribute.key.as_str()))
            .and_modify(|known| {
                known.push(';');
                known.push_str(&value);
            })
            .or_insert(value);
    }
    joined.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect::<Vec<_>>().join(",")
}
