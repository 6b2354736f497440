//! What is said over `/api/v1/live`, as text. Frames of rows are binary: see `frame`.
//!
//! | from the client | |
//! |---|---|
//! | `{"op":"subscribe","id":7,"query":{...},"range":{...},"width":800,"limit":500,"resume":{...}}` | a query, kept up to date |
//! | `{"op":"subscribe","id":8,"status":true}` | what `GET /api/v1/pipeline` answers, each second in which it changed |
//! | `{"op":"unsubscribe","id":7}` | |
//!
//! | from the server | |
//! |---|---|
//! | `{"op":"hello","version":"0.1.0","log":"..."}` | first of all; `log` says whose positions these are |
//! | `{"op":"subscribed","id":7,"stream":3,"step_ms":10000}` | before the first frame of stream 3 |
//! | `{"op":"error","id":7,"error":{...}}` | the subscription stays, and the next frame ends the error; without an `id`: of the message |
//! | `{"op":"status","id":8,"snapshot":{...}}` | |

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::window::RangeSpec;
use crate::problem::Problem;

/// Bytes of one message from a client.
pub const MAX_MESSAGE: usize = 64 << 10;
/// Of one connection.
pub const MAX_SUBSCRIPTIONS: usize = 256;
/// Rows, where the client names no limit; and at most.
pub const DEFAULT_ROWS: usize = 500;
pub const MAX_ROWS: usize = 5_000;

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Message {
    Subscribe(Box<Subscribe>),
    Unsubscribe(Unsubscribe),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// The client's own; what is answered carries it.
    pub id: u64,
    pub query: Option<Query>,
    pub range: Option<RangeSpec>,
    /// CSS pixels.
    pub width: Option<f64>,
    /// Of modes `rows` and `table`.
    pub limit: Option<usize>,
    pub resume: Option<ResumeSpec>,
    #[serde(default)]
    pub status: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsubscribe {
    pub id: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub sql: String,
    #[serde(default)]
    pub mode: Mode,
    pub lookback: Option<String>,
    pub min_step: Option<String>,
    #[serde(default)]
    pub vars: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Rows of (time, labels, values); what changed is sent again from there on.
    #[default]
    Series,
    /// The newest rows, whatever their columns beside a time.
    Rows,
    /// Any result, whole whenever it differs.
    Table,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Value {
    One(String),
    Many(Vec<String>),
}

/// The last frame a client holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeSpec {
    pub position: String,
    pub log: String,
    pub step_ms: i64,
    /// The frame's `to`.
    pub to: i64,
}

pub fn parse(text: &str) -> Result<Message, Problem> {
    serde_json::from_str(text).map_err(|error| Problem::bad_request(format!("not a message: {error}")))
}

pub fn hello(log: &str) -> String {
    json!({"op": "hello", "version": env!("CARGO_PKG_VERSION"), "log": log}).to_string()
}

pub fn subscribed(id: u64, stream: u64, step: i64) -> String {
    json!({"op": "subscribed", "id": id, "stream": stream, "step_ms": step}).to_string()
}

pub fn error(id: Option<u64>, problem: &Problem) -> String {
    let mut message = json!({"op": "error", "error": problem.as_json()});
    if let Some(id) = id {
        message["id"] = id.into();
    }
    message.to_string()
}

/// What goes around the snapshot, which all clients share.
pub fn around_status(id: u64) -> (String, &'static str) {
    (format!("{{\"op\":\"status\",\"id\":{id},\"snapshot\":"), "}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn messages_are_what_they_say() {
        let text = r#"{"op":"subscribe","id":7,"query":{"sql":"SELECT 1","mode":"rows","lookback":"1m",
            "vars":{"a":"x","b":["y","z"]}},"range":{"last":"15m"},"width":800.5,
            "resume":{"position":"12","log":"l","step_ms":1000,"to":5}}"#;
        let Message::Subscribe(subscribe) = parse(text).unwrap() else { panic!("not a subscribe") };
        let query = subscribe.query.unwrap();
        assert_eq!((query.mode, query.lookback.as_deref()), (Mode::Rows, Some("1m")));
        assert_eq!(query.vars["b"], Value::Many(vec!["y".into(), "z".into()]));
        assert_eq!(subscribe.resume.unwrap().position, "12");
        assert!(matches!(
            parse(r#"{"op":"unsubscribe","id":1}"#).unwrap(),
            Message::Unsubscribe(Unsubscribe { id: 1 })
        ));
    }

    #[test]
    fn what_is_not_a_message_is_said() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"op":"shout"}"#,
            r#"{"op":"subscribe"}"#,
            r#"{"op":"subscribe","id":-1}"#,
            r#"{"op":"subscribe","id":1,"querry":{}}"#,
            r#"{"op":"subscribe","id":1,"query":{"sql":"x","mode":"pie"}}"#,
            r#"{"op":"unsubscribe","id":1,"more":2}"#,
        ] {
            let problem = parse(text).unwrap_err();
            assert_eq!(problem.kind, "bad_request", "{text}");
        }
    }
}
