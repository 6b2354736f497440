//! `run`: start and stop; `reload` is in between.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use catchment_pipeline::alerts::Desk;
use catchment_pipeline::component::{Admission, MemoryGauge, Offers};
use catchment_pipeline::config::Plan;
use catchment_pipeline::engine::{self, Engine, Leftover, Runtime, Status};
use catchment_storage::{Lake, LakeStats};

use crate::cli::{Exit, Source};
use crate::control::Control;
use crate::extensions::{Stores, StoresPlan, lake_path};
use crate::inspect;
use crate::logging::Logging;
use crate::memory;
use crate::open_files;
use crate::servers::{Answers, Servers};
use crate::signals::{Ask, Signals};
use crate::telemetry::{self, Telemetry};

/// From the first signal to the last delivery attempt.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn run(source: &Source) -> anyhow::Result<Exit> {
    let Some(plan) = inspect::checked(source) else { return Ok(Exit::BadConfig) };
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("catchment").enable_all().build()?;
    let exit = runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let app = tokio::select! {
            app = App::start(plan, source) => app?,
            () = signals.stop() => return Ok(Exit::Done),
        };
        app.serve(signals).await
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    exit
}

/// Everything that runs.
pub struct App {
    pub source: Source,
    pub logging: Logging,
    pub engine: Engine,
    pub servers: Servers,
    pub own: Telemetry,
    pub lake: Option<Arc<Lake>>,
    control: Option<Control>,
    /// As opened: a reload changes little of it.
    pub stores: StoresPlan,
    pub admission: Option<u64>,
    sampler: tokio::task::JoinHandle<()>,
    /// The log is in memory: what is left at the end is lost.
    volatile: bool,
}

impl App {
    async fn start(mut plan: Plan, source: &Source) -> anyhow::Result<App> {
        let own = Telemetry::start(&plan.telemetry).await?;
        let logging = Logging::start(&plan.telemetry, own.tracer())?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
        open_files::raise_limit();
        let gauge = Arc::new(MemoryGauge::default());
        let sampler = tokio::spawn(memory::sample(gauge.clone()));
        let admission = Arc::new(Admission::new(plan.admission.unwrap_or_else(memory::admission_limit)));
        let status = Status::new(gauge.clone(), admission.clone());
        let graph = engine::Plan::take(&mut plan);
        let stores_plan = StoresPlan::of(&plan);
        let opening = stores_plan.clone();
        let stores = tokio::task::spawn_blocking(move || Stores::open(&opening)).await??;
        let place = stores.lake.as_ref().zip(lake_path(&plan));
        let control = place.and_then(|(lake, folder)| Control::start(lake, &stores.log, folder));
        let alerts = Arc::<Desk>::default();
        let (lake, own_metrics) = (stores.lake.clone(), own.prometheus());
        let answers = Answers { status: status.clone(), lake, alerts: alerts.clone(), own_metrics };
        let servers = Servers::start(&plan, answers).await?;
        observe(&own, &status, stores.lake.as_ref());
        let mut offers = Offers::default();
        offers.put(alerts);
        offers.put(Arc::new(status.clone()));
        if let Some(metrics) = own.own_metrics() {
            offers.put(Arc::new(metrics));
        }
        if let Some(lake) = &stores.lake {
            offers.put(lake.clone());
        }
        let runtime = Runtime {
            status,
            log: stores.log,
            log_path: stores.log_path.as_ref().map(|path| path.display().to_string()),
            log_limit_bytes: stores.log_limit,
            offers,
            memory: gauge,
            admission,
        };
        let app = App {
            stores: stores_plan,
            admission: plan.admission,
            source: source.clone(),
            logging,
            engine: Engine::start(graph, runtime).await?,
            servers,
            own,
            lake: stores.lake,
            control,
            sampler,
            volatile: stores.log_path.is_none(),
        };
        app.banner(&plan);
        Ok(app)
    }

    pub fn say_addresses(&self) {
        for (id, url) in self.servers.addresses() {
            tracing::info!(extension = id, url, "serving");
        }
    }

    /// What a newcomer needs: where to send, where to look, where the data is.
    fn banner(&self, plan: &Plan) {
        for receiver in self.engine.status().snapshot().receivers {
            for address in receiver.addresses {
                tracing::info!(
                    receiver = receiver.id,
                    protocol = address.protocol,
                    address = address.address,
                    "listening"
                );
            }
        }
        self.say_addresses();
        if let Some(path) = lake_path(plan) {
            tracing::info!(path = %path.canonicalize().unwrap_or_else(|_| path.to_owned()).display(), "the lake");
        }
        let pipelines = plan.pipelines.iter().map(|pipeline| pipeline.id.as_str()).collect::<Vec<_>>().join(", ");
        tracing::info!(pipelines, "ready");
    }

    async fn serve(mut self, mut signals: Signals) -> anyhow::Result<Exit> {
        let failure = loop {
            tokio::select! {
                ask = signals.next() => match ask {
                    Ask::Stop => break None,
                    Ask::Reload => self.reload().await,
                },
                which = self.engine.failed() => break Some(which),
            }
        };
        match &failure {
            None => {
                tracing::info!(patience = ?PATIENCE, "stopping: delivering what is there; a second signal stops at once")
            }
            Some(which) => tracing::warn!("stopping: {which}"),
        }
        let volatile = self.volatile;
        let leftover = tokio::select! {
            leftover = self.stop() => leftover,
            () = signals.stop() => {
                tracing::warn!("stopped at once by a second signal; undelivered data stays in the log");
                return Ok(Exit::Failed);
            }
        };
        match failure {
            Some(which) => anyhow::bail!("{which}"),
            None if volatile && !leftover.exporters.is_empty() => Ok(Exit::Failed),
            None => Ok(Exit::Done),
        }
    }

    /// Servers answer while data is delivered: somebody may be watching.
    async fn stop(self) -> Leftover {
        let leftover = self.engine.shutdown(PATIENCE).await;
        self.servers.stop().await;
        self.sampler.abort();
        if let (Some(control), Some(lake)) = (self.control, &self.lake) {
            control.stop(lake).await;
        }
        // Closing the lake waits for its threads.
        let _ = tokio::task::spawn_blocking(move || drop(self.lake)).await;
        self.own.shutdown().await;
        tracing::info!("stopped");
        leftover
    }
}

fn observe(own: &Telemetry, status: &Status, lake: Option<&Arc<Lake>>) {
    let status = status.clone();
    // Instruments live as long as the process: holding the lake, they would keep it from closing.
    let lake = lake.map(Arc::downgrade).map(|lake| -> Arc<dyn Fn() -> LakeStats + Send + Sync> {
        Arc::new(move || lake.upgrade().map(|lake| lake.stats()).unwrap_or_default())
    });
    own.observe(telemetry::Sources { status: Arc::new(move || status.snapshot()), lake });
}
