//! `file`: OTLP/JSON, a request a line, which the Collector's `otlpjsonfile` receiver reads; or OTLP protobuf.
//!
//! ```yaml
//! exporters:
//!   file:
//!     path: ./telemetry.json
//!     format: json              # proto: each request after its length, 4 bytes big-endian
//!     compression: zstd         # each request by itself, after its length (json too)
//!     append: false             # true: keep what is there (rotated files always do)
//!     flush_interval: 1s        # fsync, and with it the point from which a crash replays
//!     rotation: { max_megabytes: 100, max_days: 0, max_backups: 100, localtime: false }
//! ```
//!
//! The log's cursor follows the fsync: a crash of the machine repeats at most what came in the last
//! `flush_interval`, and loses nothing. A line that a crash cut short is ended before anything is appended.

mod rotate;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use async_trait::async_trait;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{
    Context, ExportError, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, Stability,
};
use catchment_pipeline::config::Section;
use catchment_pipeline::log::Position;
use catchment_pipeline::otlp::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::rotate::{Output, Rotation};

pub const SPEC: ExporterSpec = ExporterSpec {
    kind: "file",
    aliases: &[],
    summary: "to a file, as OTLP/JSON lines or protobuf, rotated",
    signals: &Signal::ALL,
    stability: Stability::Beta,
    plan,
};

#[derive(Debug, Clone)]
struct Plan {
    settings: ExporterSettings,
    path: PathBuf,
    format: Format,
    append: bool,
    flush_interval: Duration,
    rotation: Option<Rotation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    json: bool,
    zstd: bool,
}

fn plan(section: &mut Section) -> Box<dyn ExporterPlan> {
    Box::new(read(section))
}

fn read(section: &mut Section) -> Plan {
    let json = section.choice("format", &[("json", true), ("proto", false)]).unwrap_or(true);
    let zstd = section.choice("compression", &[("", false), ("none", false), ("zstd", true)]).unwrap_or(false);
    let mut flush_interval = section.or("flush_interval", Duration::from_secs(1));
    if flush_interval.is_zero() {
        section.mistake("flush_interval", "must be more than zero", "leave it out for 1s");
        flush_interval = Duration::from_secs(1);
    }
    section.accepted("create_directory", "missing folders are made");
    section.accepted("directory_permissions", "folders are made as the umask has it");
    if let Some(mut group_by) = section.section("group_by")
        && group_by.or("enabled", false)
    {
        group_by.mistake("enabled", "everything goes to one file", "write false, or one exporter a file");
    }
    Plan {
        settings: ExporterSettings::read(section, Duration::from_secs(5)),
        path: section.required::<String>("path").unwrap_or_default().into(),
        format: Format { json, zstd },
        append: section.or("append", false),
        flush_interval,
        rotation: Rotation::read(section),
    }
}

#[async_trait]
impl ExporterPlan for Plan {
    fn settings(&self) -> ExporterSettings {
        self.settings.clone()
    }

    async fn build(&self, context: Context) -> anyhow::Result<Arc<dyn Exporter>> {
        let plan = self.clone();
        let open = move || Output::open(plan.path, plan.rotation, plan.append, plan.format.is_lines());
        let output = tokio::task::spawn_blocking(open).await??;
        let (durable, _) = watch::channel(0);
        let shared = Arc::new(Shared { state: Mutex::new(State { output, written: 0 }), durable });
        let flusher = tokio::spawn(flush_regularly(context.id, shared.clone(), self.flush_interval));
        Ok(Arc::new(File { format: self.format, shared, flusher }))
    }
}

struct File {
    format: Format,
    shared: Arc<Shared>,
    flusher: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    durable: watch::Sender<Position>,
}

struct State {
    output: Output,
    /// Of the last record written.
    written: Position,
}

impl Format {
    fn is_lines(self) -> bool {
        self.json && !self.zstd
    }

    /// One request as it stands in the file.
    fn encode(self, batch: &Batch) -> anyhow::Result<Vec<u8>> {
        let mut record = if self.is_lines() { Vec::new() } else { vec![0; 4] };
        if self.json && !self.zstd {
            json::print(batch.signal(), batch.otlp(), &mut record)?;
            record.push(b'\n');
            return Ok(record);
        }
        match (self.json, self.zstd) {
            (true, _) => {
                let mut text = Vec::new();
                json::print(batch.signal(), batch.otlp(), &mut text)?;
                record.extend(zstd::bulk::compress(&text, 3)?);
            }
            (false, true) => record.extend(zstd::bulk::compress(batch.otlp(), 3)?),
            (false, false) => record.extend_from_slice(batch.otlp()),
        }
        let length = u32::try_from(record.len() - 4).context("a request of more than 4 GiB")?;
        record[..4].copy_from_slice(&length.to_be_bytes());
        Ok(record)
    }
}

impl Shared {
    fn write(&self, record: &[u8], at: Position) -> std::io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.output.write(record, SystemTime::now())?;
        state.written = at;
        Ok(())
    }

    /// Makes what was written durable, and says so.
    fn flush(&self) -> std::io::Result<()> {
        let (file, written) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.written == *self.durable.borrow() {
                return Ok(());
            }
            (state.output.current()?, state.written)
        };
        // Without the lock: writers go on while the disk works.
        file.sync_data()?;
        self.durable.send_replace(written);
        Ok(())
    }
}

async fn flush_regularly(id: String, shared: Arc<Shared>, interval: Duration) {
    let mut failing = false;
    loop {
        tokio::time::sleep(interval).await;
        let flush = {
            let shared = shared.clone();
            tokio::task::spawn_blocking(move || shared.flush())
        };
        match flush.await.map_err(std::io::Error::from).flatten() {
            Ok(()) => failing = false,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(exporter = %id, "cannot fsync, its cursor waits: {error}");
                }
            }
        }
    }
}

#[async_trait]
impl Exporter for File {
    async fn export(&self, batch: &Batch, at: Position) -> Result<(), ExportError> {
        let (format, shared, batch) = (self.format, self.shared.clone(), batch.clone());
        let write = tokio::task::spawn_blocking(move || {
            let record =
                format.encode(&batch).map_err(|error| ExportError::Permanent { reason: format!("{error:#}") })?;
            // A full disk may have room again.
            let failed =
                |error: std::io::Error| ExportError::Transient { retry_after: None, reason: error.to_string() };
            shared.write(&record, at).map_err(failed)
        });
        let stopped =
            |error: tokio::task::JoinError| ExportError::Transient { retry_after: None, reason: error.to_string() };
        write.await.map_err(stopped)?
    }

    fn durable(&self) -> Option<watch::Receiver<Position>> {
        Some(self.shared.durable.subscribe())
    }

    async fn shutdown(&self) -> anyhow::Result<()> {
        self.flusher.abort();
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || shared.flush()).await?.context("fsync")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.flusher.abort();
    }
}
