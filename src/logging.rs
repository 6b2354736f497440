//! The process's own log, to stderr. `RUST_LOG` wins over `service::telemetry::logs::level`.

use catchment_pipeline::config::{Encoding, LogLevel, Telemetry};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, reload};

use crate::telemetry;

/// Changes what it can while the process runs.
pub struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    pub spans: telemetry::Switch,
}

impl Logging {
    /// Once a process; text or JSON is decided here for good.
    pub fn start(telemetry: &Telemetry, spans: Option<&SdkTracerProvider>) -> anyhow::Result<Logging> {
        let (filter, handle) = reload::Layer::new(filter(telemetry));
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match telemetry.log_encoding {
            Encoding::Console => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
            Encoding::Json => lines.json().boxed(),
        };
        let (layer, spans) = telemetry::layer(spans);
        tracing_subscriber::registry().with(lines.with_filter(filter)).with(layer).try_init()?;
        Ok(Logging { filter: handle, spans })
    }

    pub fn set_level(&self, telemetry: &Telemetry) {
        if let Err(error) = self.filter.reload(filter(telemetry)) {
            tracing::warn!(%error, "the log's level stays as it was");
        }
    }
}

fn filter(telemetry: &Telemetry) -> EnvFilter {
    match std::env::var("RUST_LOG") {
        Ok(asked) if !asked.is_empty() => EnvFilter::new(asked),
        _ => EnvFilter::new(match telemetry.log_level {
            // Other crates' debug lines drown ours.
            LogLevel::Debug => {
                "info,catchment=debug,catchment_pipeline=debug,catchment_receivers=debug,catchment_processors=debug,catchment_exporters=debug,catchment_storage=debug,catchment_dashboard=debug"
            }
            LogLevel::Info => "info,datafusion=warn,deltalake_core=warn",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        }),
    }
}
