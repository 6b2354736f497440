//! The plan that reads rollups and rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_aggregate::expr_fn::{max, min, sum};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Projection, ScalarUDF, cast, lit, when,
};

use super::super::functions::Increase;
use super::super::increase::Added;
use super::super::scan::LakeScan;
use super::super::views::buckets;
use super::{Asked, Chosen, Computed, call};

/// What each branch says of a row or of a step: names of its columns, after those it is grouped by.
const PARTS: [Part; 11] = [
    Part::Rows,
    Part::Count,
    Part::Sum,
    Part::Min,
    Part::Max,
    Part::Added(Added::Value),
    Part::Added(Added::Count),
    Part::Added(Added::Sum),
    Part::Added(Added::BucketCounts),
    Part::Added(Added::Buckets),
    Part::Bounds,
];
pub(super) const BOUNDS: &str = "explicit_bounds";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Rows,
    Count,
    Sum,
    Min,
    Max,
    Added(Added),
    /// Of histograms' buckets.
    Bounds,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Rows => "points",
            Part::Count => "count",
            Part::Sum => "sum",
            Part::Min => "min",
            Part::Max => "max",
            Part::Added(added) => added.name(),
            Part::Bounds => BOUNDS,
        }
    }

    fn is_of(self, computed: Computed) -> bool {
        match computed {
            Computed::Rows => self == Part::Rows,
            Computed::Count => self == Part::Count,
            Computed::Sum => self == Part::Sum,
            Computed::Avg => matches!(self, Part::Sum | Part::Count),
            Computed::Min => self == Part::Min,
            Computed::Max => self == Part::Max,
            Computed::Quantile(Added::BucketCounts) if self == Part::Bounds => true,
            Computed::Added(added) | Computed::Quantile(added) => self == Part::Added(added),
        }
    }

    /// Of a rollup's row. Without a value in the step there is no sum of values, rather than one of 0.
    fn of_step(self, column: &impl Fn(&str) -> Expr) -> Result<Expr> {
        match self {
            Part::Rows | Part::Count | Part::Bounds => Ok(column(self.name())),
            Part::Added(Added::Buckets) => Ok(buckets(column)),
            Part::Added(added) => Ok(column(added.rolled_up())),
            Part::Sum | Part::Min | Part::Max => when(column("count").gt(lit(0i64)), column(self.name())).end(),
        }
    }

    fn of_row(self, column: &impl Fn(&str) -> Expr) -> Result<Expr> {
        let value = || coalesce(vec![column("value_double"), cast(column("value_int"), DataType::Float64)]);
        let increase = |of: Expr| ScalarUDF::from(Increase::new()).call(vec![of]);
        match self {
            Part::Rows => Ok(lit(1i64)),
            Part::Count => when(value().is_null(), lit(0i64)).otherwise(lit(1i64)),
            Part::Sum | Part::Min | Part::Max => Ok(value()),
            Part::Added(Added::Value) => Ok(increase(value())),
            Part::Added(Added::Buckets) => Ok(increase(buckets(column))),
            Part::Added(added) => Ok(increase(column(added.rolled_up()))),
            Part::Bounds => Ok(column(BOUNDS)),
        }
    }

    /// `None`: it takes other parts as well.
    fn together(self, of: Expr) -> Option<Expr> {
        match self {
            Part::Rows | Part::Count | Part::Sum | Part::Added(Added::Value | Added::Count | Added::Sum) => {
                Some(sum(of))
            }
            Part::Min => Some(min(of)),
            Part::Max => Some(max(of)),
            Part::Added(Added::BucketCounts | Added::Buckets) | Part::Bounds => None,
        }
    }
}

fn group(n: usize) -> String {
    format!("group_{n}")
}

pub(super) fn build(
    aggregate: &Aggregate,
    asked: &Asked<'_>,
    chosen: &Chosen,
    computed: &[Computed],
) -> Result<LogicalPlan> {
    let parts = PARTS.into_iter().filter(|part| computed.iter().any(|computed| part.is_of(*computed)));
    let parts = parts.collect::<Vec<_>>();
    let mut branches = Vec::new();
    for (table, times) in &chosen.rolled {
        let name = table.table.name();
        let scan = provider_as_source(Arc::new(LakeScan { table: table.clone(), rollups: Vec::new() }));
        let scan = LogicalPlanBuilder::scan(name, scan, None)?;
        let column = |column: &str| Expr::Column(Column::new(Some(name), column));
        let parts = parts.iter().map(|part| Ok((*part, part.of_step(&column)?))).collect::<Result<_>>()?;
        branches.push(Branch { scan, name: name.into(), times, parts }.plan(asked, chosen)?);
    }
    // What points added is read from an hour before them on: each stretch by itself.
    let apart = computed.iter().any(|computed| computed.added().is_some());
    for times in chosen.rows.chunks(if apart { 1 } else { chosen.rows.len().max(1) }) {
        let name = asked.scan.table_name.clone();
        let scan = LogicalPlanBuilder::scan(name.clone(), asked.scan.source.clone(), None)?;
        let column = |column: &str| Expr::Column(Column::new(Some(name.clone()), column));
        let parts = parts.iter().map(|part| Ok((*part, part.of_row(&column)?))).collect::<Result<_>>()?;
        branches.push(Branch { scan, name, times, parts }.plan(asked, chosen)?);
    }
    let mut branches = branches.into_iter();
    let Some(first) = branches.next() else { return Ok(LogicalPlan::Aggregate(aggregate.clone())) };
    let all = branches.try_fold(LogicalPlanBuilder::from(first), LogicalPlanBuilder::union)?;
    let groups = aggregate.group_expr.len();
    let own = |name: &str| Expr::Column(Column::from_name(name));
    let together = parts.iter().filter_map(|part| part.together(own(part.name())));
    let quantiles = aggregate.aggr_expr.iter().zip(computed).filter_map(|(expr, computed)| match computed {
        Computed::Quantile(added) => Some(quantile(expr, *added, aggregate.input.schema(), all.schema())),
        _ => None,
    });
    let together = together.map(Ok).chain(quantiles).collect::<Result<Vec<_>>>()?;
    let all = all.aggregate((0..groups).map(|n| own(&group(n))).collect::<Vec<_>>(), together)?;
    named_as_before(aggregate, all.build()?, &parts, computed)
}

/// The same quantile, of the branches' columns.
fn quantile(expr: &Expr, added: Added, before: &DFSchema, branches: &DFSchema) -> Result<Expr> {
    let not_one = || DataFusionError::Internal("a quantile that is none".to_owned());
    let AggregateFunction { func, params } = call(expr).ok_or_else(not_one)?;
    let own = [Some(Part::Added(added)), (added == Added::BucketCounts).then_some(Part::Bounds)];
    let own = own.into_iter().flatten().map(|part| Expr::Column(Column::from_name(part.name())));
    let (q, given) = params.args.split_first().ok_or_else(not_one)?;
    let own = own.zip(given).map(|(own, given)| own.cast_to(&given.get_type(before)?, branches));
    Ok(func.call([Ok(q.clone())].into_iter().chain(own).collect::<Result<_>>()?))
}

struct Branch<'a> {
    scan: LogicalPlanBuilder,
    name: TableReference,
    times: &'a [Range<i64>],
    parts: Vec<(Part, Expr)>,
}

impl Branch<'_> {
    fn plan(self, asked: &Asked<'_>, chosen: &Chosen) -> Result<LogicalPlan> {
        let here = |expr: &Expr| -> Result<Expr> {
            let moved = expr.clone().transform(|part| match part {
                Expr::Column(column) => {
                    Ok(Transformed::yes(Expr::Column(Column::new(Some(self.name.clone()), column.name))))
                }
                part => Ok(Transformed::no(part)),
            });
            Ok(moved?.data)
        };
        let ts = Expr::Column(Column::new(Some(self.name.clone()), "ts"));
        let conditions = chosen.conditions.iter().map(here).collect::<Result<Vec<_>>>()?;
        let condition = conjunction(conditions.into_iter().chain(within(&ts, self.times)));
        let scan = match condition {
            Some(condition) => self.scan.filter(condition)?,
            None => self.scan,
        };
        let groups = asked.exprs.iter().enumerate().map(|(n, expr)| Ok(here(expr)?.alias(group(n))));
        let groups = groups.collect::<Result<Vec<_>>>()?;
        let parts = self.parts.into_iter().map(|(part, expr)| expr.alias(part.name()));
        scan.project(groups.into_iter().chain(parts))?.build()
    }
}

fn time(micros: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
}

/// Of many stretches also from where to where they go at most: hot rows are looked for by that.
fn within(ts: &Expr, times: &[Range<i64>]) -> Vec<Expr> {
    let between = |range: Range<i64>| {
        let first = (range.start != i64::MIN).then(|| ts.clone().gt_eq(time(range.start)));
        let last = (range.end != i64::MAX).then(|| ts.clone().lt(time(range.end)));
        first.into_iter().chain(last).collect::<Vec<_>>()
    };
    let whole = times.first().zip(times.last()).map(|(first, last)| first.start..last.end);
    let mut conditions = whole.map(&between).unwrap_or_default();
    if times.len() > 1 {
        conditions.extend(disjunction(times.iter().cloned().filter_map(|range| conjunction(between(range)))));
    }
    conditions
}

fn named_as_before(
    aggregate: &Aggregate,
    all: LogicalPlan,
    parts: &[Part],
    computed: &[Computed],
) -> Result<LogicalPlan> {
    let groups = aggregate.group_expr.len();
    let columns = all.schema().columns();
    let simple = parts.iter().copied().filter(|part| part.together(lit(0i64)).is_some()).collect::<Vec<_>>();
    let part = |part: Part| {
        let at = simple.iter().position(|own| *own == part).map(|at| groups + at);
        at.and_then(|at| columns.get(at)).cloned().map(Expr::Column).unwrap_or_default()
    };
    let number = |expr: Expr| coalesce(vec![expr, lit(0i64)]);
    let mut quantiles = columns.iter().skip(groups + simple.len()).cloned().map(Expr::Column);
    let mut exprs = columns.iter().take(groups).cloned().map(Expr::Column).collect::<Vec<_>>();
    for computed in computed {
        exprs.push(match computed {
            Computed::Rows => number(part(Part::Rows)),
            Computed::Count => number(part(Part::Count)),
            Computed::Sum => part(Part::Sum),
            Computed::Avg => {
                let count = part(Part::Count);
                let mean = part(Part::Sum) / cast(count.clone(), DataType::Float64);
                when(count.gt(lit(0i64)), mean).end()?
            }
            Computed::Min => part(Part::Min),
            Computed::Max => part(Part::Max),
            Computed::Added(added) => part(Part::Added(*added)),
            Computed::Quantile(_) => quantiles.next().unwrap_or_default(),
        });
    }
    let named = exprs.into_iter().zip(aggregate.schema.iter()).map(|(expr, (qualifier, field))| {
        let expr = expr.cast_to(field.data_type(), all.schema())?;
        Ok(expr.alias_qualified(qualifier.cloned(), field.name()))
    });
    let named = named.collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlan::Projection(Projection::try_new_with_schema(named, Arc::new(all), aggregate.schema.clone())?))
}
