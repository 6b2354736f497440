//! Sorts that stay inside a query's memory, however many rows there are.
//!
//! DataFusion's sort fills its share of the pool, sorts that, writes it to disk and merges what was written in the end. It fails where
//! what it holds is counted for more than it is, and where its own steps, or what stands above it, have no memory left. So:
//!
//! - Rows go in and come out in batches that own their bytes and no others (`own`): a batch of some rows of a file refers to whole pages
//!   and dictionaries, and a merged one to those of all its inputs; each would be counted in full, for each batch.
//! - Batches are a small part of the memory ([`Shares::batch`]), so that all merges of [`FAN_IN`] files together take a quarter of it.
//! - Half of the memory is left to merging and to what stands above, or more where rows are mostly keys (`pool`).

mod own;
mod pool;

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

pub(super) use own::OwnSortedRows;
pub(super) use pool::SortPool;

/// Files merged at a time: four of a file's batches are held for each.
pub(super) const FAN_IN: usize = 8;
/// Batches in all of the memory, for each sort.
const BATCHES: usize = 4 * 4 * FAN_IN;
const FEWEST_ROWS: usize = 64;
/// Bytes of a value whose type does not say.
const TEXT: usize = 64;
const NESTED: usize = 192;

/// How a query's memory is shared out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shares {
    /// Bytes that each sort keeps for merging from the start.
    pub(super) merge: usize,
    /// Bytes for all that can be spilled: merging rows takes them once more, and their keys up to three times.
    pub(super) held: usize,
    /// Rows of a batch.
    pub(super) batch: usize,
}

impl Shares {
    /// `None`: nothing is sorted that could spill.
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>, memory: usize, batch: usize) -> Option<Shares> {
        let (mut sorts, mut widest, mut held) = (0, 0, memory / 2);
        let _ = plan.apply(|plan| {
            if let Some(sort) = spills(plan) {
                sorts += plan.output_partitioning().partition_count();
                let row = row_bytes(&sort.schema()).max(1);
                let keys =
                    sort.expr().iter().map(|key| key.expr.data_type(&sort.schema()).map_or(8, |kind| bytes(&kind)));
                let keys = keys.sum::<usize>().min(row);
                widest = widest.max(row);
                held = held.min(memory / 2 * row / (row + keys));
            }
            Ok(TreeNodeRecursion::Continue)
        });
        if sorts == 0 {
            return None;
        }
        let rows = memory / (BATCHES * sorts) / widest.max(1);
        Some(Shares { merge: memory / (16 * sorts), held, batch: rows.clamp(FEWEST_ROWS.min(batch), batch) })
    }
}

/// One that keeps no more rows than a limit needs does not.
fn spills(plan: &Arc<dyn ExecutionPlan>) -> Option<&SortExec> {
    plan.downcast_ref::<SortExec>().filter(|sort| sort.fetch().is_none())
}

fn row_bytes(schema: &Schema) -> usize {
    schema.fields().iter().map(|field| bytes(field.data_type())).sum()
}

fn bytes(kind: &DataType) -> usize {
    match kind {
        DataType::Boolean | DataType::Null => 1,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::BinaryView => TEXT,
        kind if kind.is_nested() => NESTED,
        kind => kind.primitive_width().unwrap_or(8),
    }
}
