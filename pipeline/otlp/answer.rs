//! What is answered to an export request, over gRPC and HTTP: `Export*ServiceResponse`, which is one message on the wire
//! for all three signals, and `google.rpc.Status` with the details that OTLP gives it.

use std::time::Duration;

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Response {
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PartialSuccess {
    /// Points, log records or spans.
    #[prost(int64, tag = "1")]
    pub rejected: i64,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl RpcStatus {
    /// `retry_after`: when the sender should come again, as a `RetryInfo`.
    pub fn new(code: i32, message: String, retry_after: Option<Duration>) -> RpcStatus {
        let details = retry_after.map(|wait| {
            let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
            let nanos = i32::try_from(wait.subsec_nanos()).unwrap_or_default();
            let info = RetryInfo { delay: Some(Delay { seconds, nanos }) };
            Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value: info.encode_to_vec() }
        });
        RpcStatus { code, message, details: details.into_iter().collect() }
    }

    /// What its `RetryInfo` says, if it has one.
    pub fn retry_after(&self) -> Option<Duration> {
        let info = self.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
        let delay = RetryInfo::decode(&info.value[..]).ok()?.delay.unwrap_or_default();
        let (seconds, nanos) = (u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?);
        Some(Duration::new(seconds, nanos.min(999_999_999)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// `google/rpc/status.proto` and `error_details.proto`, byte by byte.
    #[test]
    fn a_status_with_a_time_to_come_again() {
        let bytes = RpcStatus::new(14, "m".into(), Some(Duration::from_millis(2500))).encode_to_vec();
        let info = b"\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01";
        let url = b"type.googleapis.com/google.rpc.RetryInfo";
        let any = [&[0x0a, url.len() as u8], &url[..], &[0x12, info.len() as u8], info].concat();
        assert_eq!(bytes, [&b"\x08\x0e\x12\x01m\x1a"[..], &[any.len() as u8], &any].concat());
        let status = RpcStatus::decode(&bytes[..]).unwrap();
        assert_eq!((status.code, status.retry_after()), (14, Some(Duration::from_millis(2500))));
        assert_eq!(RpcStatus::new(3, "m".into(), None).retry_after(), None);
    }
}
