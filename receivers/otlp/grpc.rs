//! OTLP/gRPC: unary calls by hand over HTTP/2, so that a message is handed on as the bytes it came in and its
//! decompressed size is capped.

use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use ::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{Accepted, Encoding, Outlet};
use http_body::Body;
use prost::Message;
use tonic::{Code, Status};

use super::answer::{Answer, Refusal, Why, response};
use super::body::{ASIDE, Limits, Pieces, Reserved, aside};
use super::decompress::{asked, decompress, names};

const ENCODINGS: [Encoding; 4] = [Encoding::Gzip, Encoding::Zstd, Encoding::Deflate, Encoding::Snappy];
/// Flag and length before a message.
const PREFIX: usize = 5;

pub(super) async fn answer<B>(request: Request<B>, limits: &Limits, outlet: &Outlet) -> Response<Answer>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let content_type = request.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if request.method() != Method::POST || !is_grpc(content_type) {
        let mut response = Response::new(Answer::default());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let Some(signal) = signal(request.uri().path()) else {
        return trailers_only(Status::new(Code::Unimplemented, format!("no method {} here", request.uri().path())));
    };
    match take(signal, request, limits, outlet).await {
        Ok(accepted) => ok(accepted),
        Err(refusal) => {
            limits.refusals.note(&refusal);
            let details = refusal.status().encode_to_vec().into();
            trailers_only(Status::with_details(refusal.code(), refusal.message, details))
        }
    }
}

fn is_grpc(content_type: &[u8]) -> bool {
    match content_type.strip_prefix(b"application/grpc") {
        Some(rest) => rest.is_empty() || rest.starts_with(b";") || rest.starts_with(b"+proto"),
        None => false,
    }
}

fn signal(path: &str) -> Option<Signal> {
    match path {
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Some(Signal::Metrics),
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Some(Signal::Logs),
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Some(Signal::Traces),
        _ => None,
    }
}

async fn take<B>(signal: Signal, request: Request<B>, limits: &Limits, outlet: &Outlet) -> Result<Accepted, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let encoding = asked(request.headers().get("grpc-encoding"), &ENCODINGS)?;
    // The prefix is not part of what the limit is about.
    let framed = Limits { max_bytes: limits.max_bytes + PREFIX, ..limits.clone() };
    let mut reserved = Reserved::new(&framed);
    let message = Pieces::read(request.into_body(), None, &mut reserved).await?;
    let (batch, _reserved) = aside(encoding.is_some() && message.len() > ASIDE, move || {
        let bytes = unframe(message, encoding, &mut reserved)?;
        let batch = Batch::from_otlp(signal, bytes).map_err(|error| Refusal::new(Why::Malformed, error.to_string()))?;
        Ok((batch, reserved))
    })
    .await?;
    outlet.send(batch).await.map_err(Refusal::pipeline)
}

fn unframe(mut message: Pieces, encoding: Option<Encoding>, reserved: &mut Reserved) -> Result<Bytes, Refusal> {
    let malformed = |what: &str| Refusal::new(Why::Malformed, what);
    let Some([compressed, length @ ..]) = message.split_array::<PREFIX>() else {
        return Err(malformed("the call carries no message"));
    };
    if message.len() as u64 != u64::from(u32::from_be_bytes(length)) {
        return Err(malformed("the call does not carry exactly one whole message"));
    }
    match (compressed, encoding) {
        (0, _) => Ok(message.into_bytes()),
        (1, Some(encoding)) => decompress(encoding, message, reserved),
        (1, None) => Err(malformed("the message is compressed, but grpc-encoding does not say how")),
        _ => Err(malformed("the message's compression flag is neither 0 nor 1")),
    }
}

fn ok(accepted: Accepted) -> Response<Answer> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let message = response(accepted).encode_to_vec();
    let mut data = vec![0; PREFIX];
    // Uncompressed, and never near 4 GiB.
    data[1..].copy_from_slice(&u32::try_from(message.len()).unwrap_or_default().to_be_bytes());
    data.extend_from_slice(&message);
    let answer = Answer { data: Some(data.into()), trailers: Some(trailers) };
    let mut response = Response::new(answer);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn trailers_only(status: Status) -> Response<Answer> {
    let unknown_encoding = status.code() == Code::Unimplemented;
    let mut response = status.into_http::<Answer>();
    if unknown_encoding && let Ok(names) = HeaderValue::from_str(&names(&ENCODINGS)) {
        response.headers_mut().insert("grpc-accept-encoding", names);
    }
    response
}
