//! The table `latest`: the last point of every series of `metrics`, without a look at files.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use catchment_pipeline::batch::Table;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};

use super::Snapshot;
use super::wanted::Wanted;
use crate::catalog::Catalog;
use crate::lake::lock;
use crate::latest::{AGE, Latest, Number, Point, read};
use crate::schema::{LakeTable, micros};

pub(super) const NAME: &str = "latest";
/// Columns of `metrics` that are not the same along a series, besides the point's own.
const POINT: [&str; 4] = ["ts", "value_int", "value_double", "value"];

#[derive(Debug)]
pub(super) struct LatestScan {
    snapshot: Arc<Snapshot>,
    schema: SchemaRef,
}

impl LatestScan {
    /// The point's columns and those that `series` has.
    pub(super) fn new(snapshot: Arc<Snapshot>) -> LatestScan {
        let metrics = &snapshot.tables[LakeTable::Rows(Table::Metrics).index()].layout.sql;
        let catalog = lock(&snapshot.catalog);
        let stored = metrics
            .fields()
            .iter()
            .filter(|field| POINT.contains(&field.name().as_str()) || catalog.rows.has(field.name()));
        let mut fields = Vec::new();
        for field in stored {
            fields.push(field.as_ref().clone());
            if field.name() == "attributes" {
                fields.push(Field::new("value", DataType::Float64, true));
            }
        }
        drop(catalog);
        LatestScan { snapshot, schema: Arc::new(Schema::new(fields)) }
    }

    /// The points at the snapshot, those of files read first when no one has asked since the start.
    async fn latest(&self) -> Result<Latest> {
        let mut latest = self.snapshot.latest.clone();
        if latest.is_loaded() {
            return Ok(latest);
        }
        let snapshot = self.snapshot.clone();
        let found = tokio::task::spawn_blocking(move || {
            let series = lock(&snapshot.catalog).metrics_series();
            read(&snapshot.latest.source, &snapshot.tables[LakeTable::Rows(Table::Metrics).index()].files, series)
        });
        let found = found.await.map_err(|error| DataFusionError::External(error.into()))?;
        let found = found.map_err(|error| DataFusionError::External(error.into()))?;
        let mut catalog = lock(&self.snapshot.catalog);
        catalog.load_latest(&mut latest, &found);
        if !catalog.latest.is_loaded() {
            let mut all = catalog.latest.clone();
            catalog.load_latest(&mut all, &found);
            catalog.latest = all;
        }
        Ok(latest)
    }

    /// The time of the oldest row that is stored.
    fn oldest(&self) -> i64 {
        let metrics = &self.snapshot.tables[LakeTable::Rows(Table::Metrics).index()];
        let files = metrics.files.iter().filter_map(|file| file.ts).map(|(first, _)| first);
        let hot = metrics.hot.iter().map(|chunk| chunk.span.first);
        files.chain(hot).min().unwrap_or(i64::MIN)
    }
}

#[async_trait]
impl TableProvider for LatestScan {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let latest = self.latest().await?;
        let wanted = Wanted::of(filters);
        let oldest = latest.newest().unwrap_or(i64::MAX).saturating_sub(AGE).max(self.oldest());
        let rows = match wanted.values("metric_name") {
            Some(metrics) => lock(&self.snapshot.catalog).rows.of_metrics(metrics.iter()),
            None => (0..lock(&self.snapshot.catalog).rows.len() as u32).collect(),
        };
        let shown = |point: &Point| point.ts >= oldest.max(wanted.ts.first) && point.ts <= wanted.ts.last;
        let rows = rows.into_iter().filter_map(|row| Some((row, latest.get(row).filter(shown)?))).collect();
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema.clone(),
        };
        let part = Points { snapshot: self.snapshot.clone(), rows: Arc::new(rows), schema: schema.clone() };
        let plan = StreamingTableExec::try_new(schema, vec![Arc::new(part)], None, Vec::new(), false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// Series by number, and their points.
type Numbered = Vec<(u32, Point)>;

struct Points {
    snapshot: Arc<Snapshot>,
    rows: Arc<Numbered>,
    schema: SchemaRef,
}

impl std::fmt::Debug for Points {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Points").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl PartitionStream for Points {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let size = context.session_config().batch_size().max(1);
        let (snapshot, rows, schema) = (self.snapshot.clone(), self.rows.clone(), self.schema.clone());
        let starts = (0..self.rows.len()).step_by(size);
        let batches = starts.map(move |start| {
            let rows = &rows[start..rows.len().min(start + size)];
            let catalog = lock(&snapshot.catalog);
            if !catalog.latest.counts_as(&snapshot.latest) {
                return Err(DataFusionError::Execution("rows were erased meanwhile: ask again".to_owned()));
            }
            batch(&catalog, rows, &schema)
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(batches)))
    }
}

fn batch(catalog: &Catalog, rows: &[(u32, Point)], schema: &SchemaRef) -> Result<RecordBatch> {
    let numbers = rows.iter().map(|(number, _)| *number).collect::<Vec<_>>();
    let points = rows.iter().map(|(_, point)| point);
    let int = |point: &Point| match point.value {
        Some(Number::Int(value)) => Some(value),
        _ => None,
    };
    let double = |point: &Point| match point.value {
        Some(Number::Double(value)) => Some(value),
        _ => None,
    };
    let arrays = schema.fields().iter().map(|field| -> Result<ArrayRef> {
        let points = points.clone();
        Ok(match field.name().as_str() {
            "ts" => {
                let times = TimestampMicrosecondArray::from_iter_values(points.map(|point| point.ts));
                debug_assert_eq!(*field.data_type(), micros());
                Arc::new(times.with_timezone("UTC"))
            }
            "value_int" => Arc::new(points.map(int).collect::<Int64Array>()),
            "value_double" => Arc::new(points.map(double).collect::<Float64Array>()),
            "value" => {
                let value = |point: &Point| double(point).or(int(point).map(|value| value as f64));
                Arc::new(points.map(value).collect::<Float64Array>())
            }
            name => catalog
                .rows
                .array(name, &numbers)
                .ok_or_else(|| DataFusionError::Internal(format!("series have no column `{name}`")))?,
        })
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), arrays.collect::<Result<_>>()?, &options)?)
}
