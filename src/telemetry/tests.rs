#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::sync::atomic::{AtomicU64, Ordering};

use catchment_dashboard::{HttpServer, Limits};
use catchment_pipeline::component::{Admission, MemoryGauge};
use catchment_pipeline::engine::Status;
use catchment_pipeline::engine::status::{Receiver, Refusals, Snapshot, State};
use catchment_storage::{LakeStats, TableStats};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value};

use super::*;

fn snapshot(accepted: u64) -> Snapshot {
    let status = Status::new(Arc::new(MemoryGauge::default()), Arc::new(Admission::new(1 << 20)));
    let otlp = Receiver {
        id: "otlp/\"front\"".into(),
        kind: "otlp".into(),
        state: State::Running,
        pipelines: Vec::new(),
        addresses: Vec::new(),
        accepted_items: accepted,
        accepted_per_second: 0.0,
        refused_items: 3,
        refused_by_reason: Refusals { busy: 1, too_old: 2, ..Refusals::default() },
        last_error: None,
    };
    Snapshot { receivers: vec![otlp], ..status.snapshot() }
}

/// A telemetry whose receiver has accepted what the counter says.
async fn watched() -> (Telemetry, Arc<AtomicU64>) {
    let telemetry = Telemetry::start(&config::Telemetry::default()).await.unwrap();
    let accepted = Arc::new(AtomicU64::new(7));
    let seen = accepted.clone();
    let table = TableStats { name: "metrics", hot_rows: 5, file_bytes: 1 << 40, ..TableStats::default() };
    let lake = LakeStats { tables: vec![table], ..LakeStats::default() };
    telemetry.observe(Sources {
        status: Arc::new(move || snapshot(seen.load(Ordering::SeqCst))),
        lake: Some(Arc::new(move || lake.clone())),
    });
    (telemetry, accepted)
}

/// Held against the exposition format's grammar, line by line: families whole, once, typed before their samples.
fn parse(text: &str) -> Vec<(String, f64)> {
    let mut families = std::collections::BTreeSet::new();
    let mut samples = Vec::new();
    let mut family = String::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (keyword, subject, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or(""));
            assert!(is_name(subject), "{line}");
            match keyword {
                "HELP" => {
                    assert!(families.insert(subject.to_owned()), "{subject} comes twice");
                    family = subject.to_owned();
                }
                "TYPE" => assert!(family == subject && ["counter", "gauge", "histogram"].contains(&rest), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let bare = series.split('{').next().unwrap();
        let suffixes = ["", "_bucket", "_sum", "_count"];
        assert!(suffixes.iter().any(|suffix| bare.strip_suffix(suffix) == Some(&family)), "{line} in {family}");
        assert!(is_name(bare) && (bare == series || series.ends_with("\"}")), "{line}");
        samples.push((series.to_owned(), value.parse().unwrap()));
    }
    samples
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

fn value(samples: &[(String, f64)], series: &str) -> f64 {
    samples.iter().find(|(name, _)| name == series).unwrap_or_else(|| panic!("{series} in {samples:#?}")).1
}

#[tokio::test]
async fn a_scrape_says_what_the_status_says_and_moves_with_it() {
    let (telemetry, accepted) = watched().await;
    // The client wants one, also where nothing is encrypted; another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = HttpServer::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", server.address());
    let shutdown = CancellationToken::new();
    let serve = server.run(telemetry.prometheus(), Limits::default(), shutdown.clone());
    let look = async {
        let response = reqwest::get(&url).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        let first = parse(&response.text().await.unwrap());
        let series = r#"catchment_receiver_accepted_total{component_id="otlp/\"front\"",component_kind="otlp"}"#;
        assert_eq!(value(&first, series), 7.0);
        assert_eq!(value(&first, r#"catchment_lake_file_size_bytes{table="metrics"}"#), (1_u64 << 40) as f64);
        assert!(value(&first, r#"process_cpu_time_seconds_total{cpu_mode="user"}"#) >= 0.0);
        let info = first.iter().find(|(name, _)| name.starts_with("target_info{")).unwrap();
        assert!(info.0.contains(r#"service_name="catchment""#), "{info:?}");

        accepted.store(50, Ordering::SeqCst);
        // A collection is one snapshot for 100 ms: ask until the next one.
        let mut seen = 7.0;
        for _ in 0..100 {
            seen = value(&parse(&reqwest::get(&url).await.unwrap().text().await.unwrap()), series);
            if seen != 7.0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(seen, 50.0);
        shutdown.cancel();
    };
    tokio::join!(serve, look);
}

#[tokio::test]
async fn own_metrics_are_otlp_that_a_receiver_sends_on() {
    let (telemetry, _) = watched().await;
    let offers = {
        let mut offers = catchment_pipeline::component::Offers::default();
        offers.put(Arc::new(telemetry.own_metrics().unwrap()));
        offers
    };
    let own = offers.get::<OwnMetrics>().unwrap();
    let request = ExportMetricsServiceRequest::decode(own.collect().unwrap()).unwrap();
    let resource = request.resource_metrics[0].resource.as_ref().unwrap();
    assert!(resource.attributes.iter().any(|attribute| attribute.key == "service.instance.id"));
    let mut metrics = request.resource_metrics[0].scope_metrics.iter().flat_map(|scope| &scope.metrics);
    let accepted = metrics.find(|metric| metric.name == "catchment.receiver.accepted").unwrap();
    let Some(Data::Sum(sum)) = &accepted.data else { panic!("{accepted:?}") };
    assert!(sum.is_monotonic && accepted.unit == "{item}");
    assert_eq!(sum.data_points[0].value, Some(Value::AsInt(7)));
}

#[tokio::test]
async fn without_metrics_there_is_nothing_to_collect() {
    let off = config::Telemetry { metrics: false, ..config::Telemetry::default() };
    assert!(Telemetry::start(&off).await.unwrap().own_metrics().is_none());
}

fn target(yaml: &str) -> config::Telemetry {
    let mut service = catchment_pipeline::config::Section::parse(yaml);
    let telemetry = config::Telemetry::read(service.section("telemetry").unwrap());
    assert_eq!(service.mistakes(), Vec::<String>::new());
    telemetry
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_down_does_not_stop_the_start() {
    let settings = target(
        "telemetry: { traces: { processors: [{ batch: { exporter: { otlp: { endpoint: 'http://127.0.0.1:1' } } } }] } }",
    );
    let telemetry = Telemetry::start(&settings).await.unwrap();
    assert!(telemetry.tracer().is_some());
    telemetry.shutdown().await;
}

#[tokio::test]
async fn a_destination_that_cannot_be_used_stops_it() {
    let wrong = target(
        "telemetry: { metrics: { readers: [{ periodic: { exporter: { otlp: { endpoint: 'https://127.0.0.1:1', \
         certificate: /nonexistent.pem } } } }] } }",
    );
    let error = Telemetry::start(&wrong).await.err().unwrap();
    let shown = format!("{error:#}");
    assert!(shown.contains("service::telemetry::metrics") && shown.contains("/nonexistent.pem"), "{shown}");
}
