//! Exporters: where telemetry goes. One folder a component; [`SPECS`] lists them, sorted by kind.

use catchment_pipeline::component::ExporterSpec;

mod debug;
mod file;
mod otlp_compress;
mod otlp_grpc;
mod otlp_http;
mod otlp_status;
mod parquet;

pub const SPECS: &[&ExporterSpec] = &[&debug::SPEC, &file::SPEC, &otlp_grpc::SPEC, &otlp_http::SPEC, &parquet::SPEC];
