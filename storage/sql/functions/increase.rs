//! `increase(value)`: what a point added since the point before it of the same series.
//!
//! A name only: what it is of, and where the point before is, takes the plan around it. `sql/increase` puts a step in its place.

use arrow::datatypes::DataType;
use datafusion::common::plan_datafusion_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::lists::{exp_buckets, list_of, usage};

pub(crate) const NAME: &str = "increase";
const HOW: &str = "increase(value) of a counter; increase(count), increase(sum) or increase(bucket_counts) of a histogram, increase(buckets) \
                   of an exponential one";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Increase {
    signature: Signature,
}

impl Increase {
    pub(crate) fn new() -> Increase {
        Increase { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// Where it stands it cannot be said what points it is of.
pub(crate) fn misplaced() -> DataFusionError {
    plan_datafusion_err!(
        "{HOW}: in a SELECT from a metric, `metrics`, `histograms` or `exp_histograms` itself, not from what is joined, grouped, limited or \
         united already"
    )
}

impl ScalarUDFImpl for Increase {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.return_type(given)?;
        Ok(given.to_vec())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [kind @ (DataType::Float64 | DataType::Int64)] => Ok(kind.clone()),
            [DataType::List(item)] if *item.data_type() == DataType::Int64 => Ok(list_of(DataType::Int64)),
            [DataType::Struct(_)] => Ok(DataType::Struct(exp_buckets())),
            _ => Err(usage(HOW, given)),
        }
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(misplaced())
    }
}
