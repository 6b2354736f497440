//! SQL over one snapshot of the lake, for people we do not know: read-only and bounded.
//!
//! `guard` refuses before planning, `engine` plans and runs on threads of its own, `tables` and `views` are what SQL
//! sees, `scan` unites hot rows with files, `wanted`, `prune`, `lookup` and `named` leave out what cannot hold
//! what is asked for,
//! `spill` lets sorts stay inside their memory, `latest` is the table of that name, `rollup` reads rollups in the place of rows,
//! `increase` computes what points added to those before them. `template` makes SQL from what boards and live queries write.

mod bounds;
mod engine;
mod error;
mod functions;
mod guard;
mod increase;
mod latest;
mod lookup;
mod named;
mod projections;
mod prune;
mod reads;
mod rollup;
mod scan;
mod spill;
mod tables;
mod template;
mod views;
mod wanted;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use catchment_pipeline::log::Position;
use futures::Stream;

use crate::catalog::Catalog;
use crate::config::QueryPlan;
use crate::files::FileEntry;
use crate::hot::Chunks;
use crate::lake::lock;
use crate::latest::Latest;
use crate::schema::{LakeTable, Layout};

pub(crate) use engine::Engine;
pub use error::{QueryError, QueryErrorKind};
pub(crate) use functions::{ExpBuilder, ExpHistogram, ExpRows, exp_buckets};
pub use reads::Tables;
pub use template::{Rendered, Template, Variable, Variables, Window};
pub(crate) use views::COMPUTED;

/// What one query may use; [`crate::Lake::limits`] has the lake's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// From the call to the last row.
    pub deadline: Duration,
    /// Rows of the result; one more is an error, never a silent cut.
    pub max_rows: usize,
    /// Bytes of operators' memory (sorts, joins, aggregates); past it they spill to disk or fail.
    pub memory: usize,
    /// Read rollups in the place of rows where they say the same.
    pub rollups: bool,
    /// Which settings raise them, as errors say it.
    pub raised_by: RaisedBy,
}

/// A setting by its name for each limit; empty: nothing does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaisedBy {
    pub deadline: &'static str,
    pub max_rows: &'static str,
    pub memory: &'static str,
}

impl RaisedBy {
    pub const LAKE: RaisedBy = RaisedBy {
        deadline: "`timeout` in the lake's `query`",
        max_rows: "`max_rows` in the lake's `query`",
        memory: "`memory` in the lake's `query`",
    };
    pub const NOTHING: RaisedBy = RaisedBy { deadline: "", max_rows: "", memory: "" };

    /// What to do about a limit.
    pub fn advice(setting: &str) -> String {
        match setting {
            "" => "ask for less".to_owned(),
            setting => format!("ask for less, or raise {setting}"),
        }
    }
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits::from(&QueryPlan::default())
    }
}

impl From<&QueryPlan> for QueryLimits {
    fn from(plan: &QueryPlan) -> QueryLimits {
        QueryLimits {
            deadline: plan.timeout,
            max_rows: usize::try_from(plan.max_rows).unwrap_or(usize::MAX),
            memory: usize::try_from(plan.memory).unwrap_or(usize::MAX),
            rollups: true,
            raised_by: RaisedBy::LAKE,
        }
    }
}

/// A running query: its columns, and its rows as they come. Dropping it cancels the query.
pub struct Query {
    pub schema: SchemaRef,
    /// The log position of the rows it sees: all at or before it, none after.
    pub position: Position,
    /// What it reads, views resolved.
    pub reads: Tables,
    rows: tokio::sync::mpsc::Receiver<Result<RecordBatch, QueryError>>,
}

impl Stream for Query {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.rows.poll_recv(cx)
    }
}

impl Query {
    /// All rows.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut all = Vec::new();
        while let Some(rows) = self.rows.recv().await {
            all.push(rows?);
        }
        Ok(all)
    }
}

/// All tables at one moment.
pub(crate) struct Snapshot {
    /// In the order of `schema::TABLES`.
    pub(crate) tables: Vec<TableSnapshot>,
    pub(crate) catalog: Arc<Mutex<Catalog>>,
    /// Of the last row appended.
    pub(crate) position: Position,
    latest: Latest,
    /// Rows are answered in the order in which they lie.
    in_order: bool,
    /// Rollups may be read in the place of rows.
    rollups: bool,
    asked: reads::Asked,
}

impl Snapshot {
    pub(crate) fn new(tables: Vec<TableSnapshot>, catalog: Arc<Mutex<Catalog>>, position: Position) -> Snapshot {
        let latest = lock(&catalog).latest.clone();
        Snapshot { tables, catalog, position, latest, in_order: false, rollups: true, asked: reads::Asked::default() }
    }

    pub(crate) fn in_order(self) -> Snapshot {
        Snapshot { in_order: true, ..self }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct TableSnapshot {
    pub(crate) table: LakeTable,
    pub(crate) layout: Arc<Layout>,
    pub(crate) hot: Chunks,
    pub(crate) files: Arc<Vec<Arc<FileEntry>>>,
    /// Where series are looked up; `None`: they are not.
    pub(crate) catalog: Option<Arc<Mutex<Catalog>>>,
}
