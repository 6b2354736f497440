#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod grpc;
mod http;
mod plan;
mod tls;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{Accept, Accepted, Admission, Context, Outlet, Receiver, ReceiverPlan, Refused};
use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::read;

/// Stands for the engine: keeps what it is given, or refuses.
#[derive(Default)]
struct Pipeline {
    taken: Mutex<Vec<(Signal, Vec<u8>)>>,
    refuse: Mutex<Option<Refused>>,
    /// What it says of batches that it takes.
    accepted: Mutex<Accepted>,
    /// Held: batches wait for it.
    gate: tokio::sync::RwLock<()>,
}

#[async_trait]
impl Accept for Pipeline {
    async fn accept(&self, batch: Batch) -> Result<Accepted, Refused> {
        let _open = self.gate.read().await;
        if let Some(refused) = self.refuse.lock().unwrap().clone() {
            return Err(refused);
        }
        self.taken.lock().unwrap().push((batch.signal(), batch.otlp().to_vec()));
        Ok(self.accepted.lock().unwrap().clone())
    }
}

struct Running {
    pipeline: Arc<Pipeline>,
    admission: Arc<Admission>,
    grpc: String,
    http: String,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    fn taken(&self) -> Vec<(Signal, Vec<u8>)> {
        self.pipeline.taken.lock().unwrap().clone()
    }

    fn reject(&self, rejected: usize, reason: &str) {
        *self.pipeline.accepted.lock().unwrap() = Accepted { rejected, reason: reason.to_owned() };
    }

    fn refuse(&self, refused: Refused) {
        *self.pipeline.refuse.lock().unwrap() = Some(refused);
    }

    /// Nothing that was reserved is still held.
    fn assert_released(&self) {
        assert!(self.admission.admit(ADMITTED).is_ok(), "a finished request still holds its reservation");
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.task).await.expect("stops").unwrap().unwrap();
    }
}

const ADMITTED: usize = 64 << 20;

async fn start(yaml: &str) -> Running {
    start_with(yaml, ADMITTED).await
}

async fn start_with(yaml: &str, admitted: usize) -> Running {
    let mut section = Section::parse(yaml);
    let plan = read(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    let admission = Arc::new(Admission::new(admitted as u64));
    let context = Context { id: "otlp".into(), admission: admission.clone(), ..Context::default() };
    let receiver: Box<dyn Receiver> = plan.build(context).await.unwrap();
    let addresses = receiver.addresses();
    let address = |name| addresses.iter().find(|(n, _)| *n == name).map(|(_, at)| at.to_string()).unwrap_or_default();
    let (grpc, http) = (address("grpc"), address("http"));
    let pipeline = Arc::new(Pipeline::default());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(receiver.run(Outlet::new(pipeline.clone()), shutdown.clone()));
    Running { pipeline, admission, grpc, http, shutdown, task }
}

const BOTH: &str = "protocols: { grpc: { endpoint: 'localhost:0' }, http: { endpoint: 'localhost:0' } }";

fn logs(body: &str) -> ExportLogsServiceRequest {
    let body = AnyValue { value: Some(Value::StringValue(body.to_owned())) };
    let record = LogRecord { time_unix_nano: 7, body: Some(body), ..Default::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..Default::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] }
}

fn bytes_of(body: &str) -> Vec<u8> {
    logs(body).encode_to_vec()
}
