//! Plans that a few names make huge: a common table expression used twice by the next, and that by the next; a column
//! that is an expression of a column that is one, which the optimizer puts in the place of its name; structs of
//! structs. Optimizing them takes all of memory and all of time, and cannot be cut short.
//!
//! | what | limit |
//! |---|---|
//! | nodes, with every use of a common table expression | [`NODES`] |
//! | a column's expression with what its columns stand for, in column names and literals | [`LEAVES`] |
//! | columns within a column's type | [`FIELDS`] |

use std::cell::Cell;

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::too_large;

const NODES: usize = 2000;
const LEAVES: u64 = 5000;
const FIELDS: usize = 4096;

/// Of a plan that nothing has optimized yet.
pub(in crate::sql) fn check(plan: &LogicalPlan) -> Result<()> {
    let left = Cell::new(NODES);
    plan.apply_with_subqueries(|_| match left.get().checked_sub(1) {
        Some(fewer) => {
            left.set(fewer);
            Ok(TreeNodeRecursion::Continue)
        }
        None => Err(too_large(&format!("the query's plan has more than {NODES} steps: use fewer subqueries"))),
    })?;
    leaves(plan).map(|_| ())
}

/// Per column of the plan's result.
fn leaves(plan: &LogicalPlan) -> Result<Vec<u64>> {
    for field in plan.schema().fields() {
        if fields(field.data_type(), FIELDS).is_none() {
            return Err(too_large(&format!("column `{}` has more than {FIELDS} columns within", field.name())));
        }
    }
    let mut failed: Result<()> = Ok(());
    plan.apply_subqueries(|subquery| {
        failed = leaves(subquery).map(|_| ());
        Ok::<_, DataFusionError>(if failed.is_ok() { TreeNodeRecursion::Jump } else { TreeNodeRecursion::Stop })
    })?;
    failed?;
    let inputs = plan.inputs().into_iter().map(|input| Ok((input, leaves(input)?))).collect::<Result<Vec<_>>>()?;
    let of_column = |column: &Column| {
        let found = inputs.iter().find_map(|(input, sizes)| {
            let at = input.schema().maybe_index_of_column(column)?;
            sizes.get(at).copied()
        });
        found.unwrap_or(1)
    };
    let width = plan.schema().fields().len();
    match plan {
        LogicalPlan::Projection(projection) => projection.expr.iter().map(|expr| of_expr(expr, &of_column)).collect(),
        LogicalPlan::Filter(filter) => {
            of_expr(&filter.predicate, &of_column)?;
            Ok(passed(&inputs, width))
        }
        LogicalPlan::Sort(sort) => {
            sort.expr.iter().try_for_each(|sort| of_expr(&sort.expr, &of_column).map(|_| ()))?;
            Ok(passed(&inputs, width))
        }
        LogicalPlan::Aggregate(aggregate) => {
            let groups = aggregate.group_expr.iter().map(|expr| of_expr(expr, &of_column));
            let mut sizes = groups.collect::<Result<Vec<_>>>()?;
            aggregate.aggr_expr.iter().try_for_each(|expr| of_expr(expr, &of_column).map(|_| ()))?;
            sizes.resize(width, 1);
            Ok(sizes)
        }
        LogicalPlan::Union(_) => {
            let mut sizes = vec![1; width];
            for (_, of) in &inputs {
                sizes.iter_mut().zip(of).for_each(|(most, of)| *most = (*most).max(*of));
            }
            Ok(sizes)
        }
        _ => Ok(passed(&inputs, width)),
    }
}

/// The inputs' columns one after another; what is added behind them is computed once.
fn passed(inputs: &[(&LogicalPlan, Vec<u64>)], width: usize) -> Vec<u64> {
    let mut sizes = inputs.iter().flat_map(|(_, sizes)| sizes).copied().collect::<Vec<_>>();
    sizes.resize(width, 1);
    sizes
}

fn of_expr(expr: &Expr, of_column: &impl Fn(&Column) -> u64) -> Result<u64> {
    let mut sum = 0u64;
    expr.apply(|part| {
        let own = match part {
            Expr::Column(column) => of_column(column),
            Expr::Literal(..) | Expr::OuterReferenceColumn(..) => 1,
            _ => 0,
        };
        sum = sum.saturating_add(own);
        match sum > LEAVES {
            true => Err(too_large(&format!(
                "an expression has more than {LEAVES} parts once the columns it names are put in their place"
            ))),
            false => Ok(TreeNodeRecursion::Continue),
        }
    })?;
    Ok(sum.max(1))
}

/// How many are left of `most` after counting this type's; stops counting there.
fn fields(kind: &DataType, most: usize) -> Option<usize> {
    match kind {
        DataType::Struct(all) => all.iter().try_fold(most, |most, field| fields(field.data_type(), most)),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => fields(item.data_type(), most),
        _ => most.checked_sub(1),
    }
}
