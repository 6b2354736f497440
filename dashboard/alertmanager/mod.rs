//! Being Alertmanager: its API v2, so that Prometheus, `amtool` and Grafana use this instance as theirs, and what Prometheus says of rules and alerts.
//!
//! It speaks to the running `alerting` connectors through the `Desk`: what changes something is answered once it is in the log. Errors are JSON strings, as
//! in Alertmanager's OpenAPI document.

mod acknowledge;
mod alerts;
mod body;
mod general;
mod parameters;
mod prometheus;
mod silences;
#[cfg(test)]
pub mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use catchment_pipeline::alerts::{Alerting, Desk, Input, View};
use catchment_pipeline::component::Refused;
use http::{HeaderValue, StatusCode, header};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::App;

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/-/healthy", get(async || "OK\n"))
        .route("/-/ready", get(general::ready))
        .route("/api/v2/status", get(general::status))
        .route("/api/v2/receivers", get(general::receivers))
        .route("/api/v2/alerts", get(alerts::list).post(alerts::put))
        .route("/api/v2/alerts/groups", get(alerts::groups))
        .route("/api/v2/silences", get(silences::list).post(silences::put))
        .route("/api/v2/silence/{id}", get(silences::one).delete(silences::expire))
        .route("/api/v1/alerts", get(prometheus::alerts))
        .route("/api/v1/alerts/acknowledge", post(acknowledge::acknowledge))
        .route("/api/v1/rules", get(prometheus::rules))
}

/// Bodies that are read at the same time: each may take [`body::MOST`].
pub struct Places(Semaphore);

impl Default for Places {
    fn default() -> Places {
        Places(Semaphore::new(8))
    }
}

/// An answer that is an error: its text as JSON.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    message: String,
    retry_after: Option<Duration>,
}

impl Failure {
    fn new(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure { status, message: message.into(), retry_after: None }
    }

    fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, message)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        match refused {
            Refused::Busy { retry_after, reason } => {
                Failure { retry_after: Some(retry_after), ..Failure::new(StatusCode::SERVICE_UNAVAILABLE, reason) }
            }
            Refused::Rejected { reason } => Failure::bad_request(reason),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.message)).into_response();
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs().max(1).to_string();
            if let Ok(value) = HeaderValue::try_from(seconds) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        response
    }
}

/// The connectors that run; mostly there is one, and else they are taken together.
struct Connectors(Vec<Arc<dyn Alerting>>);

impl Connectors {
    fn of(desk: &Desk) -> Result<Connectors, Failure> {
        let all: Vec<_> = desk.all().into_iter().map(|(_, alerting)| alerting).collect();
        if all.is_empty() {
            let message =
                "this instance runs no `alerting` connector: configure one, and let it begin a pipeline of alerts";
            return Err(Failure::new(StatusCode::NOT_FOUND, message));
        }
        Ok(Connectors(all))
    }

    fn view(&self) -> Arc<View> {
        if let [one] = &self.0[..] {
            return one.view();
        }
        let mut all = View::default();
        for view in self.0.iter().map(|alerting| alerting.view()) {
            let before = all.alerts.len();
            all.at = all.at.max(view.at);
            all.alerts.extend(view.alerts.iter().cloned());
            all.groups.extend(view.groups.iter().cloned().map(|mut group| {
                group.alerts.iter_mut().for_each(|place| *place += before);
                group
            }));
            let new = view.silences.iter().filter(|silence| !all.silences.iter().any(|other| other.id == silence.id));
            let new: Vec<_> = new.cloned().collect();
            all.silences.extend(new);
            all.receivers.extend(view.receivers.iter().cloned());
            all.rules.extend(view.rules.iter().cloned());
            all.config += &view.config;
        }
        all.receivers.sort();
        all.receivers.dedup();
        Arc::new(all)
    }

    /// Returns once they are in the log of each.
    async fn submit(&self, inputs: Vec<Input>) -> Result<(), Failure> {
        for alerting in &self.0 {
            alerting.submit(inputs.clone()).await?;
        }
        Ok(())
    }

    /// Until `holds`, so that who asks next sees what they did; it is done in any case.
    async fn shows(&self, holds: impl Fn(&View) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(2);
        while !holds(&self.view()) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
