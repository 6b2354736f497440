//! Rows on their way into an operator that copies or keeps them without the memory pool knowing.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec, SymmetricHashJoinExec,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
    SendableRecordBatchStream,
};
use futures::StreamExt;

use super::{MOST, size, too_large};

/// What becomes of the rows.
#[derive(Clone, Debug)]
enum Fate {
    /// Any of them may be in each row of a batch.
    Joined,
    /// Repeated for each element of the longest of these columns.
    Unnested(Vec<usize>),
    /// All of them at once, joined into one, with what is computed beside.
    Kept,
}

/// Watches the inputs of joins, unnesting and window functions. The last rule: nothing rearranges the plan after it.
#[derive(Debug)]
pub(crate) struct BoundRows;

impl PhysicalOptimizerRule for BoundRows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let Some(fate) = fate(&plan) else { return Ok(Transformed::no(plan)) };
            let children = plan.children().into_iter();
            let children =
                children.map(|input| Arc::new(Watched { input: input.clone(), fate: fate.clone() }) as Arc<_>);
            let children = children.collect();
            let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Ok(Transformed::yes(plan.replace_children(children, anew)?))
        })
        .data()
    }

    fn name(&self) -> &str {
        "bound_rows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn fate(plan: &Arc<dyn ExecutionPlan>) -> Option<Fate> {
    let joins = plan.downcast_ref::<CrossJoinExec>().is_some()
        || plan.downcast_ref::<HashJoinExec>().is_some()
        || plan.downcast_ref::<NestedLoopJoinExec>().is_some()
        || plan.downcast_ref::<SortMergeJoinExec>().is_some()
        || plan.downcast_ref::<PiecewiseMergeJoinExec>().is_some()
        || plan.downcast_ref::<SymmetricHashJoinExec>().is_some();
    if joins {
        return Some(Fate::Joined);
    }
    if let Some(unnest) = plan.downcast_ref::<UnnestExec>() {
        let lists = unnest.list_column_indices().iter().map(|list| list.index_in_input_schema);
        return Some(Fate::Unnested(lists.collect()));
    }
    plan.downcast_ref::<WindowAggExec>().map(|_| Fate::Kept)
}

#[derive(Debug)]
struct Watched {
    input: Arc<dyn ExecutionPlan>,
    fate: Fate,
}

impl DisplayAs for Watched {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "WatchedExec: {:?}", self.fate)
    }
}

impl ExecutionPlan for Watched {
    fn name(&self) -> &str {
        "WatchedExec"
    }

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.pop()) {
            (Some(input), None) => Ok(Arc::new(Watched { input, fate: self.fate.clone() })),
            _ => Err(DataFusionError::Internal("WatchedExec has one child".to_owned())),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let size = context.session_config().batch_size().max(1);
        let held = MemoryConsumer::new("WindowAggExec").register(context.memory_pool());
        let (fate, schema) = (self.fate.clone(), self.schema());
        let rows = self.input.execute(partition, context)?;
        let rows = rows.flat_map(move |rows| {
            let checked = rows.and_then(|rows| check(&rows, &fate, size, &held).map(|cut| (rows, cut)));
            let pieces = match checked {
                Ok((rows, cut)) => slices(&rows, cut).map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            };
            futures::stream::iter(pieces)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

fn slices(rows: &RecordBatch, at_a_time: usize) -> impl Iterator<Item = RecordBatch> + '_ {
    let starts = (0..rows.num_rows()).step_by(at_a_time.max(1));
    starts.map(move |start| rows.slice(start, at_a_time.min(rows.num_rows() - start)))
}

/// How many of the rows may go on at a time.
fn check(rows: &RecordBatch, fate: &Fate, batch_size: usize, held: &MemoryReservation) -> Result<usize> {
    let bytes = |rows: &RecordBatch| rows.columns().iter().map(|column| size::bytes(column)).sum::<usize>();
    match fate {
        Fate::Joined => {
            let bound = MOST / batch_size;
            let largest = size::largest_row(rows, bound);
            if largest > bound {
                let (largest, bound) = (largest >> 10, bound >> 10);
                let what = format!("a row of {largest} KiB is joined; at most {bound} KiB: select fewer columns");
                return Err(too_large(&what));
            }
        }
        Fate::Unnested(lists) => {
            let largest = largest_unnested(rows, lists);
            if largest > MOST {
                let what = format!("unnesting one row makes {} MiB of values: select fewer columns", largest >> 20);
                return Err(too_large(&what));
            }
            return Ok(MOST.checked_div(largest).unwrap_or(usize::MAX).max(1));
        }
        // The rows, the rows joined into one batch, and what is computed.
        Fate::Kept => held.try_grow(bytes(rows).saturating_mul(3))?,
    }
    Ok(usize::MAX)
}

fn elements(column: &ArrayRef) -> Vec<usize> {
    match column.data_type() {
        DataType::List(_) => column.as_list::<i32>().offsets().lengths().collect(),
        DataType::LargeList(_) => column.as_list::<i64>().offsets().lengths().collect(),
        DataType::FixedSizeList(_, length) => vec![usize::try_from(*length).unwrap_or(0); column.len()],
        _ => vec![1; column.len()],
    }
}

/// Bytes that the row which grows most becomes.
fn largest_unnested(rows: &RecordBatch, lists: &[usize]) -> usize {
    let mut times = vec![1usize; rows.num_rows()];
    let mut bytes = vec![0usize; rows.num_rows()];
    for (n, column) in rows.columns().iter().enumerate() {
        if lists.contains(&n) {
            times.iter_mut().zip(elements(column)).for_each(|(most, own)| *most = (*most).max(own));
        } else if matches!(column.data_type(), DataType::Utf8View | DataType::BinaryView) {
            bytes.iter_mut().for_each(|sum| *sum += 16);
        } else {
            let of_rows = size::rows(column);
            bytes.iter_mut().zip(of_rows).for_each(|(sum, own)| *sum = sum.saturating_add(own));
        }
    }
    times.into_iter().zip(bytes).map(|(times, bytes)| times.saturating_mul(bytes)).max().unwrap_or(0)
}
