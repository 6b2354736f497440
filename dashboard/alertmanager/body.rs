//! Reading a JSON body: its size is bounded before it is read, and what is wrong is said.

use axum::body::Body;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;

use super::{Failure, Places};

/// Prometheus sends at most 256 alerts at a time.
pub const MOST: usize = 4 << 20;

pub async fn read<T: DeserializeOwned>(places: &Places, headers: &HeaderMap, body: Body) -> Result<T, Failure> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON, with Content-Type: application/json"));
    }
    let Ok(_place) = places.0.try_acquire() else {
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at the same time; try again"));
    };
    let body = tokio::time::timeout(std::time::Duration::from_secs(10), Limited::new(body, MOST).collect());
    let bytes = match body.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {MOST} bytes")));
        }
        Ok(Err(error)) => return Err(Failure::bad_request(format!("the body was not received: {error}"))),
        Err(_) => return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "the body did not come within 10 s")),
    };
    serde_json::from_slice(&bytes).map_err(|error| Failure::bad_request(format!("the body is not understood: {error}")))
}
