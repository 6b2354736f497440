//! Aggregates over `metrics` are read from `metrics_5m` and `metrics_1h` where those say the same, and from rows elsewhere:
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
//! multiple of it, columns that come from labels), and all that is computed are `count(*)` and `count`, `sum`, `avg`, `min` and
//! `max` of `value`. Which times count is up to [`usable`]: late and hot rows are read as rows. `EXPLAIN` names the tables.

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
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, TableScan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::TableSnapshot;
use super::scan::LakeScan;
use crate::files::{Ranges, union};
use crate::lake::lock;
use crate::rollup::{usable, without};
use crate::schema::{LakeTable, Rolled, Step};

/// Stretches of time taken from one rollup; of more, the longest.
const STRETCHES: usize = 32;

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
    let Some(computed) = aggregate.aggr_expr.iter().map(Computed::of).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let values = computed.iter().filter_map(|(_, value)| value.clone());
    let groups = aggregate.group_expr.iter().cloned();
    let Some(mut asked) = Asked::of(&aggregate.input, groups.chain(values).collect())? else { return Ok(None) };
    let values = asked.exprs.split_off(aggregate.group_expr.len());
    if !values.iter().all(aligned::is_value) {
        return Ok(None);
    }
    let provider = source_as_provider(&asked.scan.source)?;
    let Some(raw) = provider.downcast_ref::<LakeScan>() else { return Ok(None) };
    let chosen = choose_times(raw, &asked);
    if chosen.rolled.is_empty() {
        return Ok(None);
    }
    let computed = computed.into_iter().map(|(computed, _)| computed).collect::<Vec<_>>();
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
}

impl Computed {
    /// And of what.
    fn of(expr: &Expr) -> Option<(Computed, Option<Expr>)> {
        let expr = match expr {
            Expr::Alias(alias) => alias.expr.as_ref(),
            expr => expr,
        };
        let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else { return None };
        let AggregateFunctionParams { args, distinct: false, filter: None, order_by, null_treatment: None } = params
        else {
            return None;
        };
        let [of] = args.as_slice() else { return None };
        if !order_by.is_empty() {
            return None;
        }
        let computed = match (func.name(), of) {
            ("count", Expr::Literal(value, _)) if !value.is_null() => return Some((Computed::Rows, None)),
            ("count", _) => Computed::Count,
            ("sum", _) => Computed::Sum,
            ("avg", _) => Computed::Avg,
            ("min", _) => Computed::Min,
            ("max", _) => Computed::Max,
            _ => return None,
        };
        Some((computed, Some(of.clone())))
    }
}

/// Expressions and conditions above a scan, in the scan's own columns.
struct Asked<'a> {
    scan: &'a TableScan,
    exprs: Vec<Expr>,
    conditions: Vec<Expr>,
}

impl Asked<'_> {
    /// `None`: there is more in between than projections and filters.
    fn of(input: &LogicalPlan, mut exprs: Vec<Expr>) -> Result<Option<Asked<'_>>> {
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

fn choose_times(raw: &LakeScan, asked: &Asked<'_>) -> Chosen {
    let mut chosen = Chosen { conditions: Vec::new(), rolled: Vec::new(), rows: Ranges::new() };
    let mut left: Option<Ranges> = None;
    for step in [Step::Hour, Step::FiveMinutes] {
        let wanted = LakeTable::Rollup(Rolled::Metrics, step);
        let Some(rollup) = raw.rollups.iter().find(|table| table.table == wanted) else { continue };
        let micros = step.micros();
        let constant = |column: &str| is_constant(&raw.table, column);
        if !asked.exprs.iter().all(|expr| aligned::is_same(expr, micros, &constant)) {
            continue;
        }
        let Some((times, conditions)) = aligned::split(&asked.conditions, micros, &constant) else { continue };
        let within = left.get_or_insert_with(|| union([times].into_iter()));
        chosen.conditions = conditions;
        let taken = longest(overlap(&usable(rollup, &raw.table), within, micros));
        if !taken.is_empty() {
            *within = without(std::mem::take(within), &taken);
            chosen.rolled.push((rollup.clone(), taken));
        }
    }
    chosen.rows = left.unwrap_or_default();
    chosen
}

/// The same in all rows of a series, and in its row of a rollup.
fn is_constant(raw: &TableSnapshot, column: &str) -> bool {
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

fn longest(mut ranges: Ranges) -> Ranges {
    if ranges.len() > STRETCHES {
        ranges.sort_by_key(|range| std::cmp::Reverse(range.end - range.start));
        ranges.truncate(STRETCHES);
        ranges.sort_by_key(|range| range.start);
    }
    ranges
}
