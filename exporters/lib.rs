//! Exporters: where telemetry goes. One folder a component; [`SPECS`] lists them, sorted by kind.

use catchment_pipeline::component::ExporterSpec;

pub const SPECS: &[&ExporterSpec] = &[];
