//! The plan that reads rollups and rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_aggregate::expr_fn::{max, min, sum};
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Projection, cast, lit, when,
};

use super::super::scan::LakeScan;
use super::{Asked, Chosen, Computed};

/// What each branch says of a row or of a step: names of its columns, after those it is grouped by.
const PARTS: [Part; 5] = [Part::Rows, Part::Count, Part::Sum, Part::Min, Part::Max];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Rows,
    Count,
    Sum,
    Min,
    Max,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Rows => "points",
            Part::Count => "count",
            Part::Sum => "sum",
            Part::Min => "min",
            Part::Max => "max",
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
        }
    }

    /// Of a rollup's row. Without a value in the step there is no sum of values, rather than one of 0.
    fn of_step(self, column: &impl Fn(&str) -> Expr) -> Result<Expr> {
        match self {
            Part::Rows | Part::Count => Ok(column(self.name())),
            _ => when(column("count").gt(lit(0i64)), column(self.name())).end(),
        }
    }

    fn of_row(self, value: &Expr) -> Result<Expr> {
        match self {
            Part::Rows => Ok(lit(1i64)),
            Part::Count => when(value.clone().is_null(), lit(0i64)).otherwise(lit(1i64)),
            Part::Sum | Part::Min | Part::Max => Ok(value.clone()),
        }
    }

    fn together(self, of: Expr) -> Expr {
        match self {
            Part::Rows | Part::Count | Part::Sum => sum(of),
            Part::Min => min(of),
            Part::Max => max(of),
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
    if !chosen.rows.is_empty() {
        let name = asked.scan.table_name.clone();
        let scan = LogicalPlanBuilder::scan(name.clone(), asked.scan.source.clone(), None)?;
        let column = |column: &str| Expr::Column(Column::new(Some(name.clone()), column));
        let value = coalesce(vec![column("value_double"), cast(column("value_int"), DataType::Float64)]);
        let parts = parts.iter().map(|part| Ok((*part, part.of_row(&value)?))).collect::<Result<_>>()?;
        branches.push(Branch { scan, name, times: &chosen.rows, parts }.plan(asked, chosen)?);
    }
    let mut branches = branches.into_iter();
    let Some(first) = branches.next() else { return Ok(LogicalPlan::Aggregate(aggregate.clone())) };
    let all = branches.try_fold(LogicalPlanBuilder::from(first), LogicalPlanBuilder::union)?;
    let groups = aggregate.group_expr.len();
    let own = |name: &str| Expr::Column(Column::from_name(name));
    let together = parts.iter().map(|part| part.together(own(part.name())));
    let all = all.aggregate((0..groups).map(|n| own(&group(n))).collect::<Vec<_>>(), together.collect::<Vec<_>>())?;
    named_as_before(aggregate, all.build()?, &parts, computed)
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
    let part = |part: Part| {
        let at = parts.iter().position(|own| *own == part).map(|at| groups + at);
        at.and_then(|at| columns.get(at)).cloned().map(Expr::Column).unwrap_or_default()
    };
    let number = |expr: Expr| coalesce(vec![expr, lit(0i64)]);
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
        });
    }
    let named = exprs.into_iter().zip(aggregate.schema.iter()).map(|(expr, (qualifier, field))| {
        let expr = expr.cast_to(field.data_type(), all.schema())?;
        Ok(expr.alias_qualified(qualifier.cloned(), field.name()))
    });
    let named = named.collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlan::Projection(Projection::try_new_with_schema(named, Arc::new(all), aggregate.schema.clone())?))
}
