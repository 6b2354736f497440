//! A relay: reads its cursor, hands each record to the stage, and appends what that puts out.
//!
//! Exactly once: what a record leads to is appended in one go, with the record's position ([`Origin`]). The stage's state is
//! saved every [`SAVE_EVERY`], and the cursor moves to where it was then. A relay that starts again restores that state and
//! reads on from there, and is told the times that it was told before; what it puts out is dropped as long as the log shows that it
//! had been appended.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::meters::lock;
use super::registry::ProcessorMeters;
use super::routes::{Routes, Taken};
use super::running::{Starter, backlog_reader};
use crate::batch::Batch;
use crate::component::{OnFull, Out, Refused, Relay};
use crate::log::{Cursor, Entry, Log, Origin, Pipelines, Position, Record, RelayState, Start, nanos, time_of};

const SAVE_EVERY: Duration = Duration::from_secs(10);
/// Saving takes at most one part in this many of the time.
const SAVING_SHARE: u32 = 20;
const REST: Duration = Duration::from_millis(10);
/// One read of the log.
const READ_ITEMS: usize = 16_384;
const READ_BYTES: u64 = 4 << 20;
/// What a stage puts out is cut into batches of at most this many items: exporters send each as one request.
const BATCH_ITEMS: usize = 8192;

/// How a relay is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Go {
    On,
    /// Read what the log holds, save, and stop.
    Drain,
    /// Read what the log holds, put out all that is held back, and stop for good.
    Finish,
    /// Save, and stop.
    Leave,
}

/// What is to run; the stage is taken when it starts.
pub(super) struct RelayWiring {
    /// Of its cursor.
    pub name: String,
    pub fingerprint: u64,
    /// Equal when what the stage remembers is of use to another.
    pub state: u64,
    pub reads: Pipelines,
    pub meters: Arc<ProcessorMeters>,
    relay: Mutex<Option<Box<dyn Relay>>>,
}

impl RelayWiring {
    pub fn new(
        name: String,
        fingerprint: u64,
        reads: Pipelines,
        meters: Arc<ProcessorMeters>,
        relay: Box<dyn Relay>,
    ) -> RelayWiring {
        RelayWiring { name, fingerprint, state: fingerprint, reads, meters, relay: Mutex::new(Some(relay)) }
    }

    /// What it remembers is good for any settings.
    pub fn keeps_state(self) -> RelayWiring {
        RelayWiring { state: 0, ..self }
    }
}

type SharedRoutes = Arc<RwLock<Arc<Routes>>>;

/// Its cursor is open, so that the log keeps what is for it; it reads nothing yet.
pub(super) struct BuiltRelay {
    wiring: Arc<RelayWiring>,
    task: Task,
    go: watch::Sender<Go>,
}

pub(super) struct RunningRelay {
    pub wiring: Arc<RelayWiring>,
    routes: SharedRoutes,
    go: watch::Sender<Go>,
    task: JoinHandle<()>,
}

impl BuiltRelay {
    pub async fn build(starter: &Starter, wiring: &Arc<RelayWiring>) -> anyhow::Result<BuiltRelay> {
        let name = &wiring.name;
        let named = |error: anyhow::Error| error.context(format!("cannot start `{name}`"));
        let relay = lock(&wiring.relay).take().ok_or_else(|| named(anyhow::anyhow!("it runs already")))?;
        let cursor = starter.log.cursor(name, wiring.reads.clone(), OnFull::Block, Start::Head).await;
        let cursor = cursor.map_err(|error| named(error.into()))?;
        *lock(&wiring.meters.backlog) = Some(backlog_reader(&starter.log, name));
        let (go, going) = watch::channel(Go::On);
        let mut task = Task {
            log: starter.log.clone(),
            durable_log: starter.durable_log,
            wiring: wiring.clone(),
            cursor,
            relay,
            routes: Arc::new(RwLock::new(Arc::new(Routes::new([])))),
            go: going,
            read: 0,
            now: UNIX_EPOCH,
            saved: (0, UNIX_EPOCH),
            save_at: Instant::now() + SAVE_EVERY,
            unsaved_bytes: 0,
            ticked: UNIX_EPOCH,
            replay: VecDeque::new(),
        };
        task.restore();
        Ok(BuiltRelay { wiring: wiring.clone(), task, go })
    }

    pub fn wiring(&self) -> &Arc<RelayWiring> {
        &self.wiring
    }

    pub fn run(self, starter: &Starter, routes: Routes) -> RunningRelay {
        let BuiltRelay { wiring, task, go } = self;
        let shared = task.routes.clone();
        *shared.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(routes);
        let (ended, own) = (starter.ended.clone(), wiring.clone());
        let task = tokio::spawn(async move {
            if AssertUnwindSafe(task.run()).catch_unwind().await.is_err() {
                own.meters.failure.set("it panicked");
                let _ = ended.send(format!("`{}`: it panicked", own.name));
            }
        });
        RunningRelay { wiring, routes: shared, go, task }
    }
}

impl RunningRelay {
    /// What it puts out from now on goes these ways.
    pub fn set_routes(&self, routes: Routes) {
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(routes);
    }

    /// What it puts out is read by `other`.
    pub fn feeds(&self, other: &RunningRelay) -> bool {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner).clone();
        routes.ends().iter().any(|end| other.wiring.reads.contains(end))
    }

    pub async fn stop(mut self, go: Go, patience: Duration) {
        self.go.send_replace(go);
        if tokio::time::timeout(patience, &mut self.task).await.is_ok() {
            return;
        }
        self.go.send_replace(Go::Leave);
        if tokio::time::timeout(LAST_GRACE, &mut self.task).await.is_err() {
            tracing::warn!(relay = %self.wiring.name, "did not stop in time; it goes on at the next start from what it saved last");
            self.task.abort();
            let _ = self.task.await;
        }
    }

    pub fn ask_to_leave(&self) {
        self.go.send_replace(Go::Leave);
    }
}

/// For saving, after the deadline.
const LAST_GRACE: Duration = Duration::from_secs(2);

struct Task {
    log: Log,
    durable_log: bool,
    wiring: Arc<RelayWiring>,
    cursor: Cursor,
    relay: Box<dyn Relay>,
    routes: SharedRoutes,
    go: watch::Receiver<Go>,
    /// The last record that the stage was given, and the last time it was told that left a trace in the log.
    read: Position,
    now: SystemTime,
    saved: (Position, SystemTime),
    save_at: Instant,
    unsaved_bytes: u64,
    /// When it was last asked, by the machine's clock.
    ticked: SystemTime,
    /// What was appended before the start, after what was saved: nothing up to there is appended again.
    replay: VecDeque<(Position, SystemTime)>,
}

enum Stopped {
    ToGoOn,
    ForGood,
}

/// Told to leave with something not appended: what was saved last holds.
struct CutOff;

impl Task {
    fn restore(&mut self) {
        let name = &self.wiring.name;
        let (saved, appended) = self.log.restore(name);
        let saved = saved.unwrap_or_else(|error| {
            tracing::error!(relay = %name, %error, "data lost: what the stage held back cannot be read; it begins anew");
            None
        });
        if let Some(RelayState { fingerprint, read, at, state }) = saved {
            (self.read, self.now) = (read, time_of(at));
            self.saved = (self.read, self.now);
            if fingerprint != self.wiring.state && !state.is_empty() {
                tracing::warn!(
                    relay = %name, bytes = state.len(),
                    "its settings were changed while Catchment was stopped: what it held back is let go. A reload puts it out first"
                );
            } else if !state.is_empty()
                && let Err(error) = self.relay.restore(&state)
            {
                tracing::error!(relay = %name, %error, "data lost: what the stage held back cannot be used; it begins anew");
            }
        }
        let appended = appended.into_iter().map(|(read, at)| (read, time_of(at)));
        self.replay = appended.filter(|appended| *appended > (self.read, self.now)).collect();
        self.wiring.meters.tally.mute(self.replaying());
    }

    async fn run(mut self) {
        if let Ok(Stopped::ToGoOn) = self.until_told().await {
            self.save().await;
        }
        self.wiring.meters.freeze_backlog();
    }

    async fn until_told(&mut self) -> Result<Stopped, CutOff> {
        loop {
            let go = *self.go.borrow_and_update();
            let drained = self.cursor.is_drained();
            match go {
                Go::Leave => return Ok(Stopped::ToGoOn),
                Go::Drain if drained => return Ok(Stopped::ToGoOn),
                Go::Finish if drained => return self.finish().await.map(|()| Stopped::ForGood),
                _ => {}
            }
            // A little after the last time it was told: a stage whose `due` does not move is not asked without rest.
            let due = self.relay.due().filter(|_| drained).map(|due| due.max(self.ticked + REST));
            let unsaved = self.saved != (self.read, self.now);
            tokio::select! {
                biased;
                changed = self.go.changed() => if changed.is_err() { return Ok(Stopped::ToGoOn) },
                records = self.cursor.next(READ_ITEMS, READ_BYTES) => for record in records {
                    self.record(record).await?;
                    self.save_if_due().await;
                },
                () = at(due) => self.tick().await?,
                () = tokio::time::sleep_until(self.save_at), if unsaved => {}
            }
            self.save_if_due().await;
        }
    }

    async fn save_if_due(&mut self) {
        // A log that is full of what was read already must get rid of it.
        let full = self.unsaved_bytes > self.log.limit_bytes() / 16;
        if self.saved != (self.read, self.now) && (!self.durable_log || full || Instant::now() >= self.save_at) {
            self.save().await;
        }
    }

    async fn record(&mut self, record: Record) -> Result<(), CutOff> {
        if record.position <= self.read {
            return Ok(());
        }
        self.tick_again(record.position);
        (self.read, self.now) = (record.position, self.now.max(record.accepted_at));
        self.unsaved_bytes += record.bytes();
        let mut out = Out::default();
        if self.relay.due().is_some_and(|due| due <= self.now) {
            self.relay.tick(self.now, &mut out);
        }
        if !self.replaying() {
            self.wiring.meters.incoming.add(record.batch.items());
        }
        self.relay.process(record.batch, self.now, &mut out);
        let appended = self.replaying();
        while self.replay.front().is_some_and(|front| *front <= (self.read, self.now)) {
            self.replay.pop_front();
        }
        self.wiring.meters.tally.mute(self.replaying());
        if appended { Ok(()) } else { self.append(out).await }
    }

    fn replaying(&self) -> bool {
        !self.replay.is_empty()
    }

    async fn tick(&mut self) -> Result<(), CutOff> {
        self.tick_again(Position::MAX);
        self.ticked = SystemTime::now();
        if self.ticked <= self.now {
            return Ok(());
        }
        let mut out = Out::default();
        self.relay.tick(self.ticked, &mut out);
        if out.is_empty() {
            return Ok(());
        }
        self.now = self.ticked;
        self.append(out).await
    }

    /// As it was before the start, between what it had read and the record at `next`.
    fn tick_again(&mut self, next: Position) {
        while let Some((_, at)) = self.replay.pop_front_if(|(read, _)| *read < next) {
            if at > self.now {
                self.now = at;
                self.relay.tick(at, &mut Out::default());
            }
        }
        self.wiring.meters.tally.mute(self.replaying());
    }

    async fn finish(&mut self) -> Result<(), CutOff> {
        self.tick_again(Position::MAX);
        let mut out = Out::default();
        self.now = self.now.max(SystemTime::now());
        self.relay.finish(self.now, &mut out);
        self.append(out).await?;
        // Whatever is made of the same name next begins anew, after what was read.
        let done = RelayState { fingerprint: 0, read: self.read, at: nanos(self.now), state: Vec::new() };
        self.saved = match self.log.save(&self.wiring.name, done).await {
            Ok(()) => (self.read, self.now),
            Err(_) => self.saved,
        };
        self.cursor.commit(self.read);
        Ok(())
    }

    /// Until the log has it, or it is refused for good.
    async fn append(&mut self, mut out: Out) -> Result<(), CutOff> {
        let out = out.take();
        if out.is_empty() {
            return Ok(());
        }
        let cut = |(batch, only): (Batch, Option<Arc<[String]>>)| {
            batch.split(BATCH_ITEMS).into_iter().map(move |part| (part, only.clone()))
        };
        let out: Vec<_> = out.into_iter().filter(|(batch, _)| !batch.is_empty()).flat_map(cut).collect();
        let items: usize = out.iter().map(|(batch, _)| batch.items()).sum();
        let origin = Origin { relay: self.wiring.name.as_str().into(), read: self.read, at: nanos(self.now) };
        let meters = self.wiring.meters.clone();
        loop {
            // Held until it is in the log: see `Routes::over`.
            let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner).clone();
            let appended = match entries(&routes, &out, &origin) {
                Ok((entries, outside)) if entries.is_empty() => Ok(outside),
                Ok((entries, outside)) => self.log.append_all(entries).await.map(|_| outside).map_err(Refused::from),
                Err(refused) => Err(refused),
            };
            match appended {
                Ok(outside) => {
                    meters.outgoing.add(items.saturating_sub(outside));
                    if outside > 0 {
                        self.lost(
                            outside,
                            "of a time that the exporters do not take, or of a signal that no pipeline carries on",
                        );
                    }
                    return Ok(());
                }
                Err(Refused::Rejected { reason }) => {
                    self.lost(items, &reason);
                    return Ok(());
                }
                Err(Refused::Busy { retry_after, reason }) => {
                    meters.failure.set(reason);
                    tokio::select! {
                        () = tokio::time::sleep(retry_after.min(Duration::from_secs(1))) => {}
                        told = self.go.wait_for(|go| *go == Go::Leave) => {
                            let _ = told;
                            return Err(CutOff);
                        }
                    }
                }
            }
        }
    }

    /// Nobody is left to send it again.
    fn lost(&self, items: usize, reason: &str) {
        self.wiring.meters.refused.add(items);
        self.wiring.meters.failure.set(reason);
        tracing::error!(relay = %self.wiring.name, items, reason, "data lost: what the stage put out is refused");
    }

    async fn save(&mut self) {
        let begun = Instant::now();
        if self.durable_log {
            let mut state = Vec::new();
            self.relay.save(&mut state);
            let saved = RelayState { fingerprint: self.wiring.state, read: self.read, at: nanos(self.now), state };
            if let Err(error) = self.log.save(&self.wiring.name, saved).await {
                tracing::warn!(relay = %self.wiring.name, %error, "cannot save its state, trying again; the log keeps what it has read since: look at the disk");
                self.save_at = Instant::now() + SAVE_EVERY;
                return;
            }
        }
        self.cursor.commit(self.read);
        (self.saved, self.unsaved_bytes) = ((self.read, self.now), 0);
        self.save_at = Instant::now() + SAVE_EVERY.max(begun.elapsed() * SAVING_SHARE);
    }
}

/// With how many items the ends of the ways do not take.
fn entries(
    routes: &Routes,
    out: &[(Batch, Option<Arc<[String]>>)],
    origin: &Origin,
) -> Result<(Vec<Entry>, usize), Refused> {
    let (mut entries, mut outside) = (Vec::new(), 0);
    for (batch, only) in out {
        let now = SystemTime::now();
        let taken = match only {
            None => routes.take(batch, now)?,
            Some(pipelines) => routes.take_to(pipelines, batch, now)?,
        };
        let Some(taken): Option<Taken> = taken else {
            outside += batch.items();
            continue;
        };
        outside += taken.outside.items();
        entries.extend(taken.entries.into_iter().map(|entry| Entry { origin: Some(origin.clone()), ..entry }));
    }
    Ok((entries, outside))
}

/// By the machine's clock; never, when nothing is due.
async fn at(due: Option<SystemTime>) {
    match due {
        Some(due) => tokio::time::sleep(due.duration_since(SystemTime::now()).unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}
