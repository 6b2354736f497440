//! Files that cannot hold a row asked for are left out, by date and by the smallest and largest value of columns that
//! the table's log has them of.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, StringViewArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::TableSnapshot;
use super::engine::LISTED;
use super::wanted::Wanted;
use crate::files::FileEntry;

pub(super) fn prune(
    table: &TableSnapshot,
    wanted: &Wanted,
    filters: &[Expr],
    session: &dyn Session,
) -> Result<Vec<Arc<FileEntry>>> {
    let files = table.files.iter().filter(|file| wanted.may_be_in(file.span())).cloned().collect::<Vec<_>>();
    let Some(filter) = conjunction(filters.to_vec()).filter(|_| !files.is_empty()) else { return Ok(files) };
    let schema = table.layout.sql.clone();
    let filter = session.create_physical_expr(filter, &DFSchema::try_from(schema.clone())?)?;
    let Some(predicate) =
        PruningPredicateBuilder::new().with_file_schema(schema).with_max_in_list_size(LISTED).try_build(filter).ok()
    else {
        return Ok(files);
    };
    let keep = predicate.prune(&Bounds { files: &files, schema: &table.layout.sql })?;
    Ok(files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file.clone()).collect())
}

struct Bounds<'a> {
    files: &'a [Arc<FileEntry>],
    schema: &'a Schema,
}

impl Bounds<'_> {
    fn column(&self, name: &str, largest: bool) -> Option<ArrayRef> {
        let files = self.files.iter();
        Some(match (name, self.schema.field_with_name(name).ok()?.data_type()) {
            ("date", _) => Arc::new(files.map(|file| Some(file.date)).collect::<Date32Array>()),
            ("ts", _) => {
                let times = files.map(|file| if largest { file.span().last } else { file.span().first });
                let times = TimestampMicrosecondArray::from_iter_values(times);
                Arc::new(times.with_timezone("UTC"))
            }
            (_, DataType::Utf8View) => Arc::new(
                files
                    .map(|file| file.strings.get(name).map(|(low, high)| if largest { high } else { low }))
                    .collect::<StringViewArray>(),
            ),
            (_, kind @ (DataType::Int64 | DataType::Int32)) => {
                let bounds =
                    files.map(|file| file.integers.get(name).map(|(low, high)| if largest { *high } else { *low }));
                cast(&(Arc::new(bounds.collect::<Int64Array>()) as ArrayRef), kind).ok()?
            }
            _ => return None,
        })
    }
}

impl PruningStatistics for Bounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(&column.name, false)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(&column.name, true)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
