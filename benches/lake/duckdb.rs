//! DuckDB in a Python process that stays: a connection with its view made, asked a line at a time.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

pub struct DuckDb {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl DuckDb {
    /// Over the Parquet files of the lake's `metrics` that its log names.
    pub fn start(python: &Path, lake: &Path) -> DuckDb {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/duckdb_clock.py");
        let mut command = Command::new(python);
        let command = command.arg(script).arg(lake.join("metrics")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        DuckDb { child, to, from }
    }

    /// How long it took, as DuckDB's own process saw it, and how many rows came.
    pub fn ask(&mut self, sql: &str) -> (Duration, usize) {
        writeln!(self.to, "{sql}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let (seconds, rows) = line.trim().split_once(' ').unwrap();
        (Duration::from_secs_f64(seconds.parse().unwrap()), rows.parse().unwrap())
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
