//! The binary: command line, start-up, shutdown and exit codes. The only place that knows every crate.

mod cli;
mod components;
mod control;
mod extensions;
mod inspect;
mod lake;
mod logging;
mod memory;
mod open_files;
mod query;
mod reload;
mod rules;
mod run;
mod servers;
mod signals;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, Exit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Every TLS user of the process takes this one; it fails only when one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exit = match cli.command.unwrap_or(Command::Run) {
        Command::Run => run::run(&cli.source),
        Command::Validate => inspect::validate(&cli.source),
        Command::Components { json } => inspect::components(json),
        Command::PrintConfig { mode } => inspect::print_config(&cli.source, mode),
        Command::Query(query) => query::run(&query, &cli.source),
        Command::Lake(lake) => lake::run(&lake, &cli.source),
        Command::Rules(command) => rules::run(&command),
    };
    exit.unwrap_or_else(|error| {
        cli::complain(&format!("catchment: {error:#}"));
        Exit::Failed
    })
    .into()
}
