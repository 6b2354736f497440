//! Says of rows whether an SQL condition holds: batch by batch it is asked of the SQL engine itself, so that it means what
//! `SELECT ... WHERE` says.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::{filter_record_batch, not};
use arrow::record_batch::RecordBatch;
use catchment_pipeline::batch::{Batch, Rows, Table};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use futures::executor::block_on;

use crate::catalog::Catalog;
use crate::config::QueryPlan;
use crate::convert::{convert, time_span};
use crate::disk::System;
use crate::hot::Chunk;
use crate::latest::Latest;
use crate::opening::layouts;
use crate::schema::{LakeTable, Layout, Promoted, TABLES};
use crate::series::SeriesRows;
use crate::shared::Shared;
use crate::sql::{Engine, QueryError, QueryErrorKind, QueryLimits, RaisedBy, Snapshot, TableSnapshot};

/// Of one batch.
pub(super) const LIMITS: QueryLimits = QueryLimits {
    deadline: Duration::from_secs(600),
    max_rows: usize::MAX,
    memory: 256 << 20,
    rollups: false,
    raised_by: RaisedBy::NOTHING,
};

/// What erasure and retention by rule ask of rows.
pub(crate) trait Condition: Send + Sync {
    /// Whether the table has the columns.
    fn asks(&self, table: LakeTable) -> bool;
    /// Every row of a series, and what rollups say of it, is judged alike.
    fn is_of_series(&self) -> bool;
    /// Rows that it holds of.
    fn hits(&self, table: LakeTable, rows: &RecordBatch) -> anyhow::Result<BooleanArray>;
}

/// The tables as SQL has them, and who answers it.
#[derive(Clone)]
pub(crate) struct Sql {
    engine: Arc<Engine>,
    layouts: Vec<Arc<Layout>>,
    promoted: Vec<Promoted>,
    catalog: Arc<Mutex<Catalog>>,
}

impl Sql {
    pub(crate) fn of(shared: &Shared, engine: Arc<Engine>) -> Sql {
        let (layouts, promoted) = (shared.layouts.clone(), shared.promoted.clone());
        Sql { engine, layouts, promoted, catalog: shared.catalog.clone() }
    }

    /// Of no lake: for checking conditions before there is one. Opens nothing.
    pub(crate) fn of_columns(promoted: &[Promoted]) -> anyhow::Result<Sql> {
        let nowhere = Path::new("/");
        let layouts = layouts(promoted);
        let series = SeriesRows::new(&layouts[LakeTable::Series.index()], promoted);
        let catalog = Catalog::new(series, Latest::new(Arc::new(System), nowhere, false));
        Ok(Sql {
            engine: Arc::new(Engine::new(nowhere, None, &QueryPlan::default())?),
            layouts,
            promoted: promoted.to_vec(),
            catalog: Arc::new(Mutex::new(catalog)),
        })
    }

    /// A condition that no table knows the columns of is an error.
    pub(crate) fn judge(&self, condition: &str) -> Result<Judge, QueryError> {
        let (tables, not_judged) = (Vec::new(), Vec::new());
        let mut judge = Judge { sql: self.clone(), condition: condition.to_owned(), tables, not_judged };
        let mut first = None;
        for table in TABLES {
            let nothing = RecordBatch::new_empty(self.layouts[table.index()].hot.clone());
            match judge.ask(table, &nothing) {
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
}

/// Says of rows whether a condition holds.
#[derive(Clone)]
pub struct Judge {
    sql: Sql,
    pub(super) condition: String,
    pub(super) tables: Vec<LakeTable>,
    /// And why.
    pub(super) not_judged: Vec<(&'static str, String)>,
}

impl Judge {
    /// Which rows the condition holds of; NULL is no.
    fn ask(&self, table: LakeTable, rows: &RecordBatch) -> Result<BooleanArray, QueryError> {
        let sql = &self.sql;
        let internal = |error: arrow::error::ArrowError| QueryError::internal(error.to_string());
        let chunk = Chunk::new(rows.clone(), time_span(rows).map_err(internal)?);
        let tables = TABLES.map(|other| TableSnapshot {
            table: other,
            layout: sql.layouts[other.index()].clone(),
            hot: if other == table { vec![Arc::new(chunk.clone())] } else { Vec::new() },
            files: Arc::default(),
            catalog: None,
        });
        let snapshot = Snapshot::new(tables.to_vec(), sql.catalog.clone(), 0).in_order();
        // The line's end ends a comment.
        let text =
            format!("SELECT coalesce(CAST(({}\n) AS BOOLEAN), false) AS hit FROM {}", self.condition, table.name());
        let answer = block_on(async { sql.engine.query(&text, LIMITS, snapshot).await?.collect().await })?;
        let hits = answer.iter().flat_map(|rows| rows.column(0).as_boolean().iter()).collect::<BooleanArray>();
        match hits.len() == rows.num_rows() {
            true => Ok(hits),
            false => Err(QueryError::new(QueryErrorKind::BadSql, "a condition says yes or no of each row")),
        }
    }

    /// Rows of a batch on its way to the lake: which match, by table.
    fn of_batch(&self, batch: &Batch) -> anyhow::Result<Vec<(Table, RecordBatch, BooleanArray)>> {
        let rows = batch.rows().tables().filter(|(table, _)| self.tables.contains(&LakeTable::Rows(*table)));
        let judged = rows.map(|(table, rows)| {
            let stored = convert(rows, &self.sql.layouts[table as usize], &self.sql.promoted)?;
            Ok((table, rows.clone(), self.hits(LakeTable::Rows(table), &stored)?))
        });
        judged.collect()
    }

    /// How many rows of a batch match.
    pub fn count(&self, batch: &Batch) -> anyhow::Result<usize> {
        Ok(self.of_batch(batch)?.iter().map(|(_, _, hits)| hits.true_count()).sum())
    }

    /// A batch without its rows that match; `None`: none does.
    pub fn without(&self, batch: &Batch) -> anyhow::Result<Option<Batch>> {
        let judged = self.of_batch(batch)?;
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

impl Condition for Judge {
    fn asks(&self, table: LakeTable) -> bool {
        self.tables.contains(&table)
    }

    fn is_of_series(&self) -> bool {
        self.asks(LakeTable::Series) && !about_time(&self.condition)
    }

    fn hits(&self, table: LakeTable, rows: &RecordBatch) -> anyhow::Result<BooleanArray> {
        Ok(self.ask(table, rows)?)
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
