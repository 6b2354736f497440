//! Erasing rows for good: every file that holds one is written anew without it, what is made of them too, and what names them in
//! the tables' logs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context;
use catchment_pipeline::batch::Table;
use futures::executor::block_on;

use super::judge::{Condition, Judge, LIMITS, Sql};
use super::{Maintainer, MaintenanceReport, Operation};
use crate::lake::{Lake, lock};
use crate::opening::load_catalog;
use crate::schema::{LakeTable, Rolled, Step, TABLES};
use crate::shared::Shared;
use crate::sql::QueryError;

/// Rows may come while files are gone through: so often it is done over.
const PASSES: usize = 3;
/// How long queries that read what is erased are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What [`Lake::erase`] did.
#[derive(Clone, Debug, Default)]
pub struct EraseReport {
    /// Rows that are gone, by table.
    pub rows: Vec<(&'static str, u64)>,
    /// Files that were written anew or dropped.
    pub files: u64,
    /// Tables whose rows the condition cannot be asked of, and why.
    pub not_judged: Vec<(&'static str, String)>,
    /// Rows that match and are there still: asked again when all was done.
    pub remaining: u64,
    /// Old files that a query reads still; they go when it ends.
    pub still_read: u64,
}

impl Lake {
    pub(crate) fn sql(&self) -> Sql {
        Sql::of(self.shared(), self.engine().clone())
    }

    /// Says of batches which of their rows [`Lake::erase`] would erase. Blocks when it is asked.
    pub fn judge(&self, condition: &str) -> Result<Judge, QueryError> {
        self.sql().judge(condition)
    }

    /// Erases rows of all tables that a condition holds of, what rollups say of them included, and the files that held them. What the
    /// durable log holds is not the lake's: see [`Judge::without`]. Blocks.
    pub fn erase(&self, condition: &str) -> anyhow::Result<EraseReport> {
        let shared = self.shared();
        let judge = self.judge(condition)?;
        let mut report = EraseReport { not_judged: judge.not_judged.clone(), ..EraseReport::default() };
        for _ in 0..PASSES {
            shared.erase(&judge, &mut report)?;
            report.remaining = self.count(&judge)?;
            if report.remaining == 0 {
                break;
            }
        }
        let until = Instant::now() + PATIENCE;
        loop {
            report.still_read = shared.forget_erased()?;
            if report.still_read == 0 || Instant::now() > until {
                return Ok(report);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Rows in tables in flight that match.
    fn count(&self, judge: &Judge) -> anyhow::Result<u64> {
        let mut count = 0;
        for table in judge.tables.iter().filter(|table| matches!(table, LakeTable::Rows(_))) {
            let sql = format!("SELECT 1 FROM {} WHERE ({}\n)", table.name(), judge.condition);
            let found = block_on(async { self.query(&sql, LIMITS).await?.collect().await })?;
            count += found.iter().map(|rows| rows.num_rows() as u64).sum::<u64>();
        }
        Ok(count)
    }
}

impl Shared {
    /// Rows that are in the lake now, and what is made of them.
    pub(crate) fn erase(&self, condition: &dyn Condition, report: &mut EraseReport) -> anyhow::Result<()> {
        self.flush()?;
        self.erase_files(condition, report)?;
        self.roll_up(true)?;
        self.forget_series()
    }

    /// Deletes what held erased rows, in files and in the tables' logs. How many files a query still reads: they stay.
    pub(crate) fn forget_erased(&self) -> anyhow::Result<u64> {
        self.vacuum(Some(Duration::ZERO))?;
        self.settled_writer()?.logs.iter().try_for_each(crate::delta::DeltaLog::forget_history)?;
        Ok(lock(&self.maintainer).taken_out.len() as u64)
    }

    fn erase_files(&self, condition: &dyn Condition, report: &mut EraseReport) -> anyhow::Result<()> {
        self.work(|maintainer, maintained| {
            // Rollups of dates whose rows are gone are judged themselves; the others are made anew.
            let dates = |rolled: Rolled| {
                let files = self.files(LakeTable::Rows(rolled.raw()));
                files.iter().map(|file| file.date).collect::<BTreeSet<_>>()
            };
            let raw = Rolled::ALL.map(dates);
            for table in TABLES.into_iter().filter(|table| condition.asks(*table)) {
                if table == LakeTable::Series && !condition.is_of_series() {
                    report.not_judged.push((table.name(), "a series has no time".to_owned()));
                    continue;
                }
                let hits = |rows: &_| condition.hits(table, rows);
                let (mut rows, mut touched) = (0, BTreeSet::new());
                for file in self.files(table).iter() {
                    let of_raw = |rolled: Rolled| raw[rolled as usize].contains(&file.date);
                    if matches!(table, LakeTable::Rollup(rolled, _) if of_raw(rolled)) {
                        continue;
                    }
                    let found = self.look_through(table, file, &hits)?;
                    if found.hits == 0 {
                        continue;
                    }
                    // Before: after a crash nothing would say that they are to go.
                    if let Some(rolled) = table.rolled().filter(|_| touched.insert(file.date)) {
                        // And of the next one: what its first points added counts from points of this one.
                        for date in
                            [file.date, file.date + 1].into_iter().filter(|date| raw[rolled as usize].contains(date))
                        {
                            self.drop_rollups(maintainer, maintained, rolled, date)?;
                        }
                    }
                    self.take_out(maintainer, table, file, &hits, found, file.tags.clone())?;
                    rows += found.hits;
                    report.files += 1;
                }
                if rows > 0 {
                    match report.rows.iter_mut().find(|(name, _)| *name == table.name()) {
                        Some((_, all)) => *all += rows,
                        None => report.rows.push((table.name(), rows)),
                    }
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    fn drop_rollups(
        &self,
        maintainer: &mut Maintainer,
        maintained: &mut MaintenanceReport,
        rolled: Rolled,
        date: i32,
    ) -> anyhow::Result<()> {
        for table in Step::ALL.map(|step| LakeTable::Rollup(rolled, step)) {
            let old = self.files(table);
            let old = old.iter().filter(|file| file.date == date).cloned().collect::<Vec<_>>();
            if !old.is_empty() {
                maintained.files_dropped += old.len() as u64;
                self.replace(maintainer, &mut *self.settled_writer()?, table, &old, Vec::new(), Operation::Delete)?;
            }
        }
        Ok(())
    }

    /// What is remembered of series and their last points is read again.
    fn forget_series(&self) -> anyhow::Result<()> {
        let state = lock(&self.state);
        let mut catalog =
            load_catalog(&self.disk, &self.path, &state, &self.layouts[LakeTable::Series.index()], &self.promoted)
                .context("reading the table `series`")?;
        for chunk in state.tables[LakeTable::Series.index()].chunks() {
            catalog.load(&chunk.rows)?;
        }
        for table in Table::ALL.into_iter().filter(|table| table.is_metric()) {
            for chunk in state.tables[LakeTable::Rows(table).index()].chunks() {
                catalog.note(table, &chunk.rows, &self.layouts[LakeTable::Series.index()])?;
            }
        }
        *lock(&self.catalog) = catalog;
        Ok(())
    }
}
