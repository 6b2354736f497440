//! Runs the graph: receivers -> processors -> log -> cursors -> exporters. Names no component.

#[allow(dead_code)] // until the graph lands
mod meters;
#[allow(dead_code)] // until the graph lands
mod registry;
pub mod status;

pub use registry::Status;
