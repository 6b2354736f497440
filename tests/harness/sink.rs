//! An OTLP/HTTP destination that keeps what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Uri, header};
use axum::routing::post;

/// What came: the path and the decompressed body.
pub type Taken = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

pub struct Sink {
    pub address: SocketAddr,
    pub taken: Taken,
}

impl Sink {
    /// On `address`, which may have port 0.
    pub async fn start(address: SocketAddr) -> Sink {
        let taken = Taken::default();
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .route("/v1/{signal}", post(take))
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(taken.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Sink { address, taken }
    }
}

async fn take(
    State(taken): State<Taken>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> ([(header::HeaderName, &'static str); 1], ()) {
    let body = match headers.get(header::CONTENT_ENCODING).map(|v| v.as_bytes()) {
        Some(b"gzip") => {
            let mut plain = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&body[..]), &mut plain).unwrap();
            plain
        }
        None => body.to_vec(),
        Some(other) => panic!("unexpected content-encoding {other:?}"),
    };
    taken.lock().unwrap().push((uri.path().to_owned(), body));
    ([(header::CONTENT_TYPE, "application/x-protobuf")], ())
}
