//! OTLP/JSON <-> OTLP protobuf, transcoded straight from text to bytes and back: no object per row.
//!
//! One table of messages (`schema`) drives both directions. The rules are OTLP's: `lowerCamelCase` keys
//! (snake_case is understood too, as the Collector does), trace and span ids in hex, other bytes in base64, 64-bit
//! integers as strings (numbers are understood), enumerations as numbers (names are understood), unknown
//! keys ignored, `null` meaning absent.
//!
//! Limits: 200 objects and lists in one another, which is what 100 messages take. Protobuf made from JSON is at most
//! [`GROWTH`] times as large as its text.

mod parse;
mod print;
mod schema;
#[cfg(test)]
mod tests;

use schema::Message;

use super::Malformed;
use crate::batch::Signal;

/// A repeated double takes 8 bytes as protobuf and at least 2 characters as JSON.
pub const GROWTH: usize = 4;

/// Text that is not an OTLP/JSON export request; nothing of it was taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed OTLP/JSON: {what} at line {line} column {column}")]
pub struct MalformedJson {
    /// From 1; columns in bytes.
    pub line: usize,
    pub column: usize,
    pub what: String,
}

impl MalformedJson {
    fn new(text: &[u8], at: usize, what: String) -> MalformedJson {
        let before = &text[..at.min(text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        MalformedJson { line, column: 1 + before.len() - line_start, what }
    }
}

/// The protobuf bytes of an `Export*ServiceRequest` written as JSON.
pub fn parse(signal: Signal, text: &[u8]) -> Result<Vec<u8>, MalformedJson> {
    parse::message(request(signal), text)
}

/// Appends an `Export*ServiceRequest` to `out` as one line of JSON, without the line's end.
pub fn print(signal: Signal, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    print::message(request(signal), bytes, out)
}

fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Metrics => &schema::METRICS_REQUEST,
        Signal::Logs | Signal::Alerts => &schema::LOGS_REQUEST,
        Signal::Traces => &schema::TRACES_REQUEST,
    }
}
