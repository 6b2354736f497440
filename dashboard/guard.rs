//! Who may talk to the server from a browser: Host and Origin checks, CORS, and the security headers of every answer.
//!
//! A page of another site can make a browser on this machine send requests here. Against DNS rebinding, `Host` must
//! be an IP address (which nobody can rebind), localhost, the endpoint's own name, or one of `allowed_hosts`. Against
//! cross-site requests, an `Origin` must be the server's own or one of `allowed_origins`, and a request that a browser
//! marks as cross-site gets nothing from the API.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::App;
use crate::problem::Problem;
use crate::settings::Settings;

/// Styles may be inline because the SQL editor (CodeMirror) writes its own into the page; no text from outside gets there.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
                   connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let rules = &app.rules;
    let headers = request.headers();
    let path = request.uri().path();
    let origin = headers.get(header::ORIGIN).cloned();
    // Probes come under whatever name the platform gives, and learn nothing worth guarding.
    let probe = matches!(path, "/healthz" | "/readyz" | "/-/healthy" | "/-/ready");
    let mut response = match rules.check(request.uri().authority(), headers, path.starts_with("/api/")) {
        Err(problem) if !probe => problem.into_response(),
        Ok(true) if request.method() == Method::OPTIONS => preflight(),
        _ => next.run(request).await,
    };
    let answer = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        answer.entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer.append(header::VARY, HeaderValue::from_static("Origin"));
    match origin.filter(|origin| rules.is_allowed_origin(origin)) {
        Some(origin) => {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        None => {
            let own = HeaderValue::from_static("same-origin");
            answer.insert(HeaderName::from_static("cross-origin-resource-policy"), own);
        }
    }
    response
}

fn preflight() -> Response {
    let allow = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type, Accept"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, allow).into_response()
}

#[derive(Debug)]
pub struct Rules {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Rules {
    pub fn new(settings: &Settings) -> Rules {
        let own = settings.endpoint.rsplit_once(':').map_or(settings.endpoint.as_str(), |(host, _)| host);
        let hosts = settings.allowed_hosts.iter().map(String::as_str).chain([own]);
        Rules {
            hosts: hosts.map(str::to_ascii_lowercase).collect(),
            origins: settings.allowed_origins.iter().map(|origin| origin.to_ascii_lowercase()).collect(),
        }
    }

    /// Whether the request comes from an allowed other origin, or why it is turned away.
    fn check(&self, authority: Option<&Authority>, headers: &HeaderMap, api: bool) -> Result<bool, Problem> {
        // HTTP/2 has the name in the URI.
        let named = headers.get(header::HOST).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        let host: Option<Authority> = authority.cloned().or(named);
        let Some(host) = host.filter(|host| self.is_allowed_host(host.host())) else {
            let message =
                "the Host header names a machine this server does not know itself as; add it to `allowed_hosts`";
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden_host", message));
        };
        let forbidden = |what: &str| {
            let message = format!("{what} may not use this server; add its origin to `allowed_origins`");
            Err(Problem::new(StatusCode::FORBIDDEN, "forbidden_origin", message))
        };
        match headers.get(header::ORIGIN) {
            Some(origin) if self.is_allowed_origin(origin) => Ok(true),
            Some(origin) if is_same(origin, &host) => Ok(false),
            Some(_) => forbidden("a page of another origin"),
            None => match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
                Some(b"cross-site" | b"same-site") if api => forbidden("a page of another site"),
                _ => Ok(false),
            },
        }
    }

    fn is_allowed_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok()
            || host == "localhost"
            || host.ends_with(".localhost")
            || self.hosts.contains(&host)
    }

    fn is_allowed_origin(&self, origin: &HeaderValue) -> bool {
        origin.to_str().is_ok_and(|origin| self.origins.contains(&origin.to_ascii_lowercase()))
    }
}

/// The scheme is not compared: behind a proxy that ends TLS it differs.
fn is_same(origin: &HeaderValue, host: &Authority) -> bool {
    let Some(rest) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else { return false };
    let Ok(origin) = rest.1.parse::<Authority>() else { return false };
    let default = if rest.0 == "https" { 443 } else { 80 };
    origin.host().eq_ignore_ascii_case(host.host())
        && origin.port_u16().unwrap_or(default) == host.port_u16().unwrap_or(default)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn check(host: &str, others: &[(&'static str, &str)], expect: Result<bool, &'static str>) {
        let rules = Rules::new(&Settings {
            allowed_hosts: vec!["telemetry.example.com".into()],
            allowed_origins: vec!["https://grafana.example.com".into()],
            ..Settings::default()
        });
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        for (name, value) in others {
            headers.insert(*name, value.parse().unwrap());
        }
        assert_eq!(rules.check(None, &headers, true).map_err(|p| p.kind), expect, "{host} {others:?}");
    }

    #[test]
    fn hosts_that_cannot_be_rebound_are_let_in() {
        for host in
            ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "10.0.0.7", "app.localhost:1", "Telemetry.Example.com"]
        {
            check(host, &[], Ok(false));
        }
        for host in ["evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "", "notlocalhost"] {
            check(host, &[], Err("forbidden_host"));
        }
    }

    #[test]
    fn other_sites_are_turned_away() {
        check("localhost:8080", &[("origin", "http://localhost:8080")], Ok(false));
        check("telemetry.example.com", &[("origin", "https://telemetry.example.com")], Ok(false));
        check("localhost:8080", &[("origin", "https://grafana.example.com")], Ok(true));
        for origin in ["http://localhost:3000", "https://evil.example", "null", "http://localhost", "file://", "x"] {
            check("localhost:8080", &[("origin", origin)], Err("forbidden_origin"));
        }
        check("localhost:8080", &[("sec-fetch-site", "cross-site")], Err("forbidden_origin"));
        check("localhost:8080", &[("sec-fetch-site", "same-origin")], Ok(false));
        check("localhost:8080", &[("sec-fetch-site", "none")], Ok(false));
    }
}
