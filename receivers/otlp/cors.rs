//! CORS: browsers may send from the origins that are named, and from no other.

use ::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use ::http::{Method, Response, StatusCode};
use catchment_pipeline::config::Section;

use super::answer::Answer;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cors {
    /// `*` stands for any run of characters.
    origins: Vec<String>,
    /// `None`: any that is asked for.
    allowed_headers: Option<HeaderValue>,
    exposed_headers: Option<HeaderValue>,
    /// Seconds.
    max_age: u64,
}

impl Cors {
    /// Reads `cors`; without allowed origins there is none.
    pub(super) fn read(section: &mut Section) -> Option<Cors> {
        let mut cors = section.section("cors")?;
        let origins = cors.or("allowed_origins", Vec::<String>::new());
        // The Collector's default.
        let default = ["accept", "content-type", "x-requested-with"].map(str::to_owned).to_vec();
        let mut allowed = cors.get::<Vec<String>>("allowed_headers").unwrap_or_default();
        if allowed.is_empty() {
            allowed = default;
        }
        let any = allowed.iter().any(|name| name == "*");
        let allowed_headers = joined(&cors, "allowed_headers", &allowed).filter(|_| !any);
        let exposed = cors.get::<Vec<String>>("exposed_headers").unwrap_or_default();
        let exposed_headers = joined(&cors, "exposed_headers", &exposed);
        let max_age = cors.or("max_age", 0);
        (!origins.is_empty()).then_some(Cors { origins, allowed_headers, exposed_headers, max_age })
    }

    /// The answer to a preflight request; `None` for any other.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Answer>> {
        if method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = Response::new(Answer::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers_out = response.headers_mut();
        if self.mark(headers.get(ORIGIN), headers_out) {
            headers_out.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
            let asked = headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
            put(headers_out, ACCESS_CONTROL_ALLOW_HEADERS, self.allowed_headers.as_ref().or(asked));
            if self.max_age > 0 {
                headers_out.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.into());
            }
        }
        Some(response)
    }

    /// Tells the browser that `origin` may read the answer, if it may.
    pub(super) fn mark(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) -> bool {
        headers.append(VARY, HeaderValue::from_static("Origin, Access-Control-Request-Headers"));
        let Some(origin) = origin else { return false };
        let allowed = origin.to_str().is_ok_and(|text| self.origins.iter().any(|pattern| matches(pattern, text)));
        if allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            // As the Collector: SDKs in browsers send with `navigator.sendBeacon`, which always has credentials.
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            put(headers, ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed_headers.as_ref());
        }
        allowed
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<&HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value.clone());
    }
}

fn joined(section: &Section, key: &str, names: &[String]) -> Option<HeaderValue> {
    if names.is_empty() {
        return None;
    }
    let value = HeaderValue::try_from(names.join(", ")).ok();
    if value.is_none() {
        section.mistake(key, "holds what cannot be in a header", "use header names");
    }
    value
}

/// Case-insensitive, `*` standing for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn origins() {
        let check = |pattern: &str, origin: &str, expect: bool| {
            assert_eq!(matches(pattern, origin), expect, "{pattern} {origin}")
        };
        check("*", "https://a.example", true);
        check("https://a.example", "https://A.example", true);
        check("https://a.example", "https://a.example.evil", false);
        check("https://*.example.com", "https://x.y.example.com", true);
        check("https://*.example.com", "https://example.com", false);
        check("https://*.example.com", "https://evil.com", false);
        check("http://*:30*", "http://localhost:3000", true);
        check("a*a", "a", false);
    }
}
