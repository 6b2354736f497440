//! `parquet`: keeps telemetry in the lake. Rows are visible to SQL when `export` returns, and the cursor moves when
//! they are in files. Needs the `lake` extension, whose `accept` says which times rows may have.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use catchment_pipeline::batch::{Batch, Signal, TimeLimits};
use catchment_pipeline::component::{
    Context, ExportError, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, Spec, Stability,
};
use catchment_pipeline::config::Section;
use catchment_pipeline::log::Position;
use catchment_storage::{AppendError, Claim, Lake};
use tokio::sync::watch;

pub const SPEC: ExporterSpec = Spec {
    kind: "parquet",
    aliases: &[],
    summary: "Keeps telemetry in the lake as Parquet under a Delta log",
    signals: &Signal::ALL,
    stability: Stability::Beta,
    plan,
};

fn plan(section: &mut Section) -> Box<dyn ExporterPlan> {
    let settings = ExporterSettings::read(section, Duration::from_secs(30));
    if settings.num_consumers > 1 {
        section.mistake(
            "sending_queue",
            "the lake takes rows in the log's order",
            "leave `num_consumers` out, or set it to 1",
        );
    }
    Box::new(Plan { settings: ExporterSettings { num_consumers: 1, ..settings } })
}

struct Plan {
    settings: ExporterSettings,
}

#[async_trait]
impl ExporterPlan for Plan {
    fn settings(&self) -> ExporterSettings {
        self.settings.clone()
    }

    async fn build(&self, context: Context) -> anyhow::Result<Arc<dyn Exporter>> {
        let Some(lake) = context.offers.get::<Lake>() else {
            anyhow::bail!(
                "exporter `{}` writes into the lake, but no `lake` extension runs: add `lake` to `extensions` and to \
                 `service::extensions`",
                context.id
            );
        };
        let claim = lake.claim(&context.id)?;
        Ok(Arc::new(Parquet { lake, _claim: claim }))
    }
}

struct Parquet {
    lake: Arc<Lake>,
    _claim: Claim,
}

#[async_trait]
impl Exporter for Parquet {
    async fn export(&self, batch: &Batch, at: Position) -> Result<(), ExportError> {
        let (lake, batch) = (self.lake.clone(), batch.clone());
        tokio::task::spawn_blocking(move || lake.append(batch.rows(), at))
            .await
            .map_err(|error| ExportError::Transient { retry_after: None, reason: error.to_string() })?
            .map_err(|error| match error {
                AppendError::Busy(reason) => {
                    ExportError::Transient { retry_after: Some(Duration::from_secs(1)), reason }
                }
                AppendError::Failed(reason) => ExportError::Permanent { reason },
            })
    }

    fn durable(&self) -> Option<watch::Receiver<Position>> {
        Some(self.lake.durable())
    }

    fn accepts(&self) -> Option<watch::Receiver<TimeLimits>> {
        Some(self.lake.accepts())
    }

    async fn shutdown(&self) -> anyhow::Result<()> {
        let lake = self.lake.clone();
        tokio::task::spawn_blocking(move || lake.flush()).await??;
        Ok(())
    }
}
