//! A server that judges what it is sent, and says what it is told to say.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;

pub struct Seen {
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub bytes: Bytes,
    pub json: Value,
}

pub type Judge = fn(&Seen) -> Result<(), String>;
type Answer = (u16, Vec<(&'static str, String)>, String);

#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    judge: Judge,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    /// Said in turn; then `good`.
    pub answers: Arc<Mutex<VecDeque<Answer>>>,
    good: Answer,
    pub violations: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn start(judge: Judge, status: u16, body: &str) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            address: listener.local_addr().unwrap(),
            judge,
            seen: Arc::default(),
            answers: Arc::default(),
            good: (status, Vec::new(), body.to_owned()),
            violations: Arc::default(),
        };
        let app = axum::Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn says(&self, status: u16, headers: &[(&'static str, &str)], body: &str) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.answers.lock().unwrap().push_back((status, headers, body.to_owned()));
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.seen.lock().unwrap().iter().map(|seen| seen.json.clone()).collect()
    }

    /// Nothing was sent that the destination would refuse.
    pub fn satisfied(&self) {
        let violations = self.violations.lock().unwrap();
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    }
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let seen = Seen {
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        json: serde_json::from_slice(&bytes).unwrap_or_default(),
        headers: head.headers,
        bytes,
    };
    let mut verdict = (server.judge)(&seen);
    if head.method != "POST" || seen.headers.get("content-type").is_none_or(|value| value != "application/json") {
        verdict = Err("not a POST of application/json".to_owned());
    }
    let mut answer = server.answers.lock().unwrap().pop_front().unwrap_or_else(|| server.good.clone());
    if let Err(what) = verdict {
        let body = String::from_utf8_lossy(&seen.bytes);
        server.violations.lock().unwrap().push(format!("{what}: {}", body.chars().take(3_000).collect::<String>()));
        answer = (400, Vec::new(), what);
    }
    server.seen.lock().unwrap().push(seen);
    let mut response = Response::builder().status(answer.0);
    for (name, value) in answer.1 {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.2)).unwrap()
}

/// An object with these keys only; required ones come with a `!`.
pub fn keys(value: &Value, known: &[&str]) -> Result<(), String> {
    let object = value.as_object().ok_or_else(|| format!("not an object: {value}"))?;
    for key in object.keys() {
        if !known.iter().any(|known| known.trim_end_matches('!') == key) {
            return Err(format!("unknown key {key}"));
        }
    }
    for required in known.iter().filter_map(|known| known.strip_suffix('!')) {
        if object.get(required).is_none_or(Value::is_null) {
            return Err(format!("{required} is missing"));
        }
    }
    Ok(())
}

/// Absent, or text of so many characters (units of UTF-16, the strictest way to count), not blank.
pub fn text(value: &Value, key: &str, most: usize) -> Result<(), String> {
    match &value[key] {
        Value::Null => Ok(()),
        Value::String(text) if text.encode_utf16().count() > most => Err(format!("{key} is longer than {most}")),
        Value::String(text) if text.trim().is_empty() => Err(format!("{key} is blank")),
        Value::String(_) => Ok(()),
        other => Err(format!("{key} is not text: {other}")),
    }
}

pub fn url(value: &Value, key: &str) -> Result<(), String> {
    match &value[key] {
        Value::Null => Ok(()),
        Value::String(text) if text.starts_with("http://") || text.starts_with("https://") => {
            let parsed = text.parse::<axum::http::Uri>();
            parsed.map(|_| ()).map_err(|error| format!("{key}: {error}"))
        }
        other => Err(format!("{key} is no address: {other}")),
    }
}

pub fn time(value: &Value, key: &str) -> Result<(), String> {
    match &value[key] {
        Value::Null => Ok(()),
        Value::String(text) if catchment_pipeline::alerts::time::parse(text).is_some() => Ok(()),
        other => Err(format!("{key} is no time: {other}")),
    }
}
