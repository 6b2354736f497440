//! The step of a plan that computes increases, before it is decided how.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::Added;
use crate::schema::Rolled;
use crate::sql::functions::{exp_buckets, list_of};

/// Its input's columns, and one for each of `wanted`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Increases {
    pub(super) input: LogicalPlan,
    pub(super) rolled: Rolled,
    pub(super) wanted: Vec<Added>,
    schema: DFSchemaRef,
}

impl Added {
    fn data_type(self) -> DataType {
        match self {
            Added::Value | Added::Sum => DataType::Float64,
            Added::Count => DataType::Int64,
            Added::BucketCounts => list_of(DataType::Int64),
            Added::Buckets => DataType::Struct(exp_buckets()),
        }
    }

    pub(super) fn field(self) -> Field {
        Field::new(self.name(), self.data_type(), true)
    }
}

/// Columns that tell what a point added.
fn needed(rolled: Rolled) -> &'static [&'static str] {
    match rolled {
        Rolled::Metrics => &["ts", "series_id", "value_int", "value_double", "aggregation_temporality", "is_monotonic"],
        Rolled::Histograms => &[
            "ts",
            "series_id",
            "count",
            "sum",
            "min",
            "max",
            "bucket_counts",
            "explicit_bounds",
            "aggregation_temporality",
        ],
        Rolled::ExpHistograms => &[
            "ts",
            "series_id",
            "count",
            "sum",
            "min",
            "max",
            "scale",
            "zero_count",
            "zero_threshold",
            "positive_offset",
            "positive_bucket_counts",
            "negative_offset",
            "negative_bucket_counts",
            "aggregation_temporality",
        ],
    }
}

impl Increases {
    pub(super) fn new(input: LogicalPlan, rolled: Rolled, wanted: Vec<Added>) -> Result<Increases> {
        let own = input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), field.clone()));
        let added = wanted.iter().map(|added| (None, Arc::new(added.field())));
        let schema = DFSchema::new_with_metadata(own.chain(added).collect(), input.schema().metadata().clone())?;
        Ok(Increases { input, rolled, wanted, schema: Arc::new(schema) })
    }
}

impl PartialOrd for Increases {
    fn partial_cmp(&self, other: &Increases) -> Option<Ordering> {
        match self.wanted.cmp(&other.wanted) {
            Ordering::Equal => self.input.partial_cmp(&other.input),
            unequal => Some(unequal),
        }
    }
}

impl UserDefinedLogicalNodeCore for Increases {
    fn name(&self) -> &str {
        "Increases"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let wanted = self.wanted.iter().map(|added| added.name()).collect::<Vec<_>>();
        write!(f, "Increases: {}", wanted.join(", "))
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Increases> {
        match (inputs.pop(), inputs.pop()) {
            (Some(input), None) => Increases::new(input, self.rolled, self.wanted.clone()),
            _ => Err(DataFusionError::Internal("increases have one input".to_owned())),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let input = self.input.schema();
        let columns = input.iter().enumerate();
        let columns = columns.filter(|(at, (_, field))| {
            output_columns.contains(at) || needed(self.rolled).contains(&field.name().as_str())
        });
        Some(vec![columns.map(|(at, _)| at).collect()])
    }
}
