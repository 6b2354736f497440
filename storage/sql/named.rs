//! Row groups of which every row is of a metric that is asked for: there nothing need be compared with its name.
//!
//! Files are sorted by it, so that in merged ones most row groups are such. The condition is taken from the plan (`Exact`), and rows of the
//! other row groups are held against it here.

use std::collections::BTreeSet;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::wanted::strings;

pub(super) const NAME: &str = "metric_name";
/// Files whose row groups are looked at; small ones have few, and of many files each is small.
const FILES: usize = 16;
/// Tests look at small ones too.
const BYTES: u64 = if cfg!(test) { 1 } else { 4 << 20 };

/// The names that a condition leaves, no more and no less.
pub(super) fn names(condition: &Expr) -> Option<BTreeSet<&str>> {
    strings(condition).filter(|(column, _)| *column == NAME).map(|(_, names)| names)
}

/// How each file's row groups fit; `None`: not worth a look.
pub(super) async fn sure(
    groups: &[FileGroup],
    names: &BTreeSet<String>,
    reader: &dyn ParquetFileReaderFactory,
) -> Result<Option<Vec<(PartitionedFile, Vec<Fit>)>>> {
    let files = groups.iter().flat_map(FileGroup::iter).cloned().collect::<Vec<_>>();
    if files.len() > FILES || files.iter().all(|file| file.object_meta.size < BYTES) {
        return Ok(None);
    }
    let mut all = Vec::new();
    for file in files {
        let mut own = reader.create_reader(0, file.clone(), None, &ExecutionPlanMetricsSet::new())?;
        let metadata = own.get_metadata(None).await?;
        all.push((file, fits(&metadata, names)));
    }
    Ok(Some(all))
}

/// Which rows of a row group are of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    None,
    Some,
    /// So many.
    All(i64),
}

fn fits(metadata: &ParquetMetaData, names: &BTreeSet<String>) -> Vec<Fit> {
    let column = metadata.file_metadata().schema_descr().columns().iter().position(|column| column.name() == NAME);
    let fit = |group: &RowGroupMetaData| match column.and_then(|column| group.columns().get(column)?.statistics()) {
        Some(Statistics::ByteArray(bounds)) => {
            let Some((low, high)) = bounds.min_opt().zip(bounds.max_opt()) else { return Fit::Some };
            let (low, high) = (low.data(), high.data());
            let exact = bounds.min_is_exact() && bounds.max_is_exact() && bounds.null_count_opt() == Some(0);
            match names.iter().any(|name| (low..=high).contains(&name.as_bytes())) {
                true if exact && low == high => Fit::All(group.num_rows()),
                true => Fit::Some,
                false => Fit::None,
            }
        }
        _ => Fit::Some,
    };
    metadata.row_groups().iter().map(fit).collect()
}

/// Row groups that fit by themselves in equal shares, and the others, each in every partition's files.
pub(super) fn shares(files: &[(PartitionedFile, Vec<Fit>)], partitions: usize) -> (Vec<FileGroup>, Vec<FileGroup>) {
    let rows = |fit: &Fit| if let Fit::All(rows) = fit { *rows } else { 0 };
    let total = files.iter().flat_map(|(_, fits)| fits).map(rows).sum::<i64>();
    let share = (total / i64::try_from(partitions).unwrap_or(1).max(1)).max(1);
    let mut before = 0;
    let place = files.iter().map(|(_, fits)| {
        let own = fits.iter().map(|fit| {
            let middle = before + rows(fit) / 2;
            before += rows(fit);
            usize::try_from(middle / share).unwrap_or(0).min(partitions.saturating_sub(1))
        });
        own.collect::<Vec<_>>()
    });
    let places = place.collect::<Vec<_>>();
    let some = files.iter().any(|(_, fits)| fits.contains(&Fit::Some));
    let group = |wanted: &dyn Fn(&Fit, usize) -> bool| {
        let files = files.iter().zip(&places).map(|((file, fits), places)| {
            let access = fits.iter().zip(places).map(|(fit, place)| match wanted(fit, *place) {
                true => RowGroupAccess::Scan,
                false => RowGroupAccess::Skip,
            });
            file.clone().with_extension(ParquetAccessPlan::new(access.collect()))
        });
        FileGroup::new(files.collect())
    };
    let sure = (0..if total > 0 { partitions } else { 0 })
        .map(|partition| group(&|fit, place| matches!(fit, Fit::All(_)) && place == partition));
    let unsure = some.then(|| group(&|fit, _| *fit == Fit::Some));
    (sure.collect(), unsure.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scanned(groups: &[FileGroup], file: usize, row_group: usize) -> usize {
        let in_group = |group: &&FileGroup| {
            let plan = group.iter().nth(file).and_then(|file| file.extensions.get::<ParquetAccessPlan>());
            plan.is_some_and(|plan| plan.should_scan(row_group))
        };
        groups.iter().filter(in_group).count()
    }

    proptest! {
        #[test]
        fn every_row_group_is_read_once(
            files in prop::collection::vec(prop::collection::vec((0u8..3, 1i64..1000), 0..6), 1..4),
            partitions in 1usize..5,
        ) {
            let fit = |(kind, rows): &(u8, i64)| match kind {
                0 => Fit::None,
                1 => Fit::Some,
                _ => Fit::All(*rows),
            };
            let fits = files.iter().map(|file| file.iter().map(fit).collect::<Vec<_>>()).collect::<Vec<_>>();
            let named = |(n, fits): (usize, &Vec<Fit>)| (PartitionedFile::new(n.to_string(), 1000), fits.clone());
            let (sure, unsure) = shares(&fits.iter().enumerate().map(named).collect::<Vec<_>>(), partitions);
            for (file, fits) in fits.iter().enumerate() {
                for (row_group, fit) in fits.iter().enumerate() {
                    let found = (scanned(&sure, file, row_group), scanned(&unsure, file, row_group));
                    let expected = match fit {
                        Fit::None => (0, 0),
                        Fit::Some => (0, 1),
                        Fit::All(_) => (1, 0),
                    };
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}
