//! Files that cannot hold a row asked for are left out, by date and by the smallest and largest time, metric and service.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, StringViewArray, TimestampMicrosecondArray};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::TableSnapshot;
use super::wanted::Wanted;
use crate::changes::Span;
use crate::convert::of_day;
use crate::files::FileEntry;

pub(super) fn prune(
    table: &TableSnapshot,
    wanted: &Wanted,
    filters: &[Expr],
    session: &dyn Session,
) -> Result<Vec<Arc<FileEntry>>> {
    let files = table.files.iter().filter(|file| wanted.may_be_in(times(file))).cloned().collect::<Vec<_>>();
    let Some(filter) = conjunction(filters.to_vec()).filter(|_| !files.is_empty()) else { return Ok(files) };
    let schema = table.layout.sql.clone();
    let filter = session.create_physical_expr(filter, &DFSchema::try_from(schema.clone())?)?;
    let Some(predicate) = PruningPredicateBuilder::new().with_file_schema(schema).try_build(filter).ok() else {
        return Ok(files);
    };
    let keep = predicate.prune(&Bounds(&files))?;
    Ok(files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file.clone()).collect())
}

/// A file by a writer that keeps no statistics still is of its date.
fn times(file: &FileEntry) -> Span {
    let (first, last) = file.ts.unwrap_or_else(|| of_day(file.date));
    Span { first, last }
}

struct Bounds<'a>(&'a [Arc<FileEntry>]);

impl Bounds<'_> {
    fn column(&self, name: &str, largest: bool) -> Option<ArrayRef> {
        let files = self.0.iter();
        Some(match name {
            "date" => Arc::new(files.map(|file| Some(file.date)).collect::<Date32Array>()),
            "ts" => {
                let times = files.map(|file| if largest { times(file).last } else { times(file).first });
                let times = TimestampMicrosecondArray::from_iter_values(times);
                Arc::new(times.with_timezone("UTC"))
            }
            "metric_name" | "service_name" => Arc::new(
                files
                    .map(|file| file.strings.get(name).map(|(low, high)| if largest { high } else { low }))
                    .collect::<StringViewArray>(),
            ),
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
        self.0.len()
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
