//! Processors and connectors: what shapes telemetry on its way. One folder a component; [`SPECS`] and [`CONNECTORS`] list them, sorted by kind.

mod actions;
mod aggregate;
pub mod alerting;
mod attributes;
mod batch;
mod cardinality_limiter;
mod cumulative_to_delta;
mod dedup;
mod delta_to_cumulative;
mod filter;
mod forward;
mod matching;
mod memory_limiter;
#[cfg(test)]
#[path = "../tests/common/peers.rs"]
mod peers;
mod redaction;
mod resource;
mod routing;
mod sampling;
mod span_metrics;
mod sql;
mod state;
mod tail_sampling;
#[cfg(test)]
mod testing;
mod transform;

use catchment_pipeline::component::{ConnectorSpec, ProcessorSpec};

pub const SPECS: &[&ProcessorSpec] = &[
    &aggregate::SPEC,
    &attributes::SPEC,
    &batch::SPEC,
    &cardinality_limiter::SPEC,
    &cumulative_to_delta::SPEC,
    &dedup::SPEC,
    &delta_to_cumulative::SPEC,
    &filter::SPEC,
    &memory_limiter::SPEC,
    &sampling::SPEC,
    &redaction::SPEC,
    &resource::SPEC,
    &tail_sampling::SPEC,
    &transform::SPEC,
];

/// Connectors: what ends pipelines and begins others. Sorted by kind.
pub const CONNECTORS: &[&ConnectorSpec] = &[&alerting::SPEC, &forward::SPEC, &routing::SPEC, &span_metrics::SPEC];

#[cfg(test)]
mod tests {
    #[test]
    fn specs_are_sorted() {
        assert!(super::SPECS.is_sorted_by_key(|spec| spec.kind));
    }
}
