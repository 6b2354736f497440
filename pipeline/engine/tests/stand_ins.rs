//! Components for tests.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use prost::Message;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::batch::{Batch, Signal, TimeLimits};
use crate::component::*;
use crate::config::Pipeline;
use crate::engine::{Engine, Plan, Planned, Runtime, Status};
use crate::log::{Log, Options, Position};

/// `n` log records whose bodies are `name`.
pub fn logs(name: &str, n: usize) -> Batch {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    let body = AnyValue { value: Some(Value::StringValue(name.to_owned())) };
    let record = LogRecord { body: Some(body), ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record; n], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let bytes = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    Batch::from_otlp(Signal::Logs, bytes.into()).unwrap()
}

/// Log records of these times and bodies.
pub fn logs_at(records: &[(SystemTime, &str)]) -> Batch {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    let record = |(time, name): &(SystemTime, &str)| LogRecord {
        time_unix_nano: time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64,
        body: Some(AnyValue { value: Some(Value::StringValue((*name).to_owned())) }),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: records.iter().map(record).collect(), ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let bytes = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    Batch::from_otlp(Signal::Logs, bytes.into()).unwrap()
}

/// The bodies in a batch of logs, without repetition.
pub fn names(batch: &Batch) -> Vec<String> {
    if batch.signal() != Signal::Logs {
        return Vec::new();
    }
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let request = ExportLogsServiceRequest::decode(batch.otlp().clone()).unwrap();
    let mut names: Vec<String> = (request.resource_logs.iter())
        .flat_map(|resource| &resource.scope_logs)
        .flat_map(|scope| &scope.log_records)
        .filter_map(|record| match record.body.as_ref()?.value.as_ref()? {
            Value::StringValue(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    names.dedup();
    names
}

type Answer = Result<(), ExportError>;

/// Answers from its script, then always with `then`; remembers what it took.
pub struct Scripted {
    pub script: Mutex<VecDeque<Answer>>,
    pub then: Mutex<Answer>,
    /// Attempts wait here while it is closed.
    pub gate: watch::Sender<bool>,
    pub taken: Mutex<Vec<(Vec<String>, usize, Position)>>,
    pub attempts: AtomicUsize,
    pub at_once: AtomicUsize,
    pub most_at_once: AtomicUsize,
    pub changed: Notify,
    pub shut_down: AtomicBool,
    pub durable: Option<watch::Sender<Position>>,
    pub accepts: Option<watch::Sender<TimeLimits>>,
    pub settings: Mutex<ExporterSettings>,
    pub builds: AtomicUsize,
}

impl Scripted {
    pub fn new() -> Arc<Scripted> {
        Arc::new(Scripted::plain())
    }

    pub fn plain() -> Scripted {
        let retry = Retry { randomization_factor: 0.0, ..Retry::default() };
        Scripted {
            script: Mutex::default(),
            then: Mutex::new(Ok(())),
            gate: watch::channel(true).0,
            taken: Mutex::default(),
            attempts: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            changed: Notify::new(),
            shut_down: AtomicBool::new(false),
            durable: None,
            accepts: None,
            settings: Mutex::new(ExporterSettings {
                timeout: Duration::from_secs(5),
                retry,
                num_consumers: 1,
                on_full: OnFull::Block,
            }),
            builds: AtomicUsize::new(0),
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().flat_map(|(names, ..)| names.clone()).collect()
    }

    pub fn sizes(&self) -> Vec<usize> {
        self.taken.lock().unwrap().iter().map(|(_, items, _)| *items).collect()
    }

    pub fn items(&self) -> usize {
        self.sizes().iter().sum()
    }

    /// Waits until it has taken so many items; with a paused clock, time runs as far as it has to.
    pub async fn took(&self, items: usize) {
        self.until(|this| this.items() >= items).await;
    }

    pub async fn attempted(&self, attempts: usize) {
        self.until(|this| this.attempts.load(Ordering::SeqCst) >= attempts).await;
    }

    async fn until(&self, reached: impl Fn(&Scripted) -> bool) {
        loop {
            let changed = self.changed.notified();
            if reached(self) {
                return;
            }
            tokio::time::timeout(Duration::from_secs(86_400), changed).await.expect("it never came");
        }
    }
}

pub fn transient() -> Answer {
    Err(ExportError::Transient { retry_after: None, reason: "not now".to_owned() })
}

struct Handle(Arc<Scripted>);

#[async_trait]
impl Exporter for Handle {
    async fn export(&self, batch: &Batch, at: Position) -> Answer {
        let this = &self.0;
        this.attempts.fetch_add(1, Ordering::SeqCst);
        let now = this.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        this.most_at_once.fetch_max(now, Ordering::SeqCst);
        this.changed.notify_waiters();
        let _guard = Leave(this);
        let _ = this.gate.subscribe().wait_for(|open| *open).await;
        let scripted = this.script.lock().unwrap().pop_front();
        let answer = scripted.unwrap_or_else(|| this.then.lock().unwrap().clone());
        if let Err(ExportError::Permanent { reason }) = &answer
            && reason == "panic"
        {
            panic!("as told");
        }
        if answer.is_ok() || matches!(answer, Err(ExportError::Partial { .. })) {
            this.taken.lock().unwrap().push((names(batch), batch.items(), at));
            this.changed.notify_waiters();
        }
        answer
    }

    fn durable(&self) -> Option<watch::Receiver<Position>> {
        self.0.durable.as_ref().map(watch::Sender::subscribe)
    }

    fn accepts(&self) -> Option<watch::Receiver<TimeLimits>> {
        self.0.accepts.as_ref().map(watch::Sender::subscribe)
    }

    async fn shutdown(&self) -> anyhow::Result<()> {
        self.0.shut_down.store(true, Ordering::SeqCst);
        if let Some(durable) = &self.0.durable {
            let last = self.0.taken.lock().unwrap().last().map_or(0, |(.., at)| *at);
            durable.send_replace(last);
        }
        Ok(())
    }
}

struct Leave<'a>(&'a Scripted);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

struct ScriptedPlan(Arc<Scripted>);

#[async_trait]
impl ExporterPlan for ScriptedPlan {
    fn settings(&self) -> ExporterSettings {
        self.0.settings.lock().unwrap().clone()
    }

    async fn build(&self, _: Context) -> anyhow::Result<Arc<dyn Exporter>> {
        self.0.builds.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(Handle(self.0.clone())))
    }
}

/// Gives its outlet to the test when it runs.
pub struct Door {
    outlets: mpsc::UnboundedSender<Outlet>,
    /// Something that only one can hold at a time, like a port.
    port: Arc<AtomicBool>,
    broken: bool,
}

struct Open {
    outlets: mpsc::UnboundedSender<Outlet>,
    port: Arc<AtomicBool>,
}

#[async_trait]
impl ReceiverPlan for Door {
    async fn build(&self, _: Context) -> anyhow::Result<Box<dyn Receiver>> {
        anyhow::ensure!(!self.broken, "it cannot be built");
        anyhow::ensure!(!self.port.swap(true, Ordering::SeqCst), "the port is taken");
        Ok(Box::new(Open { outlets: self.outlets.clone(), port: self.port.clone() }))
    }
}

#[async_trait]
impl Receiver for Open {
    async fn run(self: Box<Self>, outlet: Outlet, shutdown: CancellationToken) -> anyhow::Result<()> {
        let _ = self.outlets.send(outlet);
        shutdown.cancelled().await;
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.port.store(false, Ordering::SeqCst);
    }
}

/// Refuses while told to, else lets everything through.
pub struct Guard(pub Arc<AtomicBool>);

impl Processor for Guard {
    fn process(&mut self, batch: Batch, _: SystemTime, out: &mut Vec<Batch>) -> Result<(), Refused> {
        if self.0.load(Ordering::SeqCst) {
            return Err(Refused::Busy { retry_after: Duration::from_secs(7), reason: "told to".to_owned() });
        }
        out.push(batch);
        Ok(())
    }
}

struct ProcessorStandIn(Box<dyn Fn() -> Stage + Send + Sync>);

impl ProcessorPlan for ProcessorStandIn {
    fn build(&self, _: Context) -> anyhow::Result<Stage> {
        Ok((self.0)())
    }
}

/// Builds plans: pipelines of logs over stand-ins.
#[derive(Clone, Default)]
pub struct Wiring {
    pub plan: Plan,
}

impl Wiring {
    pub fn exporter(mut self, id: &str, fingerprint: u64, exporter: &Arc<Scripted>) -> Wiring {
        let plan = Arc::new(ScriptedPlan(exporter.clone()));
        self.plan.exporters.push(Planned { id: id.to_owned(), kind: "scripted", fingerprint, plan });
        self
    }

    pub fn processor(mut self, id: &str, build: impl Fn() -> Stage + Send + Sync + 'static) -> Wiring {
        let plan = Arc::new(ProcessorStandIn(Box::new(build)));
        self.plan.processors.push(Planned { id: id.to_owned(), kind: "stand_in", fingerprint: 1, plan });
        self
    }

    pub fn pipeline(mut self, id: &str, receivers: &[&str], processors: &[&str], exporters: &[&str]) -> Wiring {
        let own = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        self.plan.pipelines.push(Pipeline {
            id: id.to_owned(),
            signal: Signal::Logs,
            receivers: own(receivers),
            processors: own(processors),
            exporters: own(exporters),
        });
        self
    }
}

/// Where the test sends, and what its receivers share.
pub struct Bench {
    pub log: Log,
    outlets: mpsc::UnboundedReceiver<Outlet>,
    sender: mpsc::UnboundedSender<Outlet>,
    port: Arc<AtomicBool>,
}

impl Bench {
    pub fn new(log_bytes: u64) -> Bench {
        let (sender, outlets) = mpsc::unbounded_channel();
        let log = Log::in_memory(Options { max_bytes: log_bytes, ..Options::default() });
        Bench { log, outlets, sender, port: Arc::default() }
    }

    pub fn over(log: Log) -> Bench {
        Bench { log, ..Bench::new(1 << 20) }
    }

    /// As [`Bench::runtime`], for a log that survives.
    pub fn durable(&self) -> Runtime {
        Runtime { log_path: Some("log".to_owned()), ..self.runtime() }
    }

    pub fn door(&self, broken: bool) -> Arc<Door> {
        Arc::new(Door { outlets: self.sender.clone(), port: self.port.clone(), broken })
    }

    pub fn receiver(&self, mut wiring: Wiring, id: &str, fingerprint: u64, broken: bool) -> Wiring {
        let plan = self.door(broken);
        wiring.plan.receivers.push(Planned { id: id.to_owned(), kind: "door", fingerprint, plan });
        wiring
    }

    pub fn runtime(&self) -> Runtime {
        let (memory, admission) = (Arc::<MemoryGauge>::default(), Arc::new(Admission::new(1 << 20)));
        Runtime {
            status: Status::new(memory.clone(), admission.clone()),
            log: self.log.clone(),
            log_path: None,
            log_limit_bytes: 0,
            offers: Offers::default(),
            memory,
            admission,
        }
    }

    /// With a receiver `in`, a pipeline `logs` and what `wiring` has.
    pub async fn start(&mut self, wiring: Wiring) -> (Engine, Outlet) {
        let wiring = self.receiver(wiring, "in", 1, false);
        let engine = Engine::start(wiring.plan, self.runtime()).await.unwrap();
        let outlet = self.outlet().await;
        (engine, outlet)
    }

    /// Until the engine that had this cursor is gone.
    pub async fn closed(&self, cursor: &str) {
        while self.log.backlogs().iter().any(|backlog| *backlog.cursor == *cursor && backlog.open) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub async fn outlet(&mut self) -> Outlet {
        self.outlets.recv().await.unwrap()
    }
}
