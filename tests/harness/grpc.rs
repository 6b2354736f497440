//! OTLP/gRPC as it is on the wire: a frame of five bytes and the request, with no objects on our side.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Response, header};
use axum::routing::post;
use futures::StreamExt;

pub const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// A frame: uncompressed, its length, the message.
pub fn frame(message: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(message.len() + 5);
    frame.push(0);
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

/// A connection of its own.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().http2_prior_knowledge().timeout(super::PATIENCE).build().unwrap()
}

/// Sends one framed request; true when it was taken, false when the answer was a retryable refusal.
pub async fn export(client: &reqwest::Client, address: SocketAddr, frame: Bytes) -> bool {
    let request = client
        .post(format!("http://{address}{METRICS}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(frame);
    let response = request.send().await.unwrap();
    // A refusal has no message, so its status stands in the headers.
    let status = response.headers().get("grpc-status").map(|s| s.to_str().unwrap().to_owned());
    response.bytes().await.unwrap();
    match status.as_deref() {
        None | Some("0") => true,
        Some("8" | "14") => false,
        Some(other) => panic!("grpc-status {other}"),
    }
}

/// A destination that takes everything and counts the bytes of the (possibly compressed) messages.
pub struct Sink {
    pub address: SocketAddr,
    pub requests: Arc<AtomicU64>,
    pub bytes: Arc<AtomicU64>,
}

impl Sink {
    pub async fn start() -> Sink {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let app = Router::new()
            .route(METRICS, post(take))
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state((requests.clone(), bytes.clone()));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Sink { address, requests, bytes }
    }
}

async fn take(State((requests, bytes)): State<(Arc<AtomicU64>, Arc<AtomicU64>)>, body: Body) -> Response<Body> {
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        bytes.fetch_add(chunk.unwrap().len() as u64, Ordering::Relaxed);
    }
    requests.fetch_add(1, Ordering::Relaxed);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", header::HeaderValue::from_static("0"));
    let frames = futures::stream::iter([
        Ok::<_, std::convert::Infallible>(http_body::Frame::data(frame(&[]))),
        Ok(http_body::Frame::trailers(trailers)),
    ]);
    Response::builder()
        .header(header::CONTENT_TYPE, "application/grpc")
        .body(Body::new(http_body_util::StreamBody::new(frames)))
        .unwrap()
}
