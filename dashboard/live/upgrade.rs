//! From an HTTP request to a WebSocket. By hand where axum has an extractor, because frames have to be sent in pieces:
//! the library keeps a buffer as large as the largest frame it ever sent, for each connection.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, Version, header};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::protocol::MAX_MESSAGE;
use super::socket::{self, PIECE};
use crate::App;
use crate::problem::Problem;

/// Held by each connection from its beginning.
const READ_BUFFER: usize = 1024;

/// Host and Origin were checked by `guard`, as for every path.
pub async fn live(State(app): State<Arc<App>>, request: Request) -> Response {
    upgrade(&app, request).unwrap_or_else(IntoResponse::into_response)
}

fn upgrade(app: &App, mut request: Request) -> Result<Response, Problem> {
    let accept = accept(&request)?;
    let hub = app.hub()?.clone();
    let place = hub.connection()?;
    let upgraded = hyper::upgrade::on(&mut request);
    hub.clone().track(async move {
        let _place = place;
        let shutdown = hub.shutdown().clone();
        let Some(Ok(upgraded)) = shutdown.run_until_cancelled(upgraded).await else { return };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(PIECE)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let io = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        socket::serve(socket, hub).await;
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// RFC 6455, section 4.2.1.
fn accept(request: &Request) -> Result<HeaderValue, Problem> {
    let says = |name: header::HeaderName, word: &str| {
        let values = request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    let required = |message: &str| Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message);
    if request.version() != Version::HTTP_11
        || !says(header::CONNECTION, "upgrade")
        || !says(header::UPGRADE, "websocket")
    {
        return Err(required("this path speaks WebSocket, over HTTP/1.1"));
    }
    if !says(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(required("this server speaks version 13 of WebSocket (RFC 6455)"));
    }
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key = key.ok_or_else(|| Problem::bad_request("the Sec-WebSocket-Key header is missing or wrong"))?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|error| Problem::internal(format!("no answer to the handshake: {error}")))
}
