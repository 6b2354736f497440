#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::config::Secret;

/// What `yaml` says, its mistakes and its remarks.
fn read(yaml: &str) -> (Telemetry, Vec<String>, Vec<String>) {
    // Reading takes the section; what it found stays in the report that both share.
    let mut whole = Section::parse(&format!("telemetry: {yaml}"));
    let telemetry = Telemetry::read(whole.section("telemetry").unwrap());
    (telemetry, whole.mistakes(), whole.remarks())
}

/// Every key that the Collector's documentation has for pushing, and what becomes of it.
#[test]
fn every_key_of_a_destination_is_carried_out() {
    let (telemetry, mistakes, remarks) = read(
        "
  metrics:
    readers:
    - periodic:
        interval: 5000
        timeout: 3000
        exporter:
          otlp:
            protocol: http/protobuf
            endpoint: https://otlp.example/v1/metrics
            headers: [{ name: x-tenant, value: shop }]
            headers_list: 'x-key=secret, x-tenant=other'
            compression: gzip
            timeout: 7000
            certificate: ca.pem
            client_certificate: cert.pem
            client_key: key.pem
            temporality_preference: delta
            default_histogram_aggregation: explicit_bucket_histogram
  traces:
    sampler: { parent_based: { root: { trace_id_ratio_based: { ratio: 0.25 } } } }
    processors:
    - batch:
        schedule_delay: 1000
        export_timeout: 2000
        max_queue_size: 100
        max_export_batch_size: 50
        exporter: { otlp: { endpoint: 'localhost:4317', insecure: true, headers: { a: b } } }",
    );
    assert_eq!((mistakes, remarks), (vec![], vec![]));
    let headers = [("x-key", "secret"), ("x-tenant", "shop")].map(|(k, v)| (k.to_owned(), Secret(v.to_owned())));
    let target = OtlpTarget {
        protocol: Protocol::HttpProtobuf,
        endpoint: "https://otlp.example/v1/metrics".into(),
        headers: headers.into(),
        gzip: true,
        timeout: Duration::from_secs(3),
        ca_file: Some("ca.pem".into()),
        cert_file: Some("cert.pem".into()),
        key_file: Some("key.pem".into()),
    };
    let interval = Duration::from_secs(5);
    assert_eq!(telemetry.metric_exports, [MetricExport { interval, temporality: Temporality::Delta, target }]);
    assert_eq!(telemetry.trace_ratio, 0.25);
    let [export] = telemetry.trace_exports.as_slice() else { panic!("{:?}", telemetry.trace_exports) };
    assert_eq!((export.schedule_delay.as_secs(), export.max_queue_size, export.max_batch_size), (1, 100, 50));
    assert_eq!((export.target.protocol, export.target.timeout.as_secs()), (Protocol::Grpc, 2));
    assert_eq!(export.target.endpoint, "http://localhost:4317");
}

#[test]
fn samplers() {
    let check = |sampler: &str, ratio: f64| {
        let (telemetry, mistakes, _) = read(&format!("{{ traces: {{ sampler: {{ {sampler} }} }} }}"));
        assert_eq!((telemetry.trace_ratio, mistakes), (ratio, vec![]), "{sampler}");
    };
    check("always_on: ", 1.0);
    check("always_off: {}", 0.0);
    check("trace_id_ratio_based: { ratio: 0.5 }", 0.5);
    check("parent_based: { root: { always_off: } }", 0.0);
    check("parent_based: {}", 1.0);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let metrics = |otlp: &str| {
        format!("{{ metrics: {{ readers: [{{ periodic: {{ exporter: {{ otlp: {{ {otlp} }} }} }} }}] }} }}")
    };
    let spans = |inner: &str| format!("{{ traces: {{ processors: [{{ batch: {{ {inner} }} }}] }} }}");
    let delta = "periodic: { exporter: { otlp: { endpoint: 'a:1', temporality_preference: delta } } }";
    for (yaml, expect) in [
        (metrics("protocol: carrier/pigeon, endpoint: 'http://a:1'"), "\"carrier/pigeon\" is not one of the choices"),
        (metrics("protocol: http/protobuf, endpoint: 'a:1'"), "`a:1` is not a URL"),
        (metrics("endpoint: 'unix:///run/x'"), "is not spoken to here"),
        (
            metrics("endpoint: 'a:1', default_histogram_aggregation: base2_exponential_bucket_histogram"),
            "explicit buckets",
        ),
        (metrics("endpoint: 'a:1', compression: zstd"), "\"zstd\" is not one of the choices"),
        (metrics("endpoint: 'a:1', timeout: 0"), "in no time"),
        (metrics("endpoint: 'a:1', client_key: k"), "go together"),
        (metrics("endpoint: 'a:1', headers_list: 'x'"), "a header has no value"),
        (metrics("headers: {}"), "\"endpoint\" is required"),
        (format!("{{ metrics: {{ readers: [{{ {delta} }}, {{ {delta} }}] }} }}"), "has this temporality already"),
        ("{ metrics: { readers: [{ periodic: { interval: 5 } }] } }".to_owned(), "5 ms is too short"),
        ("{ metrics: { readers: [{ periodic: { exporter: { console: {} } } }] } }".to_owned(), "no exporter here"),
        (spans("max_queue_size: 0, exporter: { otlp: { endpoint: 'a:1' } }"), "0 spans cannot be held"),
        (spans(""), "it has no exporter"),
        ("{ traces: { sampler: { trace_id_ratio_based: { ratio: 2 } } } }".to_owned(), "a number from 0 to 1"),
        ("{ traces: { sampler: { jaeger_remote: {} } } }".to_owned(), "jaeger_remote"),
    ] {
        let (_, mistakes, _) = read(&yaml);
        assert!(mistakes.iter().any(|mistake| mistake.contains(expect)), "{yaml}: {mistakes:#?}");
    }
}
