//! Erasing rows for good: every file that holds one is written anew without it, what is made of them too, and what names them in
//! the tables' logs.
//!
//! Which rows a condition means is what `SELECT ... WHERE` says: batch by batch it is asked of the SQL engine itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use arrow::array::{AsArray, BooleanArray};
use arrow::compute::{filter_record_batch, not};
use arrow::record_batch::RecordBatch;
use catchment_pipeline::batch::{Batch, Rows, Table};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use futures::executor::block_on;

use super::merge::{Foreign, Source};
use super::{Maintainer, MaintenanceReport, Operation};
use crate::convert::{convert, time_span};
use crate::files::{FileEntry, FileRows, Staged, Tags};
use crate::hot::Chunk;
use crate::lake::{Lake, lock};
use crate::opening::load_catalog;
use crate::schema::{LakeTable, Rolled, Step, TABLES};
use crate::shared::Shared;
use crate::sql::{QueryError, QueryErrorKind, QueryLimits, RaisedBy, Snapshot, TableSnapshot};

/// Rows judged at once.
const BATCH: usize = 65_536;
/// Rows of a file in an order of its own, which are sorted in memory.
const MOST_UNSORTED: u64 = 8_000_000;
/// Rows may come while files are gone through: so often it is done over.
const PASSES: usize = 3;
/// How long queries that read what is erased are waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of one batch.
const LIMITS: QueryLimits = QueryLimits {
    deadline: Duration::from_secs(600),
    max_rows: usize::MAX,
    memory: 256 << 20,
    rollups: false,
    raised_by: RaisedBy::NOTHING,
};

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

/// Says of rows whether a condition holds.
#[derive(Clone, Debug)]
pub struct Judge {
    condition: String,
    tables: Vec<LakeTable>,
    not_judged: Vec<(&'static str, String)>,
}

impl Judge {
    /// A condition that no table knows the columns of is an error.
    fn new(lake: &Lake, condition: &str) -> Result<Judge, QueryError> {
        let mut judge = Judge { condition: condition.to_owned(), tables: Vec::new(), not_judged: Vec::new() };
        let mut first = None;
        for table in TABLES {
            let nothing = RecordBatch::new_empty(lake.shared().layouts[table.index()].hot.clone());
            match judge.hits(lake, table, &nothing) {
                Ok(_) => judge.tables.push(table),
                Err(error) if error.kind == QueryErrorKind::BadSql => {
                    judge.not_judged.push((table.name(), error.message.clone()));
                    first.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match first {
            Some(error) if judge.tables.is_empty() => Err(error),
            _ => is_one_expression(condition).map(|()| judge),
        }
    }

    /// Which rows the condition holds of; NULL is no.
    fn hits(&self, lake: &Lake, table: LakeTable, rows: &RecordBatch) -> Result<BooleanArray, QueryError> {
        let shared = lake.shared();
        let internal = |error: arrow::error::ArrowError| QueryError::internal(error.to_string());
        let chunk = Chunk::new(rows.clone(), time_span(rows).map_err(internal)?);
        let tables = TABLES.map(|other| TableSnapshot {
            table: other,
            layout: shared.layouts[other.index()].clone(),
            hot: if other == table { vec![Arc::new(chunk.clone())] } else { Vec::new() },
            files: Arc::default(),
            catalog: None,
        });
        let snapshot = Snapshot::new(tables.to_vec(), shared.catalog.clone(), 0).in_order();
        // The line's end ends a comment.
        let sql =
            format!("SELECT coalesce(CAST(({}\n) AS BOOLEAN), false) AS hit FROM {}", self.condition, table.name());
        let answer = block_on(async { lake.engine().query(&sql, LIMITS, snapshot).await?.collect().await })?;
        let hits = answer.iter().flat_map(|rows| rows.column(0).as_boolean().iter()).collect::<BooleanArray>();
        match hits.len() == rows.num_rows() {
            true => Ok(hits),
            false => Err(QueryError::new(QueryErrorKind::BadSql, "a condition says yes or no of each row")),
        }
    }

    fn rest(&self, lake: &Lake, table: LakeTable, rows: &RecordBatch) -> anyhow::Result<RecordBatch> {
        Ok(filter_record_batch(rows, &not(&self.hits(lake, table, rows)?)?)?)
    }

    /// Rows of a batch on its way to the lake: which match, by table.
    fn of_batch(&self, lake: &Lake, batch: &Batch) -> anyhow::Result<Vec<(Table, RecordBatch, BooleanArray)>> {
        let rows = batch.rows().tables().filter(|(table, _)| self.tables.contains(&LakeTable::Rows(*table)));
        let judged = rows.map(|(table, rows)| {
            let stored = convert(rows, &lake.shared().layouts[table as usize], &lake.shared().promoted)?;
            Ok((table, rows.clone(), self.hits(lake, LakeTable::Rows(table), &stored)?))
        });
        judged.collect()
    }

    /// How many rows of a batch match.
    pub fn count(&self, lake: &Lake, batch: &Batch) -> anyhow::Result<usize> {
        Ok(self.of_batch(lake, batch)?.iter().map(|(_, _, hits)| hits.true_count()).sum())
    }

    /// A batch without its rows that match; `None`: none does.
    pub fn without(&self, lake: &Lake, batch: &Batch) -> anyhow::Result<Option<Batch>> {
        let judged = self.of_batch(lake, batch)?;
        if judged.iter().all(|(_, _, hits)| hits.true_count() == 0) {
            return Ok(None);
        }
        let mut left = Vec::new();
        for (table, rows) in batch.rows().tables() {
            let hits = judged.iter().find(|(judged, ..)| *judged == table).map(|(_, _, hits)| not(hits)).transpose()?;
            left.push((table, hits.map_or_else(|| Ok(rows.clone()), |keep| filter_record_batch(rows, &keep))?));
        }
        left.retain(|(_, rows)| rows.num_rows() > 0);
        Ok(Some(Batch::from_rows(batch.signal(), Rows::new(left))))
    }
}

impl Lake {
    /// Says of batches which of their rows [`Lake::erase`] would erase. Blocks when it is asked.
    pub fn judge(&self, condition: &str) -> Result<Judge, QueryError> {
        Judge::new(self, condition)
    }

    /// Erases rows of all tables that a condition holds of, what rollups say of them included, and the files that held them. What the
    /// durable log holds is not the lake's: see [`Judge::without`]. Blocks.
    pub fn erase(&self, condition: &str) -> anyhow::Result<EraseReport> {
        let shared = self.shared();
        let judge = self.judge(condition)?;
        let mut report = EraseReport { not_judged: judge.not_judged.clone(), ..EraseReport::default() };
        for _ in 0..PASSES {
            self.flush()?;
            shared.erase_files(self, &judge, &mut report)?;
            shared.roll_up(true)?;
            report.remaining = self.count(&judge)?;
            if report.remaining == 0 {
                break;
            }
        }
        shared.forget_series()?;
        let until = Instant::now() + PATIENCE;
        loop {
            shared.vacuum(Some(Duration::ZERO))?;
            report.still_read = lock(&shared.maintainer).taken_out.len() as u64;
            if report.still_read == 0 || Instant::now() > until {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        shared.settled_writer()?.logs.iter().try_for_each(crate::delta::DeltaLog::forget_history)?;
        Ok(report)
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
    fn erase_files(&self, lake: &Lake, judge: &Judge, report: &mut EraseReport) -> anyhow::Result<()> {
        self.work(|maintainer, maintained| {
            // Rollups of dates whose rows are gone are judged themselves; the others are made anew.
            let dates = |rolled: Rolled| {
                let files = self.files(LakeTable::Rows(rolled.raw()));
                files.iter().map(|file| file.date).collect::<BTreeSet<_>>()
            };
            let raw = Rolled::ALL.map(dates);
            for table in judge.tables.iter().copied() {
                if table == LakeTable::Series && about_time(&judge.condition) {
                    report.not_judged.push((table.name(), "a series has no time".to_owned()));
                    continue;
                }
                let (mut rows, mut touched) = (0, BTreeSet::new());
                for file in self.files(table).iter() {
                    let of_raw = |rolled: Rolled| raw[rolled as usize].contains(&file.date);
                    if matches!(table, LakeTable::Rollup(rolled, _) if of_raw(rolled)) {
                        continue;
                    }
                    let found = self.erase_from(maintainer, lake, judge, table, file)?;
                    if found > 0 {
                        rows += found;
                        report.files += 1;
                        touched.insert(file.date);
                    }
                }
                if rows > 0 {
                    match report.rows.iter_mut().find(|(name, _)| *name == table.name()) {
                        Some((_, all)) => *all += rows,
                        None => report.rows.push((table.name(), rows)),
                    }
                }
                if let Some(rolled) = table.rolled() {
                    self.drop_rollups(maintainer, maintained, rolled, &touched)?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    /// How many rows went.
    fn erase_from(
        &self,
        maintainer: &mut Maintainer,
        lake: &Lake,
        judge: &Judge,
        table: LakeTable,
        file: &Arc<FileEntry>,
    ) -> anyhow::Result<u64> {
        self.pause()?;
        let (schema, folder) = (&self.layouts[table.index()].hot, self.path.join(table.name()));
        let mut found = 0;
        for rows in FileRows::open(&*self.disk, &folder.join(&file.path), schema, BATCH)? {
            found += judge.hits(lake, table, &rows?)?.true_count() as u64;
        }
        if found == 0 {
            return Ok(0);
        }
        let aside = self.empty_aside()?;
        let keep = |rows: &RecordBatch| judge.rest(lake, table, rows);
        let source = Source { disk: &self.disk, table, schema, folder: &folder, keep: Some(&keep) };
        let shape = self.merged;
        let tags = Tags { ..file.tags.clone() };
        let mut target = self.target(table, file.date, file.rows as usize, shape, tags, &aside);
        let one = std::slice::from_ref(file);
        let staged: Vec<Staged> = match source.in_order(one, shape.row_group, &mut |batches| target.write(&batches)) {
            Ok(()) => target.end()?,
            Err(error) if error.is::<Foreign>() => {
                if file.rows > MOST_UNSORTED {
                    bail!(
                        "{} was written by another program and has {} rows: too many to sort here",
                        file.path,
                        file.rows
                    );
                }
                let rows = FileRows::open(&*self.disk, &folder.join(&file.path), schema, BATCH)?;
                let rows = rows.map(|rows| keep(&rows?)).collect::<anyhow::Result<Vec<_>>>()?;
                target.write(&rows)?;
                target.end()?
            }
            Err(error) => return Err(error),
        };
        let replaced = self.replace(maintainer, &mut *self.settled_writer()?, table, one, staged, Operation::Delete)?;
        anyhow::ensure!(replaced, "another program has replaced {} meanwhile: try again", file.path);
        Ok(found)
    }

    fn drop_rollups(
        &self,
        maintainer: &mut Maintainer,
        maintained: &mut MaintenanceReport,
        rolled: Rolled,
        dates: &BTreeSet<i32>,
    ) -> anyhow::Result<()> {
        for table in Step::ALL.map(|step| LakeTable::Rollup(rolled, step)) {
            let old = self.files(table);
            let old = old.iter().filter(|file| dates.contains(&file.date)).cloned().collect::<Vec<_>>();
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
        for table in Table::ALL.into_iter().filter(|table| !matches!(table, Table::Logs | Table::Spans)) {
            for chunk in state.tables[LakeTable::Rows(table).index()].chunks() {
                catalog.note(table, &chunk.rows, &self.layouts[LakeTable::Series.index()])?;
            }
        }
        *lock(&self.catalog) = catalog;
        Ok(())
    }
}

/// Not more than it seems, such as `a) OR (b`. The guard has bounded it before.
fn is_one_expression(text: &str) -> Result<(), QueryError> {
    let mistake = |error: String| QueryError::new(QueryErrorKind::BadSql, error);
    let mut parser =
        Parser::new(&PostgreSqlDialect {}).try_with_sql(text).map_err(|error| mistake(error.to_string()))?;
    parser.parse_expr().map_err(|error| mistake(error.to_string()))?;
    match parser.peek_token().token {
        Token::EOF => Ok(()),
        other => Err(mistake(format!("a condition is one expression, and `{other}` comes after it"))),
    }
}

/// The condition asks for times, which a series does not have: `ts` of the table `series` is when it was first seen.
fn about_time(condition: &str) -> bool {
    let mut words = condition.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.any(|word| ["ts", "date"].iter().any(|name| word.eq_ignore_ascii_case(name)))
}
