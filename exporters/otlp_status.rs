//! What an OTLP destination's answer means for the batch: the one place where codes become [`ExportError`]s,
//! after OTLP's tables of retryable codes.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use catchment_pipeline::component::{ExportError, Occasionally};
use catchment_pipeline::otlp::answer::{PartialSuccess, Response, RpcStatus};
use http::StatusCode;
use http::header::{HeaderMap, RETRY_AFTER};
use prost::Message;
use tonic::{Code, Status};

/// No destination makes us wait longer than this between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);
/// Of what a destination says in an error.
const LONGEST_REASON: usize = 512;

pub(crate) fn from_grpc(status: &Status) -> ExportError {
    let retry_after = retry_info(status.details());
    let reason = format!("{:?}: {}", status.code(), shortened(status.message()));
    let transient = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        // Without a time to come back it means: never.
        Code::ResourceExhausted => retry_after.is_some(),
        _ => false,
    };
    if transient { ExportError::Transient { retry_after, reason } } else { ExportError::Permanent { reason } }
}

/// `body`: the start of what came with it.
pub(crate) fn from_http(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> ExportError {
    let said = match media_type(headers).as_deref() {
        Some("application/x-protobuf") => RpcStatus::decode(body).map(|status| status.message).unwrap_or_default(),
        Some("application/json") => serde_json::from_slice::<serde_json::Value>(body)
            .ok()
            .and_then(|json| json.get("message")?.as_str().map(str::to_owned))
            .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    let reason = format!("HTTP {status}: {}", shortened(&said));
    match status.as_u16() {
        429 | 502 | 503 | 504 => {
            let retry_after = headers.get(RETRY_AFTER).and_then(|value| wait(value.to_str().ok()?, now));
            ExportError::Transient { retry_after, reason }
        }
        _ => ExportError::Permanent { reason },
    }
}

/// Without its parameters, in lower case.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Of a destination that took the batch, wholly or in part.
pub(crate) fn from_success(headers: &HeaderMap, body: &[u8]) -> Result<(), ExportError> {
    match media_type(headers).as_deref() {
        Some("application/json") => from_json_response(body),
        Some("application/x-protobuf") => from_response(body),
        _ => Ok(()),
    }
}

/// The three signals' responses are one message on the wire.
pub(crate) fn from_response(response: &[u8]) -> Result<(), ExportError> {
    match Response::decode(response) {
        Ok(Response { partial_success: Some(PartialSuccess { rejected: count, error_message }) }) => {
            rejected(count, &error_message)
        }
        Ok(Response { partial_success: None }) => Ok(()),
        // It was taken; what else was said is not understood.
        Err(error) => {
            tracing::debug!("the destination's answer is not OTLP: {error}");
            Ok(())
        }
    }
}

fn from_json_response(response: &[u8]) -> Result<(), ExportError> {
    let json = serde_json::from_slice::<serde_json::Value>(response).unwrap_or_default();
    let Some(partial) = json.get("partialSuccess").and_then(|partial| partial.as_object()) else { return Ok(()) };
    let count = partial.iter().find(|(key, _)| key.starts_with("rejected")).map(|(_, value)| value);
    // 64-bit integers are strings in OTLP/JSON, numbers with some.
    let count = count.and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok())).unwrap_or(0);
    rejected(count, partial.get("errorMessage").and_then(|value| value.as_str()).unwrap_or_default())
}

fn rejected(count: i64, message: &str) -> Result<(), ExportError> {
    match u64::try_from(count) {
        Ok(0) | Err(_) => {
            if !message.is_empty() {
                warned(message);
            }
            Ok(())
        }
        Ok(rejected) => Err(ExportError::Partial { rejected, reason: shortened(message) }),
    }
}

/// It may come with every batch.
fn warned(message: &str) {
    static SAID: LazyLock<Occasionally> = LazyLock::new(|| Occasionally::new(Duration::from_secs(60)));
    if let Some(batches) = SAID.due(Instant::now()) {
        tracing::warn!(batches, "a destination took everything, and warns: {}", shortened(message));
    }
}

pub(crate) fn shortened(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// `Retry-After`: seconds, or a date.
pub(crate) fn wait(text: &str, now: SystemTime) -> Option<Duration> {
    let wait = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text.trim()).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

fn retry_info(details: &[u8]) -> Option<Duration> {
    RpcStatus::decode(details).ok()?.retry_after().map(|wait| wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// `T`, `T <wait>`, or `P`.
    fn kind(error: ExportError) -> String {
        match error {
            ExportError::Transient { retry_after: None, .. } => "T".into(),
            ExportError::Transient { retry_after: Some(wait), .. } => format!("T {wait:?}"),
            ExportError::Permanent { .. } => "P".into(),
            ExportError::Partial { rejected, .. } => format!("partial {rejected}"),
        }
    }

    /// The table of OTLP's specification.
    #[test]
    fn grpc_codes() {
        let retryable = [1, 4, 10, 11, 14, 15];
        for code in 1..=16 {
            let expect = if retryable.contains(&code) { "T" } else { "P" };
            assert_eq!(kind(from_grpc(&Status::new(Code::from(code), "m"))), expect, "{code}");
        }
        let status = RpcStatus::new(8, "m".into(), Some(Duration::from_millis(2500)));
        let exhausted = Status::with_details(Code::ResourceExhausted, "m", status.encode_to_vec().into());
        assert_eq!(kind(from_grpc(&exhausted)), "T 2.5s");
    }

    #[test]
    fn http_codes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 90);
        let check = |code: u16, retry_after: Option<&str>, expect: &str| {
            let mut headers = HeaderMap::new();
            if let Some(value) = retry_after {
                headers.insert(RETRY_AFTER, value.parse().unwrap());
            }
            let error = from_http(StatusCode::from_u16(code).unwrap(), &headers, b"why", now);
            assert_eq!(kind(error), expect, "{code} {retry_after:?}");
        };
        for code in [400, 401, 403, 404, 413, 500, 501, 505] {
            check(code, None, "P");
        }
        for code in [429, 502, 503, 504] {
            check(code, None, "T");
        }
        check(503, Some("7"), "T 7s");
        // RFC 9110's own example of a date, 90 s ahead.
        check(429, Some("Sun, 06 Nov 1994 08:49:37 GMT"), "T 90s");
        check(429, Some("Tue, 06 Nov 1984 08:49:37 GMT"), "T 0ns");
        check(429, Some("99999999"), "T 3600s");
        check(429, Some("soon"), "T");
    }

    #[test]
    fn partial_success() {
        let partial = PartialSuccess { rejected: 3, error_message: "late".into() };
        let response = Response { partial_success: Some(partial) }.encode_to_vec();
        assert_eq!(kind(from_response(&response).unwrap_err()), "partial 3");
        assert!(from_response(b"").is_ok());
        let json = br#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"late"}}"#;
        assert_eq!(kind(from_json_response(json).unwrap_err()), "partial 3");
        assert!(from_json_response(br#"{"partialSuccess":{}}"#).is_ok());
        for (content_type, body) in
            [("Application/JSON; charset=utf-8", &json[..]), ("application/x-protobuf;messageType=x", &response[..])]
        {
            let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, content_type.parse().unwrap())]);
            assert_eq!(kind(from_success(&headers, body).unwrap_err()), "partial 3", "{content_type}");
        }
    }
}
