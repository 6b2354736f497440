//! What a component is: a [`Spec`] that plans its YAML purely, a plan that opens things, and the traits
//! the engine drives. The engine owns retry, queueing, order and shutdown; a component makes one attempt.

mod encoding;
mod occasionally;
mod relay;
mod settings;
pub mod tls;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

pub use encoding::Encoding;
pub use occasionally::Occasionally;
pub use relay::{Out, Relay, Tally};
pub use settings::{ExporterSettings, Grouping, OnFull, Retry};

use crate::batch::{Batch, Signal, TimeLimits};
use crate::config::Section;
use crate::log::Position;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    Alpha,
    Beta,
    Stable,
}

/// A component, as a value in its crate's one sorted list.
pub struct Spec<P: ?Sized + 'static> {
    /// Its name in YAML, e.g. `otlp_http`.
    pub kind: &'static str,
    /// Other names it answers to, e.g. `otlphttp`.
    pub aliases: &'static [&'static str],
    /// One line for `catchment components`.
    pub summary: &'static str,
    pub signals: &'static [Signal],
    pub stability: Stability,
    /// Turns YAML into a checked plan: no file, socket or clock. Every mistake goes into the section;
    /// what is returned beside mistakes is never built.
    pub plan: fn(&mut Section) -> Box<P>,
}

pub type ReceiverSpec = Spec<dyn ReceiverPlan>;
pub type ProcessorSpec = Spec<dyn ProcessorPlan>;
pub type ExporterSpec = Spec<dyn ExporterPlan>;
/// Its `signals` are those of pipelines it ends; what it puts out is of [`ConnectorPlan::puts_out`].
pub type ConnectorSpec = Spec<dyn ConnectorPlan>;
/// What is not a stage of a pipeline: the lake, the dashboard. Its spec carries no signal.
pub type ExtensionSpec = Spec<dyn ExtensionPlan>;

/// A checked extension. The binary, which lists the extensions, knows their types and builds them:
/// `(plan as &dyn Any).downcast_ref::<LakePlan>()`.
pub trait ExtensionPlan: Any + Send + Sync {}

/// What a plan may reach when it is built.
#[derive(Clone, Default)]
pub struct Context {
    /// The component's full id, `otlp/front`.
    pub id: String,
    /// What extensions offer to components, by type (the lake, for one).
    pub offers: Offers,
    pub memory: Arc<MemoryGauge>,
    pub admission: Arc<Admission>,
    /// What a processor takes out and puts in.
    pub tally: Arc<Tally>,
}

/// Values that extensions hand to components, found by their type.
#[derive(Clone, Default)]
pub struct Offers(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Offers {
    pub fn put<T: Any + Send + Sync>(&mut self, value: Arc<T>) {
        self.0.insert(TypeId::of::<T>(), value);
    }

    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.get(&TypeId::of::<T>()).and_then(|value| value.clone().downcast().ok())
    }
}

/// The process's resident memory, sampled by whoever runs the engine.
#[derive(Debug, Default)]
pub struct MemoryGauge {
    resident: AtomicU64,
}

impl MemoryGauge {
    /// Bytes.
    pub fn resident(&self) -> u64 {
        self.resident.load(Ordering::Relaxed)
    }

    pub fn set_resident(&self, bytes: u64) {
        self.resident.store(bytes, Ordering::Relaxed);
    }
}

/// Bytes of requests being read, decompressed or decoded, over the whole process. Every door that takes data
/// from outside reserves what it is about to hold BEFORE holding it, so overload is refused, not swallowed.
#[derive(Debug)]
pub struct Admission {
    kib: Arc<Semaphore>,
    limit: u32,
}

/// As much as can be counted.
impl Default for Admission {
    fn default() -> Self {
        Admission::new(u64::MAX)
    }
}

impl Admission {
    pub fn new(limit_bytes: u64) -> Admission {
        let limit = u32::try_from(limit_bytes / 1024).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 3);
        Admission { kib: Arc::new(Semaphore::new(limit as usize)), limit }
    }

    pub fn limit_bytes(&self) -> u64 {
        u64::from(self.limit) << 10
    }

    pub fn admitted_bytes(&self) -> u64 {
        self.limit_bytes() - ((self.kib.available_permits() as u64) << 10)
    }

    /// Reserves `bytes` until the permit is dropped, or refuses at once.
    pub fn admit(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refused> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(self.limit);
        self.kib.clone().try_acquire_many_owned(kib).map_err(|_| Refused::Busy {
            retry_after: Duration::from_secs(1),
            reason: format!("{} MiB of requests are already in flight", self.limit >> 10),
        })
    }
}

/// What stands behind an [`Outlet`]: the engine's pipelines, or a test.
#[async_trait]
pub trait Accept: Send + Sync {
    async fn accept(&self, batch: Batch) -> Result<Accepted, Refused>;
}

/// A batch was taken, but for the items counted here: OTLP's partial success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Points, log records or spans. They are gone: sending them again will not help.
    pub rejected: usize,
    /// Why, for the sender; empty when nothing was rejected.
    pub reason: String,
}

/// A receiver's way into the pipelines that name it.
#[derive(Clone)]
pub struct Outlet(Arc<dyn Accept>);

impl Outlet {
    pub fn new(accept: Arc<dyn Accept>) -> Outlet {
        Outlet(accept)
    }

    /// Returns once every pipeline that names the receiver and carries the batch's signal has it in the log,
    /// fsynced; or why not. A signal no pipeline carries is refused for good. Items that OTLP calls invalid are taken
    /// out one by one, and the sender is to be told.
    pub async fn send(&self, batch: Batch) -> Result<Accepted, Refused> {
        self.0.accept(batch).await
    }
}

#[async_trait]
pub trait ReceiverPlan: Send + Sync {
    /// Opens what it needs (sockets are bound here, so that a taken port stops the start).
    async fn build(&self, context: Context) -> anyhow::Result<Box<dyn Receiver>>;
}

#[async_trait]
pub trait Receiver: Send {
    /// Where it listens, by protocol name; empty for one that does not listen.
    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        Vec::new()
    }

    /// Runs until `shutdown`, then answers what is in flight and returns. `outlet.send` returns once the
    /// pipeline has taken responsibility for the batch, or says why not.
    async fn run(self: Box<Self>, outlet: Outlet, shutdown: CancellationToken) -> anyhow::Result<()>;
}

/// Why a batch was not taken. The receiver answers this in its protocol's words.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused {
    /// For now: send it again after `retry_after`.
    #[error("{reason}; retry in {retry_after:?}")]
    Busy { retry_after: Duration, reason: String },
    /// For good: sending it again will not help.
    #[error("{reason}")]
    Rejected { reason: String },
}

pub enum Stage {
    /// Sees every batch before it is logged and acknowledged.
    Transform(Box<dyn Processor>),
    /// Says how exporters group what they read from the log; holds nothing itself.
    Group(Grouping),
    /// Remembers: stands behind the log, reads what was acknowledged from it and appends to it.
    Relay(Box<dyn Relay>),
}

pub trait ProcessorPlan: Send + Sync {
    fn build(&self, context: Context) -> anyhow::Result<Stage>;
}

pub trait Processor: Send {
    /// Synchronous, no I/O, the clock passed in. Pushes what goes on into `out`.
    fn process(&mut self, batch: Batch, now: SystemTime, out: &mut Vec<Batch>) -> Result<(), Refused>;
}

/// Ends pipelines as an exporter does and begins others as a receiver does.
#[async_trait]
pub trait ConnectorPlan: Send + Sync {
    /// Of which signals the pipelines are that it may begin, when it ends one of `signal`.
    fn puts_out(&self, signal: Signal) -> &'static [Signal];

    /// The pipelines that its settings name: they must be among those it begins.
    fn sends_to(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The exporters that its settings name: they must be in pipelines that it begins.
    fn names_exporters(&self) -> Vec<&str> {
        Vec::new()
    }

    fn build(&self, context: Context) -> anyhow::Result<Box<dyn Relay>>;

    /// What it remembers is good for other settings too, and is kept when they change.
    fn keeps_state(&self) -> bool {
        false
    }

    /// It has a [`ConnectorPlan::source`], and so needs no pipeline before it.
    fn has_source(&self) -> bool {
        false
    }

    /// What looks around for it: its outlet leads to the connector alone, which reads from the log what is sent. Built after the
    /// connector, and run like a receiver.
    async fn source(&self, _context: Context) -> anyhow::Result<Option<Box<dyn Receiver>>> {
        Ok(None)
    }
}

#[async_trait]
pub trait ExporterPlan: Send + Sync {
    /// Retry, queue and timeout: the engine carries them out.
    fn settings(&self) -> ExporterSettings;

    async fn build(&self, context: Context) -> anyhow::Result<Arc<dyn Exporter>>;
}

#[async_trait]
pub trait Exporter: Send + Sync {
    /// ONE attempt. `at` is the log position of the last record in `batch`; batches come in order unless
    /// the settings ask for more than one consumer.
    async fn export(&self, batch: &Batch, at: Position) -> Result<(), ExportError>;

    /// For an exporter that makes data durable later than `export` returns: the position up to which it
    /// has. The engine moves the cursor only that far. `None`: durable when `export` returns.
    fn durable(&self) -> Option<watch::Receiver<Position>> {
        None
    }

    /// For an exporter that takes only some times: which. Items of other times are refused before they are acknowledged,
    /// from every pipeline that the exporter is in, and the sender is told. Asked once; what the channel holds counts, so
    /// that the limits may change. `None`: any time, and none at all.
    fn accepts(&self) -> Option<watch::Receiver<TimeLimits>> {
        None
    }

    /// Nothing more will come: make everything durable.
    async fn shutdown(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum ExportError {
    /// Worth another attempt, not before `retry_after` when the destination said so.
    #[error("{reason}")]
    Transient { retry_after: Option<Duration>, reason: String },
    /// No attempt will succeed: the batch is lost, counted and logged.
    #[error("{reason}")]
    Permanent { reason: String },
    /// The destination took the batch except `rejected` items, which are lost, counted and logged.
    #[error("{rejected} items rejected: {reason}")]
    Partial { rejected: u64, reason: String },
}
