//! Questions to a lake: SQL, and what metrics, series and values there are.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use std::time::{Duration, SystemTime};

use catchment_pipeline::log::Position;

use crate::config::QueryPlan;
use crate::hot::TableRows;
use crate::lake::{Lake, lock};
use crate::maintain::MaintenanceReport;
use crate::schema::{LakeTable, TABLES, column_name};
use crate::sql::{Query, QueryError, QueryLimits};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricInfo {
    pub name: String,
    /// `gauge`, `sum`, `histogram`, `exponential_histogram`, `summary`.
    pub kind: String,
    pub unit: String,
    pub description: String,
    /// Series seen.
    pub series: u64,
    /// Attribute keys seen on its points, sorted; at most 64.
    pub attributes: Vec<String>,
}

/// Which series; `matchers` are attribute keys (of the point or its resource) with the value they must have.
#[derive(Clone, Debug, Default)]
pub struct SeriesFilter {
    pub metric: Option<String>,
    pub matchers: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesInfo {
    pub metric: String,
    pub series_id: i64,
    pub resource_id: i64,
    /// JSON objects.
    pub attributes: String,
    pub resource_attributes: String,
}

#[derive(Clone, Debug, Default)]
pub struct LakeStats {
    pub tables: Vec<TableStats>,
    /// Every row at or before this log position is in files.
    pub durable: Position,
    /// The last one appended.
    pub appended: Position,
    pub last_flush: Option<SystemTime>,
    pub last_flush_duration: Option<Duration>,
    /// Why the last flush failed; rows stay hot and it is tried again.
    pub last_flush_error: Option<String>,
    /// Since the start, failed ones included; and the time they took.
    pub flushes: u64,
    pub flush_failures: u64,
    pub flush_time: Duration,
    /// Since the start.
    pub maintenance: MaintenanceReport,
}

#[derive(Clone, Debug, Default)]
pub struct TableStats {
    pub name: &'static str,
    pub hot_rows: u64,
    pub hot_bytes: u64,
    pub files: u64,
    pub file_rows: u64,
    pub file_bytes: u64,
}

impl Lake {
    /// One read-only statement. Returns once it is planned; the stream ends with an error when a limit is met.
    pub async fn query(&self, sql: &str, limits: QueryLimits) -> Result<Query, QueryError> {
        self.engine().query(sql, limits, self.shared().snapshot()).await
    }

    /// What a query may use, by the configuration; a door that lets queries in gives so much or less.
    pub fn limits(&self) -> QueryLimits {
        self.engine().limits()
    }

    /// For queries to come.
    pub fn set_query(&self, plan: QueryPlan) {
        self.engine().set_plan(plan);
    }

    /// Sorted by name.
    pub fn metrics(&self) -> Vec<MetricInfo> {
        let catalog = lock(&self.shared().catalog);
        let info = |(name, metric): (&String, &crate::catalog::Metric)| MetricInfo {
            name: name.clone(),
            kind: metric.kind.clone(),
            unit: metric.unit.clone(),
            description: metric.description.clone(),
            series: metric.series,
            attributes: metric.keys.iter().cloned().collect(),
        };
        catalog.metrics().map(info).collect()
    }

    pub async fn series(&self, filter: &SeriesFilter, limit: usize) -> Result<Vec<SeriesInfo>, QueryError> {
        let metric = filter.metric.iter().map(|metric| format!("metric_name = {}", text(metric)));
        let matchers = filter.matchers.iter().map(|(key, value)| format!("{} = {}", attribute(key), text(value)));
        let conditions = metric.chain(matchers).collect::<Vec<_>>().join(" AND ");
        let conditions = if conditions.is_empty() { "true".to_owned() } else { conditions };
        let sql = format!(
            "SELECT metric_name, series_id, resource_id, attributes, resource_attributes FROM series \
             WHERE {conditions} ORDER BY metric_name, resource_id, series_id LIMIT {limit}"
        );
        let rows = self.query(&sql, self.limits()).await?.collect().await?;
        let mut all = Vec::new();
        for rows in &rows {
            let (metrics, own, resource) = (strings(rows, 0)?, strings(rows, 3)?, strings(rows, 4)?);
            let id = |column: usize, row: usize| rows.column(column).as_primitive::<Int64Type>().value(row);
            for row in 0..rows.num_rows() {
                all.push(SeriesInfo {
                    metric: metrics[row].clone(),
                    series_id: id(1, row),
                    resource_id: id(2, row),
                    attributes: own[row].clone(),
                    resource_attributes: resource[row].clone(),
                });
            }
        }
        Ok(all)
    }

    /// Values of an attribute (of points or resources), sorted; of one metric, or of all and of logs and spans where
    /// the attribute is a promoted column.
    pub async fn label_values(&self, metric: Option<&str>, key: &str, limit: usize) -> Result<Vec<String>, QueryError> {
        let condition = metric.map_or_else(|| "true".to_owned(), |metric| format!("metric_name = {}", text(metric)));
        let mut sql = format!("SELECT {} AS value FROM series WHERE {condition}", attribute(key));
        let column = column_name(key);
        if metric.is_none() && self.shared().is_promoted(key) {
            for table in ["logs", "spans"] {
                sql += &format!(" UNION ALL SELECT CAST({column} AS VARCHAR) AS value FROM {table}");
            }
        }
        let sql = format!("SELECT DISTINCT value FROM ({sql}) WHERE value IS NOT NULL ORDER BY value LIMIT {limit}");
        let rows = self.query(&sql, self.limits()).await?.collect().await?;
        let values = rows.iter().map(|rows| strings(rows, 0)).collect::<Result<Vec<_>, _>>()?;
        Ok(values.into_iter().flatten().collect())
    }

    pub fn stats(&self) -> LakeStats {
        let report = self.shared().report();
        let table = |(table, rows): (&LakeTable, &TableRows)| TableStats {
            name: table.name(),
            hot_rows: rows.rows(),
            hot_bytes: rows.bytes(),
            files: rows.files.len() as u64,
            file_rows: rows.files.iter().map(|file| file.rows).sum(),
            file_bytes: rows.files.iter().map(|file| file.size).sum(),
        };
        let (tables, appended) =
            self.shared().with_state(|state| (TABLES.iter().zip(&state.tables).map(table).collect(), state.appended));
        LakeStats {
            tables,
            appended,
            durable: self.shared().durable_position(),
            last_flush: report.at,
            last_flush_duration: report.took,
            last_flush_error: report.error,
            flushes: report.flushes,
            flush_failures: report.failures,
            flush_time: report.time,
            maintenance: lock(&self.shared().maintained).clone(),
        }
    }
}

/// As an SQL literal.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// An attribute of the point, or else of its resource.
fn attribute(key: &str) -> String {
    let key = text(key);
    format!("coalesce(attributes->>{key}, resource_attributes->>{key})")
}

fn strings(rows: &RecordBatch, column: usize) -> Result<Vec<String>, QueryError> {
    let column = cast(rows.column(column), &DataType::Utf8).map_err(|error| QueryError::internal(error.to_string()))?;
    let column = column.as_string::<i32>();
    Ok((0..column.len())
        .map(|row| if column.is_null(row) { String::new() } else { column.value(row).to_owned() })
        .collect())
}
