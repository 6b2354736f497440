//! Exporters: where telemetry goes. One folder a component; [`SPECS`] lists them, sorted by kind.

use catchment_pipeline::component::ExporterSpec;

mod parquet;

pub const SPECS: &[&ExporterSpec] = &[&parquet::SPEC];
