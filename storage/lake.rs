//! [`Lake`]: open, append, flush, durable.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::bail;
use catchment_pipeline::batch::{Rows, TimeLimits};
use catchment_pipeline::log::Position;
use tokio::sync::watch;

use crate::changes::Changed;
use crate::config::{LakePlan, QueryPlan};
use crate::disk::{Disk, System};
use crate::files::Shape;
use crate::flush::Writer;
use crate::journal::aside;
use crate::maintain::{Compact, MaintenancePlan, MaintenanceReport, Share};
use crate::opening::{layouts, open_existing};
use crate::shared::{Pace, Shared};
use crate::sql::{Engine, Tables};

/// How a lake is opened for writing.
#[derive(Clone, Debug)]
pub struct Options {
    pub path: PathBuf,
    pub flush_interval: Duration,
    /// Bytes of hot rows that start a flush before `flush_interval` is over.
    pub flush_size: u64,
    /// Resource attribute key to type: `string`, `int`, `double`, `bool`.
    pub promoted: BTreeMap<String, String>,
    /// Which times rows may have: for whoever appends to ask ([`Lake::accepts`]); [`Lake::append`] takes any.
    pub accept: TimeLimits,
    /// Which log the positions of [`Lake::append`] come from. Positions of another log are not compared: give the
    /// log's own identity, and a fresh one for a log in memory.
    pub log_id: String,
    pub maintenance: MaintenancePlan,
    pub query: QueryPlan,
    /// Of files that stay.
    pub merged: Shape,
}

impl Options {
    pub fn new(path: impl Into<PathBuf>) -> Options {
        Options {
            path: path.into(),
            flush_interval: Duration::from_secs(60),
            flush_size: 64 << 20,
            promoted: BTreeMap::new(),
            accept: TimeLimits::default(),
            log_id: "log".to_owned(),
            maintenance: MaintenancePlan { enabled: false, ..MaintenancePlan::default() },
            query: QueryPlan::default(),
            merged: Shape::MERGED,
        }
    }

    pub fn from_plan(plan: &LakePlan, log_id: impl Into<String>) -> Options {
        Options {
            path: plan.path.clone(),
            flush_interval: plan.flush_interval,
            flush_size: plan.flush_size,
            promoted: plan.promoted.clone(),
            accept: plan.accept,
            log_id: log_id.into(),
            maintenance: plan.maintenance.clone(),
            query: plan.query.clone(),
            merged: Shape::MERGED,
        }
    }
}

/// Why rows were not taken; nothing of them is in the lake.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Memory for hot rows is used up until a flush succeeds: try again.
    #[error("{0}")]
    Busy(String),
    #[error("{0}")]
    Failed(String),
}

/// A lake folder. One process writes it at a time; any number read it.
pub struct Lake {
    shared: Arc<Shared>,
    engine: Arc<Engine>,
    /// Who flushes, and who keeps the files in order.
    threads: Vec<JoinHandle<()>>,
}

/// See [`Lake::claim`].
#[derive(Debug)]
pub struct Claim {
    _who: Arc<String>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lake {
    /// Opens or makes the lake, finishes a flush that a crash cut short, and starts flushing in the background.
    pub fn open(options: Options) -> anyhow::Result<Lake> {
        let (path, query) = (options.path.clone(), options.query.clone());
        let rules = options.maintenance.rules.clone();
        let shared = Arc::new(Shared::open(Arc::new(System), options)?);
        let engine = Arc::new(Engine::new(&path, Some(aside(&path)), &query)?);
        let mut lake = Lake { engine, shared, threads: Vec::new() };
        lake.shared.set_rules(&lake.sql(), &rules);
        lake.spawn("lake-flush", Shared::flush_until_closed)?;
        lake.spawn("lake-maintain", Shared::maintain_until_closed)?;
        Ok(lake)
    }

    fn spawn(&mut self, name: &str, work: fn(&Shared)) -> anyhow::Result<()> {
        let shared = self.shared.clone();
        self.threads.push(std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared))?);
        Ok(())
    }

    /// For questions only, also while another process writes: sees what that one had flushed when this was opened.
    pub fn open_read_only(path: impl AsRef<Path>) -> anyhow::Result<Lake> {
        let path = path.as_ref();
        let disk: Arc<dyn Disk> = Arc::new(System);
        let (logs, promoted) = open_existing(&disk, path)?;
        let layouts = layouts(&promoted);
        let writer = Writer { logs, unfinished: None, lock: None };
        let shared = Shared::new(disk, Options::new(path), String::new(), promoted, layouts, writer, 0)?;
        Ok(Lake {
            engine: Arc::new(Engine::new(path, None, &QueryPlan::default())?),
            shared: Arc::new(shared),
            threads: Vec::new(),
        })
    }

    /// Makes rows hot and visible. `at` is the log position of the last record they come from, counted from 1 and
    /// rising; rows at or before the last one appended (or flushed by an earlier run) are in already and are skipped.
    /// Takes time in proportion to the rows; does no I/O.
    pub fn append(&self, rows: &Rows, at: Position) -> Result<(), AppendError> {
        self.shared.append(rows, at)
    }

    /// Whoever appends holds this while it does. Two would share one position: what one appended would hide rows of the
    /// other, so a second one is refused. The same name may follow itself.
    pub fn claim(&self, who: &str) -> anyhow::Result<Claim> {
        let mut holder = lock(&self.shared.holder);
        if let Some(other) = holder.upgrade().filter(|other| other.as_str() != who) {
            bail!(
                "`{other}` writes into the lake already, and one has to do it for all: use `{other}` in every pipeline \
                 that ends in the lake, and leave `{who}` out"
            );
        }
        let claim = holder.upgrade().unwrap_or_else(|| Arc::new(who.to_owned()));
        *holder = Arc::downgrade(&claim);
        Ok(Claim { _who: claim })
    }

    /// Every row at or before this position is in files. After opening: where reading the log should go on.
    pub fn durable(&self) -> watch::Receiver<Position> {
        self.shared.durable.subscribe()
    }

    /// Changes when rows are flushed, from now on.
    pub fn set_flush(&self, interval: Duration, size: u64) {
        *lock(&self.shared.pace) = Pace { interval, size };
        // Whoever flushes counts the new interval from its last flush.
        drop(lock(&self.shared.signal));
        self.shared.wake.notify_all();
    }

    /// Which times rows may have.
    pub fn accepts(&self) -> watch::Receiver<TimeLimits> {
        self.shared.accept.subscribe()
    }

    /// Changes which times rows may have, from now on.
    pub fn set_accepts(&self, limits: TimeLimits) {
        self.shared.accept.send_replace(limits);
    }

    /// Moves to the position of the last row appended, once it is visible to SQL.
    pub fn changes(&self) -> watch::Receiver<Position> {
        self.shared.changes.subscribe()
    }

    /// What rows after `position` mean to an answer that reads `tables` in the `window` (microseconds). Covers at
    /// least what [`Lake::changes`] said before this was called.
    pub fn changed_since(&self, position: Position, tables: Tables, window: Range<i64>) -> Changed {
        self.shared.with_state(|state| state.changes.since(position, tables, &window))
    }

    /// Which log the positions are of: they mean nothing to a lake with another one.
    pub fn log_id(&self) -> &str {
        &self.shared.log_id
    }

    /// Changes how the lake is kept in order, from now on.
    pub fn set_maintenance(&self, plan: MaintenancePlan) {
        self.shared.set_rules(&self.sql(), &plan.rules);
        *lock(&self.shared.maintenance) = plan;
        drop(lock(&self.shared.signal));
        self.shared.wake.notify_all();
    }

    /// All that is due of what follows, as the background does it. Blocks, as they do.
    pub fn maintain(&self) -> anyhow::Result<MaintenanceReport> {
        self.shared.maintain()
    }

    /// Merges files.
    pub fn compact(&self, which: Compact) -> anyhow::Result<MaintenanceReport> {
        self.shared.compact(which)
    }

    /// Writes rollups of hours that are over. `now`: also of those whose rows may still come.
    pub fn roll_up(&self, now: bool) -> anyhow::Result<MaintenanceReport> {
        self.shared.roll_up(now)
    }

    /// Drops days that are past their table's retention, and rows that a rule keeps no longer.
    pub fn retain(&self) -> anyhow::Result<MaintenanceReport> {
        self.shared.retain(Share::All)
    }

    /// Deletes files that were replaced or dropped so long ago (`None`: as configured), and that no query reads.
    pub fn vacuum(&self, after: Option<Duration>) -> anyhow::Result<MaintenanceReport> {
        self.shared.vacuum(after)
    }

    /// Ends maintenance that is under way at its next step, and begins none any more; nor are rows flushed by themselves.
    /// What was committed stays.
    pub fn close(&self) {
        lock(&self.shared.signal).close = true;
        self.shared.wake.notify_all();
    }

    /// Writes hot rows to files and commits them; returns what is durable then. Blocks: call it off the async threads.
    pub fn flush(&self) -> anyhow::Result<Position> {
        self.shared.flush()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}

impl Drop for Lake {
    /// Stops flushing. Rows still hot are not lost: the log has them.
    fn drop(&mut self) {
        self.close();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
