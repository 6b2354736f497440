//! DataFusion 55 takes two equal projections, one upon the other, for one: `SELECT x + 1 AS x FROM (SELECT x + 1 AS x
//! FROM ...)` adds 1 once. Mended upstream by apache/datafusion#24686; goes away with the version that has it.
//!
//! Until then the rule never sees equal ones next to each other, nor more than two at a time, of which it could make
//! equal ones: a limit that limits nothing stands between.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Limit, LogicalPlan, Projection};
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// DataFusion's own rules, that one mended.
pub(super) fn rules() -> Vec<Rule> {
    let mend = |rule: Rule| match rule.name() {
        "optimize_projections" => Arc::new(Separated(rule)) as Rule,
        _ => rule,
    };
    Optimizer::new().rules.into_iter().map(mend).collect()
}

#[derive(Debug)]
struct Separated(Rule);

impl OptimizerRule for Separated {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let plan = plan.transform_down_with_subqueries(separate)?;
        let optimized = self.0.rewrite(plan.data, config)?;
        match plan.transformed {
            true => optimized.transform_data(|plan| plan.transform_up_with_subqueries(unite)),
            false => Ok(optimized),
        }
    }
}

fn separate(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Projection(projection) = &plan else { return Ok(Transformed::no(plan)) };
    let LogicalPlan::Projection(below) = projection.input.as_ref() else { return Ok(Transformed::no(plan)) };
    let input = if below.expr == projection.expr {
        apart(projection.input.clone())
    } else if matches!(below.input.as_ref(), LogicalPlan::Projection(_)) {
        let input = Arc::new(apart(below.input.clone()));
        LogicalPlan::Projection(Projection::try_new_with_schema(below.expr.clone(), input, below.schema.clone())?)
    } else {
        return Ok(Transformed::no(plan));
    };
    let (expr, schema) = (projection.expr.clone(), projection.schema.clone());
    let separated = Projection::try_new_with_schema(expr, Arc::new(input), schema)?;
    Ok(Transformed::yes(LogicalPlan::Projection(separated)))
}

fn apart(input: Arc<LogicalPlan>) -> LogicalPlan {
    LogicalPlan::Limit(Limit { skip: None, fetch: None, input })
}

fn unite(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Limit(Limit { skip: None, fetch: None, input }) => {
            Ok(Transformed::yes(Arc::unwrap_or_clone(input)))
        }
        plan => Ok(Transformed::no(plan)),
    }
}
