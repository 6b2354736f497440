//! One table's scan: hot rows united with a plain Parquet scan over the files of the snapshot.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Date32Array};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};

use super::TableSnapshot;
use super::prune::prune;
use crate::convert::{day, ts};
use crate::hot::Chunks;

/// Where the lake's folder is registered as an object store; it reaches nothing outside that folder.
pub(super) const STORE: &str = "lake://local/";

/// A stored table at one moment.
#[derive(Debug)]
pub(super) struct LakeScan(pub(super) TableSnapshot);

#[async_trait]
impl TableProvider for LakeScan {
    fn schema(&self) -> SchemaRef {
        self.0.layout.sql.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut parts = vec![self.scan_hot(session, projection, limit)?];
        parts.extend(self.scan_files(session, projection, filters, limit)?);
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }
}

impl LakeScan {
    fn scan_files(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let files = prune(&self.0, filters, session)?;
        if files.is_empty() {
            return Ok(None);
        }
        let partitions = session.config().target_partitions().clamp(1, files.len());
        let mut groups = vec![Vec::new(); partitions];
        for (n, file) in files.iter().enumerate() {
            let path = format!("{}/{}", self.0.table.name(), file.path);
            let date = vec![ScalarValue::Date32(Some(file.date))];
            groups[n % partitions].push(PartitionedFile::new(path, file.size).with_partition_values(date));
        }
        let sql = &self.0.layout.sql;
        let date = sql.fields().len() - 1;
        let in_file = sql.project(&(0..date).collect::<Vec<_>>())?;
        let schema =
            TableSchema::builder(Arc::new(in_file)).with_table_partition_cols(vec![sql.fields()[date].clone()]).build();
        let mut options = session.table_options().parquet.clone();
        options.global = session.config_options().execution.parquet.clone();
        let source = Arc::new(ParquetSource::new(schema).with_table_parquet_options(options));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE)?, source)
            .with_file_groups(groups.into_iter().map(FileGroup::new).collect())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(Some(DataSourceExec::from_data_source(config)))
    }

    fn scan_hot(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let sql = &self.0.layout.sql;
        let columns = projection.cloned().unwrap_or_else(|| (0..sql.fields().len()).collect());
        let schema = Arc::new(sql.project(&columns)?);
        let per_partition = self.0.hot.len().div_ceil(session.config().target_partitions().max(1)).max(1);
        let mut partitions = self.0.hot.chunks(per_partition).collect::<Vec<_>>();
        if partitions.is_empty() {
            partitions.push(&[]);
        }
        let partitions = partitions.into_iter().map(|chunks| {
            let part = HotRows { chunks: chunks.to_vec(), columns: columns.clone(), schema: schema.clone() };
            Arc::new(part) as Arc<dyn PartitionStream>
        });
        let partitions = partitions.collect();
        let plan = StreamingTableExec::try_new(schema.clone(), partitions, None, Vec::new(), false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// Chunks of hot rows, turned into SQL's types one at a time as they are asked for.
#[derive(Debug)]
struct HotRows {
    chunks: Chunks,
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl PartitionStream for HotRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (columns, schema) = (self.columns.clone(), self.schema.clone());
        let size = context.session_config().batch_size().max(1);
        let slices = self.chunks.clone().into_iter().flat_map(move |chunk| {
            let starts = (0..chunk.num_rows()).step_by(size);
            starts.map(move |start| chunk.slice(start, size.min(chunk.num_rows() - start))).collect::<Vec<_>>()
        });
        let rows = slices.map(move |slice| for_sql(&slice, &columns, &schema).map_err(DataFusionError::from));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(rows)))
    }
}

fn for_sql(rows: &RecordBatch, columns: &[usize], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let arrays = columns.iter().zip(schema.fields()).map(|(column, field)| -> Result<ArrayRef, ArrowError> {
        match rows.columns().get(*column) {
            Some(array) if array.data_type() == field.data_type() => Ok(array.clone()),
            Some(array) => cast(array, field.data_type()),
            None => Ok(Arc::new(ts(rows)?.values().iter().map(|ts| Some(day(*ts))).collect::<Date32Array>())),
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), arrays.collect::<Result<_, _>>()?, &options)
}
