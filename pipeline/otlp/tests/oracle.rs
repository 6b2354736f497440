//! prost's reading of a request, flattened to one text a row, in our tables' order.
//!
//! What may differ after a round trip is made the same here: attributes are sorted by key (stably, at every level), an
//! absent value of an attribute is an empty one, an absent resource, scope or status is a default one, references into
//! the string table of profiles are absent, and groups without items are nothing.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, metric::Data};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::{DecodeError, Message};

use crate::batch::Signal;

pub(super) fn rows_of(signal: Signal, bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
    match signal {
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes).map(metrics),
        Signal::Logs | Signal::Alerts => ExportLogsServiceRequest::decode(bytes).map(logs),
        Signal::Traces => ExportTraceServiceRequest::decode(bytes).map(traces),
    }
}

/// Items that trace.proto and metrics.proto call invalid.
pub(super) fn invalid_items(signal: Signal, bytes: &[u8]) -> Result<usize, DecodeError> {
    let there = |id: &[u8]| id.iter().any(|byte| *byte != 0);
    Ok(match signal {
        Signal::Logs | Signal::Alerts => 0,
        Signal::Traces => (ExportTraceServiceRequest::decode(bytes)?.resource_spans.iter())
            .flat_map(|group| &group.scope_spans)
            .flat_map(|group| &group.spans)
            .filter(|span| !there(&span.trace_id) || !there(&span.span_id))
            .count(),
        Signal::Metrics => (ExportMetricsServiceRequest::decode(bytes)?.resource_metrics.iter())
            .flat_map(|group| &group.scope_metrics)
            .flat_map(|group| &group.metrics)
            .filter_map(|metric| if let Some(Data::Histogram(data)) = &metric.data { Some(data) } else { None })
            .flat_map(|data| &data.data_points)
            .map(|point| (point.bucket_counts.len(), point.explicit_bounds.len()))
            .filter(|(counts, bounds)| *counts != bounds + 1 && (*counts, *bounds) != (0, 0))
            .count(),
    })
}

/// Of a point its time, of a record its time or else the time it was observed, of a span its start.
pub(super) fn item_times(signal: Signal, bytes: &[u8]) -> Result<Vec<u64>, DecodeError> {
    Ok(match signal {
        Signal::Logs | Signal::Alerts => (ExportLogsServiceRequest::decode(bytes)?.resource_logs.iter())
            .flat_map(|group| group.scope_logs.iter().flat_map(|group| &group.log_records))
            .map(
                |record| {
                    if record.time_unix_nano == 0 { record.observed_time_unix_nano } else { record.time_unix_nano }
                },
            )
            .collect(),
        Signal::Traces => (ExportTraceServiceRequest::decode(bytes)?.resource_spans.iter())
            .flat_map(|group| group.scope_spans.iter().flat_map(|group| &group.spans))
            .map(|span| span.start_time_unix_nano)
            .collect(),
        Signal::Metrics => (ExportMetricsServiceRequest::decode(bytes)?.resource_metrics.iter())
            .flat_map(|group| group.scope_metrics.iter().flat_map(|group| &group.metrics))
            .flat_map(|metric| match &metric.data {
                Some(Data::Gauge(data)) => data.data_points.iter().map(|point| point.time_unix_nano).collect(),
                Some(Data::Sum(data)) => data.data_points.iter().map(|point| point.time_unix_nano).collect(),
                Some(Data::Histogram(data)) => data.data_points.iter().map(|point| point.time_unix_nano).collect(),
                Some(Data::ExponentialHistogram(data)) => data.data_points.iter().map(|p| p.time_unix_nano).collect(),
                Some(Data::Summary(data)) => data.data_points.iter().map(|point| point.time_unix_nano).collect(),
                None => Vec::new(),
            })
            .collect(),
    })
}

fn any(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::ArrayValue(list)) => list.values.iter_mut().for_each(any),
        Some(Value::KvlistValue(map)) => set(&mut map.values),
        Some(Value::StringValueStrindex(_)) => value.value = None,
        _ => {}
    }
}

fn set(entries: &mut [KeyValue]) {
    for entry in entries.iter_mut() {
        entry.key_strindex = 0;
        any(entry.value.get_or_insert_default());
    }
    entries.sort_by(|a, b| a.key.as_bytes().cmp(b.key.as_bytes()));
}

fn resource(resource: Option<Resource>) -> Resource {
    let mut resource = resource.unwrap_or_default();
    set(&mut resource.attributes);
    resource
}

fn scope(scope: Option<InstrumentationScope>) -> InstrumentationScope {
    let mut scope = scope.unwrap_or_default();
    set(&mut scope.attributes);
    scope
}

fn logs(request: ExportLogsServiceRequest) -> Vec<String> {
    let mut rows = Vec::new();
    for group in request.resource_logs {
        let from = (resource(group.resource), group.schema_url);
        for group in group.scope_logs {
            let within = (scope(group.scope), group.schema_url);
            for mut record in group.log_records {
                set(&mut record.attributes);
                record.body.iter_mut().for_each(any);
                rows.push(format!("{from:?} {within:?} {record:?}"));
            }
        }
    }
    rows
}

fn traces(request: ExportTraceServiceRequest) -> Vec<String> {
    let mut rows = Vec::new();
    for group in request.resource_spans {
        let from = (resource(group.resource), group.schema_url);
        for group in group.scope_spans {
            let within = (scope(group.scope), group.schema_url);
            for mut span in group.spans {
                set(&mut span.attributes);
                span.events.iter_mut().for_each(|event| set(&mut event.attributes));
                span.links.iter_mut().for_each(|link| set(&mut link.attributes));
                span.status.get_or_insert_default();
                rows.push(format!("{from:?} {within:?} {span:?}"));
            }
        }
    }
    rows
}

fn exemplars(exemplars: &mut [Exemplar]) {
    exemplars.iter_mut().for_each(|exemplar| set(&mut exemplar.filtered_attributes));
}

fn metrics(request: ExportMetricsServiceRequest) -> Vec<String> {
    let mut tables = [const { Vec::new() }; 4];
    for group in request.resource_metrics {
        let from = (resource(group.resource), group.schema_url);
        for group in group.scope_metrics {
            let within = (scope(group.scope), group.schema_url);
            for metric in group.metrics {
                let (table, rows) = points(metric);
                tables[table].extend(rows.into_iter().map(|row| format!("{from:?} {within:?} {row}")));
            }
        }
    }
    tables.concat()
}

fn points(mut metric: Metric) -> (usize, Vec<String>) {
    set(&mut metric.metadata);
    macro_rules! points {
        ($data:ident, $table:literal, $canonical:expr) => {{
            let mut points = std::mem::take(&mut $data.data_points);
            points.iter_mut().for_each(|point| set(&mut point.attributes));
            points.iter_mut().for_each($canonical);
            ($table, points.into_iter().map(|point| format!("{point:?}")).collect::<Vec<_>>())
        }};
    }
    let (table, points) = match &mut metric.data {
        None => (0, Vec::new()),
        Some(Data::Gauge(data)) => points!(data, 0, |point| exemplars(&mut point.exemplars)),
        Some(Data::Sum(data)) => points!(data, 0, |point| exemplars(&mut point.exemplars)),
        Some(Data::Histogram(data)) => points!(data, 1, |point| exemplars(&mut point.exemplars)),
        Some(Data::ExponentialHistogram(data)) => points!(data, 2, |point| exemplars(&mut point.exemplars)),
        Some(Data::Summary(data)) => points!(data, 3, |_| ()),
    };
    (table, points.into_iter().map(|point| format!("{metric:?} {point}")).collect())
}
