//! Processors: what happens to telemetry before it is acknowledged. One folder a component; [`SPECS`] lists them, sorted by kind.

use catchment_pipeline::component::ProcessorSpec;

pub const SPECS: &[&ProcessorSpec] = &[];
