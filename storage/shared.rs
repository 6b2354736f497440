//! What a lake's door, its flusher and its maintenance share: rows in memory, files, logs, and how they are opened.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use anyhow::Context;
use catchment_pipeline::batch::{Rows, TimeLimits};
use catchment_pipeline::log::Position;
use tokio::sync::watch;

use crate::catalog::Catalog;
use crate::changes::Appended;
use crate::convert::{convert, time_span};
use crate::delta::DeltaLog;
use crate::disk::Disk;
use crate::files::Shape;
#[cfg(test)]
use crate::flush::Step;
use crate::flush::{FlushReport, Writer};
use crate::hot::{Chunk, State};
use crate::journal::{Journal, aside};
use crate::lake::{AppendError, Options, lock};
use crate::maintain::{Maintainer, MaintenancePlan, MaintenanceReport, Rule};
use crate::opening::{PROMOTED, clear, layouts, load_catalog, lock_folder, merge_promoted, open_logs, settle};
use crate::schema::{self, LakeTable, Layout, Promoted, TABLES};
use crate::sql::{Snapshot, TableSnapshot};

/// Hot bytes, in flush sizes, at which appending is refused: flushing has failed for a while.
const REFUSE_AT: u64 = 4;

pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) app: String,
    pub(crate) pace: Mutex<Pace>,
    pub(crate) log_id: String,
    pub(crate) promoted: Vec<Promoted>,
    pub(crate) layouts: Vec<Arc<Layout>>,
    pub(crate) state: Mutex<State>,
    pub(crate) catalog: Arc<Mutex<Catalog>>,
    /// Held while flushing, and while files are put in the place of others.
    pub(crate) writer: Mutex<Writer>,
    pub(crate) maintenance: Mutex<MaintenancePlan>,
    /// Of retention.
    pub(crate) rules: Mutex<Vec<Arc<Rule>>>,
    pub(crate) merged: Shape,
    pub(crate) maintainer: Mutex<Maintainer>,
    /// Since the start.
    pub(crate) maintained: Mutex<MaintenanceReport>,
    pub(crate) report: Mutex<FlushReport>,
    pub(crate) durable: watch::Sender<Position>,
    pub(crate) accept: watch::Sender<TimeLimits>,
    /// Position of the last row appended.
    pub(crate) changes: watch::Sender<Position>,
    pub(crate) holder: Mutex<Weak<String>>,
    pub(crate) signal: Mutex<Signal>,
    pub(crate) wake: Condvar,
    #[cfg(test)]
    pub(crate) crash_after: Mutex<Option<Step>>,
}

/// When rows are flushed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) interval: Duration,
    /// Bytes of hot rows.
    pub(crate) size: u64,
}

#[derive(Default)]
pub(crate) struct Signal {
    pub(crate) flush_now: bool,
    pub(crate) close: bool,
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

    pub(crate) fn new(
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
            rules: Mutex::default(),
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
                && table.is_metric()
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

    /// Queries see a table's files as its log has them now.
    pub(crate) fn show_files(&self, table: LakeTable, log: &DeltaLog) {
        lock(&self.state).tables[table.index()].files = Arc::new(log.files().cloned().collect());
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
