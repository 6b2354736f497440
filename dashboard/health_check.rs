//! The `health_check` extension: the Collector's answer on localhost:13133, for the probes people already have.
//!
//! 200 `{"status":"Server available", ...}` while data is taken, 503 otherwise.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::{Json, Router};
use catchment_pipeline::config::Section;
use catchment_pipeline::engine::status::Snapshot;
use http::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::http_server::{HttpServer, Limits};
use crate::settings::check_endpoint;

pub const KIND: &str = "health_check";
pub const SUMMARY: &str = "Answers health probes as the Collector does";

/// ```yaml
/// health_check: { endpoint: localhost:13133, path: / }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub endpoint: String,
    pub path: String,
}

impl Settings {
    pub fn plan(section: &mut Section) -> Settings {
        let settings = Settings {
            endpoint: section.or("endpoint", "localhost:13133".to_owned()),
            path: section.or("path", "/".to_owned()),
        };
        check_endpoint(section, &settings.endpoint);
        if !settings.path.starts_with('/') || settings.path.contains(['{', '}', '?', '#']) {
            section.mistake("path", format!("`{}` is not a plain path", settings.path), "begin it with `/`");
        }
        settings
    }
}

type Status = Arc<dyn Fn() -> Snapshot + Send + Sync>;

pub struct HealthCheck {
    server: HttpServer,
    router: Router,
}

impl HealthCheck {
    pub async fn bind(settings: &Settings, status: Status) -> anyhow::Result<HealthCheck> {
        Ok(HealthCheck::on(HttpServer::bind(&settings.endpoint).await?, settings, status))
    }

    /// On a socket that was bound beforehand.
    pub fn on(server: HttpServer, settings: &Settings, status: Status) -> HealthCheck {
        let router = Router::new().route(&settings.path, axum::routing::get(answer)).with_state(status);
        HealthCheck { server, router }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub async fn run(self, shutdown: CancellationToken) {
        self.server.run(self.router, Limits::default(), shutdown).await;
    }
}

async fn answer(State(status): State<Status>) -> (StatusCode, Json<Value>) {
    let snapshot = status();
    if !snapshot.ready {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "Server not available"})));
    }
    let uptime = snapshot.now_unix_ms.saturating_sub(snapshot.started_unix_ms) as f64 / 1e3;
    (
        StatusCode::OK,
        Json(json!({
            "status": "Server available",
            "upSince": rfc3339(snapshot.started_unix_ms),
            "uptime": format!("{uptime:.3}s"),
        })),
    )
}

fn rfc3339(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(chrono::DateTime::from_timestamp_millis);
    at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)).unwrap_or_default()
}
