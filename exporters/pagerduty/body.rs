//! A notification as an event of PagerDuty's Events API v2.

use catchment_pipeline::alerts::{Labels, Notification, Status, time};
use serde_json::{Map, Value, json};

use crate::notify::fields::{self, Fields};
use crate::notify::message::{self, Level};
use crate::notify::text::{fit, fit_or, line, plain};

const SUMMARY: usize = 1_024;
/// Of a whole event; PagerDuty takes 512 KB.
const EVENT: usize = 500_000;
const FIELD: usize = 255;
const LINKS: usize = 10;
const ENTRIES: usize = 64;
/// Alerts listed, and characters of a name or a value: the first that fits.
const SHAPES: [(usize, usize); 4] = [(100, 4_096), (50, 1_024), (20, 256), (1, 128)];

#[derive(Clone, Debug)]
pub(super) struct Look {
    /// Where labels say nothing.
    pub severity: Level,
    pub description: Option<Fields>,
    pub source: Option<Fields>,
    pub component: Option<Fields>,
    pub group: Option<Fields>,
    pub class: Option<Fields>,
    pub client: String,
    pub client_url: Option<String>,
}

impl Look {
    pub fn event(&self, key: &str, notification: &Notification) -> Vec<u8> {
        let action = match (notification.status, &notification.acknowledged_by) {
            (Status::Resolved, _) => "resolve",
            (Status::Firing, Some(_)) => "acknowledge",
            (Status::Firing, None) => "trigger",
        };
        let mut last = Vec::new();
        for (alerts, characters) in SHAPES {
            let mut event = json!({
                "routing_key": key,
                "event_action": action,
                "dedup_key": dedup_key(notification),
                "payload": self.payload(notification, alerts, characters),
                "client": fit_or(&line(&self.client), FIELD, plain, "Catchment"),
            });
            if let Some(url) = self.client_url.as_deref().and_then(message::web).or_else(|| message::page(notification))
            {
                event["client_url"] = Value::from(url);
            }
            let links = links(notification);
            if !links.is_empty() {
                event["links"] = Value::from(links);
            }
            last = event.to_string().into_bytes();
            if last.len() <= EVENT {
                break;
            }
        }
        last
    }

    fn payload(&self, notification: &Notification, alerts: usize, characters: usize) -> Value {
        let severity = match Level::of(notification).unwrap_or(self.severity) {
            Level::Critical => "critical",
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
        };
        let filled = |fields: &Option<Fields>| {
            let text = fields.as_ref().map(|fields| fields.fill(notification).0)?;
            Some(fit(line(&text).trim(), FIELD, plain)).filter(|text| !text.is_empty())
        };
        let summary = fields::title(self.description.as_ref(), notification);
        let mut payload = json!({
            "summary": fit_or(&line(&summary), SUMMARY, plain, "Alert"),
            "source": filled(&self.source).unwrap_or_else(|| source(notification)),
            "severity": severity,
            "custom_details": details(notification, alerts, characters),
        });
        if notification.at != 0 {
            payload["timestamp"] = Value::from(time::format(notification.at));
        }
        for (name, fields) in [("component", &self.component), ("group", &self.group), ("class", &self.class)] {
            if let Some(text) = filled(fields) {
                payload[name] = Value::from(text);
            }
        }
        payload
    }
}

/// The same for all that is said about a group, of any length and any characters.
fn dedup_key(notification: &Notification) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, notification.group_key.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is affected: the host, or what else comes nearest.
fn source(notification: &Notification) -> String {
    let names = ["host.name", "host", "instance", "node", "k8s.node.name", "service.name", "service", "job"];
    let found = names.iter().find_map(|name| notification.common_labels.get(name));
    fit_or(&line(found.unwrap_or(&notification.receiver)), FIELD, plain, "catchment")
}

fn details(notification: &Notification, alerts: usize, characters: usize) -> Value {
    let map = |labels: &Labels| {
        let cut = |text: &str| fit(text, characters, plain);
        Value::Object(
            labels
                .iter()
                .take(ENTRIES)
                .map(|(name, value)| (cut(name), Value::from(cut(value))))
                .collect::<Map<_, _>>(),
        )
    };
    let listed = notification.alerts.iter().take(alerts).map(|alert| {
        json!({
            "status": if alert.status == Status::Firing { "firing" } else { "resolved" },
            "labels": map(&alert.labels),
            "annotations": map(&alert.annotations),
            "since": time::format(alert.starts_at),
        })
    });
    let listed: Vec<_> = listed.collect();
    json!({
        "num_firing": notification.firing().count(),
        "num_resolved": notification.resolved().count(),
        "not_listed": message::more(notification, listed.len()),
        "labels": map(&notification.common_labels),
        "annotations": map(&notification.common_annotations),
        "alerts": listed,
        "notification_id": fit(&notification.id, FIELD, plain),
        "acknowledged_by": notification.acknowledged_by.as_deref().map(|by| fit(&line(by), FIELD, plain)),
    })
}

fn links(notification: &Notification) -> Vec<Value> {
    let mut links: Vec<(&'static str, String)> = Vec::new();
    for link in notification.alerts.iter().take(100).flat_map(message::links) {
        if !links.contains(&link) && links.len() < LINKS {
            links.push(link);
        }
    }
    links.into_iter().map(|(text, href)| json!({ "href": href, "text": text })).collect()
}
