//! What an `alerts` pipeline carries. In flight and in the lake an event is a log record: its body is the event as JSON, its attributes are what people ask for
//! in SQL (labels under their own names, `alert.change`, ...).

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde::{Deserialize, Serialize};

use super::{Alert, Notification};
use crate::batch::{Batch, Signal};

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A message for channels.
    Notification(Notification),
    /// What became of an alert: the history, and what an Alertmanager is sent.
    Alert(AlertEvent),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertEvent {
    #[serde(flatten)]
    pub alert: Alert,
    pub change: Change,
    /// What the rule's expression gave.
    #[serde(default)]
    pub value: Option<f64>,
    /// The group and name of the rule; empty for alerts from outside.
    #[serde(default)]
    pub group: String,
    #[serde(default)]
    pub rule: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Its condition holds, not yet for as long as `for` asks.
    Pending,
    Firing,
    /// It fires still: for who forgets what is not said again.
    StillFiring,
    Resolved,
    /// Its condition stopped holding before it fired.
    Withdrawn,
    Acknowledged,
}

impl Change {
    pub fn name(self) -> &'static str {
        match self {
            Change::Pending => "pending",
            Change::Firing => "firing",
            Change::StillFiring => "still_firing",
            Change::Resolved => "resolved",
            Change::Withdrawn => "withdrawn",
            Change::Acknowledged => "acknowledged",
        }
    }
}

const ALERT: &str = "alert";
const NOTIFICATION: &str = "alert.notification";
const SCOPE: &str = "catchment.alerting";

impl Event {
    /// Of signal `alerts`; `at` in nanoseconds. Not for an empty list.
    pub fn batch(events: &[Event], at: i64) -> Batch {
        batch(events.iter().map(|event| event.record(at)).collect())
    }

    /// The events of a batch; records that are none (or not of this version) are left out.
    pub fn read(batch: &Batch) -> Vec<Event> {
        let read = |(name, body): (String, String)| match name.as_str() {
            NOTIFICATION => serde_json::from_str(&body).map(Event::Notification).ok(),
            ALERT => serde_json::from_str(&body).map(Event::Alert).ok(),
            _ => None,
        };
        records(batch).into_iter().filter_map(read).collect()
    }

    fn record(&self, at: i64) -> LogRecord {
        match self {
            Event::Notification(notification) => {
                let firing = notification.firing().next().is_some();
                let labels = notification.common_labels.iter().map(|(name, value)| text(name, value));
                let own = [
                    text("alert.receiver", &notification.receiver),
                    text("alert.status", if firing { "firing" } else { "resolved" }),
                    text("alert.notification.id", &notification.id),
                ];
                record(NOTIFICATION, notification, at, labels.chain(own).collect())
            }
            Event::Alert(event) => {
                let labels = event.alert.labels.iter().map(|(name, value)| text(name, value));
                let own = [
                    text("alert.change", event.change.name()),
                    text("alert.fingerprint", &event.alert.fingerprint().to_string()),
                    text("alert.group", &event.group),
                    text("alert.rule", &event.rule),
                ];
                let value = event.value.map(|value| pair("alert.value", Value::DoubleValue(value)));
                record(ALERT, event, at, labels.chain(own).chain(value).collect())
            }
        }
    }
}

/// A batch of signal `alerts` of such records.
pub(super) fn batch(log_records: Vec<LogRecord>) -> Batch {
    let resource = Resource { attributes: vec![text("service.name", "catchment")], ..Resource::default() };
    let scope = InstrumentationScope { name: SCOPE.to_owned(), ..InstrumentationScope::default() };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() }];
    let bytes = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    Batch::from_otlp(Signal::Alerts, bytes.into()).unwrap_or_else(|error| {
        tracing::error!(%error, "data lost: alerts do not fit one request");
        Batch::from_rows(Signal::Alerts, crate::batch::Rows::default())
    })
}

/// An event's name and body, for each record.
pub(super) fn records(batch: &Batch) -> Vec<(String, String)> {
    let Ok(request) = ExportLogsServiceRequest::decode(batch.otlp().clone()) else { return Vec::new() };
    let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    let records = scopes.flat_map(|scope| scope.log_records);
    let read = |record: LogRecord| match record.body?.value? {
        Value::StringValue(body) => Some((record.event_name, body)),
        _ => None,
    };
    records.filter_map(read).collect()
}

pub(super) fn record(name: &str, body: &impl Serialize, at: i64, attributes: Vec<KeyValue>) -> LogRecord {
    // Nothing of ours fails to be JSON: keys are text, numbers that JSON cannot say become null.
    let body = serde_json::to_string(body).unwrap_or_default();
    LogRecord {
        time_unix_nano: at.unsigned_abs(),
        observed_time_unix_nano: at.unsigned_abs(),
        event_name: name.to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(body)) }),
        attributes,
        ..LogRecord::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::alerts::{Labels, NotifiedAlert, Status};

    #[test]
    fn events_come_back_as_they_were() {
        let labels = Labels::new([("alertname", "DiskFull"), ("host", "a")]);
        let alert = Alert { labels: labels.clone(), starts_at: 1_000_000_001, ..Alert::default() };
        let events = [
            Event::Alert(AlertEvent {
                alert,
                change: Change::Firing,
                value: Some(0.93),
                group: "disks".to_owned(),
                rule: "DiskFull".to_owned(),
            }),
            Event::Notification(Notification {
                receiver: "ops".to_owned(),
                alerts: vec![NotifiedAlert { labels, status: Status::Resolved, ..NotifiedAlert::default() }],
                ..Notification::default()
            }),
        ];
        let batch = Event::batch(&events, 2_000_000_000);
        assert_eq!((batch.signal(), batch.items()), (Signal::Alerts, 2));
        assert_eq!(Event::read(&batch), events);
    }
}
