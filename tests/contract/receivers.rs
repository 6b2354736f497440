//! Every receiver: taking data, hearing "later", stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use catchment_pipeline::batch::Batch;
use catchment_pipeline::component::{Accept, Accepted, Offers, Outlet, ReceiverSpec, Refused};
use catchment_pipeline::config::Section;
use catchment_receivers::internal_telemetry::OwnMetrics;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::data::batch;

/// Takes batches, or refuses them for now.
struct Taker {
    refuses: bool,
    asked: watch::Sender<usize>,
    items: AtomicUsize,
}

#[async_trait]
impl Accept for Taker {
    async fn accept(&self, batch: Batch) -> Result<Accepted, Refused> {
        self.asked.send_modify(|asked| *asked += 1);
        if self.refuses {
            return Err(Refused::Busy { retry_after: Duration::from_secs(3), reason: "told to".to_owned() });
        }
        self.items.fetch_add(batch.items(), Ordering::SeqCst);
        Ok(Accepted::default())
    }
}

struct Running {
    taker: Arc<Taker>,
    addresses: Vec<(&'static str, SocketAddr)>,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

async fn start(spec: &'static ReceiverSpec, refuses: bool) -> Running {
    let plan = (spec.plan)(&mut Section::parse(crate::example("receiver", spec.kind)));
    let mut offers = Offers::default();
    offers.put(Arc::new(OwnMetrics::new(|| Ok(batch(catchment_pipeline::batch::Signal::Metrics, 3).otlp().clone()))));
    let receiver = plan.build(crate::context(spec.kind, offers)).await.unwrap();
    let taker = Arc::new(Taker { refuses, asked: watch::channel(0).0, items: AtomicUsize::new(0) });
    let shutdown = CancellationToken::new();
    let addresses = receiver.addresses();
    let task = tokio::spawn(receiver.run(Outlet::new(taker.clone()), shutdown.clone()));
    Running { taker, addresses, shutdown, task }
}

impl Running {
    fn http(&self) -> Option<SocketAddr> {
        self.addresses.iter().find(|(protocol, _)| *protocol == "http").map(|(_, address)| *address)
    }

    /// Those that listen are sent something; the others have something to say by themselves.
    async fn feed(&self, spec: &ReceiverSpec) -> Option<reqwest::Response> {
        let address = self.http()?;
        let signal = spec.signals[0];
        let request = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = request.post(format!("http://{address}/v1/{}", signal.name()));
        let request = request.header("content-type", "application/x-protobuf").body(batch(signal, 5).otlp().clone());
        Some(request.send().await.unwrap())
    }

    async fn asked(&self, kind: &str) {
        let mut asked = self.taker.asked.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(20), asked.wait_for(|asked| *asked > 0)).await;
        assert!(waited.is_ok(), "{kind} sent nothing");
    }

    async fn stop(self, kind: &str) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.task).await;
        ended.unwrap_or_else(|_| panic!("{kind} does not stop")).unwrap().unwrap();
        for (_, address) in self.addresses {
            assert!(tokio::net::TcpStream::connect(address).await.is_err(), "{kind} still listens");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_comes_through_and_the_sender_hears_so() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for spec in catchment_receivers::SPECS {
        let running = start(spec, false).await;
        if let Some(answer) = running.feed(spec).await {
            assert!(answer.status().is_success(), "{}: {answer:?}", spec.kind);
            assert_eq!(running.taker.items.load(Ordering::SeqCst), 5, "{}", spec.kind);
        }
        running.asked(spec.kind).await;
        running.stop(spec.kind).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn back_pressure_reaches_the_sender_and_ends_nothing() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for spec in catchment_receivers::SPECS {
        let running = start(spec, true).await;
        if let Some(answer) = running.feed(spec).await {
            assert!([429, 503].contains(&answer.status().as_u16()), "{}: {answer:?}", spec.kind);
            assert_eq!(answer.headers()["retry-after"], "3", "{}", spec.kind);
        }
        running.asked(spec.kind).await;
        assert!(!running.task.is_finished(), "{} gave up", spec.kind);
        running.stop(spec.kind).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_at_once_is_fine() {
    for spec in catchment_receivers::SPECS {
        start(spec, false).await.stop(spec.kind).await;
    }
}
