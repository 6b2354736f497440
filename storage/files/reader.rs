//! Rows of a file as they were before they were written: strings as dictionaries, columns that came later NULL.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::disk::{Disk, Source};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader};

/// Batch by batch, in the order of the file.
pub(crate) struct FileRows {
    rows: ParquetRecordBatchReader,
    /// For each column of the table, where it is in the file.
    places: Vec<Option<usize>>,
    schema: SchemaRef,
    /// Written by this program, and so in its table's order.
    pub(crate) ours: bool,
}

impl FileRows {
    /// Columns that `schema` does not have are left out. `size`: rows of a batch.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, schema: &SchemaRef, size: usize) -> anyhow::Result<FileRows> {
        let opened = || format!("reading {}", path.display());
        let file = Source::open(disk, path).with_context(opened)?;
        let found = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).with_context(opened)?;
        let in_file = found.schema().fields().iter().map(|field| match schema.field_with_name(field.name()) {
            Ok(wanted) => Arc::new(field.as_ref().clone().with_data_type(wanted.data_type().clone())),
            Err(_) => field.clone(),
        });
        let in_file = Arc::new(Schema::new(in_file.collect::<Vec<_>>()));
        let options = ArrowReaderOptions::new().with_schema(in_file.clone());
        let metadata = ArrowReaderMetadata::try_new(found.metadata().clone(), options).with_context(opened)?;
        let created_by = metadata.metadata().file_metadata().created_by();
        let ours = created_by.is_some_and(|by| by.starts_with("catchment "));
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata).with_batch_size(size);
        let wanted = in_file.fields().iter().enumerate();
        let wanted =
            wanted.filter(|(_, field)| schema.index_of(field.name()).is_ok()).map(|(at, _)| at).collect::<Vec<_>>();
        let projection = ProjectionMask::roots(builder.parquet_schema(), wanted.iter().copied());
        let rows = builder.with_projection(projection).build();
        let place = |name: &str| wanted.iter().position(|at| in_file.field(*at).name() == name);
        let places = schema.fields().iter().map(|field| place(field.name())).collect();
        Ok(FileRows { rows: rows.with_context(opened)?, places, schema: schema.clone(), ours })
    }
}

impl Iterator for FileRows {
    type Item = anyhow::Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.rows.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error.into())),
        };
        let columns = self.places.iter().zip(self.schema.fields()).map(|(place, field)| -> ArrayRef {
            match place {
                Some(place) => batch.column(*place).clone(),
                None => new_null_array(field.data_type(), batch.num_rows()),
            }
        });
        Some(RecordBatch::try_new(self.schema.clone(), columns.collect()).map_err(Into::into))
    }
}
