//! The HTTP servers: the dashboard, health checks, and where Prometheus reads own metrics.
//!
//! A reload goes over from one set to the next in two steps. [`Servers::prepare`] binds every socket the new
//! configuration wants and fails before anything has changed; [`Servers::go_over`] then starts what is new and stops what
//! is gone. A server whose endpoint stays gives its socket to the one that takes its place: nobody is refused meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use catchment_dashboard::{Dashboard, HttpServer, Limits, Prepared, Sources, health_check};
use catchment_pipeline::alerts::Desk;
use catchment_pipeline::config::Plan;
use catchment_pipeline::engine::{Changes, Status};
use catchment_storage::Lake;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::extensions::{Extension, extensions};

/// What servers answer from.
pub struct Answers {
    pub status: Status,
    pub lake: Option<Arc<Lake>>,
    pub alerts: Arc<Desk>,
    /// The process's own metrics, as Prometheus reads them.
    pub own_metrics: Router,
}

pub struct Servers {
    answers: Answers,
    /// By key.
    running: BTreeMap<String, Running>,
    tasks: TaskTracker,
}

/// A server as the configuration wants it.
#[derive(Clone)]
struct Wanted {
    /// One server has one key, over reloads.
    key: String,
    /// For people.
    name: String,
    endpoint: String,
    /// Equal when nothing about it changed.
    fingerprint: u64,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Dashboard(Arc<Prepared>),
    HealthCheck(health_check::Settings),
    OwnMetrics,
}

struct Running {
    wanted: Wanted,
    socket: HttpServer,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// Where to go over to: what is to run, with the sockets of what does not run yet.
#[derive(Default)]
pub struct Next {
    kept: Vec<String>,
    new: Vec<(Wanted, HttpServer)>,
    /// Stopped already, as its port was needed.
    stopped: Vec<Wanted>,
}

impl Wanted {
    fn scheme(&self) -> &'static str {
        if let Kind::Dashboard(dashboard) = &self.kind { dashboard.scheme() } else { "http" }
    }
}

impl Servers {
    /// Binds and serves: they answer "not ready" until the engine is.
    pub async fn start(plan: &Plan, answers: Answers) -> anyhow::Result<Servers> {
        let mut servers = Servers { answers, running: BTreeMap::new(), tasks: TaskTracker::new() };
        let next = servers.prepare(plan).await?;
        servers.go_over(next);
        Ok(servers)
    }

    /// Binds what `plan` wants. When that fails, everything runs as before.
    pub async fn prepare(&mut self, plan: &Plan) -> anyhow::Result<Next> {
        let wanted = self.wanted(plan).await?;
        let unchanged = |server: &Wanted| {
            self.running.get(&server.key).is_some_and(|running| running.wanted.fingerprint == server.fingerprint)
        };
        let (kept, new): (Vec<_>, Vec<_>) = wanted.into_iter().partition(unchanged);
        let mut next = Next { kept: kept.into_iter().map(|server| server.key).collect(), ..Next::default() };
        for server in new {
            match self.socket(&server, &mut next).await {
                Ok(socket) => next.new.push((server, socket)),
                Err(error) => {
                    self.abandon(next).await;
                    return Err(error.context(format!("cannot start {}", server.name)));
                }
            }
        }
        Ok(next)
    }

    /// The socket of a server on the same endpoint that is going, or a new one.
    async fn socket(&mut self, server: &Wanted, next: &mut Next) -> anyhow::Result<HttpServer> {
        let address_taken = |socket: &HttpServer| next.new.iter().any(|(_, taken)| taken.address() == socket.address());
        let going = |running: &&Running| !next.kept.contains(&running.wanted.key) && !address_taken(&running.socket);
        let any_port = server.endpoint.ends_with(":0");
        let same = |running: &&Running| {
            running.wanted.endpoint == server.endpoint && (!any_port || running.wanted.key == server.key)
        };
        if let Some(running) = self.running.values().filter(going).find(same) {
            return Ok(running.socket.clone());
        }
        let failed = match HttpServer::bind(&server.endpoint).await {
            Ok(socket) => return Ok(socket),
            Err(error) => error,
        };
        // `localhost:8080` that becomes `0.0.0.0:8080`: the port is ours, and can be had by letting go of it.
        let port = server.endpoint.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        let on_port = |running: &&Running| Some(running.socket.address().port()) == port;
        let Some(key) = self.running.values().filter(going).find(on_port).map(|running| running.wanted.key.clone())
        else {
            return Err(failed);
        };
        if let Some(Running { wanted, socket, shutdown, task }) = self.running.remove(&key) {
            drop(socket);
            shutdown.cancel();
            let _ = task.await;
            next.stopped.push(wanted);
        }
        HttpServer::bind(&server.endpoint).await
    }

    /// Gives up what was prepared; what it stopped is started again.
    pub async fn abandon(&mut self, next: Next) {
        drop(next.new);
        for server in next.stopped {
            match HttpServer::bind(&server.endpoint).await {
                Ok(socket) => self.run(server, socket),
                Err(error) => {
                    tracing::warn!(extension = server.name, "stopped for a reload that failed, and gone: {error:#}");
                }
            }
        }
    }

    /// Runs what was prepared. What it replaces finishes the answers under way.
    pub fn go_over(&mut self, next: Next) -> Changes {
        let mut changes = Changes::default();
        let new = next.new.iter().map(|(server, _)| server.key.clone()).collect::<Vec<_>>();
        let stopped = next.stopped.iter().map(|server| server.key.clone()).collect::<Vec<_>>();
        let before = std::mem::take(&mut self.running);
        for (server, socket) in next.new {
            let was_there = before.contains_key(&server.key) || stopped.contains(&server.key);
            let list = if was_there { &mut changes.restarted } else { &mut changes.started };
            list.push(server.name.clone());
            self.run(server, socket);
        }
        for (key, running) in before {
            if next.kept.contains(&key) {
                self.running.insert(key, running);
                continue;
            }
            running.shutdown.cancel();
            if !new.contains(&key) {
                changes.stopped.push(running.wanted.name);
            }
        }
        let gone = next.stopped.into_iter().filter(|server| !new.contains(&server.key));
        changes.stopped.extend(gone.map(|server| server.name));
        changes
    }

    fn run(&mut self, wanted: Wanted, socket: HttpServer) {
        let shutdown = CancellationToken::new();
        let (server, token) = (socket.clone(), shutdown.clone());
        let status = self.answers.status.clone();
        let snapshot = Arc::new(move || status.snapshot());
        let task = match &wanted.kind {
            Kind::Dashboard(prepared) => {
                let lake = self.answers.lake.clone().map(|lake| lake as Arc<dyn catchment_dashboard::Data>);
                let dashboard = Dashboard::on(
                    server,
                    prepared.as_ref().clone(),
                    Sources { status: snapshot, lake, alerts: self.answers.alerts.clone() },
                );
                self.tasks.spawn(dashboard.run(token))
            }
            Kind::HealthCheck(settings) => {
                let check = health_check::HealthCheck::on(server, settings, snapshot);
                self.tasks.spawn(check.run(token))
            }
            Kind::OwnMetrics => {
                self.tasks.spawn(server.run(self.answers.own_metrics.clone(), Limits::default(), token))
            }
        };
        self.running.insert(wanted.key.clone(), Running { wanted, socket, shutdown, task });
    }

    /// Names and URLs.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, String)> {
        let url = |running: &Running| format!("{}://{}/", running.wanted.scheme(), running.socket.address());
        self.running.values().map(move |running| (running.wanted.name.as_str(), url(running)))
    }

    /// Answers under way are finished.
    pub async fn stop(self) {
        for (_, Running { socket, shutdown, .. }) in self.running {
            drop(socket);
            shutdown.cancel();
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What `plan` wants, with the boards and certificates it names: what is wrong with them is to change nothing. Those of
    /// a server that stays as it is are not read again.
    async fn wanted(&self, plan: &Plan) -> anyhow::Result<Vec<Wanted>> {
        let mut all = Vec::new();
        for (planned, extension) in extensions(plan) {
            let (name, key) = (planned.id.clone(), format!("extension {}", planned.id));
            let running = self.running.get(&key).map(|running| &running.wanted);
            if let Some(same) = running.filter(|running| running.fingerprint == planned.fingerprint) {
                all.push(same.clone());
                continue;
            }
            let (endpoint, kind) = match extension {
                Extension::Dashboard(settings) => {
                    let prepared = Prepared::read(settings.as_ref().clone()).await;
                    let prepared = prepared.with_context(|| format!("cannot start {name}"))?;
                    (settings.endpoint.clone(), Kind::Dashboard(Arc::new(prepared)))
                }
                Extension::HealthCheck(settings) => (settings.endpoint.clone(), Kind::HealthCheck(settings.clone())),
                Extension::Lake(_) | Extension::Log(_) => continue,
            };
            all.push(Wanted { key, name, endpoint, fingerprint: planned.fingerprint, kind });
        }
        all.extend(plan.telemetry.prometheus.iter().map(|endpoint| Wanted {
            key: format!("own metrics on {endpoint}"),
            name: "own metrics".to_owned(),
            endpoint: endpoint.clone(),
            fingerprint: 0,
            kind: Kind::OwnMetrics,
        }));
        Ok(all)
    }
}
