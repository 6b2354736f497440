//! Keeping the lake in order: many files merged into few, old days dropped, what is replaced deleted when no query reads it.
//!
//! A thread of its own does what is due, at low priority; the same is done on command. What changes a table is one commit of its log,
//! so that a crash leaves the table as it was before or as it is after; files that no commit names are deleted later.

mod check;
mod erase;
mod judge;
mod merge;
mod plan;
mod policy;
mod rollup;
mod rule_plan;
mod rules;
mod take_out;
mod vacuum;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::changes::Span;
use crate::convert::day;
use crate::delta::DeltaLog;
use crate::files::{FileEntry, Output, Ranges, Shape, Staged, Tags, Target};
use crate::flush::Writer;
use crate::journal::aside;
use crate::lake::lock;
use crate::opening::clear_files;
use crate::rollup::without;
use crate::schema::{LakeTable, TABLES};
use crate::shared::Shared;

pub use check::{CheckReport, Checked, Problem};
pub use erase::EraseReport;
#[cfg(test)]
pub(crate) use judge::Condition;
pub use judge::Judge;
pub use policy::{MaintenancePlan, Retention, RollupPlan};
pub use rule_plan::RulePlan;
pub(crate) use rules::{Rule, Share};
#[cfg(test)]
pub(crate) use vacuum::parquet_files;

/// After a date is over its rows are expected for this long, in microseconds.
const LATE: i64 = 3600 * 1_000_000;
/// Files of one table at which merging no longer gives way to everything else.
const TOO_MANY: usize = 500;
/// Merges of one table before something else has its turn.
const IN_A_ROW: usize = 16;
/// What the thread gives way to: `nice` 10.
const PRIORITY: i32 = 10;

/// What maintenance keeps in mind. Held while it works: one at a time.
#[derive(Debug, Default)]
pub(crate) struct Maintainer {
    /// Files taken out and not yet deleted, and who reads them.
    taken_out: Vec<TakenOut>,
    /// Files of other programs, whose rows may be in another order: they stay as they are.
    foreign: HashSet<String>,
    anew: rollup::Anew,
    asked: rules::Asked,
    /// When folders were last looked through for files that no commit names.
    looked: Option<std::time::Instant>,
}

#[derive(Debug)]
struct TakenOut {
    table: LakeTable,
    path: String,
    /// Alive as long as a snapshot has it.
    read: Weak<()>,
}

/// What maintenance did, since the start or in one call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MaintenanceReport {
    pub merges: u64,
    /// Files that were merged, and what came of them.
    pub files_merged: u64,
    pub files_written: u64,
    pub bytes_written: u64,
    /// Times that a rollup's table was added to.
    pub rollups: u64,
    /// Files and rows that were past their retention.
    pub files_dropped: u64,
    pub rows_dropped: u64,
    /// Files written anew without the rows that a rule of retention drops.
    pub files_thinned: u64,
    /// Files that were deleted because nobody reads them any more.
    pub files_deleted: u64,
    #[serde(rename = "seconds", with = "seconds")]
    pub time: Duration,
    /// Why the last round did not end.
    pub error: Option<String>,
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl MaintenanceReport {
    fn add(&mut self, other: &MaintenanceReport) {
        self.merges += other.merges;
        self.files_merged += other.files_merged;
        self.files_written += other.files_written;
        self.bytes_written += other.bytes_written;
        self.rollups += other.rollups;
        self.files_dropped += other.files_dropped;
        self.rows_dropped += other.rows_dropped;
        self.files_thinned += other.files_thinned;
        self.files_deleted += other.files_deleted;
        self.time += other.time;
        self.error.clone_from(&other.error);
    }
}

/// Why files take the place of others, as Delta names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The same rows in other files.
    Optimize,
    Delete,
    /// Other rows.
    Write,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Optimize => "OPTIMIZE",
            Operation::Delete => "DELETE",
            Operation::Write => "WRITE",
        }
    }

    /// Rows of the old files are not in the new ones.
    fn rows_go(self) -> bool {
        self != Operation::Optimize
    }
}

/// Which dates' files are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compact {
    /// What is worth it.
    Due,
    /// Also the date that is still open, into its final shape.
    All,
}

impl Shared {
    pub(crate) fn maintain_until_closed(&self) {
        while self.sleep_until_maintenance() {
            let behind = TABLES.iter().any(|table| self.files(*table).len() > TOO_MANY);
            // A priority once given up is not had back: each round has a thread of its own.
            let round = std::thread::scope(|scope| {
                let round = || {
                    if !behind {
                        // Linux has priorities by thread, and `None` is the one that asks.
                        let _ = rustix::process::setpriority_process(None, PRIORITY);
                    }
                    self.maintain()
                };
                std::thread::Builder::new()
                    .name("lake-maintain".to_owned())
                    .spawn_scoped(scope, round)?
                    .join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked, which is a mistake in this program")))
            });
            if let Err(error) = round
                && !self.is_closing()
            {
                let error = format!("{error:#}");
                tracing::warn!(lake = %self.path.display(), "maintenance did not get done, and is tried again: {error}");
                lock(&self.maintained).error = Some(error);
            }
        }
    }

    /// All that is due.
    pub(crate) fn maintain(&self) -> anyhow::Result<MaintenanceReport> {
        let mut report = self.roll_up(false)?;
        report.add(&self.retain(Share::Round)?);
        loop {
            // Under load there is always something to merge: what was replaced has its turn in between.
            let merged = self.compact(Compact::Due)?;
            report.add(&merged);
            report.add(&self.vacuum_due()?);
            if merged.merges == 0 {
                return Ok(report);
            }
        }
    }

    fn work(
        &self,
        work: impl FnOnce(&mut Maintainer, &mut MaintenanceReport) -> anyhow::Result<()>,
    ) -> anyhow::Result<MaintenanceReport> {
        let mut maintainer = lock(&self.maintainer);
        let began = std::time::Instant::now();
        let mut report = MaintenanceReport::default();
        let result = work(&mut maintainer, &mut report);
        report.time = began.elapsed();
        report.error = result.as_ref().err().map(|error| format!("{error:#}"));
        lock(&self.maintained).add(&report);
        result.map(|()| report)
    }

    /// Merges files, newest dates first.
    pub(crate) fn compact(&self, which: Compact) -> anyhow::Result<MaintenanceReport> {
        self.work(|maintainer, report| {
            for table in TABLES {
                for _ in 0..if which == Compact::All { usize::MAX } else { IN_A_ROW } {
                    let Some(task) = self.merge_task(maintainer, table, which) else { break };
                    self.merge(maintainer, table, &task, report)
                        .with_context(|| format!("merging files of table `{}`", table.name()))?;
                }
            }
            Ok(())
        })
    }

    fn merge_task(&self, maintainer: &Maintainer, table: LakeTable, which: Compact) -> Option<plan::Task> {
        let files = self.files(table);
        let open_from = match which {
            Compact::Due => day(self.disk.now_ms().saturating_mul(1000) - LATE),
            Compact::All => i32::MAX,
        };
        let target = lock(&self.maintenance).target_size;
        let readable = |file: &FileEntry| !maintainer.foreign.contains(&file.path);
        plan::next(&files, open_from, target, &readable)
    }

    fn merge(
        &self,
        maintainer: &mut Maintainer,
        table: LakeTable,
        task: &plan::Task,
        report: &mut MaintenanceReport,
    ) -> anyhow::Result<()> {
        let Some(date) = task.files.first().map(|file| file.date) else { return Ok(()) };
        let aside = self.empty_aside()?;
        let shape = if task.last { self.merged } else { Shape::FRESH };
        let source = merge::Source {
            disk: &self.disk,
            table,
            schema: &self.layouts[table.index()].hot,
            folder: &self.path.join(table.name()),
            keep: None,
        };
        let rows = task.files.iter().map(|file| file.rows as usize).sum();
        let mut target = self.target(table, date, rows, shape, Tags::of_all(&task.files, task.last), &aside);
        let merged = source.in_order(&task.files, shape.row_group, &mut |batches| {
            self.pause()?;
            target.write(&batches)
        });
        let staged = match merged.and_then(|()| target.end()) {
            Ok(staged) => staged,
            Err(error) => match error.downcast::<merge::Foreign>() {
                Ok(merge::Foreign(path)) => {
                    tracing::info!(table = table.name(), path, "written by another program: left as it is");
                    maintainer.foreign.insert(path);
                    return Ok(());
                }
                Err(error) => return Err(error),
            },
        };
        let (files, bytes) = (staged.len() as u64, staged.iter().map(Staged::bytes).sum::<u64>());
        if self.replace(maintainer, &mut *self.settled_writer()?, table, &task.files, staged, Operation::Optimize)? {
            report.merges += 1;
            report.files_merged += task.files.len() as u64;
            report.files_written += files;
            report.bytes_written += bytes;
        }
        Ok(())
    }

    fn target<'a>(
        &'a self,
        table: LakeTable,
        date: i32,
        rows: usize,
        shape: Shape,
        tags: Tags,
        aside: &'a Path,
    ) -> Target<'a> {
        Target {
            disk: &self.disk,
            table,
            schema: &self.layouts[table.index()].hot,
            aside,
            date,
            rows,
            shape,
            bytes: lock(&self.maintenance).target_size,
            tags,
            new: false,
            output: Output::default(),
        }
    }

    /// Drops days whose rows are all older than their table keeps them, and rows that a rule does not keep so long.
    pub(crate) fn retain(&self, pace: Share) -> anyhow::Result<MaintenanceReport> {
        self.work(|maintainer, report| {
            let retention = lock(&self.maintenance).retention.clone();
            for table in TABLES {
                let Some(first) = retention.first_kept(table, self.disk.now_ms()) else { continue };
                let old = self.files(table);
                let old = old.iter().filter(|file| file.date < first && self.may_go(table, file)).cloned();
                let old = old.collect::<Vec<_>>();
                if old.is_empty() {
                    continue;
                }
                if self.replace(maintainer, &mut *self.settled_writer()?, table, &old, Vec::new(), Operation::Delete)? {
                    let rows = old.iter().map(|file| file.rows).sum::<u64>();
                    tracing::info!(table = table.name(), files = old.len(), rows, "dropped what is past its retention");
                    report.files_dropped += old.len() as u64;
                    report.rows_dropped += rows;
                }
            }
            self.retain_by_rules(maintainer, pace, report)
        })
    }

    /// A raw file goes when rollups stand for its rows.
    fn may_go(&self, table: LakeTable, file: &FileEntry) -> bool {
        let rollups = lock(&self.maintenance).rollups.enabled;
        let Some(rolled) = table.rolled().filter(|_| rollups) else { return true };
        let Span { first, last } = file.span();
        let rows = first..last.saturating_add(1);
        without(Ranges::from_iter([rows]), &self.rolled_up(rolled, file.date)).is_empty()
    }

    /// Puts staged files in the place of live ones, in one commit. `false`: one of those is live no more, and nothing was
    /// changed.
    fn replace(
        &self,
        maintainer: &mut Maintainer,
        writer: &mut Writer,
        table: LakeTable,
        old: &[Arc<FileEntry>],
        staged: Vec<Staged>,
        operation: Operation,
    ) -> anyhow::Result<bool> {
        let now = self.disk.now_ms();
        let log = &mut writer.logs[table.index()];
        let all_live = |log: &DeltaLog| old.iter().all(|file| log.is_live(file));
        let mut actions =
            old.iter().filter_map(|file| log.remove_action(file, operation.rows_go(), now)).collect::<Vec<_>>();
        let folder = self.path.join(table.name());
        let aside = self.maintenance_aside()?;
        self.disk.sync_folder(&aside)?;
        for file in &staged {
            file.put_in_place(&*self.disk, &aside, &folder)?;
            actions.push(serde_json::json!({"add": file.add}));
        }
        // Before it is done: a commit that fails may be there all the same.
        maintainer.taken_out.extend(old.iter().map(|file| TakenOut {
            table,
            path: file.path.clone(),
            read: Arc::downgrade(&file.held),
        }));
        let done = log
            .commit_if(operation.name(), actions, now, &all_live)
            .with_context(|| format!("committing to table `{}`", table.name()))?;
        self.show_files(table, log);
        Ok(done)
    }

    fn maintenance_aside(&self) -> anyhow::Result<PathBuf> {
        let folder = aside(&self.path).join("maintenance");
        self.disk.create_folder(&folder)?;
        Ok(folder)
    }

    /// Without what an attempt left that failed.
    fn empty_aside(&self) -> anyhow::Result<PathBuf> {
        let aside = self.maintenance_aside()?;
        clear_files(&*self.disk, &aside)?;
        Ok(aside)
    }

    /// Called between steps of long work.
    fn pause(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.is_closing(), "the lake is being closed");
        Ok(())
    }

    fn files(&self, table: LakeTable) -> Arc<Vec<Arc<FileEntry>>> {
        self.with_state(|state| state.tables[table.index()].files.clone())
    }
}
