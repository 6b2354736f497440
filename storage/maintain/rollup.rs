//! Writing rollups: hour by hour once a table's rows of an hour are in, and a whole date anew when rows came late.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::merge::Source;
use super::{Maintainer, MaintenanceReport, Operation};
use crate::changes::Span;
use crate::convert::{of_day, ts};
use crate::files::{FileEntry, Ranges, Shape, Staged, Tags, Target, sorted, union};
use crate::flush::Writer;
use crate::gather::Gather;
use crate::lake::lock;
use crate::rollup::{ExpHistograms, Histograms, Kind, LOOK_BACK, Numbers, Series, without};
use crate::schema::{LakeTable, Rolled, Step, is_rolled_up};
use crate::shared::Shared;

/// Rollups are written in whole hours.
const HOUR: i64 = Step::Hour.micros();
/// A date that rows come late to is rolled up anew this often at most.
const ANEW: Duration = Duration::from_secs(3600);

/// Rows read at once when looking back.
const BATCH: usize = 16_384;

/// When a date was last rolled up anew.
pub(super) type Anew = HashMap<(LakeTable, i32), Instant>;

/// Some hours of one date of one table.
struct Task {
    rolled: Rolled,
    date: i32,
    window: Range<i64>,
    steps: Vec<Step>,
    /// Rollups' files of that date that this takes the place of.
    anew: bool,
}

impl Shared {
    /// Writes what is due. `now`: also hours whose rows may still come.
    pub(crate) fn roll_up(&self, now: bool) -> anyhow::Result<MaintenanceReport> {
        let plan = lock(&self.maintenance).rollups.clone();
        if !plan.enabled {
            return Ok(MaintenanceReport::default());
        }
        let delay = if now { 0 } else { i64::try_from(plan.delay.as_micros()).unwrap_or(i64::MAX) };
        let until = self.disk.now_ms().saturating_mul(1000).saturating_sub(delay);
        let until = until - until.rem_euclid(HOUR);
        self.work(|maintainer, report| {
            for rolled in Rolled::ALL {
                let mut dates =
                    self.files(LakeTable::Rows(rolled.raw())).iter().map(|file| file.date).collect::<Vec<_>>();
                dates.sort_unstable();
                dates.dedup();
                // In their order: what a date's first points added depends on the date before.
                for date in dates {
                    for task in self.rollups_due(maintainer, rolled, date, until, now) {
                        self.pause()?;
                        self.write_rollup(maintainer, &task, &self.files(LakeTable::Rows(rolled.raw())), report)
                            .with_context(|| format!("rolling up table `{}`", rolled.raw().name()))?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Times of a date that this table's rollups cover in every step.
    pub(crate) fn rolled_up(&self, rolled: Rolled, date: i32) -> Ranges {
        let [fine, coarse] = Step::ALL.map(|step| self.covered(rolled, step, date));
        let in_one = without(fine.clone(), &coarse);
        without(fine, &in_one)
    }

    /// In any step.
    pub(crate) fn rolled_up_at_all(&self, rolled: Rolled, date: i32) -> Ranges {
        union(Step::ALL.into_iter().flat_map(|step| self.covered(rolled, step, date)))
    }

    fn covered(&self, rolled: Rolled, step: Step, date: i32) -> Ranges {
        let files = self.files(LakeTable::Rollup(rolled, step));
        union(files.iter().filter(|file| file.date == date).flat_map(|file| file.tags.covers.iter().cloned()))
    }

    fn rollups_due(&self, maintainer: &Maintainer, rolled: Rolled, date: i32, until: i64, now: bool) -> Vec<Task> {
        let raw = LakeTable::Rows(rolled.raw());
        let (first, last) = of_day(date);
        let end = (last + 1).min(until);
        let late = self.files(raw).iter().any(|file| file.date == date && !file.tags.late.is_empty());
        // Older rows may be gone already.
        let kept =
            lock(&self.maintenance).retention.first_kept(raw, self.disk.now_ms()).is_none_or(|first| date >= first);
        let kept = kept && !self.is_thinned(rolled, date);
        let rested = || maintainer.anew.get(&(raw, date)).is_none_or(|at| at.elapsed() >= ANEW);
        let covered = |step: Step| self.covered(rolled, step, date).last().map_or(first, |range| range.end);
        if late && kept && (now || rested()) {
            let end = Step::ALL.map(covered).into_iter().max().unwrap_or(first).max(end);
            return vec![Task { rolled, date, window: first..end, steps: Step::ALL.to_vec(), anew: true }];
        }
        // Both end at the same time, unless a crash came between their commits.
        let mut tasks = Vec::<Task>::new();
        for step in Step::ALL {
            let window = covered(step)..end;
            match tasks.last_mut().filter(|task| task.window == window) {
                Some(task) => task.steps.push(step),
                None => tasks.push(Task { rolled, date, window, steps: vec![step], anew: false }),
            }
        }
        tasks.retain(|task| !task.window.is_empty());
        tasks
    }

    /// The date after this one anew, when rows of this date's end came after it was rolled up: what its first points added has changed.
    fn follows(&self, task: &Task, files: &[Arc<FileEntry>]) -> Option<Task> {
        let (_, last) = of_day(task.date);
        let end = last + 1 - LOOK_BACK..last + 1;
        let touches = |range: &Range<i64>| range.start < end.end && range.end > end.start;
        let late = || files.iter().filter(|file| file.date == task.date).flat_map(|file| &file.tags.late).any(touches);
        let date = task.date + 1;
        let changed = if task.anew { late() } else { touches(&task.window) };
        // Nothing of a date whose rows are gone can be made anew.
        if !changed || !files.iter().any(|file| file.date == date) || self.is_thinned(task.rolled, date) {
            return None;
        }
        let until = self.rolled_up_at_all(task.rolled, date).last()?.end;
        let window = of_day(date).0..until;
        Some(Task { rolled: task.rolled, date, window, steps: Step::ALL.to_vec(), anew: true })
    }

    /// From these files.
    fn write_rollup(
        &self,
        maintainer: &mut Maintainer,
        task: &Task,
        files: &[Arc<FileEntry>],
        report: &mut MaintenanceReport,
    ) -> anyhow::Result<()> {
        let raw = LakeTable::Rows(task.rolled.raw());
        // Before this one is done: after a crash nothing else would say that it is to be.
        if let Some(next) = self.follows(task, files) {
            self.pause()?;
            self.write_rollup(maintainer, &next, files, report)?;
        }
        let aside = self.empty_aside()?;
        let staged = match task.rolled {
            Rolled::Metrics => self.stage_rollup::<Numbers>(task, files, &aside)?,
            Rolled::Histograms => self.stage_rollup::<Histograms>(task, files, &aside)?,
            Rolled::ExpHistograms => self.stage_rollup::<ExpHistograms>(task, files, &aside)?,
        };
        let mut writer = self.settled_writer()?;
        // What was flushed meanwhile is not in it: marked before anything says that it were.
        let new = |file: &&Arc<FileEntry>| !files.iter().any(|known| known.path == file.path);
        let late = self.files(raw);
        let late = late.iter().filter(|file| file.date == task.date).filter(new).filter_map(|file| {
            let Span { first, last } = file.span();
            let range = first.max(task.window.start)..last.saturating_add(1).min(task.window.end);
            let ranges = file.tags.late.iter().cloned().chain([range]);
            let tags = Tags { late: union(ranges), ..file.tags.clone() };
            (tags != file.tags).then(|| (file.clone(), tags))
        });
        self.tag(&mut writer, raw, late.collect())?;
        for (step, staged) in task.steps.iter().zip(staged) {
            let table = LakeTable::Rollup(task.rolled, *step);
            let old = self.files(table);
            let old = old.iter().filter(|file| task.anew && file.date == task.date).cloned().collect::<Vec<_>>();
            if old.is_empty() && staged.is_empty() {
                continue;
            }
            report.rollups += 1;
            report.bytes_written += staged.iter().map(Staged::bytes).sum::<u64>();
            report.files_written += staged.len() as u64;
            self.replace(maintainer, &mut writer, table, &old, staged, Operation::Write)?;
        }
        if task.anew {
            let done = files.iter().filter(|file| file.date == task.date && !file.tags.late.is_empty());
            let done = done.map(|file| (file.clone(), Tags { late: Ranges::new(), ..file.tags.clone() }));
            self.tag(&mut writer, raw, done.collect())?;
            maintainer.anew.insert((raw, task.date), Instant::now());
        }
        Ok(())
    }

    pub(super) fn tag(
        &self,
        writer: &mut Writer,
        table: LakeTable,
        files: Vec<(Arc<FileEntry>, Tags)>,
    ) -> anyhow::Result<()> {
        let log = &mut writer.logs[table.index()];
        let actions = files.iter().filter_map(|(file, tags)| log.tag_action(file, tags)).collect::<Vec<_>>();
        if !actions.is_empty() {
            log.commit("SET TAGS", actions, self.disk.now_ms())?;
            self.show_files(table, log);
        }
        Ok(())
    }

    /// For each step its files.
    fn stage_rollup<K: Kind>(
        &self,
        task: &Task,
        files: &[Arc<FileEntry>],
        aside: &Path,
    ) -> anyhow::Result<Vec<Vec<Staged>>> {
        let raw = LakeTable::Rows(task.rolled.raw());
        let layout = |step: Step| self.layouts[LakeTable::Rollup(task.rolled, step).index()].hot.clone();
        let mut series = Series::<K>::new(task.window.clone(), task.steps.iter().map(|step| (*step, layout(*step))));
        let fields = self.layouts[raw.index()].hot.fields().iter().filter(|field| is_rolled_up(field.name()));
        let wanted = Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()));
        let folder = self.path.join(raw.name());
        let within = |file: &&Arc<FileEntry>, window: &Range<i64>| file.span().touches(window);
        let mine = files.iter().filter(|file| file.date == task.date && within(file, &task.window)).cloned();
        let mine = mine.collect::<Vec<_>>();
        if mine.is_empty() {
            return Ok(task.steps.iter().map(|_| Vec::new()).collect());
        }
        let before = task.window.start - LOOK_BACK..task.window.start;
        for file in files.iter().filter(|file| within(file, &before)) {
            for rows in crate::files::FileRows::open(&*self.disk, &folder.join(&file.path), &wanted, BATCH)? {
                series.look_back(&keep(&rows?, &before)?)?;
            }
        }
        let covers = vec![task.window.clone()];
        let targets = task.steps.iter().map(|step| {
            let tags = Tags { covers: covers.clone(), increases: true, ..Tags::default() };
            let table = LakeTable::Rollup(task.rolled, *step);
            (self.target(table, task.date, 0, Shape::FRESH, tags, aside), Pending::default())
        });
        let mut targets = targets.collect::<Vec<_>>();
        let mut write = |ended: Vec<RecordBatch>| {
            targets.iter_mut().zip(ended).try_for_each(|((target, pending), rows)| pending.add(target, rows))
        };
        let choose = |rows: &RecordBatch| keep(rows, &task.window);
        let source = Source { disk: &self.disk, table: raw, schema: &wanted, folder: &folder, keep: Some(&choose) };
        source.in_order(&mine, Shape::FRESH.row_group, &mut |batches| {
            self.pause()?;
            let chunks = batches.iter().collect::<Vec<_>>();
            let Some(gather) = Gather::new(&chunks, raw.identity()) else { return Ok(()) };
            write(series.add(&batches, &sorted(&gather, &chunks, raw.identity())?)?)
        })?;
        write(series.end()?)?;
        let staged = targets.into_iter().map(|(mut target, pending)| {
            target.write(&pending.batches)?;
            target.end()
        });
        staged.collect()
    }
}

/// Rows of a rollup that are not written yet.
#[derive(Default)]
struct Pending {
    batches: Vec<RecordBatch>,
    rows: usize,
}

impl Pending {
    fn add(&mut self, target: &mut Target, rows: RecordBatch) -> anyhow::Result<()> {
        self.rows += rows.num_rows();
        if rows.num_rows() > 0 {
            self.batches.push(rows);
        }
        if self.rows >= Shape::FRESH.row_group {
            target.write(&std::mem::take(&mut self.batches))?;
            self.rows = 0;
        }
        Ok(())
    }
}

/// Rows whose time is in the window.
fn keep(rows: &RecordBatch, window: &Range<i64>) -> anyhow::Result<RecordBatch> {
    let times = ts(rows)?.values();
    if times.iter().all(|time| window.contains(time)) {
        return Ok(rows.clone());
    }
    let mask = times.iter().map(|time| Some(window.contains(time))).collect::<BooleanArray>();
    Ok(filter_record_batch(rows, &mask)?)
}
