//! The command line.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

const AFTER_HELP: &str = "\
Exit codes:
  0   done; after a signal: stopped in order
  1   failed while starting or running, or data was lost on the way out (the log says which)
  2   the command line is wrong
  78  the configuration is wrong (every mistake is listed)

Signals:
  SIGINT, SIGTERM   take nothing new, deliver what is there, stop within 30 s; a second one stops at once
  SIGHUP            read the configuration again; what did not change keeps running";

/// Telemetry in, SQL out: receives OpenTelemetry and host metrics, keeps them in an open lake, forwards them,
/// and answers SQL.
#[derive(Debug, Parser)]
#[command(name = "catchment", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub source: Source,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Where the configuration is from.
#[derive(Debug, Clone, Default, Args)]
pub struct Source {
    /// A file, `file:path`, `env:NAME` or `yaml:text`; repeat it to merge, later ones win. Without one, the
    /// built-in configuration: OTLP on localhost:4317 and 4318, this host's metrics, a lake in ./data
    #[arg(long = "config", short = 'c', value_name = "SOURCE", global = true)]
    pub configs: Vec<String>,
    /// Change one value after all sources: --set extensions.lake.path=/var/lib/catchment
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    pub sets: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the pipelines (what a call without a command does)
    Run,
    /// Check the configuration and list every mistake in it
    Validate,
    /// List the components this binary has
    Components {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the configuration after merging and substitution
    PrintConfig {
        #[arg(long, value_enum, default_value_t)]
        mode: Mode,
    },
    /// Ask SQL of a running instance, or of a lake folder when none runs
    Query(Query),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// What runs, secrets hidden
    #[default]
    Redacted,
    /// What runs, secrets shown
    Unredacted,
    /// What was written, `${...}` as it is
    Unexpanded,
}

#[derive(Debug, Args)]
pub struct Query {
    #[arg(long, short, value_enum, default_value_t)]
    pub format: Format,
    /// The instance to ask; without --url and --lake: http://localhost:8080, and if nothing answers there, the
    /// configured lake folder
    #[arg(long, conflicts_with = "lake")]
    pub url: Option<String>,
    /// The lake folder to read, whether or not an instance runs
    #[arg(long)]
    pub lake: Option<PathBuf>,
    /// For example: SELECT ts, state, value FROM "system.cpu.utilization" ORDER BY ts DESC LIMIT 10
    pub sql: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    /// One array of objects
    Json,
    Csv,
    /// An Arrow IPC stream
    Arrow,
}

/// How the process ends; the numbers are part of the interface (see `--help`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    /// `EX_CONFIG` of sysexits.h.
    BadConfig,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::BadConfig => 78,
        })
    }
}

/// To stdout: what was asked for. A reader that has gone away is no failure.
pub fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// To stderr, where logs go too.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        <super::Cli as clap::CommandFactory>::command().debug_assert();
    }
}
