//! The instance itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use catchment_pipeline::alerts::time;
use http::StatusCode;
use serde_json::{Value, json};

use super::parameters::Pairs;
use super::{Connectors, Failure};
use crate::App;

pub async fn ready(State(app): State<Arc<App>>) -> Response {
    match (app.sources.status)().ready {
        true => "OK\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "starting, replaying or stopping\n").into_response(),
    }
}

pub async fn status(State(app): State<Arc<App>>) -> Result<Json<Value>, Failure> {
    let view = Connectors::of(&app.sources.alerts)?.view();
    Ok(Json(json!({
        "cluster": {"status": "disabled"},
        "config": {"original": view.config},
        "uptime": time::format(app.since),
        "versionInfo": {
            "branch": "", "buildDate": "", "buildUser": "", "goVersion": "", "revision": "", "version": env!("CARGO_PKG_VERSION"),
        },
    })))
}

pub async fn receivers(State(app): State<Arc<App>>, Query(_): Query<Pairs>) -> Result<Json<Value>, Failure> {
    let view = Connectors::of(&app.sources.alerts)?.view();
    Ok(Json(view.receivers.iter().map(|name| json!({"name": name, "labels": {"name": name}})).collect()))
}
