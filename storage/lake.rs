//! [`Lake`]: open, append, flush, durable.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use catchment_pipeline::batch::{Rows, Table, TimeLimits};
use catchment_pipeline::log::Position;
use tokio::sync::watch;

use crate::catalog::Catalog;
use crate::changes::{Appended, Changed};
use crate::config::{LakePlan, QueryPlan};
use crate::convert::{convert, time_span};
use crate::delta::DeltaLog;
use crate::disk::{Disk, Lock, System};
use crate::files::{self, Shape};
use crate::hot::{Chunk, Chunks, State};
use crate::journal::{Journal, aside};
use crate::maintain::{Compact, Maintainer, MaintenancePlan, MaintenanceReport};
use crate::opening::{
    PROMOTED, clear, clear_files, layouts, load_catalog, lock_folder, merge_promoted, open_existing, open_logs, settle,
};
use crate::schema::{self, LakeTable, Layout, Promoted, TABLES};
use crate::sql::{Engine, Snapshot, TableSnapshot, Tables};

/// Hot bytes, in flush sizes, at which appending is refused: flushing has failed for a while.
const REFUSE_AT: u64 = 4;

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
    engine: Engine,
    /// Who flushes, and who keeps the files in order.
    threads: Vec<JoinHandle<()>>,
}

/// See [`Lake::claim`].
#[derive(Debug)]
pub struct Claim {
    _who: Arc<String>,
}

pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    app: String,
    pace: Mutex<Pace>,
    log_id: String,
    pub(crate) promoted: Vec<Promoted>,
    pub(crate) layouts: Vec<Arc<Layout>>,
    pub(crate) state: Mutex<State>,
    pub(crate) catalog: Arc<Mutex<Catalog>>,
    /// Held while flushing, and while files are put in the place of others.
    writer: Mutex<Writer>,
    pub(crate) maintenance: Mutex<MaintenancePlan>,
    pub(crate) merged: Shape,
    pub(crate) maintainer: Mutex<Maintainer>,
    /// Since the start.
    pub(crate) maintained: Mutex<MaintenanceReport>,
    report: Mutex<FlushReport>,
    durable: watch::Sender<Position>,
    accept: watch::Sender<TimeLimits>,
    /// Position of the last row appended.
    changes: watch::Sender<Position>,
    holder: Mutex<Weak<String>>,
    signal: Mutex<Signal>,
    wake: Condvar,
    #[cfg(test)]
    pub(crate) crash_after: Mutex<Option<Step>>,
}

/// When rows are flushed.
#[derive(Clone, Copy, Debug)]
struct Pace {
    interval: Duration,
    /// Bytes of hot rows.
    size: u64,
}

/// What only the one who flushes touches.
pub(crate) struct Writer {
    pub(crate) logs: Vec<DeltaLog>,
    /// Written, but not carried out to its end: before anything else is flushed, it is.
    unfinished: Option<Journal>,
    /// Keeps other writers out; `None`: opened for reading.
    lock: Option<Lock>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct FlushReport {
    pub(crate) at: Option<SystemTime>,
    pub(crate) took: Option<Duration>,
    pub(crate) error: Option<String>,
    /// Since the start.
    pub(crate) flushes: u64,
    pub(crate) failures: u64,
    pub(crate) time: Duration,
}

#[derive(Default)]
struct Signal {
    flush_now: bool,
    close: bool,
}

/// Points of a flush after which a crash leaves something different behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Staged,
    Journaled,
    Committed,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lake {
    /// Opens or makes the lake, finishes a flush that a crash cut short, and starts flushing in the background.
    pub fn open(options: Options) -> anyhow::Result<Lake> {
        let (path, query) = (options.path.clone(), options.query.clone());
        let shared = Arc::new(Shared::open(Arc::new(System), options)?);
        let spawn = |name: &str, work: fn(&Shared)| {
            let shared = shared.clone();
            std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared))
        };
        let mut threads = vec![spawn("lake-flush", Shared::flush_until_closed)?];
        threads.push(spawn("lake-maintain", Shared::maintain_until_closed)?);
        Ok(Lake { engine: Engine::new(&path, Some(aside(&path)), &query)?, shared, threads })
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
            engine: Engine::new(path, None, &QueryPlan::default())?,
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

    /// Drops days that are past their table's retention.
    pub fn retain(&self) -> anyhow::Result<MaintenanceReport> {
        self.shared.retain()
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

    pub(crate) fn engine(&self) -> &Engine {
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

impl Shared {
    /// A lake without the flusher's thread and without SQL.
    pub(crate) fn open(disk: Arc<dyn Disk>, options: Options) -> anyhow::Result<Shared> {
        let path = options.path.clone();
        let folder = || format!("opening the lake in {}", path.display());
        disk.create_folder(&path).with_context(folder)?;
        disk.create_folder(&aside(&path)).with_context(folder)?;
        let writers_lock = lock_folder(&*disk, &path)?;
        settle(&*disk, &path).with_context(folder)?;
        let mut logs = open_logs(&disk, &path).with_context(folder)?;
        let extra = merge_promoted(&logs, &options.promoted)?;
        let promoted = schema::promoted(&extra).map_err(anyhow::Error::msg)?;
        let layouts = layouts(&promoted);
        let configuration = [(PROMOTED, serde_json::to_string(&extra)?)];
        for ((table, log), layout) in TABLES.iter().zip(&mut logs).zip(&layouts) {
            log.ensure_schema(table.name(), &layout.hot, &configuration, disk.now_ms()).with_context(folder)?;
        }
        let app = format!("catchment/{}", options.log_id);
        let version = logs.iter().filter_map(|log| log.transaction(&app)).max().unwrap_or(0);
        let mut position = u64::try_from(version).unwrap_or(0);
        if let Some(journal) = Journal::read(&*disk, &path)? {
            journal.complete(&*disk, &path, &mut logs).context("finishing a flush that was cut short")?;
            if journal.app == app {
                position = position.max(journal.position);
            }
        }
        clear(&*disk, &aside(&path)).with_context(folder)?;
        let writer = Writer { logs, unfinished: None, lock: Some(writers_lock) };
        Shared::new(disk, options, app, promoted, layouts, writer, position)
    }

    fn new(
        disk: Arc<dyn Disk>,
        options: Options,
        app: String,
        promoted: Vec<Promoted>,
        layouts: Vec<Arc<Layout>>,
        writer: Writer,
        position: Position,
    ) -> anyhow::Result<Shared> {
        let files = writer.logs.iter().map(|log| log.files().cloned().collect());
        let state = State::new(files.collect::<Vec<_>>(), position);
        let catalog = load_catalog(&disk, &options.path, &state, &layouts[LakeTable::Series.index()], &promoted)?;
        Ok(Shared {
            disk,
            path: options.path,
            app,
            pace: Mutex::new(Pace { interval: options.flush_interval, size: options.flush_size }),
            log_id: options.log_id,
            promoted,
            layouts,
            state: Mutex::new(state),
            catalog: Arc::new(Mutex::new(catalog)),
            writer: Mutex::new(writer),
            maintenance: Mutex::new(options.maintenance),
            merged: options.merged,
            maintainer: Mutex::default(),
            maintained: Mutex::default(),
            report: Mutex::default(),
            durable: watch::Sender::new(position),
            accept: watch::Sender::new(options.accept),
            changes: watch::Sender::new(position),
            holder: Mutex::default(),
            signal: Mutex::default(),
            wake: Condvar::new(),
            #[cfg(test)]
            crash_after: Mutex::new(None),
        })
    }

    pub(crate) fn append(&self, rows: &Rows, at: Position) -> Result<(), AppendError> {
        let failed =
            |error: arrow::error::ArrowError| AppendError::Failed(format!("rows do not fit the lake: {error}"));
        if !self.writes() {
            return Err(AppendError::Failed("the lake was opened for reading".to_owned()));
        }
        let flush_size = lock(&self.pace).size;
        {
            let state = lock(&self.state);
            if at <= state.appended {
                return Ok(());
            }
            let limit = REFUSE_AT * flush_size.max(1 << 20);
            if state.hot_bytes > limit {
                drop(state);
                self.flush_soon();
                let why = lock(&self.report).error.clone().unwrap_or_else(|| "flushing is slower".to_owned());
                return Err(AppendError::Busy(format!("{} MiB of rows wait for their flush: {why}", limit >> 20)));
            }
        }
        let mut appended = Appended::default();
        let converted = rows.tables().map(|(table, rows)| {
            let rows = convert(rows, &self.layouts[table as usize], &self.promoted)?;
            let span = time_span(&rows)?;
            appended.add(LakeTable::Rows(table), span);
            Ok((LakeTable::Rows(table), Chunk::new(rows, span)))
        });
        let mut chunks = converted.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let mut state = lock(&self.state);
        if at <= state.appended {
            return Ok(());
        }
        // What may fail comes before the first row is in.
        let series = self.note_series(&chunks).map_err(failed)?;
        series.iter().for_each(|chunk| appended.add(LakeTable::Series, chunk.span));
        chunks.extend(series.into_iter().map(|chunk| (LakeTable::Series, chunk)));
        for (table, chunk) in chunks {
            state.hot_bytes += chunk.bytes;
            state.tables[table.index()].push(chunk);
        }
        state.appended = at;
        state.changes.note(at, appended);
        self.changes.send_replace(at);
        if state.hot_bytes >= flush_size {
            drop(state);
            self.flush_soon();
        }
        Ok(())
    }

    /// Rows of `series` for series not seen before.
    fn note_series(&self, chunks: &[(LakeTable, Chunk)]) -> Result<Vec<Chunk>, arrow::error::ArrowError> {
        let layout = &self.layouts[LakeTable::Series.index()];
        let mut new = Vec::new();
        let mut catalog = lock(&self.catalog);
        for (table, chunk) in chunks {
            if let LakeTable::Rows(table) = table
                && !matches!(table, Table::Logs | Table::Spans)
                && let Some(rows) = catalog.note(*table, &chunk.rows, layout)?
            {
                let span = time_span(&rows)?;
                new.push(Chunk::new(rows, span));
            }
        }
        Ok(new)
    }

    /// Waits until maintenance is due; `false`: the lake is being closed.
    pub(crate) fn sleep_until_maintenance(&self) -> bool {
        let since = Instant::now();
        let mut signal = lock(&self.signal);
        while !signal.close {
            let plan = lock(&self.maintenance);
            let left = plan.interval.saturating_sub(since.elapsed());
            if plan.enabled && left.is_zero() {
                return true;
            }
            let left = if plan.enabled { left } else { Duration::from_secs(3600) };
            drop(plan);
            signal = self.wake.wait_timeout(signal, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// `false`: opened for reading.
    pub(crate) fn writes(&self) -> bool {
        !self.app.is_empty()
    }

    pub(crate) fn is_closing(&self) -> bool {
        lock(&self.signal).close
    }

    fn flush_soon(&self) {
        lock(&self.signal).flush_now = true;
        self.wake.notify_all();
    }

    fn flush_until_closed(&self) {
        loop {
            let mut signal = lock(&self.signal);
            let since = Instant::now();
            while !signal.close && !signal.flush_now {
                let left = lock(&self.pace).interval.saturating_sub(since.elapsed());
                if left.is_zero() {
                    break;
                }
                signal = self.wake.wait_timeout(signal, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            if signal.close {
                return;
            }
            signal.flush_now = false;
            drop(signal);
            let flushed = std::panic::catch_unwind(AssertUnwindSafe(|| self.flush()));
            let flushed = flushed.unwrap_or_else(|_| {
                let error = "it panicked, which is a mistake in this program";
                lock(&self.report).error = Some(error.to_owned());
                Err(anyhow::anyhow!(error))
            });
            if let Err(error) = flushed {
                tracing::warn!(lake = %self.path.display(), "flush failed, its rows stay in memory and in the log, and it is tried again: {error:#}");
            }
        }
    }

    pub(crate) fn flush(&self) -> anyhow::Result<Position> {
        let mut writer = lock(&self.writer);
        if writer.lock.is_none() {
            return Ok(0);
        }
        let started = Instant::now();
        let result = self.flush_with(&mut writer);
        let mut report = lock(&self.report);
        report.at = Some(SystemTime::now());
        report.took = Some(started.elapsed());
        report.flushes += 1;
        report.failures += u64::from(result.is_err());
        report.time += started.elapsed();
        report.error = result.as_ref().err().map(|error| format!("{error:#}"));
        result
    }

    /// Locked, and with no flush half done: of such a one some tables have files that the others wait for, and queries still
    /// see its rows in memory.
    pub(crate) fn settled_writer(&self) -> anyhow::Result<MutexGuard<'_, Writer>> {
        let mut writer = lock(&self.writer);
        anyhow::ensure!(writer.lock.is_some(), "the lake was opened for reading");
        self.finish_unfinished(&mut writer)?;
        Ok(writer)
    }

    fn finish_unfinished(&self, writer: &mut Writer) -> anyhow::Result<()> {
        writer.unfinished.take().map_or(Ok(()), |journal| self.finish(writer, journal))
    }

    fn flush_with(&self, writer: &mut Writer) -> anyhow::Result<Position> {
        self.finish_unfinished(writer)?;
        let (position, chunks) = lock(&self.state).start_flush();
        if chunks.iter().any(|chunks| !chunks.is_empty()) {
            let _span = tracing::debug_span!("flush", position).entered();
            let journal = self.stage(position, &chunks)?;
            self.step(Step::Staged)?;
            journal.write(&*self.disk, &self.path)?;
            self.step(Step::Journaled)?;
            self.finish(writer, journal)?;
        } else {
            self.durable.send_replace(position);
        }
        Ok(position)
    }

    /// Sorts and writes every table's rows aside.
    fn stage(&self, position: Position, chunks: &[Chunks]) -> anyhow::Result<Journal> {
        let aside = aside(&self.path);
        // What an attempt left that failed, for want of space perhaps; operators of queries spill to folders beside.
        Journal::withdraw(&*self.disk, &self.path)?;
        clear_files(&*self.disk, &aside).with_context(|| format!("clearing {}", aside.display()))?;
        let mut tables = BTreeMap::new();
        for (table, chunks) in TABLES.into_iter().zip(chunks).filter(|(_, chunks)| !chunks.is_empty()) {
            let rolled_up = |date| table.rolled().map_or_else(Vec::new, |rolled| self.rolled_up_at_all(rolled, date));
            let staged = files::write(&self.disk, table, chunks, &rolled_up, &aside)
                .with_context(|| format!("writing rows of table `{}`", table.name()))?;
            tables.insert(table.name().to_owned(), staged);
        }
        Ok(Journal { app: self.app.clone(), position, tables })
    }

    /// Carries a written journal out, then lets files take the place of the rows in memory.
    fn finish(&self, writer: &mut Writer, journal: Journal) -> anyhow::Result<()> {
        if let Err(error) = journal.complete(&*self.disk, &self.path, &mut writer.logs) {
            writer.unfinished = Some(journal);
            return Err(error);
        }
        self.step(Step::Committed)?;
        Journal::remove(&*self.disk, &self.path);
        let files = writer.logs.iter().map(|log| log.files().cloned().collect());
        lock(&self.state).end_flush(files.collect());
        self.durable.send_replace(journal.position);
        Ok(())
    }

    /// Queries see a table's files as its log has them now.
    pub(crate) fn show_files(&self, table: LakeTable, log: &DeltaLog) {
        lock(&self.state).tables[table.index()].files = Arc::new(log.files().cloned().collect());
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    fn step(&self, _done: Step) -> anyhow::Result<()> {
        Ok(())
    }

    /// In tests a flush can be made to end here, as a crash would.
    #[cfg(test)]
    fn step(&self, done: Step) -> anyhow::Result<()> {
        anyhow::ensure!(*lock(&self.crash_after) != Some(done), "crash after {done:?}");
        Ok(())
    }

    /// All tables as they are at one moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = lock(&self.state);
        let tables = state.tables.iter().zip(&self.layouts).zip(TABLES).map(|((rows, layout), table)| TableSnapshot {
            table,
            layout: layout.clone(),
            hot: rows.chunks().cloned().collect(),
            files: rows.files.clone(),
            catalog: Some(self.catalog.clone()),
        });
        Snapshot::new(tables.collect(), self.catalog.clone(), state.appended)
    }

    pub(crate) fn with_state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&lock(&self.state))
    }

    pub(crate) fn report(&self) -> FlushReport {
        lock(&self.report).clone()
    }

    pub(crate) fn is_promoted(&self, key: &str) -> bool {
        self.promoted.iter().any(|promoted| promoted.key == key)
    }

    pub(crate) fn durable_position(&self) -> Position {
        *self.durable.borrow()
    }
}
