//! `debug`: says what passes, for eyes. One line a batch, a line an item, or everything about it.
//!
//! ```yaml
//! exporters:
//!   debug: { verbosity: basic, sampling_initial: 2, sampling_thereafter: 1, use_internal_logger: true }
//! ```
//!
//! In each second the first `sampling_initial` batches are shown, then every `sampling_thereafter`-th (0: none).
//! With `use_internal_logger: false` the text goes to standard output.

#[cfg(test)]
mod tests;
mod text;

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{
    Context, ExportError, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, Stability,
};
use catchment_pipeline::config::Section;
use catchment_pipeline::log::Position;

pub const SPEC: ExporterSpec = ExporterSpec {
    kind: "debug",
    aliases: &[],
    summary: "writes what passes to the log",
    signals: &Signal::ALL,
    stability: Stability::Beta,
    plan,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verbosity {
    Basic,
    Normal,
    Detailed,
}

#[derive(Debug, Clone)]
struct Plan {
    settings: ExporterSettings,
    verbosity: Verbosity,
    sampling: (u64, u64),
    to_log: bool,
}

fn plan(section: &mut Section) -> Box<dyn ExporterPlan> {
    let choices = [("basic", Verbosity::Basic), ("normal", Verbosity::Normal), ("detailed", Verbosity::Detailed)];
    let verbosity = section.choice("verbosity", &choices).unwrap_or(Verbosity::Basic);
    let sampling = (section.or("sampling_initial", 2), section.or("sampling_thereafter", 1));
    let to_log = section.or("use_internal_logger", true);
    section.accepted("output_paths", "without the logger it is standard output");
    Box::new(Plan { settings: ExporterSettings::read(section, Duration::from_secs(5)), verbosity, sampling, to_log })
}

#[async_trait]
impl ExporterPlan for Plan {
    fn settings(&self) -> ExporterSettings {
        self.settings.clone()
    }

    async fn build(&self, context: Context) -> anyhow::Result<Arc<dyn Exporter>> {
        let sampler =
            Mutex::new(Sampler { initial: self.sampling.0, thereafter: self.sampling.1, since: None, seen: 0 });
        Ok(Arc::new(Debug { id: context.id, verbosity: self.verbosity, to_log: self.to_log, sampler }))
    }
}

struct Debug {
    id: String,
    verbosity: Verbosity,
    to_log: bool,
    sampler: Mutex<Sampler>,
}

/// As zap's, which the Collector uses.
struct Sampler {
    initial: u64,
    thereafter: u64,
    since: Option<Instant>,
    seen: u64,
}

impl Sampler {
    fn take(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            (self.since, self.seen) = (Some(now), 0);
        }
        self.seen += 1;
        let after = self.seen.saturating_sub(self.initial);
        after == 0 || after.checked_rem(self.thereafter) == Some(0)
    }
}

#[async_trait]
impl Exporter for Debug {
    async fn export(&self, batch: &Batch, _at: Position) -> Result<(), ExportError> {
        let take = self.sampler.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        if !take {
            return Ok(());
        }
        let (signal, items, bytes) = (batch.signal().name(), batch.items(), batch.otlp().len());
        let text = match self.verbosity {
            Verbosity::Basic => String::new(),
            Verbosity::Normal => text::normal(batch.signal(), batch.otlp()),
            Verbosity::Detailed => text::detailed(batch.signal(), batch.otlp()),
        };
        if self.to_log {
            let newline = if text.is_empty() { "" } else { "\n" };
            tracing::info!(exporter = %self.id, signal, items, bytes, "batch{newline}{text}");
            return Ok(());
        }
        let line = format!("{signal} items={items} bytes={bytes}\n{text}");
        // A closed standard output is nobody's loss of telemetry.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
        Ok(())
    }
}
