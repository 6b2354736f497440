//! Receivers: how telemetry comes in. One folder a component; [`SPECS`] lists them, sorted by kind.

use catchment_pipeline::component::ReceiverSpec;

mod otlp;

pub const SPECS: &[&ReceiverSpec] = &[&otlp::SPEC];
