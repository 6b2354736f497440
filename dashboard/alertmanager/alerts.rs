//! Alerts and their groups.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use catchment_pipeline::alerts::{Alert, AlertView, Input, Labels, View, time};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::{Pairs, Wanted, is_suppressed};
use super::{Connectors, Failure, body};
use crate::App;

/// Of one request; and labels and annotations of one alert, and their bytes.
const MOST: usize = 10_000;
const MOST_LABELS: usize = 256;
const MOST_BYTES: usize = 16 << 10;
/// An alert that fires with no end in sight is said to end so much later, as Alertmanager does; nanoseconds.
const OPEN: i64 = 300_000_000_000;

pub async fn list(State(app): State<Arc<App>>, Query(parameters): Query<Pairs>) -> Result<Json<Value>, Failure> {
    let view = Connectors::of(&app.sources.alerts)?.view();
    let wanted = Wanted::read(parameters)?;
    let mut found: Vec<_> = view.alerts.iter().filter(|alert| wanted.holds(alert)).collect();
    found.sort_by_cached_key(|view| view.alert.fingerprint().to_string());
    Ok(Json(found.into_iter().map(|alert| shown(&view, alert)).collect()))
}

pub async fn groups(State(app): State<Arc<App>>, Query(parameters): Query<Pairs>) -> Result<Json<Value>, Failure> {
    let view = Connectors::of(&app.sources.alerts)?.view();
    let wanted = Wanted::read(parameters)?;
    let mut groups: Vec<_> = view.groups.iter().filter(|group| wanted.wants_receiver(&group.receiver)).collect();
    groups.sort_by(|a, b| (&a.labels, &a.receiver).cmp(&(&b.labels, &b.receiver)));
    let shown = groups.into_iter().filter_map(|group| {
        let alerts: Vec<_> = group
            .alerts
            .iter()
            .filter_map(|place| view.alerts.get(*place))
            .filter(|alert| wanted.holds(alert))
            .collect();
        let muted = alerts.iter().all(|alert| is_suppressed(alert));
        let wanted = !alerts.is_empty() && (wanted.wants_muted_groups() || !muted);
        wanted.then(|| {
            let alerts: Vec<_> = alerts.into_iter().map(|alert| shown(&view, alert)).collect();
            json!({"labels": group.labels, "routeLabels": {}, "receiver": {"name": group.receiver}, "alerts": alerts})
        })
    });
    Ok(Json(shown.collect()))
}

fn shown(all: &View, view: &AlertView) -> Value {
    let alert = &view.alert;
    let receivers: Vec<_> = view.receivers.iter().map(|name| json!({"name": name})).collect();
    let ends_at = if alert.ends_at == 0 { all.at.max(view.updated_at).saturating_add(OPEN) } else { alert.ends_at };
    let mut shown = json!({
        "annotations": alert.annotations,
        "endsAt": time::format(ends_at),
        "fingerprint": alert.fingerprint().to_string(),
        "generatorURL": alert.generator_url,
        "labels": alert.labels,
        "receivers": receivers,
        "startsAt": time::format(alert.starts_at),
        "status": {
            "inhibitedBy": view.inhibited_by,
            "mutedBy": view.muted_by,
            "silencedBy": view.silenced_by,
            "state": if is_suppressed(view) { "suppressed" } else { "active" },
        },
        "updatedAt": time::format(view.updated_at),
    });
    // Ours, where there is something to say.
    if let Some(by) = &view.acknowledged_by {
        shown["status"]["acknowledgedBy"] = by.as_str().into();
    }
    shown
}

/// What senders leave out or write as null is not there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Posted {
    labels: Labels,
    #[serde(default)]
    annotations: Option<Labels>,
    #[serde(default)]
    starts_at: Option<String>,
    #[serde(default)]
    ends_at: Option<String>,
    #[serde(default, rename = "generatorURL")]
    generator_url: Option<String>,
}

/// Takes those that are valid, and says of the others what is wrong, as Alertmanager does.
pub async fn put(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<(), Failure> {
    let connectors = Connectors::of(&app.sources.alerts)?;
    let posted: Vec<Posted> = body::read(&app.places, &headers, body).await?;
    if posted.len() > MOST {
        return Err(Failure::bad_request(format!("{} alerts at once: send at most {MOST}", posted.len())));
    }
    let (mut valid, mut wrong) = (Vec::new(), Vec::new());
    for posted in posted {
        match posted.checked() {
            Ok(alert) => valid.push(alert),
            Err(what) => wrong.push(what),
        }
    }
    if !valid.is_empty() {
        connectors.submit(vec![Input::Alerts(valid)]).await?;
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => {
            wrong.truncate(20);
            Err(Failure::bad_request(wrong.join("\n")))
        }
    }
}

impl Posted {
    fn checked(self) -> Result<Alert, String> {
        let time = |text: Option<String>| match text {
            None => Ok(0),
            Some(text) => time::parse(&text)
                .ok_or_else(|| format!("\"{text}\" is not a time: write RFC 3339, 2026-01-31T12:00:00Z")),
        };
        let (starts_at, ends_at) = (time(self.starts_at)?, time(self.ends_at)?);
        // A label that is empty is one that is not there.
        let some = |labels: Labels| labels.iter().collect::<Labels>();
        let (labels, annotations) = (some(self.labels), some(self.annotations.unwrap_or_default()));
        let generator_url = self.generator_url.unwrap_or_default();
        if labels.is_empty() {
            return Err("at least one label pair required".to_owned());
        }
        if starts_at != 0 && ends_at != 0 && ends_at < starts_at {
            return Err("start time must be before end time".to_owned());
        }
        let all = || labels.iter().chain(annotations.iter());
        if all().any(|(name, _)| name.is_empty()) {
            return Err("invalid label set: a label has no name".to_owned());
        }
        let bytes = all().map(|(name, value)| name.len() + value.len()).sum::<usize>() + generator_url.len();
        if all().count() > MOST_LABELS || bytes > MOST_BYTES {
            return Err(format!(
                "an alert has at most {MOST_LABELS} labels and annotations, and {MOST_BYTES} bytes of them"
            ));
        }
        Ok(Alert { labels, annotations, starts_at, ends_at, generator_url })
    }
}
