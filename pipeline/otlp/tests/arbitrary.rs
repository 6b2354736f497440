//! Requests made from a string of bytes, every field included; when the bytes run out, everything is zero.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::*;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};

pub(super) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub fn new(seed: &'a [u8]) -> Self {
        Source(seed)
    }

    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn pick(&mut self, below: u8) -> u8 {
        self.byte() % below
    }

    fn option<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.pick(2) == 1).then(|| make(self))
    }

    fn many<T>(&mut self, most: u8, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.pick(most + 1);
        (0..count).map(|_| make(self)).collect()
    }

    fn u64(&mut self) -> u64 {
        match self.pick(6) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << 63,
            3 => u64::from(self.byte()),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn u32(&mut self) -> u32 {
        self.u64() as u32
    }

    fn i32(&mut self) -> i32 {
        self.u64() as i32
    }

    fn f64(&mut self) -> f64 {
        match self.pick(9) {
            0 => 0.0,
            1 => -0.0,
            2 => f64::NAN,
            3 => f64::INFINITY,
            4 => f64::NEG_INFINITY,
            5 => f64::from(self.byte()),
            6 => f64::MIN_POSITIVE / 2.0,
            _ => f64::from_bits(self.u64()),
        }
    }

    fn text(&mut self) -> String {
        const PARTS: [&str; 16] = [
            "",
            "a",
            "service.name",
            "$",
            "$bytes",
            "é",
            "\u{1F600}",
            "\"",
            "\\",
            "\n",
            "\u{0}",
            "\u{1f}",
            "{}",
            "zz",
            "\u{7f}",
            "a string of more than sixty-four bytes, which is where the other UTF-8 check takes over, é",
        ];
        self.many(3, |source| PARTS[usize::from(source.pick(16))]).concat()
    }

    fn id(&mut self, len: usize) -> Vec<u8> {
        self.option(|source| (0..len).map(|_| source.byte()).collect()).unwrap_or_default()
    }

    fn any(&mut self, depth: u8) -> AnyValue {
        use any_value::Value::*;
        let kinds = if depth == 0 { 7 } else { 9 };
        let value = match self.pick(kinds) {
            0 => None,
            1 => Some(StringValue(self.text())),
            2 => Some(BoolValue(self.pick(2) == 1)),
            3 => Some(IntValue(self.u64() as i64)),
            4 => Some(DoubleValue(self.f64())),
            5 => Some(BytesValue(self.many(5, Self::byte))),
            6 => Some(StringValueStrindex(self.i32())),
            7 => Some(ArrayValue(self::ArrayValue { values: self.many(3, |source| source.any(depth - 1)) })),
            _ => Some(KvlistValue(KeyValueList { values: self.set(depth - 1) })),
        };
        AnyValue { value }
    }

    fn set(&mut self, depth: u8) -> Vec<KeyValue> {
        self.many(4, |source| KeyValue {
            key: source.text(),
            value: source.option(|source| source.any(depth)),
            key_strindex: if source.pick(8) == 7 { source.i32() } else { 0 },
        })
    }

    fn resource(&mut self) -> Resource {
        Resource {
            attributes: self.set(3),
            dropped_attributes_count: self.u32(),
            entity_refs: self.many(2, |source| EntityRef {
                schema_url: source.text(),
                r#type: source.text(),
                id_keys: source.many(2, Self::text),
                description_keys: source.many(2, Self::text),
            }),
        }
    }

    fn scope(&mut self) -> InstrumentationScope {
        InstrumentationScope {
            name: self.text(),
            version: self.text(),
            attributes: self.set(1),
            dropped_attributes_count: self.u32(),
        }
    }

    pub fn logs(&mut self) -> ExportLogsServiceRequest {
        let resource_logs = self.many(3, |source| ResourceLogs {
            resource: source.option(Self::resource),
            schema_url: source.text(),
            scope_logs: source.many(3, |source| ScopeLogs {
                scope: source.option(Self::scope),
                schema_url: source.text(),
                log_records: source.many(4, Self::record),
            }),
        });
        ExportLogsServiceRequest { resource_logs }
    }

    fn record(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.u64(),
            observed_time_unix_nano: self.u64(),
            severity_number: self.i32(),
            severity_text: self.text(),
            body: self.option(|source| source.any(3)),
            attributes: self.set(3),
            dropped_attributes_count: self.u32(),
            flags: self.u32(),
            trace_id: self.id(16),
            span_id: self.id(8),
            event_name: self.text(),
        }
    }

    pub fn traces(&mut self) -> ExportTraceServiceRequest {
        let resource_spans = self.many(3, |source| ResourceSpans {
            resource: source.option(Self::resource),
            schema_url: source.text(),
            scope_spans: source.many(3, |source| ScopeSpans {
                scope: source.option(Self::scope),
                schema_url: source.text(),
                spans: source.many(4, Self::span),
            }),
        });
        ExportTraceServiceRequest { resource_spans }
    }

    fn span(&mut self) -> Span {
        Span {
            trace_id: self.id(16),
            span_id: self.id(8),
            trace_state: self.text(),
            parent_span_id: self.id(8),
            flags: self.u32(),
            name: self.text(),
            kind: self.i32(),
            start_time_unix_nano: self.u64(),
            end_time_unix_nano: self.u64(),
            attributes: self.set(3),
            dropped_attributes_count: self.u32(),
            events: self.many(2, |source| span::Event {
                time_unix_nano: source.u64(),
                name: source.text(),
                attributes: source.set(1),
                dropped_attributes_count: source.u32(),
            }),
            dropped_events_count: self.u32(),
            links: self.many(2, |source| span::Link {
                trace_id: source.id(16),
                span_id: source.id(8),
                trace_state: source.text(),
                attributes: source.set(1),
                dropped_attributes_count: source.u32(),
                flags: source.u32(),
            }),
            dropped_links_count: self.u32(),
            status: self.option(|source| Status { message: source.text(), code: source.i32() }),
        }
    }

    pub fn metrics(&mut self) -> ExportMetricsServiceRequest {
        let resource_metrics = self.many(3, |source| ResourceMetrics {
            resource: source.option(Self::resource),
            schema_url: source.text(),
            scope_metrics: source.many(2, |source| ScopeMetrics {
                scope: source.option(Self::scope),
                schema_url: source.text(),
                metrics: source.many(4, Self::metric),
            }),
        });
        ExportMetricsServiceRequest { resource_metrics }
    }

    fn metric(&mut self) -> Metric {
        use metric::Data;
        let data = match self.pick(6) {
            0 => None,
            1 => Some(Data::Gauge(Gauge { data_points: self.many(3, Self::number) })),
            2 => Some(Data::Sum(Sum {
                data_points: self.many(3, Self::number),
                aggregation_temporality: self.i32(),
                is_monotonic: self.pick(2) == 1,
            })),
            3 => Some(Data::Histogram(Histogram {
                data_points: self.many(2, Self::histogram),
                aggregation_temporality: self.i32(),
            })),
            4 => Some(Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.many(2, Self::exponential_histogram),
                aggregation_temporality: self.i32(),
            })),
            _ => Some(Data::Summary(Summary { data_points: self.many(2, Self::summary) })),
        };
        Metric { name: self.text(), description: self.text(), unit: self.text(), metadata: self.set(1), data }
    }

    fn exemplar(&mut self) -> Exemplar {
        Exemplar {
            filtered_attributes: self.set(1),
            time_unix_nano: self.u64(),
            span_id: self.id(8),
            trace_id: self.id(16),
            value: match self.pick(3) {
                0 => None,
                1 => Some(exemplar::Value::AsDouble(self.f64())),
                _ => Some(exemplar::Value::AsInt(self.u64() as i64)),
            },
        }
    }

    fn number(&mut self) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.set(2),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            exemplars: self.many(2, Self::exemplar),
            flags: self.u32(),
            value: match self.pick(3) {
                0 => None,
                1 => Some(number_data_point::Value::AsDouble(self.f64())),
                _ => Some(number_data_point::Value::AsInt(self.u64() as i64)),
            },
        }
    }

    fn histogram(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.set(2),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.option(Self::f64),
            bucket_counts: self.many(5, Self::u64),
            explicit_bounds: self.many(5, Self::f64),
            exemplars: self.many(2, Self::exemplar),
            flags: self.u32(),
            min: self.option(Self::f64),
            max: self.option(Self::f64),
        }
    }

    fn buckets(&mut self) -> Buckets {
        Buckets { offset: self.i32(), bucket_counts: self.many(5, Self::u64) }
    }

    fn exponential_histogram(&mut self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes: self.set(2),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.option(Self::f64),
            scale: self.i32(),
            zero_count: self.u64(),
            positive: self.option(Self::buckets),
            negative: self.option(Self::buckets),
            flags: self.u32(),
            exemplars: self.many(2, Self::exemplar),
            min: self.option(Self::f64),
            max: self.option(Self::f64),
            zero_threshold: self.f64(),
        }
    }

    fn summary(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.set(2),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.f64(),
            quantile_values: self.many(3, |source| ValueAtQuantile { quantile: source.f64(), value: source.f64() }),
            flags: self.u32(),
        }
    }
}

/// `metrics` gauges of one resource with the same `series` points each.
pub(super) fn steady_metrics(metrics: usize, series: usize) -> ExportMetricsServiceRequest {
    let text = |key: &str, value: String| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(value)) }),
        ..Default::default()
    };
    let point = |i: usize| NumberDataPoint {
        attributes: vec![text("cpu", i.to_string()), text("state", "idle".into())],
        time_unix_nano: 1_700_000_000_000_000_000,
        value: Some(number_data_point::Value::AsDouble(0.5)),
        ..Default::default()
    };
    let metric = |i: usize| Metric {
        name: format!("system.cpu.utilization.{i}"),
        unit: "1".into(),
        data: Some(metric::Data::Gauge(Gauge { data_points: (0..series).map(point).collect() })),
        ..Default::default()
    };
    let scope = InstrumentationScope { name: "scope".into(), version: "1.0".into(), ..Default::default() };
    let resource = Resource { attributes: vec![text("service.name", "shop".into())], ..Default::default() };
    let metrics = (0..metrics).map(metric).collect();
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..Default::default() }];
    let group = ResourceMetrics { resource: Some(resource), scope_metrics, ..Default::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![group] }
}
