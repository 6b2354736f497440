//! HTTP for channels: Alertmanager's `http_config` beside our `tls` and `headers`; redirects are not followed, private addresses are
//! not reached unless `allow_private: true`, and what goes wrong is said without the address, which may be a secret.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use base64::Engine as _;
use catchment_pipeline::component::ExportError;
use catchment_pipeline::component::tls::{ClientTls, Reloading};
use catchment_pipeline::config::{Secret, Section};
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Proxy, Url};
use rustls::ClientConfig;

use super::address::{self, Checked};
use super::secret::{Source, redacted};
use super::tls;
use crate::http_answer::{start_of, transport};
use crate::otlp_status::{shortened, wait};

#[derive(Clone, Debug, Default)]
pub(crate) struct HttpPlan {
    pub allow_private: bool,
    tls: ClientTls,
    headers: BTreeMap<String, Secret>,
    auth: Auth,
    proxy: Option<Secret>,
    proxy_from_environment: bool,
}

#[derive(Clone, Debug, Default)]
enum Auth {
    #[default]
    None,
    /// `Basic` with the user, or a scheme with its credentials.
    Basic(String, Option<Source>),
    Scheme(String, Source),
}

impl HttpPlan {
    pub fn read(section: &mut Section) -> HttpPlan {
        let mut plan = HttpPlan {
            allow_private: section.or("allow_private", false),
            tls: ClientTls::read(section),
            headers: section.or("headers", BTreeMap::new()),
            ..HttpPlan::default()
        };
        for (name, value) in &plan.headers {
            if HeaderName::try_from(name.as_str()).is_err() || HeaderValue::from_str(&value.0).is_err() {
                let what = format!("{name:?} cannot be sent as an HTTP header");
                section.mistake("headers", what, "use ASCII names and values");
            }
        }
        if let Some(http) = section.section("http_config") {
            plan.read_config(http, section.has("tls"));
        }
        plan
    }

    fn read_config(&mut self, mut http: Section, has_tls: bool) {
        let mut auths = Vec::new();
        if let Some(mut authorization) = http.section("authorization") {
            let scheme = authorization.or("type", "Bearer".to_owned());
            let credentials = Source::required(&mut authorization, "credentials");
            auths.extend(credentials.map(|credentials| Auth::Scheme(scheme, credentials)));
        }
        if let Some(mut basic) = http.section("basic_auth") {
            let user = basic.required::<String>("username").unwrap_or_default();
            auths.push(Auth::Basic(user, Source::read(&mut basic, "password")));
        }
        let bearer = Source::read(&mut http, "bearer_token");
        auths.extend(bearer.map(|token| Auth::Scheme("Bearer".to_owned(), token)));
        if auths.len() > 1 {
            http.mistake(
                "",
                "more than one way to authenticate",
                "keep one of authorization, basic_auth, bearer_token",
            );
        }
        self.auth = auths.pop().unwrap_or_default();
        if let Some(tls) = tls::read(&mut http) {
            if has_tls {
                http.mistake("tls_config", "stands beside tls, which says the same", "keep one of them");
            }
            self.tls = tls;
        }
        self.proxy = http.get::<Secret>("proxy_url").filter(|text| !text.0.is_empty());
        if self.proxy.as_ref().is_some_and(|text| Url::parse(&text.0).map_or(true, |url| !url.has_host())) {
            http.mistake("proxy_url", "is not an address", "write http://host:port");
        }
        self.proxy_from_environment = http.or("proxy_from_environment", false);
        if http.get::<bool>("follow_redirects") == Some(true) {
            http.accepted(
                "follow_redirects",
                "redirects are not followed: they would carry secrets to where nobody meant them",
            );
        }
        http.accepted("enable_http2", "HTTP/2 is used where the server offers it");
    }

    /// [`HttpPlan::check`] of one that may stand in a file: that is looked at when it is read.
    pub fn check_source(&self, section: &Section, key: &str, source: &Option<Source>) {
        if let Some(Source::Here(text)) = source {
            self.check(section, key, &text.0);
        }
    }

    /// A destination that is written in the configuration: said at once if it cannot be right.
    pub fn check(&self, section: &Section, key: &str, text: &str) {
        if let Err(what) = self.url(text.trim()) {
            let mend = match what.contains("allow_private") {
                true => "write allow_private: true if it is meant",
                false => "write https://host/path",
            };
            section.mistake(key, what, mend);
        }
    }

    /// Says nothing of the text, which may be a secret.
    pub fn url(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(url) = url else { return Err("is not an http:// or https:// address".to_owned()) };
        match url.host_str() {
            Some(host) if !self.allow_private && address::is_inside(host) => Err(address::refusal(host)),
            _ => Ok(url),
        }
    }

    fn proxies(&self) -> Vec<String> {
        let environment = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
        let environment = environment.iter().filter(|_| self.proxy_from_environment);
        let named = environment
            .filter_map(|name| std::env::var(name).ok())
            .chain(self.proxy.as_ref().map(|proxy| proxy.0.clone()));
        named.filter_map(|text| Url::parse(&text).ok()?.host_str().map(str::to_owned)).collect()
    }

    fn client(&self, tls: &ClientConfig) -> anyhow::Result<Client> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .user_agent(concat!("catchment/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(Duration::from_secs(60));
        if !self.allow_private {
            builder = builder.dns_resolver(Arc::new(Checked { exempt: self.proxies() }));
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(Proxy::all(&proxy.0).context("proxy_url")?);
        } else if !self.proxy_from_environment {
            builder = builder.no_proxy();
        }
        builder.build().context("HTTP client")
    }

    pub fn build(self) -> anyhow::Result<Http> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let mut value = HeaderValue::from_str(&value.0).with_context(|| format!("header {name}"))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name.as_str()).with_context(|| format!("header {name}"))?, value);
        }
        let tls = self.tls.build(&["h2", "http/1.1"]).context("tls")?;
        let config = tls.current();
        let client = Mutex::new((config.clone(), self.client(&config)?));
        Ok(Http { plan: self, headers, tls, client })
    }
}

pub(crate) struct Http {
    plan: HttpPlan,
    headers: HeaderMap,
    tls: Reloading<ClientConfig>,
    /// The client, and the TLS configuration it was made with.
    client: Mutex<(Arc<ClientConfig>, Client)>,
}

/// What a destination said.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Not to be repeated to anybody.
    secrets: Vec<String>,
}

impl Http {
    /// Made anew when the certificates have changed.
    fn client(&self) -> Client {
        let config = self.tls.current();
        let mut held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&held.0, &config) {
            match self.plan.client(&config) {
                Ok(client) => *held = (config, client),
                Err(error) => tracing::warn!("the new certificates cannot be used, the old ones stay: {error:#}"),
            }
        }
        held.1.clone()
    }

    pub fn url(&self, text: &str) -> Result<Url, ExportError> {
        self.plan.url(text).map_err(|what| permanent(format!("the address {what}")))
    }

    /// Posts JSON. `Err`: there was no answer.
    pub async fn post(&self, url: Url, own: HeaderMap, body: Vec<u8>) -> Result<Answer, ExportError> {
        let mut secrets = url_secrets(&url);
        let mut headers = self.headers.clone();
        secrets.extend(self.plan.headers.values().map(|secret| secret.0.clone()));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(own);
        if let Some((value, secret)) = self.authorization().await? {
            headers.insert(AUTHORIZATION, value);
            secrets.push(secret);
        }
        let request = self.client().post(url).headers(headers).body(body);
        let response = request.send().await.map_err(transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = start_of(response).await;
        // Whoever said that it went wrong need not have said why.
        let body = if status.is_success() { body.map_err(transport)? } else { body.unwrap_or_default() };
        Ok(Answer { status, headers, body, secrets })
    }

    async fn authorization(&self) -> Result<Option<(HeaderValue, String)>, ExportError> {
        let read = async |source: &Source| source.text().await.map_err(transient);
        let (text, secret) = match &self.plan.auth {
            Auth::None => return Ok(None),
            Auth::Scheme(scheme, credentials) => {
                let secret = read(credentials).await?;
                (format!("{scheme} {secret}"), secret)
            }
            Auth::Basic(user, password) => {
                let secret = match password {
                    Some(password) => read(password).await?,
                    None => String::new(),
                };
                let both = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}"));
                (format!("Basic {both}"), secret)
            }
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            permanent("the credentials cannot be sent in an HTTP header: use ASCII without line breaks")
        })?;
        value.set_sensitive(true);
        Ok(Some((value, secret)))
    }
}

/// Everything after the host, and each long part of it: tokens stand in paths, queries and user names.
fn url_secrets(url: &Url) -> Vec<String> {
    let mut secrets = vec![url.as_str().to_owned(), url.path().to_owned()];
    secrets.extend(url.query().map(str::to_owned));
    secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    secrets.extend(url.password().map(str::to_owned));
    let long = url.path_segments().into_iter().flatten().filter(|part| part.len() >= 8);
    secrets.extend(long.map(str::to_owned));
    secrets
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What it said, for people.
    pub fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        shortened(&redacted(&text, self.secrets.iter().map(String::as_str)))
    }

    /// How long it asks to wait, in HTTP's way.
    pub fn retry_after(&self) -> Option<Duration> {
        wait(self.headers.get(RETRY_AFTER)?.to_str().ok()?, SystemTime::now())
    }

    /// Seconds in a header, with a fraction.
    pub fn seconds(&self, header: &str) -> Option<Duration> {
        let seconds = self.headers.get(header)?.to_str().ok()?.trim().parse::<f64>().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// 2xx, or what it means for the notification. Too many, too slow and the server's own troubles pass; what it does not like will
    /// not please it later.
    pub fn checked(self) -> Result<Answer, ExportError> {
        let status = self.status;
        if status.is_success() {
            return Ok(self);
        }
        let passes = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
        if passes || matches!(status.as_u16(), 408 | 425 | 429) {
            let reason = format!("HTTP {status}: {}", self.said());
            return Err(ExportError::Transient { retry_after: self.retry_after(), reason });
        }
        Err(permanent(match status.is_redirection() {
            true => {
                format!("HTTP {status}: it points elsewhere, and redirects are not followed: write the final address")
            }
            false => format!("HTTP {status}: {}", self.said()),
        }))
    }
}

pub(crate) fn permanent(reason: impl Into<String>) -> ExportError {
    ExportError::Permanent { reason: reason.into() }
}

pub(crate) fn transient(reason: impl Into<String>) -> ExportError {
    ExportError::Transient { retry_after: None, reason: reason.into() }
}
