//! Rows on their way into a sort and out of it, in batches that own their bytes and no others.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
    SendableRecordBatchStream,
};
use futures::StreamExt;

use super::super::bounds::size;
use super::spills;

/// Puts [`OwnRows`] below and above sorts. After every rule that moves sorts.
#[derive(Debug)]
pub(in crate::sql) struct OwnSortedRows;

impl PhysicalOptimizerRule for OwnSortedRows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let Some(sort) = spills(&plan) else { return Ok(Transformed::no(plan)) };
            let input = Arc::new(OwnRows { input: sort.input().clone() });
            let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            let sort = plan.replace_children(vec![input], anew)?;
            Ok(Transformed::yes(Arc::new(OwnRows { input: sort }) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }

    fn name(&self) -> &str {
        "own_sorted_rows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Batches as they come, without bytes that are not theirs, and of no more rows than a batch has.
#[derive(Debug)]
struct OwnRows {
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for OwnRows {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "OwnRowsExec")
    }
}

impl ExecutionPlan for OwnRows {
    fn name(&self) -> &str {
        "OwnRowsExec"
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
            (Some(input), None) => Ok(Arc::new(OwnRows { input })),
            _ => Err(DataFusionError::Internal("OwnRowsExec has one child".to_owned())),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let most = context.session_config().batch_size().max(1);
        let rows = self.input.execute(partition, context)?.flat_map(move |rows| {
            let pieces = match rows {
                Ok(rows) => {
                    let starts = (0..rows.num_rows()).step_by(most);
                    starts.map(|start| own(&rows.slice(start, most.min(rows.num_rows() - start)))).collect()
                }
                Err(error) => vec![Err(error)],
            };
            futures::stream::iter(pieces)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// The same rows; columns copied that keep twice of what they are.
fn own(rows: &RecordBatch) -> Result<RecordBatch> {
    let columns = rows.columns().iter().map(own_column).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(rows.schema(), columns, &options)?)
}

fn own_column(column: &ArrayRef) -> Result<ArrayRef> {
    if column.get_buffer_memory_size() <= 2 * size::bytes(column) {
        return Ok(column.clone());
    }
    // A slice of views keeps all of them.
    let taken = take(column, &UInt64Array::from_iter_values(0..column.len() as u64), None)?;
    Ok(match taken.data_type() {
        DataType::Utf8View => Arc::new(taken.as_string_view().gc()),
        DataType::BinaryView => Arc::new(taken.as_binary_view().gc()),
        _ => taken,
    })
}
