//! An OTLP/HTTP destination that hands on what it is sent.

use std::io::Read;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Uri, header};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The path and the decompressed body.
pub type Taken = (String, Vec<u8>);

pub struct Sink {
    pub address: SocketAddr,
    taken: mpsc::UnboundedReceiver<Taken>,
}

impl Sink {
    /// On a port of the system's choice.
    pub async fn start() -> Sink {
        Sink::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub fn on(listener: TcpListener) -> Sink {
        let (sender, taken) = mpsc::unbounded_channel();
        let address = listener.local_addr().unwrap();
        let app =
            Router::new().route("/v1/{signal}", post(take)).layer(DefaultBodyLimit::max(64 << 20)).with_state(sender);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Sink { address, taken }
    }

    /// The next request, once it has come.
    pub async fn next(&mut self) -> Taken {
        let next = tokio::time::timeout(super::PATIENCE, self.taken.recv()).await;
        next.expect("nothing more arrives").expect("the sink stands")
    }

    /// The next request to `path`; what comes before it is let go.
    pub async fn next_to(&mut self, path: &str) -> Vec<u8> {
        loop {
            match self.next().await {
                (to, body) if to == path => return body,
                _ => {}
            }
        }
    }
}

async fn take(
    State(sender): State<mpsc::UnboundedSender<Taken>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> ([(header::HeaderName, &'static str); 1], ()) {
    let body = match headers.get(header::CONTENT_ENCODING).map(|v| v.as_bytes()) {
        Some(b"gzip") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            plain
        }
        None => body.to_vec(),
        Some(other) => panic!("unexpected content-encoding {other:?}"),
    };
    // The test may have ended.
    let _ = sender.send((uri.path().to_owned(), body));
    ([(header::CONTENT_TYPE, "application/x-protobuf")], ())
}
