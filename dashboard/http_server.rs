//! Serving a router on one address: HTTP/1.1 and HTTP/2, in the clear or over TLS, a cap on connections, a time for
//! headers, and a shutdown that lets answers under way finish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use catchment_pipeline::component::tls::Reloading;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::turns::Client;

/// An answer under way has this long to finish once shutdown has begun.
const DRAIN: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_connections: usize,
    pub read_header_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_connections: 64, read_header_timeout: Duration::from_secs(10) }
    }
}

/// A bound socket. Clones share it, so that a server can take over from another without a gap: it listens until the
/// last of them is gone.
#[derive(Clone)]
pub struct HttpServer {
    listener: Arc<TcpListener>,
    address: SocketAddr,
    tls: Option<Arc<Reloading<ServerConfig>>>,
}

impl HttpServer {
    /// `endpoint` is `host:port`; port 0 takes a free one. A name with both is bound on its IPv4 address.
    pub async fn bind(endpoint: &str) -> anyhow::Result<HttpServer> {
        let mut addresses = tokio::net::lookup_host(endpoint)
            .await
            .with_context(|| format!("{endpoint} does not resolve"))?
            .collect::<Vec<_>>();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let listener = TcpListener::bind(addresses.as_slice()).await.with_context(|| {
            format!("cannot listen on {endpoint}: another process may have the port; choose another `endpoint`")
        })?;
        let address = listener.local_addr()?;
        Ok(HttpServer { listener: Arc::new(listener), address, tls: None })
    }

    /// Speaks TLS to whoever connects from now on; `None`: in the clear.
    pub fn with_tls(self, tls: Option<Arc<Reloading<ServerConfig>>>) -> HttpServer {
        HttpServer { tls, ..self }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Until `shutdown`, and then until what is under way is answered, or `DRAIN` is over.
    pub async fn run(self, router: Router, limits: Limits, shutdown: CancellationToken) {
        let places = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
        let connections = TaskTracker::new();
        let cut = CancellationToken::new();
        while let Some((stream, place)) = accept(&self.listener, &places, &shutdown).await {
            let acceptor = self.tls.as_ref().map(|tls| TlsAcceptor::from(tls.current()));
            let (router, shutdown, cut) = (router.clone(), shutdown.clone(), cut.clone());
            connections.spawn(async move {
                let _place = place;
                cut.run_until_cancelled(connection(stream, acceptor, router, limits, shutdown)).await;
            });
        }
        drop(self.listener);
        connections.close();
        if timeout(DRAIN, connections.wait()).await.is_err() {
            tracing::info!(address = %self.address, "connections are cut: they did not end within {DRAIN:?} of the shutdown");
            cut.cancel();
            connections.wait().await;
        }
    }
}

/// `None`: shutdown. Waits while every place is taken, so that the kernel's queue holds the rest.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
            let (stream, _) = listener.accept().await?;
            Ok::<_, std::io::Error>((stream, place))
        };
        tokio::select! {
            () = shutdown.cancelled() => return None,
            next = next => match next {
                Ok(next) => return Some(next),
                Err(error) => {
                    // Out of file descriptors, mostly: going round at once would only burn the CPU.
                    tracing::warn!(%error, "cannot accept a connection; trying again in 100ms");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    // Answers are written in whole chunks: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let client = Client(stream.peer_addr().ok().map(|address| address.ip()));
    let Some(acceptor) = acceptor else { return serve(stream, client, router, limits, shutdown).await };
    match timeout(limits.read_header_timeout, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, client, router, limits, shutdown).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake did not come to its end in time"),
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: Client,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.read_header_timeout);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(Duration::from_secs(30)));
    let asked = Arc::new(AtomicBool::new(false));
    let service = {
        let asked = asked.clone();
        router.map_request(move |mut request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(client);
            request
        })
    };
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    // hyper's own time for headers begins with the first byte: until one comes, a place is held for nothing.
    let silent = async {
        tokio::time::sleep(limits.read_header_timeout).await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = silent => return tracing::debug!("a connection on which nothing was asked is closed"),
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
