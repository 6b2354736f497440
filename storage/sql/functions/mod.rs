//! Functions that SQL over telemetry needs and DataFusion has not.

mod counter_delta;
mod exp_histogram;
mod exp_histogram_quantile;
mod histogram;
mod histogram_quantile;
mod increase;
mod lists;

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

pub(crate) use counter_delta::ExpBuilder;
pub(crate) use exp_histogram::ExpHistogram;
pub(crate) use increase::{Increase, NAME as INCREASE, misplaced};
pub(crate) use lists::{ExpRows, exp_buckets, list_of};

pub(super) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    registry.register_udf(ScalarUDF::from(counter_delta::CounterDelta::new()).into())?;
    registry.register_udf(ScalarUDF::from(Increase::new()).into())?;
    registry.register_udaf(AggregateUDF::from(histogram_quantile::HistogramQuantile::new()).into())?;
    registry.register_udaf(AggregateUDF::from(exp_histogram_quantile::ExpHistogramQuantile::new()).into())?;
    Ok(())
}
