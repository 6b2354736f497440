//! Batches as text: a line an item (as the Collector's `normal`), or all of it as indented OTLP/JSON.
//! Objects are made here, and only here: this is for eyes, not for speed.

use std::fmt::{self, Display, Write};

use catchment_pipeline::batch::Signal;
use catchment_pipeline::otlp::json;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric::Data, number_data_point};
use prost::Message;

pub(super) fn detailed(signal: Signal, bytes: &[u8]) -> String {
    let mut text = Vec::new();
    let printed = json::print(signal, bytes, &mut text).map_err(|error| error.to_string());
    let value = printed.and_then(|()| serde_json::from_slice(&text).map_err(|error| error.to_string()));
    match value.map(|value: serde_json::Value| format!("{value:#}\n")) {
        Ok(text) => text,
        Err(error) => format!("cannot be shown: {error}\n"),
    }
}

pub(super) fn normal(signal: Signal, bytes: &[u8]) -> String {
    let mut out = String::new();
    let written = match signal {
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes).map(|request| metrics(&request, &mut out)),
        Signal::Logs | Signal::Alerts => {
            ExportLogsServiceRequest::decode(bytes).map(|request| logs(&request, &mut out))
        }
        Signal::Traces => ExportTraceServiceRequest::decode(bytes).map(|request| traces(&request, &mut out)),
    };
    match written {
        Ok(_) => out,
        Err(error) => format!("cannot be shown: {error}\n"),
    }
}

fn metrics(request: &ExportMetricsServiceRequest, out: &mut String) -> fmt::Result {
    for resource in &request.resource_metrics {
        let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        writeln!(out, "resource{}", Pairs(attributes))?;
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            points(metric, out)?;
        }
    }
    Ok(())
}

fn points(metric: &Metric, out: &mut String) -> fmt::Result {
    let name = Plain(&metric.name);
    match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.iter().try_for_each(|point| number(&name, point, out)),
        Some(Data::Sum(sum)) => sum.data_points.iter().try_for_each(|point| number(&name, point, out)),
        Some(Data::Histogram(histogram)) => histogram.data_points.iter().try_for_each(|point| {
            write!(out, "  {name}{} count={} sum={:?}", Pairs(&point.attributes), point.count, point.sum)?;
            let bounds = point.explicit_bounds.iter().map(|bound| format!("le{bound}"));
            for (bound, count) in bounds.chain(["leInf".to_owned()]).zip(&point.bucket_counts) {
                write!(out, " {bound}={count}")?;
            }
            writeln!(out)
        }),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.iter().try_for_each(|point| {
            let (count, sum, scale) = (point.count, point.sum, point.scale);
            writeln!(out, "  {name}{} count={count} sum={sum:?} scale={scale}", Pairs(&point.attributes))
        }),
        Some(Data::Summary(summary)) => summary.data_points.iter().try_for_each(|point| {
            write!(out, "  {name}{} count={} sum={}", Pairs(&point.attributes), point.count, point.sum)?;
            point.quantile_values.iter().try_for_each(|q| write!(out, " q{}={}", q.quantile, q.value))?;
            writeln!(out)
        }),
        None => writeln!(out, "  {name} without data"),
    }
}

fn number(name: &Plain, point: &NumberDataPoint, out: &mut String) -> fmt::Result {
    let attributes = Pairs(&point.attributes);
    match point.value {
        Some(number_data_point::Value::AsInt(value)) => writeln!(out, "  {name}{attributes} {value}"),
        Some(number_data_point::Value::AsDouble(value)) => writeln!(out, "  {name}{attributes} {value:?}"),
        None => writeln!(out, "  {name}{attributes} no value"),
    }
}

fn logs(request: &ExportLogsServiceRequest, out: &mut String) -> fmt::Result {
    for resource in &request.resource_logs {
        let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        writeln!(out, "resource{}", Pairs(attributes))?;
        for record in resource.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            let body = Any(record.body.as_ref());
            writeln!(out, "  {} {body}{}", Plain(&record.severity_text), Pairs(&record.attributes))?;
        }
    }
    Ok(())
}

fn traces(request: &ExportTraceServiceRequest, out: &mut String) -> fmt::Result {
    for resource in &request.resource_spans {
        let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        writeln!(out, "resource{}", Pairs(attributes))?;
        for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
            let (trace, id) = (Hex(&span.trace_id), Hex(&span.span_id));
            let took = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) as f64 / 1e6;
            writeln!(out, "  {} {trace} {id} {took}ms{}", Plain(&span.name), Pairs(&span.attributes))?;
        }
    }
    Ok(())
}

struct Pairs<'a>(&'a [KeyValue]);

impl Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|pair| write!(f, " {}={}", Plain(&pair.key), Any(pair.value.as_ref())))
    }
}

/// A sender's text, unable to end the line or to move the terminal's cursor.
struct Plain<'a>(&'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => f.write_char(c),
        })
    }
}

struct Any<'a>(Option<&'a AnyValue>);

impl Display for Any<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.and_then(|any| any.value.as_ref()) {
            None => Ok(()),
            Some(Value::StringValue(text)) => Plain(text).fmt(f),
            Some(Value::BoolValue(value)) => write!(f, "{value}"),
            Some(Value::IntValue(value)) => write!(f, "{value}"),
            Some(Value::DoubleValue(value)) => write!(f, "{value:?}"),
            Some(Value::BytesValue(bytes)) => Hex(bytes).fmt(f),
            Some(Value::ArrayValue(list)) => {
                f.write_char('[')?;
                for (place, value) in list.values.iter().enumerate() {
                    write!(f, "{}{}", if place > 0 { ", " } else { "" }, Any(Some(value)))?;
                }
                f.write_char(']')
            }
            Some(Value::KvlistValue(map)) => write!(f, "{{{} }}", Pairs(&map.values)),
            Some(_) => f.write_char('?'),
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
