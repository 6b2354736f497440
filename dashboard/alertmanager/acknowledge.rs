//! `POST /api/v1/alerts/acknowledge`: somebody cares. Ours: Alertmanager has nothing like it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use catchment_pipeline::alerts::{AlertView, Input, Matcher};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::silences::says_something;
use super::{Connectors, Failure, body};
use crate::App;

#[derive(Deserialize)]
struct Posted {
    matchers: Vec<Matcher>,
    by: String,
    #[serde(default)]
    comment: String,
}

/// Of all alerts that fire and that the matchers hold for.
pub async fn acknowledge(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Json<Value>, Failure> {
    let connectors = Connectors::of(&app.sources.alerts)?;
    let Posted { matchers, by, comment } = body::read(&app.places, &headers, body).await?;
    says_something(&matchers).map_err(Failure::bad_request)?;
    if by.trim().is_empty() || by.len() > 256 || comment.len() > 4_096 {
        return Err(Failure::bad_request("`by` says who it is, in at most 256 bytes; a comment has at most 4096"));
    }
    let is_open = |view: &&AlertView| {
        !view.pending && view.acknowledged_by.is_none() && Matcher::all(&matchers, &view.alert.labels)
    };
    let fingerprints: Vec<_> =
        connectors.view().alerts.iter().filter(is_open).map(|view| view.alert.fingerprint()).collect();
    connectors.submit(vec![Input::Acknowledge { matchers: matchers.clone(), by, comment }]).await?;
    connectors.shows(|view| !view.alerts.iter().any(|alert| is_open(&alert))).await;
    Ok(Json(json!({"acknowledged": fingerprints.iter().map(ToString::to_string).collect::<Vec<_>>()})))
}
