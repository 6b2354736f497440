//! Conditions on what stays the same along a series, held against the series in memory: the scan then looks for a few
//! series by number, which leaves out row groups and pages, instead of for text in every row.
//!
//! Only where all series are known; and the conditions are applied to the rows as well.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, ident, lit};

use super::TableSnapshot;
use super::engine::LISTED;
use super::wanted::Wanted;
use crate::catalog::Catalog;
use crate::lake::lock;
use crate::schema::LakeTable;

/// Series whose labels are looked at for one scan.
const LOOKED_AT: usize = 100_000;
/// Series that a scan looks for by number.
const MOST: usize = 4096;

/// Series that may have rows that are wanted; `None`: any.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) series: HashSet<i64>,
    resources: HashSet<i64>,
}

impl Found {
    /// As a condition on rows, which resources make sharper: rows of a file are sorted by them first.
    pub(super) fn filter(&self) -> Expr {
        let one_of = |column: &str, ids: &HashSet<i64>| {
            let mut ids = ids.iter().copied().collect::<Vec<_>>();
            ids.sort_unstable();
            if let [one] = ids[..] {
                return ident(column).eq(lit(one));
            }
            ident(column).in_list(ids.into_iter().map(lit).collect(), false)
        };
        let series = one_of("series_id", &self.series);
        match self.resources.len() <= LISTED {
            true => one_of("resource_id", &self.resources).and(series),
            false => series,
        }
    }
}

pub(super) fn find(
    table: &TableSnapshot,
    wanted: &Wanted,
    filters: &[Expr],
    session: &dyn Session,
) -> Result<Option<Found>> {
    if !has_series(table.table) {
        return Ok(None);
    }
    let Some(catalog) = table.catalog.as_ref() else { return Ok(None) };
    let Some(candidates) = candidates(&lock(catalog), &table.layout.sql, wanted, filters) else { return Ok(None) };
    let Candidates { labels, ids, unsure, condition } = candidates;
    let condition = session.create_physical_expr(condition, &DFSchema::try_from(labels.schema())?)?;
    let fits = condition.evaluate(&labels)?.into_array(labels.num_rows())?;
    let Some(fits) = fits.as_boolean_opt() else { return Ok(None) };
    let mut found = Found { series: HashSet::new(), resources: HashSet::new() };
    for (row, (series, resource)) in ids.into_iter().enumerate() {
        if unsure[row] || (fits.is_valid(row) && fits.value(row)) {
            found.series.insert(series);
            // A series without a resource's number: resources say nothing then.
            match resource {
                Some(resource) => drop(found.resources.insert(resource)),
                None => return Ok(None),
            }
        }
    }
    Ok((found.series.len() <= MOST).then_some(found))
}

/// `metrics` and its kin; rows of `series` are looked at one by one.
fn has_series(table: LakeTable) -> bool {
    match table {
        LakeTable::Rows(table) => table.is_metric(),
        LakeTable::Series => false,
        LakeTable::Rollup(..) => true,
    }
}

struct Candidates {
    labels: RecordBatch,
    /// Series and resource.
    ids: Vec<(i64, Option<i64>)>,
    unsure: Vec<bool>,
    condition: Expr,
}

/// What the catalog says of series that the name of the metric leaves; `None`: conditions say nothing about series, or
/// the catalog does not know.
fn candidates(catalog: &Catalog, sql: &Schema, wanted: &Wanted, filters: &[Expr]) -> Option<Candidates> {
    if !catalog.knows_all() {
        return None;
    }
    let known = &catalog.rows;
    let (mut columns, mut conditions) = (Vec::<&str>::new(), Vec::new());
    for filter in filters.iter().flat_map(split_conjunction) {
        let Some(own) = columns_of(filter).filter(|own| own.iter().all(|column| known.has(column))) else { continue };
        conditions.push(filter.clone());
        columns.extend(own);
    }
    columns.sort_unstable();
    columns.dedup();
    // Files are sorted by name: that alone is looked for as it is.
    if columns.iter().all(|column| *column == "metric_name") {
        return None;
    }
    let rows = match wanted.values("metric_name") {
        Some(metrics) => known.of_metrics(metrics.iter()),
        None => (0..u32::try_from(known.len()).ok()?).collect(),
    };
    if rows.len() > LOOKED_AT {
        return None;
    }
    let fields = columns.iter().map(|column| sql.field_with_name(column).ok().map(|f| f.clone().with_nullable(true)));
    let fields = fields.collect::<Option<Vec<Field>>>()?;
    let arrays = columns.iter().map(|column| known.array(column, &rows)).collect::<Option<Vec<ArrayRef>>>()?;
    let labels = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).ok()?;
    let resources = known.array("resource_id", &rows)?;
    let resources = resources.as_primitive_opt::<arrow::datatypes::Int64Type>()?.iter();
    let ids = rows.iter().map(|row| known.id(*row)).zip(resources).collect();
    let unsure = rows.iter().map(|row| known.is_unsure(*row)).collect();
    Some(Candidates { labels, ids, unsure, condition: conjunction(conditions)? })
}

/// The columns that a condition names; `None`: it is more than a function of a row, or names none.
fn columns_of(filter: &Expr) -> Option<Vec<&str>> {
    let mut columns = Vec::new();
    if filter.is_volatile() {
        return None;
    }
    let visited = filter.apply(|expr| {
        match expr {
            Expr::Column(column) => columns.push(column.name.as_str()),
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::OuterReferenceColumn(..) => {
                columns.clear();
                return Ok(TreeNodeRecursion::Stop);
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.ok().filter(|_| !columns.is_empty())?;
    Some(columns)
}
