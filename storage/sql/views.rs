//! What people write in FROM: each table with its computed columns, and each metric under its own name with its
//! attributes as columns.

use std::sync::Arc;

use catchment_pipeline::batch::Table;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident, lit};
use datafusion_functions_json::udfs::json_as_text_udf;

use super::TableSnapshot;
use super::scan::LakeScan;
use crate::catalog::Metric;
use crate::schema::{LakeTable, Rolled};

/// A table, and rollups that may be read in its place.
pub(super) struct Source<'a> {
    pub(super) table: &'a TableSnapshot,
    pub(super) rollups: Vec<TableSnapshot>,
}

fn scan(source: Source<'_>) -> Result<LogicalPlanBuilder> {
    let Source { table, rollups } = source;
    let source = provider_as_source(Arc::new(LakeScan { table: table.clone(), rollups }));
    LogicalPlanBuilder::scan(table.table.name(), source, None)
}

fn view(plan: LogicalPlanBuilder) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(ViewTable::new(plan.build()?, None)))
}

/// Columns that are computed, not stored.
fn computed(table: LakeTable) -> Option<Expr> {
    match table {
        LakeTable::Rows(Table::Metrics) => {
            let value = vec![ident("value_double"), cast(ident("value_int"), DataType::Float64)];
            Some(datafusion::functions::core::expr_fn::coalesce(value).alias("value"))
        }
        LakeTable::Rows(Table::Spans) => {
            Some((ident("end_time_unix_nano") - ident("start_time_unix_nano")).alias("duration_ns"))
        }
        LakeTable::Rows(Table::ExpHistograms) | LakeTable::Rollup(Rolled::ExpHistograms, _) => {
            Some(buckets(|name| ident(name)).alias("buckets"))
        }
        _ => None,
    }
}

/// Names that [`computed`] gives, in whatever table.
pub(crate) const COMPUTED: [&str; 3] = ["value", "duration_ns", "buckets"];

/// What `counter_delta` and `exp_histogram_quantile` take as one argument.
const EXP_BUCKETS: [&str; 7] = [
    "scale",
    "zero_count",
    "zero_threshold",
    "positive_offset",
    "positive_bucket_counts",
    "negative_offset",
    "negative_bucket_counts",
];

/// The column `buckets` out of those it is made of.
pub(super) fn buckets(column: impl Fn(&str) -> Expr) -> Expr {
    let parts = EXP_BUCKETS.iter().flat_map(|name| [lit(*name), column(name)]);
    datafusion::functions::core::expr_fn::named_struct(parts.collect())
}

/// It is that.
pub(super) fn is_buckets(expr: &Expr) -> bool {
    let Expr::ScalarFunction(call) = expr else { return false };
    let part = |(pair, wanted): (&[Expr], &&str)| match pair {
        [Expr::Literal(name, _), Expr::Column(column)] => {
            name.try_as_str().flatten() == Some(*wanted) && column.name == *wanted
        }
        _ => false,
    };
    let parts = call.args.chunks(2);
    call.func.name() == "named_struct" && parts.len() == EXP_BUCKETS.len() && parts.zip(&EXP_BUCKETS).all(part)
}

fn stored(table: &TableSnapshot) -> impl Iterator<Item = &str> {
    table.layout.hot.fields().iter().map(|field| field.name().as_str())
}

/// A table: `date`, its columns, what is computed.
pub(super) fn table(source: Source<'_>) -> Result<Arc<dyn TableProvider>> {
    let columns = ["date"].into_iter().chain(stored(source.table)).map(ident).chain(computed(source.table.table));
    let columns = columns.collect::<Vec<_>>();
    view(scan(source)?.project(columns)?)
}

/// What a point of the metric says, and so comes before the table's other columns.
fn point(table: Table) -> &'static [&'static str] {
    match table {
        Table::Histograms => &["count", "sum", "min", "max", "bucket_counts", "explicit_bounds"],
        Table::ExpHistograms => &["count", "sum", "min", "max", "scale", "zero_count"],
        Table::Summaries => &["count", "sum", "quantile_values"],
        _ => &[],
    }
}

/// A metric: `ts`, its attributes, its value, and the table's other columns. An attribute named as one of those stays
/// in `attributes` only.
pub(super) fn metric(name: &str, metric: &Metric, source: Source<'_>) -> Result<Arc<dyn TableProvider>> {
    let table = source.table;
    let own = |key: &&String| {
        COMPUTED.contains(&key.as_str()) || *key == "date" || stored(table).any(|column| column == *key)
    };
    let attributes = metric
        .keys
        .iter()
        .filter(|key| !own(key))
        .map(|key| json_as_text_udf().call(vec![ident("attributes"), lit(key.as_str())]).alias(key.as_str()));
    let point = point(metric.table);
    let rest = stored(table).filter(|column| *column != "ts" && !point.contains(column));
    let columns = [ident("ts")]
        .into_iter()
        .chain(attributes)
        .chain(computed(table.table))
        .chain(point.iter().copied().map(ident))
        .chain(rest.map(ident))
        .chain([ident("date")]);
    let columns = columns.collect::<Vec<_>>();
    view(scan(source)?.filter(ident("metric_name").eq(lit(name)))?.project(columns)?)
}
