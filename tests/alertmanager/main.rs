//! Being Alertmanager, for those who speak to one: a real Prometheus, a real `amtool`; and beside a real Alertmanager that is told the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../harness/mod.rs"]
mod harness;
#[path = "../common/peers.rs"]
mod peers;

mod amtool;
mod beside;
mod peer;
mod prometheus;

use std::collections::BTreeSet;
use std::path::Path;

use harness::Catchment;
use harness::sink::Sink;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Text;
use prost::Message as _;
use serde_json::Value;

/// The whole binary with an `alerting` connector of these settings, whose alerts go to `sink`.
fn catchment(folder: &Path, sink: &Sink, alerting: &str) -> Catchment {
    Catchment::start(&format!(
        "
extensions:
  lake: {{ path: {} }}
  dashboard: {{ endpoint: 127.0.0.1:0 }}
receivers:
  otlp: {{ protocols: {{ grpc: {{ endpoint: 127.0.0.1:0 }} }} }}
connectors:
  alerting: {alerting}
exporters:
  otlp_http: {{ endpoint: 'http://{}', compression: none }}
service:
  extensions: [lake, dashboard]
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    logs: {{ receivers: [otlp], exporters: [alerting] }}
    alerts: {{ receivers: [alerting], exporters: [otlp_http] }}
",
        folder.display(),
        sink.address
    ))
}

/// The notifications of the next request that has some.
async fn notifications(sink: &mut Sink) -> Vec<Value> {
    loop {
        let (_, body) = sink.next().await;
        let request = ExportLogsServiceRequest::decode(&body[..]).unwrap();
        let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        let records =
            scopes.flat_map(|scope| scope.log_records).filter(|record| record.event_name == "alert.notification");
        let read = |value: Option<Text>| match value {
            Some(Text::StringValue(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        };
        let found: Vec<Value> = records.map(|record| read(record.body.and_then(|body| body.value))).collect();
        if !found.is_empty() {
            return found;
        }
    }
}

/// Receiver, group, status, and its alerts with theirs: what must be the same wherever it comes from.
type Told = (String, String, String, BTreeSet<(String, String)>);

fn told(notification: &Value) -> Told {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let alerts = notification["alerts"].as_array().unwrap().iter();
    let alerts = alerts.map(|alert| (alert["labels"].to_string(), text(&alert["status"])));
    (text(&notification["receiver"]), text(&notification["groupKey"]), text(&notification["status"]), alerts.collect())
}
