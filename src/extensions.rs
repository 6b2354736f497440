//! What is not a stage of a pipeline: the lake, the durable log, and the HTTP servers.

use std::any::Any;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use catchment_dashboard::{Dashboard, HttpServer, Sources, health_check};
use catchment_pipeline::component::{ExtensionPlan, ExtensionSpec, Spec, Stability};
use catchment_pipeline::config::{ByteSize, Plan, Section};
use catchment_pipeline::engine::Status;
use catchment_pipeline::log::{Log, Options};
use catchment_storage::{Lake, LakePlan, LogPlan};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::telemetry::Telemetry;

/// Sorted by kind.
pub const SPECS: &[&ExtensionSpec] = &[&DASHBOARD, &HEALTH_CHECK, &LAKE, &LOG];

const DASHBOARD: ExtensionSpec = Spec {
    kind: catchment_dashboard::KIND,
    aliases: &[],
    summary: catchment_dashboard::SUMMARY,
    signals: &[],
    stability: Stability::Beta,
    plan: |section| Box::new(Extension::Dashboard(catchment_dashboard::Settings::plan(section))),
};

const HEALTH_CHECK: ExtensionSpec = Spec {
    kind: health_check::KIND,
    aliases: &[],
    summary: health_check::SUMMARY,
    signals: &[],
    stability: Stability::Stable,
    plan: |section| Box::new(Extension::HealthCheck(health_check::Settings::plan(section))),
};

const LAKE: ExtensionSpec = Spec {
    kind: LakePlan::KIND,
    aliases: &[],
    summary: LakePlan::SUMMARY,
    signals: &[],
    stability: Stability::Beta,
    plan: |section| Box::new(Extension::Lake(LakePlan::read(section))),
};

const LOG: ExtensionSpec = Spec {
    kind: "log",
    aliases: &[],
    summary: "Where the durable log is, for an instance without a lake (which has a `log` key of its own)",
    signals: &[],
    stability: Stability::Beta,
    plan: |section| Box::new(Extension::Log(read_log(section))),
};

#[derive(Debug)]
enum Extension {
    Dashboard(catchment_dashboard::Settings),
    HealthCheck(health_check::Settings),
    Lake(LakePlan),
    Log(LogPlan),
}

impl ExtensionPlan for Extension {}

/// ```yaml
/// log: { path: ./data/log, max_size: 1GiB, memory: false }
/// ```
fn read_log(section: &mut Section) -> LogPlan {
    LogPlan {
        path: PathBuf::from(section.or("path", "./data/log".to_owned())),
        max_size: section.or("max_size", ByteSize(1 << 30)).0,
        memory: section.or("memory", false),
    }
}

fn extensions(plan: &Plan) -> impl Iterator<Item = (&str, &Extension)> {
    plan.extensions.iter().filter_map(|planned| {
        let extension = (planned.plan.as_ref() as &dyn Any).downcast_ref::<Extension>()?;
        Some((planned.id.as_str(), extension))
    })
}

fn lake_plan(plan: &Plan) -> Option<&LakePlan> {
    extensions(plan).find_map(|(_, extension)| if let Extension::Lake(lake) = extension { Some(lake) } else { None })
}

/// Where the configuration keeps its lake, if it has one.
pub fn lake_path(plan: &Plan) -> Option<&Path> {
    lake_plan(plan).map(|lake| lake.path.as_path())
}

/// What is on disk.
pub struct Stores {
    pub log: Log,
    /// `None`: in memory.
    pub log_path: Option<PathBuf>,
    pub log_limit: u64,
    pub lake: Option<Arc<Lake>>,
}

impl Stores {
    /// Opens and recovers. Blocks.
    pub fn open(plan: &Plan) -> anyhow::Result<Stores> {
        let own = extensions(plan).find_map(|(_, extension)| match extension {
            Extension::Log(log) => Some(log.clone()),
            _ => None,
        });
        let lake = lake_plan(plan);
        let log_plan = own.or_else(|| lake.map(|lake| lake.log.clone())).unwrap_or_else(|| LogPlan {
            path: PathBuf::from("./data/log"),
            max_size: 1 << 30,
            memory: false,
        });
        let (log, identity) = open_log(&log_plan)?;
        let lake = lake.map(|lake| Lake::open(catchment_storage::Options::from_plan(lake, identity))).transpose()?;
        Ok(Stores {
            log,
            log_limit: log_plan.max_size,
            log_path: (!log_plan.memory).then_some(log_plan.path),
            lake: lake.map(Arc::new),
        })
    }
}

/// The log, and what tells its positions from another log's.
fn open_log(plan: &LogPlan) -> anyhow::Result<(Log, String)> {
    let options = Options { max_bytes: plan.max_size, ..Options::default() };
    if plan.memory {
        tracing::warn!(
            "the log is in memory only: what is acknowledged and not delivered is lost when the process ends"
        );
        return Ok((Log::in_memory(options), uuid::Uuid::now_v7().to_string()));
    }
    let (log, recovery) = Log::open(&plan.path, options)?;
    tracing::info!(
        path = %plan.path.display(), records = recovery.records, segments = recovery.segments,
        torn_bytes = recovery.torn_bytes, "log opened"
    );
    if recovery.lost_records > 0 {
        tracing::error!(
            records = recovery.lost_records,
            "data lost: records of the log are damaged and cannot be read"
        );
    }
    Ok((log, identity(&plan.path)?))
}

/// A log that was deleted and begun anew counts from 1 again: the lake must not take its rows for old ones.
fn identity(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join("identity");
    let named = || format!("the log's identity in {}", path.display());
    match std::fs::read_to_string(&path) {
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(named),
        _ => {}
    }
    let id = uuid::Uuid::now_v7().to_string();
    let aside = folder.join("identity.new");
    std::fs::write(&aside, &id).with_context(named)?;
    std::fs::File::open(&aside).and_then(|file| file.sync_all()).with_context(named)?;
    std::fs::rename(&aside, &path).with_context(named)?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(named)?;
    Ok(id)
}

/// The HTTP servers among the extensions.
#[derive(Default)]
pub struct Servers {
    bound: Vec<(String, SocketAddr)>,
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Servers {
    /// Binds and serves: they answer "not ready" until the engine is.
    pub async fn start(plan: &Plan, status: &Status, lake: Option<&Arc<Lake>>) -> anyhow::Result<Servers> {
        let mut servers = Servers::default();
        for (id, extension) in extensions(plan) {
            let named = || format!("cannot start extension `{id}`");
            let status = status.clone();
            let snapshot = Arc::new(move || status.snapshot());
            let shutdown = servers.shutdown.clone();
            let address = match extension {
                Extension::Dashboard(settings) => {
                    let lake = lake.cloned().map(|lake| lake as Arc<dyn catchment_dashboard::Data>);
                    let sources = Sources { status: snapshot, lake };
                    let dashboard = Dashboard::bind(settings.clone(), sources).await.with_context(named)?;
                    let address = dashboard.address();
                    servers.tasks.spawn(dashboard.run(shutdown));
                    address
                }
                Extension::HealthCheck(settings) => {
                    let check = health_check::HealthCheck::bind(settings, snapshot).await.with_context(named)?;
                    let address = check.address();
                    servers.tasks.spawn(check.run(shutdown));
                    address
                }
                Extension::Lake(_) | Extension::Log(_) => continue,
            };
            servers.bound.push((id.to_owned(), address));
        }
        Ok(servers)
    }

    /// The process's own metrics, as Prometheus reads them.
    pub async fn prometheus(&mut self, endpoint: &str, own: &Telemetry) -> anyhow::Result<()> {
        let server =
            HttpServer::bind(endpoint).await.context("cannot serve own metrics (service::telemetry::metrics)")?;
        self.bound.push(("own metrics".to_owned(), server.address()));
        self.tasks.spawn(own.serve_prometheus(server, self.shutdown.clone()));
        Ok(())
    }

    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.bound
    }

    /// Answers under way are finished.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
