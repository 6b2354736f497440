//! A unary call by hand over tonic's channel: the message is framed, not copied.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::tls::Reloading;
use catchment_pipeline::component::{Encoding, ExportError, Exporter};
use catchment_pipeline::log::Position;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::ServiceExt;

use super::Plan;
use crate::otlp_compress::Compress;
use crate::otlp_status;

const LARGEST_ANSWER: usize = 4 << 20;
/// Larger batches are compressed away from the threads that carry I/O.
const COMPRESS_ASIDE: usize = 64 << 10;

pub(super) struct OtlpGrpc {
    channel: Channel,
    /// Of every call.
    headers: HeaderMap,
    compress: Compress,
}

impl OtlpGrpc {
    pub(super) fn new(plan: &Plan) -> anyhow::Result<OtlpGrpc> {
        let host = if plan.host.contains(':') { format!("[{}]", plan.host) } else { plan.host.clone() };
        let at = format!("{host}:{}", plan.port);
        let scheme = if plan.tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{}", plan.authority.as_deref().unwrap_or(&at));
        let origin = origin.parse::<Uri>().with_context(|| format!("authority of {at}"))?;
        let mut endpoint = Endpoint::from_shared(format!("http://{at}"))
            .with_context(|| format!("endpoint {at}"))?
            .origin(origin)
            .user_agent(concat!("catchment/", env!("CARGO_PKG_VERSION")))?
            .keep_alive_timeout(plan.ping_timeout)
            .keep_alive_while_idle(plan.ping_while_idle)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(1 << 20);
        if let Some(interval) = plan.ping_interval {
            endpoint = endpoint.http2_keep_alive_interval(interval);
        }
        let tls =
            plan.tls.as_ref().map(|tls| tls.build(&["h2"])).transpose().with_context(|| format!("tls to {at}"))?;
        let name = plan.tls.as_ref().and_then(|tls| tls.server_name_override.clone()).unwrap_or(plan.host.clone());
        let connector = Arc::new(Connector { host: plan.host.clone(), port: plan.port, name, tls });
        let channel = endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
            let connector = connector.clone();
            async move { connector.connect().await }
        }));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if let Some(encoding) = plan.compress.with {
            headers.insert("grpc-encoding", HeaderValue::from_static(encoding.name()));
        }
        for (name, value) in &plan.headers {
            let mut value = HeaderValue::from_str(&value.0).with_context(|| format!("header {name}"))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name.as_str()).with_context(|| format!("header {name}"))?, value);
        }
        // gRPC's "snappy" is the framed format.
        let mut compress = plan.compress;
        if compress.with == Some(Encoding::Snappy) {
            compress.with = Some(Encoding::SnappyFramed);
        }
        Ok(OtlpGrpc { channel, headers, compress })
    }

    async fn call(&self, batch: &Batch) -> Result<(), ExportError> {
        let mut request = Request::post(path(batch.signal()))
            .body(tonic::body::Body::new(self.frame(batch.otlp().clone()).await?))
            .map_err(|error| ExportError::Permanent { reason: error.to_string() })?;
        request.headers_mut().clone_from(&self.headers);
        let lost = |error: &dyn std::error::Error| transport(error);
        let response = self.channel.clone().oneshot(request).await.map_err(|error| lost(&error))?;
        let (head, body) = response.into_parts();
        if let Some(status) = Status::from_header_map(&head.headers) {
            return result(&status, &[]);
        }
        if head.status != StatusCode::OK {
            return Err(otlp_status::from_grpc(&Status::new(code_of(head.status), format!("HTTP {}", head.status))));
        }
        let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| lost(&*error))?;
        let status = body.trailers().and_then(Status::from_header_map);
        let status = status.unwrap_or_else(|| Status::new(Code::Unknown, "the answer has no gRPC status"));
        result(&status, &body.to_bytes())
    }

    async fn frame(&self, message: Bytes) -> Result<Framed, ExportError> {
        let compress = self.compress;
        let broken = |error: std::io::Error| ExportError::Permanent { reason: format!("compressing: {error}") };
        let (flag, message) = match compress.with {
            None => (0, message),
            _ if message.len() < COMPRESS_ASIDE => (1, compress.append(&message, Vec::new()).map_err(broken)?.into()),
            _ => {
                let task = tokio::task::spawn_blocking(move || compress.append(&message, Vec::new()));
                (1, task.await.map_err(std::io::Error::from).flatten().map_err(broken)?.into())
            }
        };
        let Ok(length) = u32::try_from(message.len()) else {
            return Err(ExportError::Permanent { reason: "a gRPC message holds at most 4 GiB".into() });
        };
        let mut prefix = [flag, 0, 0, 0, 0];
        prefix[1..].copy_from_slice(&length.to_be_bytes());
        Ok(Framed(VecDeque::from([Bytes::copy_from_slice(&prefix), message])))
    }
}

#[async_trait]
impl Exporter for OtlpGrpc {
    async fn export(&self, batch: &Batch, _at: Position) -> Result<(), ExportError> {
        self.call(batch).await
    }
}

fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs | Signal::Alerts => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    }
}

fn result(status: &Status, body: &[u8]) -> Result<(), ExportError> {
    if status.code() != Code::Ok {
        return Err(otlp_status::from_grpc(status));
    }
    // We ask for no compression of answers; a flag would say that one came anyway.
    match body.split_at_checked(5) {
        Some(([0, ..], message)) => otlp_status::from_response(message),
        _ => Ok(()),
    }
}

/// gRPC's table for answers that come from a proxy.
fn code_of(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// The connection is at fault: another attempt may succeed.
fn transport(error: &dyn std::error::Error) -> ExportError {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        reason = format!("{reason}: {error}");
        source = error.source();
    }
    ExportError::Transient { retry_after: None, reason }
}

struct Connector {
    host: String,
    port: u16,
    /// The name the certificate must be for.
    name: String,
    tls: Option<Reloading<ClientConfig>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Connector {
    async fn connect(&self) -> std::io::Result<TokioIo<Box<dyn Stream>>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(TokioIo::new(Box::new(stream))) };
        let name = ServerName::try_from(self.name.clone()).map_err(std::io::Error::other)?;
        let stream = TlsConnector::from(tls.current()).connect(name, stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(std::io::Error::other("the server does not offer HTTP/2 (ALPN h2), which gRPC needs"));
        }
        Ok(TokioIo::new(Box::new(stream)))
    }
}

/// A gRPC message: its prefix, then its bytes as they are.
struct Framed(VecDeque<Bytes>);

impl Body for Framed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|bytes| bytes.len() as u64).sum())
    }
}
