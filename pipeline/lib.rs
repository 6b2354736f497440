//! The pipeline: what telemetry in flight is, how it is configured, logged and carried.
//!
//! Nothing here knows a component by name, a table of the lake, or HTTP.

pub mod alerts;
pub mod batch;
pub mod component;
pub mod config;
pub mod engine;
pub mod log;
pub mod otlp;
