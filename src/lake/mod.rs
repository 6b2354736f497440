//! `lake`: looks at a lake's files and keeps them in order.
//!
//! What changes files is done by the process that holds the lake's lock: a running instance is asked through its socket
//! ([`crate::control`]), and without one the folder is opened here. `info` without an instance, `check` and `export` only read.

mod erase;
mod export;
mod print;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use catchment_pipeline::log::Log;
use catchment_storage::{Lake, LakePlan, LogPlan, MaintenancePlan, MaintenanceReport, Options};

use crate::cli::{self, Exit, LakeCommand, Source, say};
use crate::control::{self, Answer, Request};
use crate::extensions::{lake_plan, open_log};
use crate::inspect;

pub use erase::{Erased, erase};

pub fn run(args: &cli::Lake, source: &Source) -> anyhow::Result<Exit> {
    let Some(place) = Place::find(args, source)? else { return Ok(Exit::BadConfig) };
    let text = match &args.command {
        LakeCommand::Info => print::info(&place.info()?, args.json)?,
        LakeCommand::Check => {
            let report = Lake::check(&place.path)?;
            say(&print::check(&report, args.json)?)?;
            return Ok(if report.is_whole() { Exit::Done } else { Exit::Failed });
        }
        LakeCommand::Erase { condition } => {
            let erased = place.erase(condition)?;
            say(&print::erased(&erased, args.json)?)?;
            return Ok(if erased.is_whole() { Exit::Done } else { Exit::Failed });
        }
        LakeCommand::Export(export) => export::run(export, &place.path, args.json)?,
        LakeCommand::Compact { all } => print::done(&place.change(&Request::Compact { all: *all })?, args)?,
        LakeCommand::Retain => print::done(&place.change(&Request::Retain)?, args)?,
        LakeCommand::Rollup { now } => print::done(&place.change(&Request::Rollup { now: *now })?, args)?,
        LakeCommand::Vacuum { after } => print::done(&place.change(&Request::Vacuum { after: *after })?, args)?,
    };
    say(&text)?;
    Ok(Exit::Done)
}

/// Which lake.
struct Place {
    path: PathBuf,
    /// What the configuration says of it; `None`: only the folder was named.
    plan: Option<LakePlan>,
}

impl Place {
    /// `None`: the configuration is wrong, which has been said.
    fn find(args: &cli::Lake, source: &Source) -> anyhow::Result<Option<Place>> {
        if let Some(path) = args.lake.clone().filter(|_| source.configs.is_empty() && source.sets.is_empty()) {
            return Ok(Some(Place { path, plan: None }));
        }
        let Some(plan) = inspect::checked(source) else { return Ok(None) };
        let plan = lake_plan(&plan).cloned();
        let path = args.lake.clone().or_else(|| plan.as_ref().map(|plan| plan.path.clone()));
        let path = path.context("the configuration has no lake: name its folder with --lake")?;
        Ok(Some(Place { path, plan }))
    }

    fn info(&self) -> anyhow::Result<catchment_storage::LakeInfo> {
        match control::ask(&self.path, &Request::Info) {
            Ok(Some(Answer::Info(info))) => Ok(info),
            _ => Ok(Lake::open_read_only(&self.path)?.info()),
        }
    }

    fn change(&self, request: &Request) -> anyhow::Result<MaintenanceReport> {
        match self.carry_out(request)? {
            Answer::Done(report) => Ok(report),
            Answer::Failed(why) => bail!("{why}"),
            _ => bail!("an answer to another question: use the instance's own program"),
        }
    }

    fn erase(&self, condition: &str) -> anyhow::Result<Erased> {
        match self.carry_out(&Request::Erase { condition: condition.to_owned() })? {
            Answer::Erased(erased) => Ok(erased),
            Answer::Failed(why) => bail!("{why}"),
            _ => bail!("an answer to another question: use the instance's own program"),
        }
    }

    /// Through the instance that runs, or here.
    fn carry_out(&self, request: &Request) -> anyhow::Result<Answer> {
        if let Some(answer) = control::ask(&self.path, request)? {
            return Ok(answer);
        }
        let lake = Arc::new(self.open(request)?);
        let plan = self.plan.as_ref().map(|plan| plan.log.clone());
        let plan = plan.unwrap_or_else(|| LogPlan { path: self.path.join("log"), max_size: u64::MAX, memory: false });
        // Only erasing has to do with the log, and a folder without one gets none.
        let log = match matches!(request, Request::Erase { .. }) && !plan.memory && plan.path.is_dir() {
            true => open_log(&plan)?.0,
            false => Log::in_memory(catchment_pipeline::log::Options::default()),
        };
        Ok(control::carry_out(&lake, &log, request))
    }

    fn open(&self, request: &Request) -> anyhow::Result<Lake> {
        // Opening for writing would make one.
        if !self.path.join("metrics/_delta_log").is_dir() {
            bail!("{} is not a lake: it holds none of its tables", self.path.display());
        }
        if self.plan.is_none() && *request == Request::Retain {
            bail!("how long rows are kept stands in the configuration: name it with --config");
        }
        let mut options = match &self.plan {
            Some(plan) => Options::from_plan(plan, "command"),
            None => Options::new(&self.path),
        };
        options.path.clone_from(&self.path);
        options.maintenance = MaintenancePlan { enabled: false, ..options.maintenance };
        Lake::open(options).context("no instance answers at the lake's control.sock, and it cannot be opened here")
    }
}
