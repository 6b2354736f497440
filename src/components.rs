//! Everything that can be configured, and the plan of a configuration.

use catchment_pipeline::config::{self, Mistake, Plan, Process, Registry};

use crate::cli::Source;
use crate::extensions;

/// What runs when no `--config` is given.
const DEFAULT: &str = include_str!("../configs/default.yaml");

pub const REGISTRY: Registry<'static> = Registry {
    receivers: catchment_receivers::SPECS,
    processors: catchment_processors::SPECS,
    exporters: catchment_exporters::SPECS,
    connectors: catchment_processors::CONNECTORS,
    extensions: extensions::SPECS,
};

/// Reads and checks the configuration; opens nothing but its files.
pub fn plan(source: &Source) -> Result<Plan, Vec<Mistake>> {
    let default = [format!("yaml:{DEFAULT}")];
    let configs: &[String] = if source.configs.is_empty() { &default } else { &source.configs };
    config::plan(configs, &source.sets, &Process, &REGISTRY)
}
