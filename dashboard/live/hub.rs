//! What all connections share: the streams, the turns their evaluations take, and the status that is told to all.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use bytes::Bytes;
use catchment_pipeline::engine::status::Snapshot;
use catchment_storage::{QueryLimits, Template};
use futures::FutureExt;
use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::evaluation::Evaluator;
use super::frame::{Facts, Memory, Version};
use super::lock;
use super::mailbox::Mailbox;
use super::stream::{Key, Resume, Stream};
use crate::Sources;
use crate::data::Data;
use crate::problem::Problem;
use crate::settings::Settings;

/// Bytes of all streams' results together.
const MAX_MEMORY: usize = 256 << 20;
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
const READY_INTERVAL: Duration = Duration::from_millis(100);

type Streams = HashMap<Key, Arc<Stream>>;
type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

pub struct Hub {
    data: Arc<dyn Data>,
    snapshot: Arc<dyn Fn() -> Snapshot + Send + Sync>,
    clock: Clock,
    settings: Settings,
    max_streams: usize,
    streams: Mutex<Streams>,
    next: AtomicU64,
    memory: Memory,
    evaluations: Semaphore,
    connections: Arc<Semaphore>,
    /// As JSON, without a time of its own; empty before anybody has asked.
    status: watch::Sender<Bytes>,
    /// Somebody keeps `status` up to date.
    telling: Mutex<bool>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Hub {
    /// `None`: without a lake there is nothing to watch.
    pub fn new(settings: &Settings, sources: &Sources, shutdown: &CancellationToken) -> Option<Arc<Hub>> {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
        Hub::with_clock(settings, sources, shutdown, Box::new(clock))
    }

    pub fn with_clock(
        settings: &Settings,
        sources: &Sources,
        shutdown: &CancellationToken,
        clock: Clock,
    ) -> Option<Arc<Hub>> {
        let semaphore = |permits: usize| Semaphore::new(permits.min(Semaphore::MAX_PERMITS));
        Some(Arc::new(Hub {
            data: sources.lake.clone()?,
            snapshot: sources.status.clone(),
            clock,
            settings: settings.clone(),
            max_streams: settings.max_live_streams,
            streams: Mutex::default(),
            next: AtomicU64::new(1),
            memory: Memory::default(),
            evaluations: semaphore(settings.max_live_evaluations),
            connections: Arc::new(semaphore(settings.max_live_connections)),
            status: watch::Sender::new(Bytes::new()),
            telling: Mutex::new(false),
            tasks: TaskTracker::new(),
            shutdown: shutdown.child_token(),
        }))
    }

    pub fn data(&self) -> &dyn Data {
        self.data.as_ref()
    }

    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    /// Of one evaluation, as they are now.
    pub fn limits(&self) -> QueryLimits {
        self.settings.limits(self.data.limits())
    }

    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Runs until it is done or the server stops.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            shutdown.run_until_cancelled(task).await;
        });
    }

    /// For a task that ends by itself when the server stops.
    pub fn track(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Nothing holds the lake after it.
    pub async fn stop(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub fn connection(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.connections.clone().try_acquire_owned().map_err(|_| {
            Problem::unavailable("too many pages watch this server: close some, or raise `max_live_connections`")
        })
    }

    /// What was acknowledged before the start is in the lake: before that, results would have gaps.
    pub async fn ready(&self) {
        while !(self.snapshot)().ready && !self.shutdown.is_cancelled() {
            sleep(READY_INTERVAL).await;
        }
    }

    /// Dashboards among themselves: they neither wait for other queries nor let them wait.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.evaluations.acquire().await.ok()
    }

    pub fn version(&self, facts: Facts, rows: RecordBatch) -> Result<Version, Problem> {
        Version::new(facts, rows, &self.memory, MAX_MEMORY)
    }

    pub fn subscribe(
        self: &Arc<Self>,
        key: Key,
        template: Template,
        mailbox: &Arc<Mailbox>,
        resume: Option<Resume>,
    ) -> Result<Arc<Stream>, Problem> {
        let mut streams = lock(&self.streams);
        let stream = match streams.get(&key) {
            Some(stream) => stream.clone(),
            None => {
                self.make_room(&mut streams)?;
                let id = self.next.fetch_add(1, Ordering::Relaxed);
                let stream = Arc::new(Stream::new(id, key.clone(), template));
                streams.insert(key, stream.clone());
                self.spawn(self.clone().evaluate(stream.clone()));
                stream
            }
        };
        stream.watch(mailbox, resume, self.data());
        Ok(stream)
    }

    async fn evaluate(self: Arc<Self>, stream: Arc<Stream>) {
        let evaluator = Evaluator::new(self.clone(), stream.clone());
        if AssertUnwindSafe(evaluator.run()).catch_unwind().await.is_err() {
            self.forget(&stream);
            stream.publish_problem(Problem::internal("the query failed in a way it should not; load the page again"));
        }
    }

    fn make_room(&self, streams: &mut Streams) -> Result<(), Problem> {
        if streams.len() < self.max_streams {
            return Ok(());
        }
        // Their evaluators notice that they are gone.
        streams.retain(|_, stream| stream.is_watched());
        if streams.len() < self.max_streams {
            return Ok(());
        }
        let message = "too many different queries are being watched: close some pages, or raise `max_live_streams`";
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", message))
    }

    /// `false`: somebody watches it again.
    pub fn remove(&self, stream: &Arc<Stream>) -> bool {
        let mut streams = lock(&self.streams);
        if stream.is_watched() {
            return false;
        }
        remove(&mut streams, stream);
        true
    }

    fn forget(&self, stream: &Arc<Stream>) {
        remove(&mut lock(&self.streams), stream);
    }

    /// The pipeline's status, renewed each second as long as somebody holds this.
    pub fn status(self: &Arc<Self>) -> watch::Receiver<Bytes> {
        let status = self.status.subscribe();
        let mut telling = lock(&self.telling);
        if !std::mem::replace(&mut *telling, true) {
            self.spawn(self.clone().tell_status());
        }
        status
    }

    async fn tell_status(self: Arc<Self>) {
        let mut told = None;
        loop {
            let mut snapshot = (self.snapshot)();
            let now = std::mem::take(&mut snapshot.now_unix_ms);
            // Every snapshot has another time; what it says may be the same.
            let facts = serde_json::to_vec(&snapshot).unwrap_or_default();
            if told.as_ref() != Some(&facts) {
                snapshot.now_unix_ms = now;
                self.status.send_replace(serde_json::to_vec(&snapshot).unwrap_or_default().into());
                told = Some(facts);
            }
            sleep(STATUS_INTERVAL).await;
            let mut telling = lock(&self.telling);
            if self.status.receiver_count() == 0 {
                *telling = false;
                // Whoever asks next is not told what was.
                self.status.send_replace(Bytes::new());
                return;
            }
        }
    }
}

/// Another one may have taken its place.
fn remove(streams: &mut Streams, stream: &Arc<Stream>) {
    if streams.get(&stream.key).is_some_and(|there| Arc::ptr_eq(there, stream)) {
        streams.remove(&stream.key);
    }
}
