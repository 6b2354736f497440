//! Serving a router on one address: HTTP/1.1 and HTTP/2 in the clear, a cap on connections, a time for headers, and a
//! shutdown that lets answers under way finish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
#[derive(Clone, Debug)]
pub struct HttpServer {
    listener: Arc<TcpListener>,
    address: SocketAddr,
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
        Ok(HttpServer { listener: Arc::new(listener), address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Until `shutdown`, and then until what is under way is answered, or `DRAIN` is over.
    pub async fn run(self, router: Router, limits: Limits, shutdown: CancellationToken) {
        let places = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
        let connections = TaskTracker::new();
        while let Some((stream, place)) = accept(&self.listener, &places, &shutdown).await {
            connections.spawn(serve(stream, router.clone(), limits, shutdown.clone(), place));
        }
        drop(self.listener);
        connections.close();
        if timeout(DRAIN, connections.wait()).await.is_err() {
            tracing::info!(address = %self.address, "connections were cut: they did not end within {DRAIN:?} of the shutdown");
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

async fn serve(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    // Answers are written in whole chunks: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.read_header_timeout);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(Duration::from_secs(30)));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
