#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::sync::atomic::{AtomicUsize, Ordering};

use catchment_pipeline::component::{Accept, Accepted, Admission, Offers};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point::Value,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

fn context(offers: Offers) -> Context {
    Context {
        id: "internal_telemetry".into(),
        offers,
        admission: Arc::new(Admission::new(1 << 20)),
        ..Context::default()
    }
}

fn one_point() -> Bytes {
    let point = NumberDataPoint { value: Some(Value::AsInt(7)), ..Default::default() };
    let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
    let metric = Metric { name: "catchment.log.size".into(), data, ..Default::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..Default::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..Default::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }.encode_to_vec().into()
}

/// Refuses the first batch, and hands on the others.
struct Busy(AtomicUsize, mpsc::UnboundedSender<Batch>);

#[async_trait]
impl Accept for Busy {
    async fn accept(&self, batch: Batch) -> Result<Accepted, Refused> {
        if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(Refused::Busy { retry_after: Duration::from_secs(1), reason: "full".into() });
        }
        self.1.send(batch).unwrap();
        Ok(Accepted::default())
    }
}

#[tokio::test(start_paused = true)]
async fn sends_every_interval_also_after_a_failure_and_a_refusal_and_stops() {
    let mut offers = Offers::default();
    // The first collection fails, the second is refused.
    let collections = AtomicUsize::new(0);
    offers.put(Arc::new(OwnMetrics::new(move || match collections.fetch_add(1, Ordering::SeqCst) {
        0 => anyhow::bail!("not now"),
        _ => Ok(one_point()),
    })));
    let mut section = Section::parse("collection_interval: 10s");
    let receiver = plan(&mut section).build(context(offers)).await.unwrap();
    let (sender, mut batches) = mpsc::unbounded_channel();
    let shutdown = CancellationToken::new();
    let outlet = Outlet::new(Arc::new(Busy(AtomicUsize::new(0), sender)));
    let started = tokio::time::Instant::now();
    let running = tokio::spawn(receiver.run(outlet, shutdown.clone()));
    for n in 2..=3 {
        let batch = timeout(Duration::from_secs(60), batches.recv()).await.unwrap().unwrap();
        assert_eq!((batch.signal(), batch.items()), (Signal::Metrics, 1));
        assert_eq!(started.elapsed().as_secs(), 10 * n);
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn says_how_to_turn_own_metrics_on() {
    let mut section = Section::parse("{}");
    let error = plan(&mut section).build(context(Offers::default())).await.err().unwrap();
    assert!(format!("{error:#}").contains("service.telemetry.metrics.level"), "{error:#}");
}
