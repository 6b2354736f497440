//! What goes wrong, as clients see it: `{"error": {"kind", "message", "position"?}}` under the right status.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// An answer that is an error. `kind` is stable, for programs; `message` is for people and says the mend.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub status: StatusCode,
    pub kind: &'static str,
    pub message: String,
    /// Line and column in the SQL, from 1.
    pub position: Option<(u64, u64)>,
    pub retry_after: Option<Duration>,
}

impl Problem {
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Problem {
        Problem { status, kind, message: message.into(), position: None, retry_after: None }
    }

    pub fn bad_request(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub fn timeout(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }

    pub fn busy(message: impl Into<String>, retry_after: Duration) -> Problem {
        let busy = Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", message);
        Problem { retry_after: Some(retry_after), ..busy }
    }

    pub fn unavailable(message: impl Into<String>) -> Problem {
        let unavailable = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
        Problem { retry_after: Some(Duration::from_secs(5)), ..unavailable }
    }

    pub fn internal(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    pub fn as_json(&self) -> Value {
        let mut error = json!({"kind": self.kind, "message": self.message});
        if let Some((line, column)) = self.position {
            error["position"] = json!({"line": line, "column": column});
        }
        error
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({"error": self.as_json()}))).into_response();
        if let Some(after) = self.retry_after {
            let seconds = after.as_millis().div_ceil(1000).max(1);
            if let Ok(value) = HeaderValue::try_from(seconds.to_string()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        response
    }
}
