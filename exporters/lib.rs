//! Exporters: where telemetry goes, and where alerts are told. One folder a component; [`SPECS`] lists them, sorted by kind.

use catchment_pipeline::component::ExporterSpec;

mod alertmanager;
mod command;
mod debug;
mod discord;
mod email;
mod file;
mod http_answer;
mod notify;
mod otlp_compress;
mod otlp_grpc;
mod otlp_http;
mod otlp_status;
mod pagerduty;
mod parquet;
mod slack;
mod webhook;

pub const SPECS: &[&ExporterSpec] = &[
    &alertmanager::SPEC,
    &command::SPEC,
    &debug::SPEC,
    &discord::SPEC,
    &email::SPEC,
    &file::SPEC,
    &otlp_grpc::SPEC,
    &otlp_http::SPEC,
    &pagerduty::SPEC,
    &parquet::SPEC,
    &slack::SPEC,
    &webhook::SPEC,
];
