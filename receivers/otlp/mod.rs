//! `otlp`: telemetry over OTLP/gRPC and OTLP/HTTP, in the Collector's keys.
//!
//! ```yaml
//! receivers:
//!   otlp:
//!     protocols:
//!       grpc: { endpoint: localhost:4317, max_recv_msg_size_mib: 4, max_concurrent_streams: 100 }
//!       http: { endpoint: localhost:4318, max_request_body_size: 20971520 }   # bytes
//! ```
//!
//! A request's bytes go from the socket into one buffer, through one checking walk and into the pipeline: no
//! objects are made of them. Both doors reserve with `Admission` what they are about to hold, cap what they read
//! and what it decompresses to while it is being read, and answer once the pipeline has taken responsibility.
//!
//! Limits: a request 4 MiB (gRPC) or 20 MiB (HTTP) decompressed; 30 s without a byte ends a request, 10 s a TLS
//! handshake; zstd windows 8 MiB. The Collector's buffer sizes, `write_timeout` and keep-alive enforcement are
//! accepted, do nothing, and say so.

mod answer;
mod body;
mod cors;
mod decompress;
mod grpc;
mod http;
mod refusals;
mod server;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use anyhow::Context as _;
use async_trait::async_trait;
use catchment_pipeline::batch::Signal;
use catchment_pipeline::component::tls::ServerTls;
use catchment_pipeline::component::{Context, Encoding, Outlet, Receiver, ReceiverPlan, ReceiverSpec, Stability};
use catchment_pipeline::config::{Secret, Section};
use tokio_util::sync::CancellationToken;

use self::body::Limits;
use self::cors::Cors;
use self::refusals::Refusals;
use self::server::{Door, Listener};

pub const SPEC: ReceiverSpec = ReceiverSpec {
    kind: "otlp",
    aliases: &[],
    summary: "OTLP over gRPC and HTTP, protobuf and JSON",
    signals: &Signal::TELEMETRY,
    stability: Stability::Beta,
    plan,
};

#[derive(Debug, Clone, PartialEq)]
struct Plan {
    grpc: Option<GrpcPlan>,
    http: Option<HttpPlan>,
}

/// How a door listens.
#[derive(Debug, Clone, PartialEq)]
struct Listen {
    host: String,
    port: u16,
    tls: Option<ServerTls>,
    /// For a request's head to arrive; HTTP/1.1 connections idle longer are closed.
    head_timeout: Duration,
    /// HTTP/2 pings to find dead peers.
    ping_interval: Option<Duration>,
    ping_timeout: Duration,
    max_concurrent_streams: Option<u32>,
    /// Connections older than this are asked to go, and given `max_age_grace` to finish.
    max_age: Option<Duration>,
    max_age_grace: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq)]
struct GrpcPlan {
    listen: Listen,
    /// Bytes, decompressed.
    max_message: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct HttpPlan {
    listen: Listen,
    /// Bytes, decompressed.
    max_body: usize,
    paths: [(String, Signal); 3],
    encodings: Vec<Encoding>,
    cors: Option<Cors>,
    /// Of every answer.
    headers: BTreeMap<String, Secret>,
}

impl Listen {
    fn read(section: &mut Section, port: u16) -> Listen {
        let endpoint = section.get::<String>("endpoint").unwrap_or_else(|| format!("localhost:{port}"));
        let (host, port) = host_and_port(&endpoint).unwrap_or_else(|what| {
            section.mistake("endpoint", what, format!("write host:port, for example localhost:{port}"));
            ("localhost".to_owned(), port)
        });
        if let Some(transport) = section.get::<String>("transport").filter(|transport| !transport.starts_with("tcp")) {
            section.mistake("transport", format!("{transport:?} is not supported"), "use tcp, or leave it out");
        }
        section.accepted("read_buffer_size", "buffers size themselves here");
        section.accepted("write_buffer_size", "buffers size themselves here");
        section.accepted("dialer", "it is about connections that go out");
        Listen {
            host,
            port,
            tls: ServerTls::read(section),
            head_timeout: Duration::from_secs(60),
            ping_interval: None,
            ping_timeout: Duration::from_secs(20),
            max_concurrent_streams: None,
            max_age: None,
            max_age_grace: None,
        }
    }
}

/// `host:port`, `[v6]:port`, or `:port` for every address.
fn host_and_port(endpoint: &str) -> Result<(String, u16), String> {
    let Some((host, port)) = endpoint.rsplit_once(':') else { return Err(format!("{endpoint:?} has no port")) };
    let port = port.parse().map_err(|_| format!("{port:?} is not a port"))?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if endpoint.contains('/') || bare.is_none() && host.contains(':') {
        return Err(format!("{endpoint:?} is not host:port"));
    }
    Ok((bare.unwrap_or(host).to_owned(), port))
}

impl GrpcPlan {
    fn read(section: &mut Section) -> GrpcPlan {
        let mut listen = Listen::read(section, 4317);
        listen.max_concurrent_streams = section.get::<u32>("max_concurrent_streams").filter(|streams| *streams > 0);
        let mib = section.get::<usize>("max_recv_msg_size_mib").filter(|mib| *mib > 0).unwrap_or(4);
        if mib > 1024 {
            section.mistake("max_recv_msg_size_mib", format!("{mib} MiB in one message"), "1024 is the most");
        }
        section.accepted("include_metadata", "no component here reads a request's metadata");
        if let Some(mut keepalive) = section.section("keepalive") {
            if let Some(mut server) = keepalive.section("server_parameters") {
                listen.max_age = server.get::<Duration>("max_connection_age").filter(|age| !age.is_zero());
                listen.max_age_grace = server.get("max_connection_age_grace");
                listen.ping_interval = server.get::<Duration>("time").filter(|time| !time.is_zero());
                listen.ping_timeout = server.or("timeout", listen.ping_timeout);
                server.accepted("max_connection_idle", "idle connections are kept; dead ones are found by pings");
            }
            if let Some(mut enforcement) = keepalive.section("enforcement_policy") {
                enforcement.accepted("min_time", "clients may ping as often as they like");
                enforcement.accepted("permit_without_stream", "clients may ping at any time");
            }
        }
        // The Collector's and gRPC's own: dead peers are found within two hours and twenty seconds.
        listen.ping_interval = listen.ping_interval.or(Some(Duration::from_secs(2 * 60 * 60)));
        GrpcPlan { listen, max_message: mib.min(1024) << 20 }
    }
}

impl HttpPlan {
    fn read(section: &mut Section) -> HttpPlan {
        let mut listen = Listen::read(section, 4318);
        listen.head_timeout = section.or("read_header_timeout", listen.head_timeout);
        let idle = section.get::<Duration>("idle_timeout");
        listen.head_timeout = idle.filter(|idle| !idle.is_zero()).unwrap_or(listen.head_timeout);
        section.accepted("read_timeout", "a request ends when nothing of it arrives for 30 s");
        section.accepted("write_timeout", "answers are a few bytes long");
        section.accepted("keep_alives_enabled", "connections are kept; idle_timeout closes them");
        section.accepted("include_metadata", "no component here reads a request's metadata");
        section.accepted("include_tls_metadata", "no component here reads a request's metadata");
        let headers = section.or("response_headers", BTreeMap::<String, Secret>::new());
        for (name, value) in &headers {
            if HeaderName::try_from(name.as_str()).is_err() || HeaderValue::from_str(&value.0).is_err() {
                let what = format!("{name:?} cannot be sent as an HTTP header");
                section.mistake("response_headers", what, "use ASCII names and values");
            }
        }
        let max_body = section.get::<usize>("max_request_body_size").filter(|bytes| *bytes > 0).unwrap_or(20 << 20);
        let mut path = |key: &str, default: &str, signal| {
            let path = section.get::<String>(key).unwrap_or_else(|| default.to_owned());
            (if path.starts_with('/') { path } else { format!("/{path}") }, signal)
        };
        let paths = [
            path("traces_url_path", "/v1/traces", Signal::Traces),
            path("metrics_url_path", "/v1/metrics", Signal::Metrics),
            path("logs_url_path", "/v1/logs", Signal::Logs),
        ];
        let encodings = match section.get::<Vec<String>>("compression_algorithms") {
            None => Encoding::ALL.to_vec(),
            Some(names) => names.iter().filter_map(|name| encoding(section, name)).collect(),
        };
        HttpPlan { listen, max_body, paths, encodings, cors: Cors::read(section), headers }
    }
}

fn header_map(headers: &BTreeMap<String, Secret>) -> anyhow::Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let value = HeaderValue::from_str(&value.0).with_context(|| format!("header {name}"))?;
        map.insert(HeaderName::try_from(name.as_str()).with_context(|| format!("header {name}"))?, value);
    }
    Ok(map)
}

fn encoding(section: &Section, name: &str) -> Option<Encoding> {
    // "" and "identity" stand for uncompressed bodies, which are always taken.
    if matches!(name, "" | "identity" | "none") {
        return None;
    }
    let encoding = Encoding::named(name);
    if encoding.is_none() {
        let known = Encoding::ALL.map(Encoding::name).join(", ");
        section.mistake("compression_algorithms", format!("{name:?} is not known"), format!("use some of {known}"));
    }
    encoding
}

fn plan(section: &mut Section) -> Box<dyn ReceiverPlan> {
    Box::new(read(section))
}

fn read(section: &mut Section) -> Plan {
    let Some(mut protocols) = section.section("protocols") else {
        section.mistake("protocols", "is missing", "write protocols: { grpc: {}, http: {} }");
        return Plan { grpc: None, http: None };
    };
    let plan = Plan {
        grpc: protocols.section("grpc").map(|mut section| GrpcPlan::read(&mut section)),
        http: protocols.section("http").map(|mut section| HttpPlan::read(&mut section)),
    };
    if plan.grpc.is_none() && plan.http.is_none() {
        protocols.mistake("", "no protocol is enabled", "write grpc: {} or http: {} or both");
    }
    plan
}

#[async_trait]
impl ReceiverPlan for Plan {
    async fn build(&self, context: Context) -> anyhow::Result<Box<dyn Receiver>> {
        let mut listeners = Vec::new();
        let limits = |max_bytes, transport| Limits {
            max_bytes,
            admission: context.admission.clone(),
            refusals: Arc::new(Refusals::new(&context.id, transport)),
        };
        if let Some(plan) = &self.grpc {
            let limits = limits(plan.max_message, "grpc");
            listeners.push(("grpc", Listener::open(&plan.listen, true).await?, Door::Grpc(limits)));
        }
        if let Some(plan) = &self.http {
            let limits = limits(plan.max_body, "http");
            let door = http::Settings {
                limits,
                paths: plan.paths.clone(),
                encodings: plan.encodings.clone(),
                cors: plan.cors.clone(),
                headers: header_map(&plan.headers)?,
            };
            listeners.push(("http", Listener::open(&plan.listen, false).await?, Door::Http(Arc::new(door))));
        }
        Ok(Box::new(Otlp { listeners }))
    }
}

struct Otlp {
    listeners: Vec<(&'static str, Listener, Door)>,
}

#[async_trait]
impl Receiver for Otlp {
    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.listeners.iter().map(|(name, listener, _)| (*name, listener.address())).collect()
    }

    async fn run(self: Box<Self>, outlet: Outlet, shutdown: CancellationToken) -> anyhow::Result<()> {
        let doors = self.listeners.into_iter().map(|(_, listener, door)| listener.run(door, &outlet, &shutdown));
        futures::future::join_all(doors).await;
        Ok(())
    }
}
