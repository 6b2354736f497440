//! How the instance fares: health, readiness, the pipeline's figures, the lake's.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use catchment_pipeline::engine::status::Snapshot;
use catchment_storage::LakeStats;
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::App;
use crate::problem::Problem;

/// The process answers.
pub async fn healthz() -> Json<Value> {
    Json(json!({"healthy": true}))
}

/// Receivers listen, the log's replay is done, and shutdown has not begun.
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    if (app.sources.status)().ready {
        return Json(json!({"ready": true})).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"ready": false, "reason": "starting, replaying or stopping"})))
        .into_response()
}

/// Every receiver, processor, exporter and cursor, as the engine counts them.
pub async fn pipeline(State(app): State<Arc<App>>) -> Json<Snapshot> {
    Json((app.sources.status)())
}

pub async fn lake(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    Ok(Json(lake_json(&app.lake()?.stats())))
}

fn lake_json(stats: &LakeStats) -> Value {
    let tables = stats.tables.iter().map(|table| {
        json!({
            "name": table.name,
            "hot_rows": table.hot_rows, "hot_bytes": table.hot_bytes,
            "files": table.files, "file_rows": table.file_rows, "file_bytes": table.file_bytes,
        })
    });
    json!({
        "tables": tables.collect::<Vec<_>>(),
        "durable_position": stats.durable,
        "appended_position": stats.appended,
        "last_flush_unix_ms": stats.last_flush.map(unix_ms),
        "last_flush_seconds": stats.last_flush_duration.map(|duration| duration.as_secs_f64()),
        "last_flush_error": stats.last_flush_error,
    })
}

fn unix_ms(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}
