//! Accepting connections: TLS, HTTP/1.1 and HTTP/2, ages, and a shutdown that answers what is in flight.

use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use catchment_pipeline::component::Outlet;
use catchment_pipeline::component::tls::Reloading;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Listen;
use super::answer::Answer;
use super::body::Limits;
use super::refusals::Refusals;
use super::{grpc, http};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// What is in flight at shutdown has this long to be answered; the engine's own deadline may be shorter.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Flow control: what a connection may have sent before it is read. Held by hyper, before `Admission`.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 2 << 20;

/// What answers requests.
#[derive(Clone)]
pub(super) enum Door {
    Grpc(Limits),
    Http(Arc<http::Settings>),
}

impl Door {
    fn refusals(&self) -> Arc<Refusals> {
        match self {
            Door::Grpc(limits) => limits.refusals.clone(),
            Door::Http(settings) => settings.limits.refusals.clone(),
        }
    }
}

pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Reloading<ServerConfig>>,
    connections: Connections,
}

/// How a connection is served.
#[derive(Clone)]
struct Connections {
    server: auto::Builder<TokioExecutor>,
    /// For a connection's first byte.
    head_timeout: Duration,
    max_age: Option<Duration>,
    max_age_grace: Duration,
}

impl Listener {
    /// Binds. `only_http2`: gRPC, without HTTP/1.1.
    pub(super) async fn open(listen: &Listen, only_http2: bool) -> anyhow::Result<Listener> {
        let at = || format!("{}:{}", listen.host, listen.port);
        let alpn: &[&str] = if only_http2 { &["h2"] } else { &["h2", "http/1.1"] };
        let tls =
            listen.tls.as_ref().map(|tls| tls.build(alpn)).transpose().with_context(|| format!("tls of {}", at()))?;
        let socket = bind(&listen.host, listen.port).await.with_context(|| format!("cannot listen on {}", at()))?;
        let mut server = auto::Builder::new(TokioExecutor::new());
        if only_http2 {
            server = server.http2_only();
        }
        server.http1().timer(TokioTimer::new()).header_read_timeout(listen.head_timeout);
        server
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(listen.max_concurrent_streams.or(Some(250)))
            .max_header_list_size(64 << 10)
            .keep_alive_interval(listen.ping_interval)
            .keep_alive_timeout(listen.ping_timeout);
        let connections = Connections {
            server,
            head_timeout: listen.head_timeout,
            max_age: listen.max_age,
            max_age_grace: listen.max_age_grace.unwrap_or(DRAIN_TIMEOUT),
        };
        Ok(Listener { address: socket.local_addr()?, socket, tls, connections })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then until what is in flight has been answered.
    pub(super) async fn run(self, door: Door, outlet: &Outlet, shutdown: &CancellationToken) {
        let tracker = TaskTracker::new();
        let cut = CancellationToken::new();
        while let Some(stream) = shutdown.run_until_cancelled(accept(&self.socket)).await {
            let acceptor = self.tls.as_ref().map(|tls| TlsAcceptor::from(tls.current()));
            let (connections, door, outlet) = (self.connections.clone(), door.clone(), outlet.clone());
            let (shutdown, cut) = (shutdown.clone(), cut.clone());
            let (refusals, peer) = (door.refusals(), stream.peer_addr().ok());
            tracker.spawn(async move {
                let serve = async {
                    if !begins(&stream, connections.head_timeout, &shutdown).await {
                        return;
                    }
                    match acceptor {
                        None => connections.serve(stream, door, outlet, &shutdown).await,
                        Some(acceptor) => {
                            match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                                Ok(Ok(stream)) => connections.serve(stream, door, outlet, &shutdown).await,
                                Ok(Err(error)) => refusals.note_handshake(peer, &error),
                                Err(_) => refusals.note_handshake(peer, &"it took too long"),
                            }
                        }
                    }
                };
                cut.run_until_cancelled(serve).await;
            });
        }
        drop(self.socket);
        tracker.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, tracker.wait()).await.is_err() {
            tracing::warn!(
                connections = tracker.len(),
                "connections did not finish within {DRAIN_TIMEOUT:?} and are cut; their senders were not answered and will send again"
            );
            cut.cancel();
            tracker.wait().await;
        }
    }
}

impl Connections {
    async fn serve<S>(self, stream: S, door: Door, outlet: Outlet, shutdown: &CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (door, outlet) = (door.clone(), outlet.clone());
            async move {
                Ok::<hyper::Response<Answer>, Infallible>(match door {
                    Door::Grpc(limits) => grpc::answer(request, &limits, &outlet).await,
                    Door::Http(settings) => http::answer(request, &settings, &outlet).await,
                })
            }
        });
        let mut connection = pin!(self.server.serve_connection(TokioIo::new(stream), service));
        let age = async {
            match self.max_age {
                Some(age) => tokio::time::sleep(age).await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = age => {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(self.max_age_grace, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = result {
            tracing::debug!("connection ended: {error}");
        }
    }
}

/// Waits for a connection's first byte: hyper's own patience begins there.
async fn begins(stream: &TcpStream, patience: Duration, shutdown: &CancellationToken) -> bool {
    let mut first = [0];
    let begun = tokio::time::timeout(patience, stream.peek(&mut first));
    matches!(shutdown.run_until_cancelled(begun).await, Some(Ok(Ok(1))))
}

/// The next connection. A process out of file descriptors waits for one instead of spinning.
async fn accept(socket: &TcpListener) -> TcpStream {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection, trying again in 100 ms: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// IPv4 first, as Go does, so that `localhost` means the same here as in a Collector.
async fn bind(host: &str, port: u16) -> std::io::Result<TcpListener> {
    if host.is_empty() {
        return match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            Ok(socket) => Ok(socket),
            Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
        };
    }
    let mut addresses = tokio::net::lookup_host((host, port)).await?.collect::<Vec<_>>();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    TcpListener::bind(&addresses[..]).await
}
