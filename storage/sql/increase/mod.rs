//! `increase(value)`: what a point of a counter added since the point before it of the same series.
//!
//! A call may stand wherever the rows are those of a metric or of a table of points, conditions and renaming aside. It is computed where they
//! are read, from rows of up to [`LOOK_BACK`] before the times that are asked for, and only then is what is asked for chosen:
//!
//! ```text
//! Aggregate: sum(increase(value))
//!   Projection: ts, ..., increase
//!     Filter: all conditions
//!       Increases: a column for each call, over rows by series and time
//!         Filter: the times and an hour before them; conditions that hold of whole series
//!           metrics
//! ```
//!
//! The rule is the one that rollups are made by (`rollup::Kind`), so that they may stand in for it.

mod exec;
mod node;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;

use super::functions::{INCREASE, misplaced};
use super::rollup::{Asked, is_constant, is_same, is_value};
use super::scan::LakeScan;
use super::views::is_buckets;
use super::wanted::time;
use crate::changes::Span;
use crate::rollup::LOOK_BACK;
use crate::schema::Rolled;

pub(super) use exec::PlanIncreases;
use node::Increases;

/// What is asked of the points of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Added {
    Value,
    Count,
    Sum,
    BucketCounts,
    Buckets,
}

impl Added {
    /// `of`: in the table's own columns.
    pub(super) fn of(rolled: Rolled, of: &Expr) -> Option<Added> {
        let name = match of {
            Expr::Column(column) => column.name.as_str(),
            _ => "",
        };
        match (rolled, name) {
            (Rolled::Metrics, _) if is_value(of) => Some(Added::Value),
            (Rolled::Histograms | Rolled::ExpHistograms, "count") => Some(Added::Count),
            (Rolled::Histograms | Rolled::ExpHistograms, "sum") => Some(Added::Sum),
            (Rolled::Histograms, "bucket_counts") => Some(Added::BucketCounts),
            (Rolled::ExpHistograms, _) if is_buckets(of) => Some(Added::Buckets),
            _ => None,
        }
    }

    /// Its column of a rollup (`buckets` is made of several).
    pub(super) fn rolled_up(self) -> &'static str {
        match self {
            Added::Value => "increase",
            Added::Count => "count",
            Added::Sum => "sum",
            Added::BucketCounts => "bucket_counts",
            Added::Buckets => "buckets",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Added::Value => "increase(value)",
            Added::Count => "increase(count)",
            Added::Sum => "increase(sum)",
            Added::BucketCounts => "increase(bucket_counts)",
            Added::Buckets => "increase(buckets)",
        }
    }
}

/// What a call of `increase` is of.
pub(super) fn argument(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == INCREASE => args.first(),
        _ => None,
    }
}

fn calls(exprs: &[Expr]) -> Result<Vec<Expr>> {
    let mut calls = Vec::new();
    for expr in exprs {
        expr.apply(|part| {
            if argument(part).is_some() && !calls.contains(part) {
                calls.push(part.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(calls)
}

#[derive(Debug)]
pub(super) struct ExpandIncreases;

impl OptimizerRule for ExpandIncreases {
    fn name(&self) -> &str {
        "expand_increases"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let calls = calls(&plan.expressions())?;
        match calls.is_empty() {
            true => Ok(Transformed::no(plan)),
            false => expand(plan, &calls).map(Transformed::yes),
        }
    }
}

fn expand(plan: LogicalPlan, calls: &[Expr]) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => over_columns(plan, calls),
        LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Window(_) => {
            let columns = plan.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
            LogicalPlanBuilder::from(over_columns(plan, calls)?).project(columns)?.build()
        }
        _ => Err(misplaced()),
    }
}

/// A step whose calls are columns of its input.
fn over_columns(plan: LogicalPlan, calls: &[Expr]) -> Result<LogicalPlan> {
    let exprs = plan.expressions().into_iter().map(|expr| named(expr, calls)).collect::<Result<_>>()?;
    let [input] = plan.inputs()[..] else { return Err(misplaced()) };
    let input = with_columns(input, calls)?;
    plan.with_new_exprs(exprs, vec![input])
}

/// Calls as columns of their names.
fn named(expr: Expr, calls: &[Expr]) -> Result<Expr> {
    let named = expr.transform_down(|part| {
        Ok(match calls.contains(&part) {
            true => Transformed::yes(Expr::Column(Column::from_name(part.schema_name().to_string()))),
            false => Transformed::no(part),
        })
    });
    Ok(named?.data)
}

/// The input's columns, and one of the name of each call.
fn with_columns(input: &LogicalPlan, wanted: &[Expr]) -> Result<LogicalPlan> {
    let columns = input.schema().columns();
    if matches!(input, LogicalPlan::Window(_) | LogicalPlan::Sort(_)) {
        let mut all = calls(&input.expressions())?;
        all.extend(wanted.iter().filter(|call| !all.contains(call)).cloned().collect::<Vec<_>>());
        let own = named_columns(wanted).map(|(_, name)| Column::from_name(name));
        let columns = columns.into_iter().chain(own).map(Expr::Column).collect::<Vec<_>>();
        return LogicalPlanBuilder::from(over_columns(input.clone(), &all)?).project(columns)?.build();
    }
    let calls = wanted;
    let exprs = columns.iter().cloned().map(Expr::Column).chain(calls.iter().cloned());
    let asked = Asked::of(input, exprs.collect())?.ok_or_else(misplaced)?;
    let provider = source_as_provider(&asked.scan.source)?;
    let raw = provider.downcast_ref::<LakeScan>().ok_or_else(misplaced)?;
    let rolled = raw.table.table.rolled().ok_or_else(misplaced)?;
    // What is computed in between would be computed twice.
    if asked.exprs.iter().any(Expr::is_volatile) {
        return Err(misplaced());
    }
    let mut wanted = Vec::new();
    let mut computed = |expr: Expr| -> Result<Expr> {
        let computed = expr.transform_down(|part| {
            let Some(of) = argument(&part) else { return Ok(Transformed::no(part)) };
            let added = Added::of(rolled, of).ok_or_else(misplaced)?;
            if !wanted.contains(&added) {
                wanted.push(added);
            }
            Ok(Transformed::yes(Expr::Column(Column::from_name(added.name()))))
        });
        Ok(computed?.data)
    };
    let exprs = asked.exprs.into_iter().map(&mut computed).collect::<Result<Vec<_>>>()?;
    let below = before_and_within(raw, &asked.conditions, &asked.scan.table_name);
    let above = asked.conditions.iter().filter(|condition| !below.contains(condition));
    let conditions = above.cloned().map(&mut computed).collect::<Result<Vec<_>>>()?;
    let scan = LogicalPlanBuilder::scan(asked.scan.table_name.clone(), asked.scan.source.clone(), None)?;
    let scan = match conjunction(below) {
        Some(condition) => scan.filter(condition)?,
        None => scan,
    };
    let node = Increases::new(scan.build()?, rolled, wanted)?;
    let rows = LogicalPlanBuilder::from(LogicalPlan::Extension(Extension { node: Arc::new(node) }));
    let rows = match conjunction(conditions) {
        Some(condition) => rows.filter(condition)?,
        None => rows,
    };
    let names = columns.into_iter().map(|column| (column.relation, column.name));
    let names = names.chain(named_columns(calls));
    rows.project(exprs.into_iter().zip(names).map(|(expr, (relation, name))| expr.alias_qualified(relation, name)))?
        .build()
}

fn named_columns(calls: &[Expr]) -> impl Iterator<Item = (Option<TableReference>, String)> {
    calls.iter().map(|call| (None, call.schema_name().to_string()))
}

/// Conditions that leave the rows that are asked for and those that may be before them.
fn before_and_within(raw: &LakeScan, conditions: &[Expr], name: &TableReference) -> Vec<Expr> {
    let constant = |column: &str| column != "date" && is_constant(&raw.table, column);
    let of_series = |condition: &Expr| {
        condition.column_refs().iter().all(|column| constant(&column.name)) && is_same(condition, 1, &constant)
    };
    let mut times = Span { first: i64::MIN, last: i64::MAX };
    let mut kept = Vec::new();
    for condition in conditions {
        if let Some(span) = time(condition) {
            times.first = times.first.max(span.first);
            times.last = times.last.min(span.last);
        } else if of_series(condition) {
            kept.push(condition.clone());
        }
    }
    let ts = || Expr::Column(Column::new(Some(name.clone()), "ts"));
    let at = |micros: i64| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
    if times.first != i64::MIN {
        kept.push(ts().gt_eq(at(times.first.saturating_sub(LOOK_BACK))));
    }
    if times.last != i64::MAX {
        kept.push(ts().lt_eq(at(times.last)));
    }
    kept
}
