//! What the server asks of the lake, as a trait: tests stand in for it, and its errors become [`Problem`]s in one place.

use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use catchment_pipeline::log::Position;
use catchment_storage::{
    Changed, Lake, LakeStats, MetricInfo, Query, QueryError, QueryErrorKind, QueryLimits, SeriesFilter, SeriesInfo,
    Tables, Template, Variables, Window,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::StatusCode;
use tokio::sync::watch;

use crate::problem::Problem;

/// A running query; dropping the stream cancels it.
pub struct Rows {
    pub schema: SchemaRef,
    /// It sees all rows appended up to here, and none after.
    pub position: Position,
    /// What it reads.
    pub reads: Tables,
    pub stream: BoxStream<'static, Result<RecordBatch, Problem>>,
}

/// A template about a window of time.
#[derive(Clone, Debug)]
pub struct Select<'a> {
    pub template: &'a Template,
    pub variables: &'a Variables,
    pub window: Window,
    /// Of its rows only some.
    pub newest: Option<Newest>,
}

/// The last `rows` by the column `time`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    pub time: String,
    pub rows: usize,
}

#[async_trait]
pub trait Data: Send + Sync {
    /// What a query may use; a door may give less.
    fn limits(&self) -> QueryLimits;
    async fn query(&self, sql: &str, limits: QueryLimits) -> Result<Rows, Problem>;
    /// Errors have their position in the template.
    async fn select(&self, select: &Select<'_>, limits: QueryLimits) -> Result<Rows, Problem>;
    /// Moves when rows have become visible.
    fn changes(&self) -> watch::Receiver<Position>;
    /// What rows after `position` mean to an answer that reads `tables` in a window (microseconds).
    fn changed_since(&self, position: Position, tables: Tables, window: Range<i64>) -> Changed;
    /// Whose positions these are.
    fn log_id(&self) -> &str;
    fn metrics(&self) -> Vec<MetricInfo>;
    async fn series(&self, filter: &SeriesFilter, limit: usize) -> Result<Vec<SeriesInfo>, Problem>;
    async fn label_values(&self, metric: Option<&str>, key: &str, limit: usize) -> Result<Vec<String>, Problem>;
    fn stats(&self) -> LakeStats;
}

#[async_trait]
impl Data for Lake {
    fn limits(&self) -> QueryLimits {
        Lake::limits(self)
    }

    async fn query(&self, sql: &str, limits: QueryLimits) -> Result<Rows, Problem> {
        Ok(Lake::query(self, sql, limits).await?.into())
    }

    async fn select(&self, select: &Select<'_>, limits: QueryLimits) -> Result<Rows, Problem> {
        let rendered = select.template.render(&select.window, select.variables)?;
        let query = match &select.newest {
            None => Lake::query(self, &rendered.sql, limits).await,
            Some(newest) => {
                let query = Lake::query(self, &newest.of(&rendered.sql), limits).await;
                // One line was put before it.
                query.map_err(|error| {
                    let position = error.position.map(|(line, column)| (line.saturating_sub(1).max(1), column));
                    QueryError { position, ..error }
                })
            }
        };
        Ok(query.map_err(|error| rendered.locate(error))?.into())
    }

    fn changes(&self) -> watch::Receiver<Position> {
        Lake::changes(self)
    }

    fn changed_since(&self, position: Position, tables: Tables, window: Range<i64>) -> Changed {
        Lake::changed_since(self, position, tables, window)
    }

    fn log_id(&self) -> &str {
        Lake::log_id(self)
    }

    fn metrics(&self) -> Vec<MetricInfo> {
        Lake::metrics(self)
    }

    async fn series(&self, filter: &SeriesFilter, limit: usize) -> Result<Vec<SeriesInfo>, Problem> {
        Ok(Lake::series(self, filter, limit).await?)
    }

    async fn label_values(&self, metric: Option<&str>, key: &str, limit: usize) -> Result<Vec<String>, Problem> {
        Ok(Lake::label_values(self, metric, key, limit).await?)
    }

    fn stats(&self) -> LakeStats {
        Lake::stats(self)
    }
}

impl Newest {
    /// Lines of its own, so that a comment at the end of the query ends there.
    fn of(&self, sql: &str) -> String {
        let sql = sql.trim_end().trim_end_matches(';');
        let time = self.time.replace('"', "\"\"");
        format!("SELECT * FROM (\n{sql}\n) AS newest ORDER BY \"{time}\" DESC LIMIT {}", self.rows)
    }
}

impl From<Query> for Rows {
    fn from(query: Query) -> Rows {
        let (schema, position, reads) = (query.schema.clone(), query.position, query.reads);
        Rows { schema, position, reads, stream: query.map(|rows| rows.map_err(Problem::from)).boxed() }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Problem {
        let (status, kind) = match error.kind {
            QueryErrorKind::BadSql => (StatusCode::BAD_REQUEST, "bad_sql"),
            QueryErrorKind::NoDataYet => (StatusCode::BAD_REQUEST, "no_data_yet"),
            QueryErrorKind::Refused => (StatusCode::FORBIDDEN, "refused"),
            QueryErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            QueryErrorKind::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "timeout"),
            QueryErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Problem { position: error.position, ..Problem::new(status, kind, error.message) }
    }
}
