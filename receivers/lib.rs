//! Receivers: how telemetry comes in. One folder a component; [`SPECS`] lists them, sorted by kind.

use catchment_pipeline::component::ReceiverSpec;

mod host_metrics;
pub mod internal_telemetry;
mod otlp;

pub const SPECS: &[&ReceiverSpec] = &[&host_metrics::SPEC, &internal_telemetry::SPEC, &otlp::SPEC];
