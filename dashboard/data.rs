//! What the server asks of the lake, as a trait: tests stand in for it, and its errors become [`Problem`]s in one place.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use catchment_storage::{
    Lake, LakeStats, MetricInfo, QueryError, QueryErrorKind, QueryLimits, SeriesFilter, SeriesInfo,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::StatusCode;

use crate::problem::Problem;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub time: Duration,
    /// Bytes of operators' memory.
    pub memory: usize,
}

/// A running query; dropping the stream cancels it.
pub struct Rows {
    pub schema: SchemaRef,
    pub stream: BoxStream<'static, Result<RecordBatch, Problem>>,
}

#[async_trait]
pub trait Data: Send + Sync {
    async fn query(&self, sql: &str, limits: Limits) -> Result<Rows, Problem>;
    fn metrics(&self) -> Vec<MetricInfo>;
    async fn series(&self, filter: &SeriesFilter, limit: usize) -> Result<Vec<SeriesInfo>, Problem>;
    async fn label_values(&self, metric: Option<&str>, key: &str, limit: usize) -> Result<Vec<String>, Problem>;
    fn stats(&self) -> LakeStats;
}

#[async_trait]
impl Data for Lake {
    async fn query(&self, sql: &str, limits: Limits) -> Result<Rows, Problem> {
        // Rows are counted where they are sent: there a limit may cut instead of fail.
        let limits = QueryLimits { deadline: limits.time, max_rows: usize::MAX, memory: limits.memory };
        let query = Lake::query(self, sql, limits).await?;
        let schema = query.schema.clone();
        Ok(Rows { schema, stream: query.map(|rows| rows.map_err(Problem::from)).boxed() })
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
