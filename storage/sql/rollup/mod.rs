//! Aggregates over `metrics`, `histograms` and `exp_histograms` are read from their `_5m` and `_1h` tables where those say the same, and from
//! rows elsewhere:
//!
//! ```text
//! Projection: names and types as before
//!   Aggregate: sums of sums, least of the least, ...
//!     Union
//!       Projection: groups, count, sum, min, max <- Filter: whole steps that the rollup stands for <- metrics_1h
//!       ... the same of metrics_5m in what is left
//!       Projection: groups, 1, value, value, value <- Filter: the other times <- metrics
//! ```
//!
//! That is so when all that is grouped by and asked for is the same for all rows of a series in one step (`date_bin` by a
//! multiple of it, columns that come from labels), and all that is computed are `count(*)`; `count`, `sum`, `avg`, `min` and
//! `max` of `value`; sums of `increase(value)`, or of a histogram's `increase(count)` and `increase(sum)`; and quantiles of what histograms
//! counted (`increase(bucket_counts)`, `increase(buckets)`). Which times count is up to [`usable`]: late and hot rows are read as rows.
//! `EXPLAIN` names the tables.

mod aligned;
mod plan;

use std::collections::HashMap;
use std::ops::Range;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Aggregate, Cast, Expr, LogicalPlan, TableScan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::TableSnapshot;
use super::increase::{Added, argument};
use super::scan::LakeScan;
use crate::files::{Ranges, union};
use crate::lake::lock;
use crate::rollup::{usable, without};
use crate::schema::{LakeTable, Rolled, Step};

pub(super) use aligned::{is_same, is_value};

/// Stretches of time taken from one rollup; of more, the longest.
const STRETCHES: usize = 32;
/// The same where each stretch of rows in between is read from an hour before it on.
const FAR_STRETCHES: usize = 8;

#[derive(Debug)]
pub(super) struct ChooseRollups;

impl OptimizerRule for ChooseRollups {
    fn name(&self) -> &str {
        "choose_rollups"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
        Ok(match choose(aggregate)? {
            Some(rewritten) => Transformed::yes(rewritten),
            None => Transformed::no(plan),
        })
    }
}

fn choose(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let Some(asked_for) = aggregate.aggr_expr.iter().map(Computed::of).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let values = asked_for.iter().flat_map(|(_, values)| values.clone());
    let groups = aggregate.group_expr.iter().cloned();
    let Some(mut asked) = Asked::of(&aggregate.input, groups.chain(values).collect())? else { return Ok(None) };
    let values = asked.exprs.split_off(aggregate.group_expr.len());
    let provider = source_as_provider(&asked.scan.source)?;
    let Some(raw) = provider.downcast_ref::<LakeScan>() else { return Ok(None) };
    let Some(rolled) = raw.table.table.rolled() else { return Ok(None) };
    let mut values = values.as_slice();
    let computed = asked_for.iter().map(|(computed, given)| {
        let (own, rest) = values.split_at_checked(given.len())?;
        values = rest;
        computed.in_columns(rolled, own)
    });
    let Some(computed) = computed.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let increases = computed.iter().any(|computed| computed.added().is_some());
    let chosen = choose_times(raw, rolled, &asked, increases);
    if chosen.rolled.is_empty() {
        return Ok(None);
    }
    plan::build(aggregate, &asked, &chosen, &computed).map(Some)
}

/// What an aggregate computes of the rows of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Computed {
    Rows,
    Count,
    Sum,
    Avg,
    Min,
    Max,
    /// A sum.
    Added(Added),
    Quantile(Added),
}

impl Computed {
    /// And of what, whatever that is.
    fn of(expr: &Expr) -> Option<(Computed, Vec<Expr>)> {
        let AggregateFunction { func, params } = call(expr)?;
        let AggregateFunctionParams { args, distinct: false, filter: None, order_by, null_treatment: None } = params
        else {
            return None;
        };
        if !order_by.is_empty() {
            return None;
        }
        let (computed, of) = match (func.name(), args.as_slice()) {
            ("count", [Expr::Literal(value, _)]) if !value.is_null() => (Computed::Rows, &args[..0]),
            ("count", [_]) => (Computed::Count, &args[..]),
            ("sum", [_]) => (Computed::Sum, &args[..]),
            ("avg", [_]) => (Computed::Avg, &args[..]),
            ("min", [_]) => (Computed::Min, &args[..]),
            ("max", [_]) => (Computed::Max, &args[..]),
            ("histogram_quantile", [Expr::Literal(..), of @ ..]) => (Computed::Quantile(Added::BucketCounts), of),
            ("exp_histogram_quantile", [Expr::Literal(..), of @ ..]) => (Computed::Quantile(Added::Buckets), of),
            _ => return None,
        };
        Some((computed, of.to_vec()))
    }

    /// `of`: in the table's own columns. `None`: rollups do not say that.
    fn in_columns(self, rolled: Rolled, of: &[Expr]) -> Option<Computed> {
        let added = |expr| Added::of(rolled, argument(plain(expr))?);
        match (self, of) {
            (Computed::Rows, []) => Some(Computed::Rows),
            (Computed::Quantile(wanted @ Added::BucketCounts), [counts, bounds]) => {
                let bounds = matches!(plain(bounds), Expr::Column(column) if column.name == plan::BOUNDS);
                (bounds && added(counts)? == wanted).then_some(self)
            }
            (Computed::Quantile(wanted @ Added::Buckets), [buckets]) => (added(buckets)? == wanted).then_some(self),
            (Computed::Sum, [of]) if argument(plain(of)).is_some() => added(of).map(Computed::Added),
            (_, [of]) => is_value(of).then_some(self),
            _ => None,
        }
    }

    fn added(self) -> Option<Added> {
        match self {
            Computed::Added(added) | Computed::Quantile(added) => Some(added),
            _ => None,
        }
    }
}

fn call(expr: &Expr) -> Option<&AggregateFunction> {
    match expr {
        Expr::Alias(alias) => call(&alias.expr),
        Expr::AggregateFunction(call) => Some(call),
        _ => None,
    }
}

/// Lists are cast to lists of other names.
fn plain(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => plain(&alias.expr),
        Expr::Cast(Cast { expr, field }) if field.data_type().is_nested() => plain(expr),
        expr => expr,
    }
}

/// Expressions and conditions above a scan, in the scan's own columns.
pub(super) struct Asked<'a> {
    pub(super) scan: &'a TableScan,
    pub(super) exprs: Vec<Expr>,
    pub(super) conditions: Vec<Expr>,
}

impl Asked<'_> {
    /// `None`: there is more in between than projections and filters.
    pub(super) fn of(input: &LogicalPlan, mut exprs: Vec<Expr>) -> Result<Option<Asked<'_>>> {
        let (mut plan, mut conditions) = (input, Vec::new());
        loop {
            let below = match plan {
                LogicalPlan::Filter(filter) => {
                    conditions.push(filter.predicate.clone());
                    plan = &filter.input;
                    continue;
                }
                LogicalPlan::SubqueryAlias(alias) => {
                    let below = alias.input.schema().columns().into_iter().map(Expr::Column);
                    let own = alias.schema.columns();
                    plan = &alias.input;
                    own.into_iter().zip(below).collect::<HashMap<Column, Expr>>()
                }
                LogicalPlan::Projection(projection) => {
                    let below = projection.expr.iter().map(|expr| expr.clone().unalias_nested().data);
                    let own = projection.schema.columns();
                    plan = &projection.input;
                    own.into_iter().zip(below).collect()
                }
                LogicalPlan::TableScan(scan) if scan.fetch.is_none() => {
                    conditions.extend(scan.filters.iter().cloned());
                    let conditions = conditions.into_iter().flat_map(split_conjunction_owned).collect();
                    return Ok(Some(Asked { scan, exprs, conditions }));
                }
                _ => return Ok(None),
            };
            for expr in exprs.iter_mut().chain(&mut conditions) {
                let replaced = std::mem::take(expr).transform(|part| match &part {
                    Expr::Column(column) => Ok(match below.get(column) {
                        Some(below) => Transformed::yes(below.clone()),
                        None => Transformed::no(part),
                    }),
                    _ => Ok(Transformed::no(part)),
                });
                *expr = replaced?.data;
            }
        }
    }
}

/// Where what is asked is read.
struct Chosen {
    /// Conditions besides those on time.
    conditions: Vec<Expr>,
    rolled: Vec<(TableSnapshot, Ranges)>,
    rows: Ranges,
}

fn choose_times(raw: &LakeScan, rolled: Rolled, asked: &Asked<'_>, increases: bool) -> Chosen {
    let mut chosen = Chosen { conditions: Vec::new(), rolled: Vec::new(), rows: Ranges::new() };
    let mut left: Option<Ranges> = None;
    let most = if increases { FAR_STRETCHES } else { STRETCHES };
    for step in [Step::Hour, Step::FiveMinutes] {
        let wanted = LakeTable::Rollup(rolled, step);
        let Some(rollup) = raw.rollups.iter().find(|table| table.table == wanted) else { continue };
        let micros = step.micros();
        let constant = |column: &str| is_constant(&raw.table, column);
        if !asked.exprs.iter().all(|expr| aligned::is_same(expr, micros, &constant)) {
            continue;
        }
        let Some((times, conditions)) = aligned::split(&asked.conditions, micros, &constant) else { continue };
        let within = left.get_or_insert_with(|| union([times].into_iter()));
        chosen.conditions = conditions;
        let taken = longest(overlap(&usable(rollup, &raw.table, increases), within, micros), most);
        if !taken.is_empty() {
            *within = without(std::mem::take(within), &taken);
            chosen.rolled.push((rollup.clone(), taken));
        }
    }
    chosen.rows = left.unwrap_or_default();
    chosen
}

/// The same in all rows of a series, and in its row of a rollup.
pub(super) fn is_constant(raw: &TableSnapshot, column: &str) -> bool {
    if column == "date" {
        return true;
    }
    // An attribute may have been promoted between two rows of a step.
    let Some(catalog) = raw.catalog.as_ref() else { return false };
    let catalog = lock(catalog);
    catalog.rows.has(column) && !(catalog.rows.is_promoted(column) && catalog.rows.any_unsure())
}

/// What both have, in whole steps.
fn overlap(usable: &[Range<i64>], within: &[Range<i64>], step: i64) -> Ranges {
    let up = |at: i64| at.checked_add((step - at.rem_euclid(step)) % step).unwrap_or(i64::MAX);
    let down = |at: i64| at.saturating_sub(at.rem_euclid(step));
    let pairs = usable.iter().flat_map(|usable| within.iter().map(move |within| (usable, within)));
    union(pairs.map(|(a, b)| up(a.start.max(b.start))..down(a.end.min(b.end))))
}

fn longest(mut ranges: Ranges, most: usize) -> Ranges {
    if ranges.len() > most {
        ranges.sort_by_key(|range| std::cmp::Reverse(range.end - range.start));
        ranges.truncate(most);
        ranges.sort_by_key(|range| range.start);
    }
    ranges
}
