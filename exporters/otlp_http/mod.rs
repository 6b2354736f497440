//! `otlp_http` (also `otlphttp`): to an OTLP/HTTP endpoint, in the Collector's keys.
//!
//! ```yaml
//! exporters:
//!   otlp_http:
//!     endpoint: https://otlp.example          # + /v1/metrics, /v1/logs, /v1/traces
//!     metrics_endpoint: https://m.example/in  # as it is
//!     encoding: proto                         # or json
//!     compression: gzip                       # none, zstd, zlib, deflate, snappy, x-snappy-framed, lz4
//! ```
//!
//! Proxies come from `proxy_url` or from `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`. Redirects are not followed: they
//! would carry the headers to where nobody meant them. Of an answer 64 KiB are read. Buffer sizes, `max_conns_per_host`,
//! `force_attempt_http2` and HTTP/2 read timeouts are accepted, do nothing, and say so.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::tls::{ClientTls, Reloading};
use catchment_pipeline::component::{
    Context, Encoding, ExportError, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, Stability,
};
use catchment_pipeline::config::{Secret, Section};
use catchment_pipeline::log::Position;
use catchment_pipeline::otlp::json;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Proxy, Url};
use rustls::ClientConfig;

use crate::http_answer::{start_of, transport};
use crate::otlp_compress::Compress;
use crate::otlp_status;

pub const SPEC: ExporterSpec = ExporterSpec {
    kind: "otlp_http",
    aliases: &["otlphttp"],
    summary: "to an OTLP/HTTP endpoint, as protobuf or JSON",
    signals: &Signal::ALL,
    stability: Stability::Beta,
    plan,
};

#[derive(Debug, Clone)]
struct Plan {
    settings: ExporterSettings,
    urls: Urls,
    json: bool,
    tls: ClientTls,
    compress: Compress,
    headers: BTreeMap<String, Secret>,
    proxy: Option<String>,
    idle_timeout: Duration,
    max_idle: usize,
}

#[derive(Debug, Clone, Default)]
struct Urls {
    metrics: Option<Url>,
    logs: Option<Url>,
    traces: Option<Url>,
}

impl Urls {
    fn of(&self, signal: Signal) -> Option<&Url> {
        match signal {
            Signal::Metrics => self.metrics.as_ref(),
            // Elsewhere alerts are log records like others.
            Signal::Logs | Signal::Alerts => self.logs.as_ref(),
            Signal::Traces => self.traces.as_ref(),
        }
    }

    fn read(section: &mut Section) -> Urls {
        let mut read =
            |key: &str| section.get::<String>(key).filter(|text| !text.is_empty()).map(|text| url(section, key, &text));
        let base = read("endpoint").flatten();
        let mut one = |key: &str, path: &str| match read(key) {
            Some(url) => url,
            None => base.clone().map(|mut base| {
                base.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
                base
            }),
        };
        let urls = Urls {
            metrics: one("metrics_endpoint", "/v1/metrics"),
            logs: one("logs_endpoint", "/v1/logs"),
            traces: one("traces_endpoint", "/v1/traces"),
        };
        let any = ["endpoint", "metrics_endpoint", "logs_endpoint", "traces_endpoint"];
        if !any.iter().any(|key| section.has(key)) {
            section.mistake("endpoint", "is missing", "write endpoint: http://localhost:4318");
        }
        urls
    }
}

fn url(section: &Section, key: &str, text: &str) -> Option<Url> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
        _ => {
            section.mistake(key, format!("{text:?} is not an http:// or https:// address"), "write http://host:port");
            None
        }
    }
}

fn plan(section: &mut Section) -> Box<dyn ExporterPlan> {
    Box::new(read(section))
}

fn read(section: &mut Section) -> Plan {
    let json = section.choice("encoding", &[("proto", false), ("json", true)]).unwrap_or(false);
    let headers = section.or("headers", BTreeMap::<String, Secret>::new());
    for (name, value) in &headers {
        if HeaderName::try_from(name.as_str()).is_err() || HeaderValue::from_str(&value.0).is_err() {
            section.mistake(
                "headers",
                format!("{name:?} cannot be sent as an HTTP header"),
                "use ASCII names and values",
            );
        }
    }
    let proxy = section.get::<String>("proxy_url").filter(|text| !text.is_empty());
    if let Some(text) = &proxy {
        url(section, "proxy_url", text);
    }
    section.accepted("read_buffer_size", "buffers size themselves here");
    section.accepted("write_buffer_size", "buffers size themselves here");
    section.accepted("max_conns_per_host", "sending_queue::num_consumers says how many requests are in flight");
    section.accepted("http2_read_idle_timeout", "timeout ends an attempt on a dead connection");
    section.accepted("http2_ping_timeout", "timeout ends an attempt on a dead connection");
    section.accepted("force_attempt_http2", "HTTP/2 is used where the server offers it");
    if let Some(mut cookies) = section.section("cookies")
        && cookies.or("enabled", false)
    {
        cookies.mistake("enabled", "cookies are not kept", "write false, or leave it out");
    }
    let idle = (section.get::<usize>("max_idle_conns"), section.get::<usize>("max_idle_conns_per_host"));
    let reuse = !section.or("disable_keep_alives", false);
    Plan {
        settings: ExporterSettings::read(section, Duration::from_secs(30)),
        urls: Urls::read(section),
        json,
        tls: ClientTls::read(section),
        compress: Compress::read(section, &Encoding::ALL),
        headers,
        proxy,
        idle_timeout: section.or("idle_conn_timeout", Duration::from_secs(90)),
        max_idle: if reuse { idle.1.or(idle.0).filter(|n| *n > 0).unwrap_or(100) } else { 0 },
    }
}

#[async_trait]
impl ExporterPlan for Plan {
    fn settings(&self) -> ExporterSettings {
        self.settings.clone()
    }

    async fn build(&self, _context: Context) -> anyhow::Result<Arc<dyn Exporter>> {
        Ok(Arc::new(OtlpHttp::new(self.clone())?))
    }
}

struct OtlpHttp {
    plan: Plan,
    headers: HeaderMap,
    tls: Reloading<ClientConfig>,
    /// The client, and the TLS configuration it was made with.
    client: Mutex<(Arc<ClientConfig>, Client)>,
}

impl OtlpHttp {
    fn new(plan: Plan) -> anyhow::Result<OtlpHttp> {
        let mut headers = HeaderMap::new();
        let content_type = if plan.json { "application/json" } else { "application/x-protobuf" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(encoding) = plan.compress.with {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
        }
        for (name, value) in &plan.headers {
            let mut value = HeaderValue::from_str(&value.0).with_context(|| format!("header {name}"))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name.as_str()).with_context(|| format!("header {name}"))?, value);
        }
        // ALPN is reqwest's own business, HTTP/2 where the server offers it.
        let tls = plan.tls.build(&["h2", "http/1.1"]).context("tls")?;
        let config = tls.current();
        let client = Mutex::new((config.clone(), client(&plan, &config)?));
        Ok(OtlpHttp { plan, headers, tls, client })
    }

    /// Made anew when the certificates have changed.
    fn client(&self) -> Client {
        let config = self.tls.current();
        let mut held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&held.0, &config) {
            match client(&self.plan, &config) {
                Ok(client) => *held = (config, client),
                Err(error) => tracing::warn!("the new certificates cannot be used, the old ones stay: {error:#}"),
            }
        }
        held.1.clone()
    }

    /// The request's body. Encoding and compressing a batch take milliseconds: away from the threads that carry I/O.
    async fn body(&self, batch: &Batch) -> Result<Bytes, ExportError> {
        let (compress, json) = (self.plan.compress, self.plan.json);
        if !json && compress.with.is_none() {
            return Ok(batch.otlp().clone());
        }
        let batch = batch.clone();
        let task = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            if json {
                json::print(batch.signal(), batch.otlp(), &mut text).map_err(|error| error.to_string())?;
                if compress.with.is_none() {
                    return Ok(text);
                }
            }
            let bytes = if json { &text[..] } else { batch.otlp() };
            compress.append(bytes, Vec::new()).map_err(|error| error.to_string())
        });
        let body = task.await.map_err(|error| error.to_string()).flatten();
        body.map(Bytes::from).map_err(|reason| ExportError::Permanent { reason })
    }
}

fn client(plan: &Plan, tls: &Arc<ClientConfig>) -> anyhow::Result<Client> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(ClientConfig::clone(tls))
        .user_agent(concat!("catchment/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout((!plan.idle_timeout.is_zero()).then_some(plan.idle_timeout))
        .pool_max_idle_per_host(plan.max_idle);
    if let Some(proxy) = &plan.proxy {
        builder = builder.proxy(Proxy::all(proxy).context("proxy_url")?);
    }
    builder.build().context("HTTP client")
}

#[async_trait]
impl Exporter for OtlpHttp {
    async fn export(&self, batch: &Batch, _at: Position) -> Result<(), ExportError> {
        let Some(url) = self.plan.urls.of(batch.signal()) else {
            let reason = format!("no endpoint for {}: set endpoint or {0}_endpoint", batch.signal().name());
            return Err(ExportError::Permanent { reason });
        };
        let request = self.client().post(url.clone()).headers(self.headers.clone()).body(self.body(batch).await?);
        let response = request.send().await.map_err(transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = start_of(response).await;
        if !status.is_success() {
            return Err(otlp_status::from_http(status, &headers, &body.unwrap_or_default(), SystemTime::now()));
        }
        // Without the whole answer it is not known whether everything was taken.
        let body = body.map_err(transport)?;
        otlp_status::from_success(&headers, &body)
    }
}
