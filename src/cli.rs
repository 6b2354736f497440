//! The command line.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Parser, Subcommand, ValueEnum};

const AFTER_HELP: &str = "\
Exit codes:
  0   done; after a signal: stopped in order
  1   failed while starting or running, or data was lost on the way out (the log says which); `lake check` found something wrong
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
    /// Look at the lake's files and keep them in order, beside a running instance or without one
    Lake(Lake),
    /// Check rule files of alerts, and run their unit tests
    #[command(subcommand)]
    Rules(RulesCommand),
}

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// List every mistake in rule files; exit code 1 when there is one
    Check {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Run unit tests in promtool's format, with SQL for expressions; exit code 1 when one fails
    Test {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
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
    /// The lake folder to read, whether or not an instance runs; with a configuration, within its lake's `query` limits
    #[arg(long)]
    pub lake: Option<PathBuf>,
    /// For example: SELECT ts, state, value FROM "system.cpu.utilization" ORDER BY ts DESC LIMIT 10
    pub sql: String,
}

#[derive(Debug, Args)]
pub struct Lake {
    /// The lake folder, in place of the configured one
    #[arg(long, value_name = "PATH", global = true)]
    pub lake: Option<PathBuf>,
    /// Print what was found or done as JSON
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: LakeCommand,
}

/// What changes files is done by the instance that writes the lake, if one runs, and by this process if not.
#[derive(Debug, Subcommand)]
pub enum LakeCommand {
    /// What each table holds
    Info,
    /// Merge small files
    Compact {
        /// Also what is not worth it yet, and dates that rows still come to
        #[arg(long)]
        all: bool,
    },
    /// Drop days that are past their table's `retention`, and rows that a rule of it keeps no longer
    Retain,
    /// Write rollups of hours that are over
    Rollup {
        /// Also of hours whose rows may still come (`rollups: delay`)
        #[arg(long)]
        now: bool,
    },
    /// Delete files that were replaced or dropped
    Vacuum {
        /// How long ago at least, in place of `maintenance: vacuum_after`; 0s deletes what other programs may be reading
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        after: Option<Duration>,
    },
    /// Erase rows for good: from the durable log, memory, files, rollups, series and the table logs; exit code 1 when any is left
    Erase {
        /// Which rows, as in SQL's WHERE: "host_name = 'h1' AND ts < '2026-01-01'". Tables without its columns are left alone, and named
        #[arg(long = "where", value_name = "CONDITION")]
        condition: String,
    },
    /// Read every file to its end and hold it against its table's log; exit code 1 when something is wrong
    Check,
    /// Write a table's rows to one file; a running instance flushes first
    Export(Export),
}

#[derive(Debug, Args)]
pub struct Export {
    /// For example `logs`, or a metric
    #[arg(long, value_name = "NAME")]
    pub table: String,
    /// A file that is not there yet, ending in .parquet, .csv or .jsonl
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// Only rows for which this SQL condition is true
    #[arg(long = "where", value_name = "SQL")]
    pub condition: Option<String>,
    /// Only rows from this time on: 2026-11-24 or 2026-11-24T14:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<SystemTime>,
    /// Only rows before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<SystemTime>,
}

fn time(text: &str) -> Result<SystemTime, humantime::TimestampError> {
    match text.contains([':', 'T']) {
        true => humantime::parse_rfc3339_weak(text),
        false => humantime::parse_rfc3339_weak(&format!("{text} 00:00:00")),
    }
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
    #![allow(clippy::unwrap_used)]

    #[test]
    fn times_are_dates_or_moments() {
        let at = |text: &str| super::time(text).ok().map(|time| humantime::format_rfc3339(time).to_string());
        assert_eq!(at("2026-11-24").unwrap(), "2026-11-24T00:00:00Z");
        assert_eq!(at("2026-11-24T14:05:06Z").unwrap(), "2026-11-24T14:05:06Z");
        assert_eq!(at("2026-11-24 14:05:06").unwrap(), "2026-11-24T14:05:06Z");
        assert_eq!((at("yesterday"), at("2026-13-01")), (None, None));
    }

    #[test]
    fn the_command_line_is_consistent() {
        <super::Cli as clap::CommandFactory>::command().debug_assert();
    }
}
