//! The real Collector's hostmetrics and ours, side by side on this machine, with the same configuration: what a
//! metric is called, its unit, its kind and the keys of its attributes must agree, and values that hardly move too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

#[path = "../../tests/common/peers.rs"]
mod peers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catchment_pipeline::batch::Batch;
use catchment_pipeline::component::{Accept, Accepted, Admission, Context, Outlet, Refused};
use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, metric::Data, number_data_point::Value};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Metrics that are off unless enabled, by scraper. The Collector has them all on Linux; `process.handles` gives
/// nothing here in either.
const OPTIONAL: &[(&str, &[&str])] = &[
    ("cpu", &["system.cpu.utilization", "system.cpu.physical.count", "system.cpu.frequency"]),
    (
        "memory",
        &[
            "system.memory.utilization",
            "system.memory.limit",
            "system.memory.page_size",
            "system.linux.memory.available",
            "system.linux.memory.dirty",
            "system.memory.linux.shared",
            "system.memory.linux.hugepages.limit",
            "system.memory.linux.hugepages.page_size",
            "system.memory.linux.hugepages.reserved",
            "system.memory.linux.hugepages.surplus",
            "system.memory.linux.hugepages.usage",
            "system.memory.linux.hugepages.utilization",
        ],
    ),
    ("filesystem", &["system.filesystem.utilization"]),
    ("network", &["system.network.conntrack.count", "system.network.conntrack.max"]),
    ("paging", &["system.paging.utilization"]),
    (
        "process",
        &[
            "process.cpu.utilization",
            "process.memory.utilization",
            "process.disk.operations",
            "process.paging.faults",
            "process.threads",
            "process.open_file_descriptors",
            "process.context_switches",
            "process.signals_pending",
            "process.uptime",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn default_metrics_are_the_collectors() {
    compare(&yaml(false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn optional_metrics_are_the_collectors() {
    compare(&yaml(true)).await;
}

async fn compare(config: &str) {
    let Some(program) = peers::collector() else { return };
    let (theirs, ours) = tokio::join!(collector(&program, config), catchment(config));
    let (their_view, our_view) = (View::of(&theirs), View::of(&ours));
    assert!(their_view.metrics.len() >= 25, "{their_view:?}");
    assert_eq!(our_view.metrics, their_view.metrics);

    // The two documented differences: we name the host ourselves, and a process without a path or a command has no
    // attribute of it, where the Collector has an empty one.
    let named = ["host.name", "os.type"].map(str::to_owned).into();
    assert_eq!(our_view.resource_keys, &their_view.resource_keys | &named);

    for name in
        ["system.memory.limit", "system.cpu.logical.count", "system.cpu.physical.count", "system.memory.page_size"]
    {
        assert_eq!(our_view.values.get(name), their_view.values.get(name), "{name}");
    }
    for (name, tolerance) in [("system.uptime", 10.0), ("system.memory.usage", 4e9), ("system.processes.created", 1e4)]
    {
        if let (Some(ours), Some(theirs)) = (our_view.values.get(name), their_view.values.get(name)) {
            assert!((ours - theirs).abs() <= tolerance, "{name}: {ours} here, {theirs} there");
        }
    }
}

/// The shared configuration, with every optional metric enabled if asked for.
fn yaml(optional: bool) -> String {
    let plain = include_str!("../../tests/peers/collector/hostmetrics.yaml");
    if !optional {
        return plain.to_owned();
    }
    let mut text = String::new();
    for line in plain.lines() {
        text.push_str(line);
        text.push('\n');
        let scraper = line.strip_prefix("      ").and_then(|line| line.strip_suffix(':'));
        if let Some((_, metrics)) = OPTIONAL.iter().find(|(name, _)| Some(*name) == scraper) {
            text.push_str("        metrics:\n");
            metrics.iter().for_each(|metric| text.push_str(&format!("          {metric}: {{ enabled: true }}\n")));
        }
    }
    text
}

/// What is compared of a few scrapes.
#[derive(Debug, Default)]
struct View {
    /// Unit, kind and attribute keys by name.
    metrics: BTreeMap<String, (String, String, BTreeSet<String>)>,
    resource_keys: BTreeSet<String>,
    /// The sum of a metric's points in the last scrape.
    values: BTreeMap<String, f64>,
}

impl View {
    fn of(requests: &[ExportMetricsServiceRequest]) -> View {
        let mut view = View::default();
        for request in requests {
            view.values.clear();
            for resource in &request.resource_metrics {
                view.resource_keys.extend(keys(&resource.resource.clone().unwrap_or_default().attributes));
                for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                    let (kind, points) = match metric.data.as_ref().unwrap() {
                        Data::Gauge(gauge) => ("gauge".to_owned(), &gauge.data_points),
                        Data::Sum(sum) => {
                            let temporality = AggregationTemporality::try_from(sum.aggregation_temporality).unwrap();
                            (
                                format!("sum, {}, monotonic: {}", temporality.as_str_name(), sum.is_monotonic),
                                &sum.data_points,
                            )
                        }
                        other => panic!("{}: {other:?}", metric.name),
                    };
                    for point in points {
                        let (number, value) = match point.value.unwrap() {
                            Value::AsInt(value) => ("int", value as f64),
                            Value::AsDouble(value) => ("double", value),
                        };
                        *view.values.entry(metric.name.clone()).or_default() += value;
                        let seen = view.metrics.entry(metric.name.clone());
                        let seen = seen.or_insert((metric.unit.clone(), format!("{kind}, {number}"), BTreeSet::new()));
                        seen.2.extend(keys(&point.attributes));
                    }
                }
            }
        }
        view
    }
}

fn keys(attributes: &[KeyValue]) -> impl Iterator<Item = String> {
    attributes.iter().map(|attribute| attribute.key.clone())
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The Collector's first scrapes, from its file exporter. Three, since shares of time need a scrape before.
async fn collector(program: &Path, config: &str) -> Vec<ExportMetricsServiceRequest> {
    let folder = tempfile::tempdir().unwrap();
    let (yaml, output) = (folder.path().join("config.yaml"), folder.path().join("output.json"));
    std::fs::write(&yaml, config).unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut child = Running(
        Command::new(program)
            .arg("--config")
            .arg(&yaml)
            .env("PEER_OUTPUT", &output)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let text = std::fs::read_to_string(&output).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        if whole.lines().count() >= 3 {
            return whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        let ended = child.0.try_wait().unwrap();
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(ended.is_none() && Instant::now() < deadline, "the Collector ({ended:?}) wrote {whole}\n{}", log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Our first scrapes, with the same section of the same configuration.
async fn catchment(config: &str) -> Vec<ExportMetricsServiceRequest> {
    struct Sink(mpsc::Sender<Batch>);

    #[async_trait::async_trait]
    impl Accept for Sink {
        async fn accept(&self, batch: Batch) -> Result<Accepted, Refused> {
            let _ = self.0.send(batch).await;
            Ok(Accepted::default())
        }
    }

    let spec = catchment_receivers::SPECS.iter().find(|spec| spec.aliases.contains(&"hostmetrics")).unwrap();
    let mut whole = Section::parse(config);
    let mut section = whole.section("receivers").unwrap().section("hostmetrics").unwrap();
    let plan = (spec.plan)(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    let context =
        Context { id: "hostmetrics".into(), admission: Arc::new(Admission::new(1 << 30)), ..Context::default() };
    let receiver = plan.build(context).await.unwrap();
    let (sender, mut batches) = mpsc::channel(8);
    let shutdown = CancellationToken::new();
    let run = tokio::spawn(receiver.run(Outlet::new(Arc::new(Sink(sender))), shutdown.clone()));
    let mut requests = Vec::new();
    while requests.len() < 3 {
        let batch = tokio::time::timeout(Duration::from_secs(60), batches.recv()).await.unwrap().unwrap();
        requests.push(ExportMetricsServiceRequest::decode(batch.otlp().clone()).unwrap());
    }
    shutdown.cancel();
    run.await.unwrap().unwrap();
    requests
}
