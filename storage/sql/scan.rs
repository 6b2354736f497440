//! One table's scan: hot rows united with a plain Parquet scan over the files of the snapshot.

use std::cmp::Reverse;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, StringArray, StringViewArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};

use super::TableSnapshot;
use super::lookup::find;
use super::named;
use super::prune::prune;
use super::wanted::Wanted;
use crate::convert::{day, ts};
use crate::files::FileEntry;
use crate::hot::{Chunk, Chunks};

/// Where the lake's folder is registered as an object store; it reaches nothing outside that folder.
pub(super) const STORE: &str = "lake://local/";

/// A stored table at one moment.
#[derive(Debug)]
pub(super) struct LakeScan {
    pub(super) table: TableSnapshot,
    /// What may be read in its place.
    pub(super) rollups: Vec<TableSnapshot>,
}

#[async_trait]
impl TableProvider for LakeScan {
    fn schema(&self) -> SchemaRef {
        self.table.layout.sql.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // What `scan_hot` and `named` see to.
        let exact = |filter: &&Expr| named::names(filter).is_some();
        let of = |filter| match exact(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(of).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut wanted = Wanted::of(filters);
        let found = find(&self.table, &wanted, filters, session)?;
        let mut filters = filters.to_vec();
        if let Some(found) = found {
            filters.push(found.filter());
            wanted.series = Some(Arc::new(found.series));
        }
        let hot = self.scan_hot(session, &wanted, projection, limit)?;
        match (hot, self.scan_files(session, &wanted, projection, &filters, limit).await?) {
            (Some(hot), Some(files)) => UnionExec::try_new(vec![hot, files]),
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => Ok(Arc::new(EmptyExec::new(self.projected(projection)?.1))),
        }
    }
}

impl LakeScan {
    /// Which columns, and their schema.
    fn projected(&self, projection: Option<&Vec<usize>>) -> Result<(Vec<usize>, SchemaRef)> {
        let sql = &self.table.layout.sql;
        let columns = projection.cloned().unwrap_or_else(|| (0..sql.fields().len()).collect());
        let schema = Arc::new(sql.project(&columns)?);
        Ok((columns, schema))
    }

    async fn scan_files(
        &self,
        session: &dyn Session,
        wanted: &Wanted,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let files = prune(&self.table, wanted, filters, session)?;
        if files.is_empty() {
            return Ok(None);
        }
        let partitions = session.config().target_partitions();
        let groups = groups(self.table.table.name(), &files, partitions);
        let sql = &self.table.layout.sql;
        let date = sql.fields().len() - 1;
        let in_file = sql.project(&(0..date).collect::<Vec<_>>())?;
        let schema =
            TableSchema::builder(Arc::new(in_file)).with_table_partition_cols(vec![sql.fields()[date].clone()]).build();
        let mut options = session.table_options().parquet.clone();
        options.global = session.config_options().execution.parquet.clone();
        // Ids of traces only have them; looking for others' takes a millisecond for ten files.
        options.global.bloom_filter_on_read = sql.index_of("trace_id").is_ok();
        let (url, environment) = (ObjectStoreUrl::parse(STORE)?, session.runtime_env());
        let reader = CachedParquetFileReaderFactory::new(
            environment.object_store(&url)?,
            environment.cache_manager.get_file_metadata_cache(),
        );
        let reader: Arc<dyn ParquetFileReaderFactory> = Arc::new(reader);
        let found = wanted.series.as_ref().and(filters.last());
        let name = filters.iter().flat_map(split_conjunction).filter(|filter| named::names(filter).is_some());
        let name = name.cloned().collect::<Vec<_>>();
        let source = |condition: Option<Expr>| -> Result<Arc<ParquetSource>> {
            let source = ParquetSource::new(schema.clone())
                .with_table_parquet_options(options.clone())
                .with_parquet_file_reader_factory(reader.clone());
            Ok(Arc::new(match condition {
                Some(condition) => {
                    let condition = session.create_physical_expr(condition, &DFSchema::try_from(sql.clone())?)?;
                    source.with_predicate(condition)
                }
                None => source,
            }))
        };
        let scan = |groups: Vec<FileGroup>, condition: Option<Expr>| -> Result<Arc<dyn ExecutionPlan>> {
            let config = FileScanConfigBuilder::new(url.clone(), source(condition)?)
                .with_file_groups(groups)
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .build();
            Ok(DataSourceExec::from_data_source(config))
        };
        // Stands before what the planner adds: text is looked at only in rows that it leaves.
        let one_name = name.len() == 1;
        let all = conjunction(found.cloned().into_iter().chain(name));
        // With one partition rows come in the order in which they lie.
        let sure = match wanted.values(named::NAME).filter(|_| one_name && partitions > 1) {
            Some(names) => named::sure(&groups, names, &*reader).await?,
            None => None,
        };
        let Some(files) = sure else { return scan(groups, all).map(Some) };
        let (sure, unsure) = named::shares(&files, partitions);
        let scans = [(sure, found.cloned()), (unsure, all)].into_iter().filter(|(groups, _)| !groups.is_empty());
        let mut scans = scans.map(|(groups, condition)| scan(groups, condition)).collect::<Result<Vec<_>>>()?;
        match (scans.pop(), scans.is_empty()) {
            (Some(one), true) => Ok(Some(one)),
            (Some(last), false) => {
                scans.push(last);
                UnionExec::try_new(scans).map(Some)
            }
            (None, _) => Ok(None),
        }
    }

    fn scan_hot(
        &self,
        session: &dyn Session,
        wanted: &Wanted,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let chunks = self.table.hot.iter().filter(|chunk| wanted.may_be_in(chunk.span)).cloned().collect::<Chunks>();
        if chunks.is_empty() {
            return Ok(None);
        }
        let (columns, schema) = self.projected(projection)?;
        let per_partition = chunks.len().div_ceil(session.config().target_partitions().max(1)).max(1);
        let partitions = chunks.chunks(per_partition).map(|chunks| {
            let part = HotRows {
                chunks: chunks.to_vec(),
                wanted: wanted.clone(),
                columns: columns.clone(),
                schema: schema.clone(),
            };
            Arc::new(part) as Arc<dyn PartitionStream>
        });
        let partitions = partitions.collect();
        let plan = StreamingTableExec::try_new(schema.clone(), partitions, None, Vec::new(), false, limit)?;
        Ok(Some(Arc::new(plan)))
    }
}

/// Groups to be read side by side, of about as many bytes.
fn groups(table: &str, files: &[Arc<FileEntry>], most: usize) -> Vec<FileGroup> {
    let mut files = files.iter().collect::<Vec<_>>();
    files.sort_by_key(|file| Reverse(file.size));
    let mut groups = vec![(0u64, Vec::new()); most.clamp(1, files.len().max(1))];
    for file in files {
        let path = format!("{table}/{}", file.path);
        let date = vec![ScalarValue::Date32(Some(file.date))];
        let file = PartitionedFile::new(path, file.size).with_partition_values(date);
        if let Some((bytes, group)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += file.object_meta.size;
            group.push(file);
        }
    }
    groups.into_iter().map(|(_, files)| FileGroup::new(files)).collect()
}

/// Chunks of hot rows: those that are wanted, turned into SQL's types a batch at a time as they are asked for.
#[derive(Debug)]
struct HotRows {
    chunks: Chunks,
    wanted: Wanted,
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl PartitionStream for HotRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (columns, schema, wanted) = (self.columns.clone(), self.schema.clone(), self.wanted.clone());
        let size = context.session_config().batch_size().max(1);
        let chunks = self.chunks.clone().into_iter().map(move |chunk| {
            let rows = narrow(&chunk, &wanted, &columns, &schema)?;
            let starts = (0..rows.num_rows()).step_by(size);
            Ok(starts.map(|start| rows.slice(start, size.min(rows.num_rows() - start))).collect::<Vec<_>>())
        });
        let schema = self.schema.clone();
        let rows = chunks.flat_map(move |slices| match slices {
            Ok(slices) => slices.into_iter().map(|slice| for_sql(&slice, &schema)).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        });
        let rows = rows.map(|rows: Result<_, ArrowError>| rows.map_err(DataFusionError::from));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(rows)))
    }
}

/// The columns asked for, of the rows that are wanted, in the types they have while hot.
fn narrow(chunk: &Chunk, wanted: &Wanted, columns: &[usize], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let rows = &chunk.rows;
    let arrays = columns.iter().map(|column| -> Result<ArrayRef, ArrowError> {
        match rows.columns().get(*column) {
            Some(array) => Ok(array.clone()),
            None => Ok(Arc::new(ts(rows)?.values().iter().map(|ts| Some(day(*ts))).collect::<Date32Array>())),
        }
    });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let fields = schema.fields().iter().zip(&arrays);
    let fields = fields.map(|(field, array)| field.as_ref().clone().with_data_type(array.data_type().clone()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let narrowed =
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields.collect::<Vec<_>>())), arrays, &options)?;
    match wanted.rows(rows, chunk.span) {
        Some(mask) => filter_record_batch(&narrowed, &mask),
        None => Ok(narrowed),
    }
}

fn for_sql(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let arrays = rows.columns().iter().zip(schema.fields()).map(|(array, field)| match array.data_type() {
        kind if kind == field.data_type() => Ok(array.clone()),
        DataType::Dictionary(..) if *field.data_type() == DataType::Utf8View => texts(array),
        _ => cast(array, field.data_type()),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), arrays.collect::<Result<_, _>>()?, &options)
}

/// A dictionary as plain strings. A few rows of a chunk refer to few of its values: the others are not touched.
fn texts(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let dictionary = array.as_dictionary::<Int32Type>();
    if dictionary.values().len() < 2 * dictionary.len() {
        return cast(array, &DataType::Utf8View);
    }
    let values = dictionary.downcast_dict::<StringArray>();
    let values = values.ok_or_else(|| ArrowError::SchemaError("a dictionary of other than strings".to_owned()))?;
    Ok(Arc::new(values.into_iter().collect::<StringViewArray>()))
}
