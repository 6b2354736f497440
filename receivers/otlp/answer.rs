//! What is said to senders: the body with its trailers, `google.rpc.Status`, and how long to wait.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::HeaderMap;
use bytes::Bytes;
use catchment_pipeline::component::{Accepted, Refused};
use catchment_pipeline::otlp::answer::{PartialSuccess, Response, RpcStatus};
use http_body::{Body, Frame, SizeHint};
use tonic::Code;

/// A whole response body, with a gRPC response's trailers.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) data: Option<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

/// Why a request was not taken, before it is put in a protocol's words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) why: Why,
    pub(super) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Why {
    /// The sender's mistake; sending it again will not help.
    Malformed,
    TooLarge,
    UnknownEncoding,
    /// The sender went away in the middle: nobody hears the answer.
    BrokenOff,
    /// The sender took too long.
    Slow,
    /// Requests in flight hold all the memory they may.
    Exhausted(Duration),
    /// The pipeline cannot take it now.
    Busy(Duration),
    /// The pipeline will never take it.
    Rejected,
}

impl Refusal {
    pub(super) fn new(why: Why, message: impl Into<String>) -> Refusal {
        Refusal { why, message: message.into() }
    }

    /// `Admission` said no.
    pub(super) fn admission(refused: Refused) -> Refusal {
        match refused {
            Refused::Busy { retry_after, reason } => Refusal::new(Why::Exhausted(retry_after), reason),
            Refused::Rejected { reason } => Refusal::new(Why::Malformed, reason),
        }
    }

    /// The pipeline said no.
    pub(super) fn pipeline(refused: Refused) -> Refusal {
        match refused {
            Refused::Busy { retry_after, reason } => Refusal::new(Why::Busy(retry_after), reason),
            Refused::Rejected { reason } => Refusal::new(Why::Rejected, reason),
        }
    }

    pub(super) fn code(&self) -> Code {
        match self.why {
            Why::Malformed | Why::Rejected => Code::InvalidArgument,
            Why::TooLarge | Why::Exhausted(_) => Code::ResourceExhausted,
            Why::UnknownEncoding => Code::Unimplemented,
            Why::BrokenOff => Code::Cancelled,
            Why::Slow => Code::DeadlineExceeded,
            Why::Busy(_) => Code::Unavailable,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self.why {
            Why::Exhausted(wait) | Why::Busy(wait) => Some(wait),
            Why::Malformed | Why::TooLarge | Why::UnknownEncoding | Why::BrokenOff | Why::Slow | Why::Rejected => None,
        }
    }

    /// `google.rpc.Status`, with a `RetryInfo` when the sender should come again.
    pub(super) fn status(&self) -> RpcStatus {
        RpcStatus::new(self.code() as i32, self.message.clone(), self.retry_after())
    }
}

/// An empty message when everything was taken; else how much was not, and why.
pub(super) fn response(accepted: Accepted) -> Response {
    let Accepted { rejected, reason } = accepted;
    let rejected = i64::try_from(rejected).unwrap_or(i64::MAX);
    let partial_success = (rejected > 0).then_some(PartialSuccess { rejected, error_message: reason });
    Response { partial_success }
}
