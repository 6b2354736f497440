//! What is not a stage of a pipeline: the lake, the durable log, and the HTTP servers ([`crate::servers`]).

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use catchment_dashboard::health_check;
use catchment_pipeline::batch::TimeLimits;
use catchment_pipeline::component::{ExtensionPlan, ExtensionSpec, Spec, Stability};
use catchment_pipeline::config::{ByteSize, Plan, Planned, Section};
use catchment_pipeline::log::{Log, Options};
use catchment_storage::{Lake, LakePlan, LogPlan, MaintenancePlan, QueryPlan};

/// Sorted by kind.
pub const SPECS: &[&ExtensionSpec] = &[&DASHBOARD, &HEALTH_CHECK, &LAKE, &LOG];

const DASHBOARD: ExtensionSpec = Spec {
    kind: catchment_dashboard::KIND,
    aliases: &[],
    summary: catchment_dashboard::SUMMARY,
    signals: &[],
    stability: Stability::Beta,
    plan: |section| Box::new(Extension::Dashboard(Box::new(catchment_dashboard::Settings::plan(section)))),
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
    plan: |section| Box::new(Extension::Lake(Box::new(LakePlan::read(section)))),
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
pub enum Extension {
    Dashboard(Box<catchment_dashboard::Settings>),
    HealthCheck(health_check::Settings),
    Lake(Box<LakePlan>),
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

pub fn extensions(plan: &Plan) -> impl Iterator<Item = (&Planned<dyn ExtensionPlan>, &Extension)> {
    plan.extensions.iter().filter_map(|planned| {
        let extension = (planned.plan.as_ref() as &dyn Any).downcast_ref::<Extension>()?;
        Some((planned, extension))
    })
}

/// What the configuration says of its lake, if it has one.
pub fn lake_plan(plan: &Plan) -> Option<&LakePlan> {
    extensions(plan).find_map(|(_, extension)| if let Extension::Lake(lake) = extension { Some(&**lake) } else { None })
}

/// Where the configuration keeps its lake, if it has one.
pub fn lake_path(plan: &Plan) -> Option<&Path> {
    lake_plan(plan).map(|lake| lake.path.as_path())
}

/// What a plan says about what is on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct StoresPlan {
    log: LogPlan,
    lake: Option<LakePlan>,
}

impl StoresPlan {
    pub fn of(plan: &Plan) -> StoresPlan {
        let own = extensions(plan).find_map(|(_, extension)| match extension {
            Extension::Log(log) => Some(log.clone()),
            _ => None,
        });
        let lake = lake_plan(plan).cloned();
        let log = own.or_else(|| lake.as_ref().map(|lake| lake.log.clone())).unwrap_or_else(|| LogPlan {
            path: PathBuf::from("./data/log"),
            max_size: 1 << 30,
            memory: false,
        });
        StoresPlan { log, lake }
    }

    /// When the lake is to flush from now on, if `new` says otherwise.
    pub fn new_flush(&self, new: &StoresPlan) -> Option<(Duration, u64)> {
        let flush = |plan: &StoresPlan| plan.lake.as_ref().map(|lake| (lake.flush_interval, lake.flush_size));
        flush(new).filter(|wanted| flush(self).is_some_and(|now| now != *wanted))
    }

    /// Which times the lake is to take from now on, if `new` says otherwise.
    pub fn new_accept(&self, new: &StoresPlan) -> Option<TimeLimits> {
        let accept = |plan: &StoresPlan| plan.lake.as_ref().map(|lake| lake.accept);
        accept(new).filter(|wanted| accept(self).is_some_and(|now| now != *wanted))
    }

    /// What queries may use from now on, if `new` says otherwise.
    pub fn new_query(&self, new: &StoresPlan) -> Option<QueryPlan> {
        let query = |plan: &StoresPlan| plan.lake.as_ref().map(|lake| lake.query.clone());
        query(new).filter(|wanted| query(self).is_some_and(|now| now != *wanted))
    }

    /// How the lake is to be kept in order from now on, if `new` says otherwise.
    pub fn new_maintenance(&self, new: &StoresPlan) -> Option<MaintenancePlan> {
        let maintenance = |plan: &StoresPlan| plan.lake.as_ref().map(|lake| lake.maintenance.clone());
        maintenance(new).filter(|wanted| maintenance(self).is_some_and(|now| now != *wanted))
    }

    /// From a plan that was applied as far as it can be.
    pub fn take_over(&mut self, new: StoresPlan) {
        if let (Some(lake), Some(new)) = (&mut self.lake, new.lake) {
            lake.accept = new.accept;
            (lake.flush_interval, lake.flush_size) = (new.flush_interval, new.flush_size);
            lake.maintenance = new.maintenance;
            lake.query = new.query;
        }
    }

    /// What `new` says otherwise and a running process cannot change: files are open, and columns are laid out.
    pub fn fixed(&self, new: &StoresPlan) -> Vec<&'static str> {
        let mut fixed = Vec::new();
        let mut differ = |key, differs| {
            if differs {
                fixed.push(key);
            }
        };
        differ("the log's path", self.log.path != new.log.path);
        differ("the log's max_size", self.log.max_size != new.log.max_size);
        differ("whether the log is in memory", self.log.memory != new.log.memory);
        match (&self.lake, &new.lake) {
            (Some(lake), Some(new)) => {
                differ("the lake's path", lake.path != new.path);
                differ("the lake's promoted columns", lake.promoted != new.promoted);
            }
            (lake, new) => differ("whether there is a lake", lake.is_some() != new.is_some()),
        }
        fixed
    }
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
    pub fn open(plan: &StoresPlan) -> anyhow::Result<Stores> {
        let (log, identity) = open_log(&plan.log)?;
        let lake = plan.lake.as_ref();
        let lake = lake.map(|lake| Lake::open(catchment_storage::Options::from_plan(lake, identity))).transpose()?;
        Ok(Stores {
            log,
            log_limit: plan.log.max_size,
            log_path: (!plan.log.memory).then(|| plan.log.path.clone()),
            lake: lake.map(Arc::new),
        })
    }
}

/// The log, and what tells its positions from another log's.
pub fn open_log(plan: &LogPlan) -> anyhow::Result<(Log, String)> {
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
