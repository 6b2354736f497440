//! What runs: started from a plan, stopped one by one.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempts, Pace};
use super::delivery::Delivery;
use super::intake::Intake;
use super::meters::lock;
use super::plan::Planned;
use super::registry::{BacklogReader, ExporterMeters, ReceiverMeters};
use super::routes::Routes;
use super::status::{Address, Backlog, State};
use crate::batch::TimeLimits;
use crate::component::{Context, ExporterPlan, Grouping, Outlet, Receiver, ReceiverPlan};
use crate::log::{Log, Pipelines, Start};

/// What every component is started with.
#[derive(Clone)]
pub(super) struct Starter {
    pub log: Log,
    pub durable_log: bool,
    pub context: Context,
    /// Told when a component that should run has ended.
    pub ended: mpsc::UnboundedSender<String>,
}

impl Starter {
    fn context(&self, id: &str) -> Context {
        Context { id: id.to_owned(), ..self.context.clone() }
    }
}

/// A receiver that is built, with its sockets bound, and not yet taking data.
pub(super) struct BuiltReceiver {
    planned: Planned<dyn ReceiverPlan>,
    receiver: Box<dyn Receiver>,
    intake: Arc<Intake>,
    meters: Arc<ReceiverMeters>,
}

pub(super) struct RunningReceiver {
    pub planned: Planned<dyn ReceiverPlan>,
    pub intake: Arc<Intake>,
    pub meters: Arc<ReceiverMeters>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl BuiltReceiver {
    /// `meters`: of the receiver that it takes the place of.
    pub async fn build(
        starter: &Starter,
        planned: &Planned<dyn ReceiverPlan>,
        meters: Option<Arc<ReceiverMeters>>,
    ) -> anyhow::Result<BuiltReceiver> {
        let id = &planned.id;
        let receiver = planned.plan.build(starter.context(id)).await;
        let receiver = receiver.map_err(|error| error.context(format!("cannot start receiver `{id}`")))?;
        let fresh = || Arc::new(ReceiverMeters { kind: planned.kind.to_owned(), ..ReceiverMeters::default() });
        let meters = meters.unwrap_or_else(fresh);
        let addresses = receiver.addresses().into_iter();
        *lock(&meters.addresses) =
            addresses.map(|(protocol, at)| Address { protocol, address: at.to_string() }).collect();
        let intake = Arc::new(Intake::new(id.clone(), starter.log.clone(), meters.clone()));
        Ok(BuiltReceiver { planned: planned.clone(), receiver, intake, meters })
    }

    pub fn id(&self) -> &str {
        &self.planned.id
    }

    pub fn run(self, starter: &Starter, routes: Routes) -> RunningReceiver {
        let BuiltReceiver { planned, receiver, intake, meters } = self;
        intake.set_routes(routes);
        let shutdown = CancellationToken::new();
        let outlet = Outlet::new(intake.clone());
        let (id, token, ended, own) = (planned.id.clone(), shutdown.clone(), starter.ended.clone(), meters.clone());
        let task = tokio::spawn(async move {
            own.state.set(State::Running);
            let ran = AssertUnwindSafe(receiver.run(outlet, token.clone())).catch_unwind().await;
            let why = match ran {
                Ok(Ok(())) if token.is_cancelled() => return own.state.set(State::Stopped),
                Ok(Ok(())) => "it stopped by itself".to_owned(),
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => "it panicked".to_owned(),
            };
            own.state.set(State::Failed);
            own.failure.set(&why);
            let _ = ended.send(format!("receiver `{id}`: {why}"));
        });
        RunningReceiver { planned, intake, meters, shutdown, task }
    }
}

impl RunningReceiver {
    /// From now on it takes nothing new; `stop` waits for the answers under way.
    pub fn ask_to_stop(&self) {
        self.meters.state.set(State::Stopping);
        self.shutdown.cancel();
    }

    pub async fn stop(mut self, patience: Duration) {
        self.ask_to_stop();
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            tracing::warn!(receiver = %self.planned.id, ?patience, "did not stop in time; its open requests are cut off unanswered");
            self.task.abort();
            let _ = self.task.await;
        }
    }
}

/// All that decides how an exporter runs: when it differs, the exporter is started anew.
#[derive(Clone)]
pub(super) struct ExporterWiring {
    pub planned: Planned<dyn ExporterPlan>,
    pub pipelines: Vec<String>,
    pub groupings: BTreeMap<String, Grouping>,
}

impl ExporterWiring {
    pub fn same(&self, other: &ExporterWiring) -> bool {
        self.planned.fingerprint == other.planned.fingerprint
            && self.pipelines == other.pipelines
            && self.groupings == other.groupings
    }
}

pub(super) struct RunningExporter {
    pub wiring: ExporterWiring,
    pub meters: Arc<ExporterMeters>,
    pace: watch::Sender<Pace>,
    task: JoinHandle<()>,
    /// For an exporter that rebuilds from the log: comes once it holds what the log held when it started.
    pub caught_up: Option<oneshot::Receiver<()>>,
    /// See [`crate::component::Exporter::accepts`].
    pub accepts: Option<watch::Receiver<TimeLimits>>,
}

impl RunningExporter {
    pub async fn start(
        starter: &Starter,
        wiring: &ExporterWiring,
        meters: Option<Arc<ExporterMeters>>,
    ) -> anyhow::Result<RunningExporter> {
        let Planned { id, kind, plan, .. } = &wiring.planned;
        let settings = plan.settings();
        let pipelines = Pipelines::new(wiring.pipelines.iter().map(String::as_str));
        let named = |error: anyhow::Error| error.context(format!("cannot start exporter `{id}`"));
        let exporter = plan.build(starter.context(id)).await.map_err(named)?;
        let cursor = starter.log.cursor(id, pipelines, settings.on_full, Start::Head).await;
        let cursor = cursor.map_err(|error| named(error.into()))?;
        let fresh = || Arc::new(ExporterMeters { kind: kind.to_string(), ..ExporterMeters::default() });
        let meters = meters.unwrap_or_else(fresh);
        *lock(&meters.backlog) = Some(backlog_reader(&starter.log, id));
        let (pace, paced) = watch::channel(Pace::Run);
        let attempts = Attempts {
            id: id.clone(),
            exporter,
            settings,
            meters: meters.clone(),
            pace: paced,
            durable_log: starter.durable_log,
            seed: u64::from(std::process::id()) << 32,
        };
        let accepts = attempts.exporter.accepts();
        let rebuilds = attempts.exporter.durable().is_some();
        let (tell, caught_up) = oneshot::channel();
        let delivery = Delivery::new(attempts, cursor, wiring.groupings.clone(), (starter.log.head(), tell));
        meters.state.set(State::Running);
        let (id, ended, own) = (id.clone(), starter.ended.clone(), meters.clone());
        let task = tokio::spawn(async move {
            let why = match AssertUnwindSafe(delivery.run()).catch_unwind().await {
                Ok(Ok(())) => return own.state.set(State::Stopped),
                Ok(Err(error)) => {
                    own.state.set(State::Failed);
                    own.failure.set(format!("{error:#}"));
                    return tracing::warn!(exporter = %id, error = format!("{error:#}"), "did not stop cleanly; what it had not finished stays in the log");
                }
                Err(_) => "it panicked".to_owned(),
            };
            own.state.set(State::Failed);
            own.failure.set(&why);
            let _ = ended.send(format!("exporter `{id}`: {why}"));
        });
        let caught_up = Some(caught_up).filter(|_| rebuilds);
        Ok(RunningExporter { wiring: wiring.clone(), meters, pace, task, caught_up, accepts })
    }

    pub fn set_pace(&self, pace: Pace) {
        self.meters.state.set(State::Stopping);
        self.pace.send_if_modified(|now| {
            let slower = pace > *now;
            *now = pace.max(*now);
            slower
        });
    }

    /// Waits until it has stopped; when patience ends, whatever it does is cut off and stays in the log.
    pub async fn stop(mut self, pace: Pace, patience: Duration) {
        self.set_pace(pace);
        if tokio::time::timeout(patience, &mut self.task).await.is_ok() {
            return;
        }
        self.set_pace(Pace::Abort);
        if tokio::time::timeout(LAST_GRACE, &mut self.task).await.is_err() {
            tracing::warn!(exporter = %self.wiring.planned.id, "did not stop in time; what it had not finished stays in the log");
            self.meters.freeze_backlog();
            self.task.abort();
            let _ = self.task.await;
        }
    }
}

/// For making durable what was taken, after the deadline.
const LAST_GRACE: Duration = Duration::from_secs(2);

pub(super) fn backlog_reader(log: &Log, id: &str) -> BacklogReader {
    let (log, id) = (log.clone(), id.to_owned());
    Box::new(move || {
        let Some(found) = log.backlogs().into_iter().find(|backlog| *backlog.cursor == *id) else {
            return Backlog::default();
        };
        let age = found.oldest.and_then(|oldest| oldest.elapsed().ok()).unwrap_or_default();
        Backlog {
            committed: found.committed,
            records: found.pending.records,
            items: found.pending.items,
            bytes: found.pending.bytes,
            oldest_age_seconds: age.as_secs_f64(),
        }
    })
}
