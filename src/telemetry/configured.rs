//! From `service::telemetry`, as the configuration has it.

use std::time::Duration;

use catchment_pipeline::config::{OtlpProtocol, OtlpTarget, Telemetry};

use super::settings::{Otlp, Push, Settings, Traces};

impl Settings {
    pub fn of(telemetry: &Telemetry) -> anyhow::Result<Settings> {
        let resource = telemetry.resource.iter().map(|(key, value)| (key.clone(), value.clone().unwrap_or_default()));
        let push = telemetry
            .metric_exports
            .iter()
            .map(|(interval, target)| Ok(Push { interval: *interval, exporter: otlp(target)? }));
        let exporters = telemetry.trace_exports.iter().map(otlp).collect::<anyhow::Result<Vec<_>>>()?;
        let traces = Traces { schedule_delay: Duration::from_secs(5), exporters };
        Ok(Settings {
            resource: resource.collect(),
            metrics: true,
            prometheus: telemetry.prometheus.first().cloned(),
            push: push.collect::<anyhow::Result<_>>()?,
            traces: (!traces.exporters.is_empty()).then_some(traces),
        })
    }
}

fn otlp(target: &OtlpTarget) -> anyhow::Result<Otlp> {
    anyhow::ensure!(
        target.protocol == OtlpProtocol::Grpc,
        "service::telemetry: own telemetry is sent with OTLP/gRPC: write protocol: grpc and a gRPC endpoint instead of {}",
        target.endpoint
    );
    Ok(Otlp { endpoint: target.endpoint.clone(), headers: target.headers.clone(), timeout: Duration::from_secs(10) })
}
