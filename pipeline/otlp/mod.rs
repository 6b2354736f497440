//! OTLP protobuf <-> columns, with no object per row.
//!
//! [`check`] walks a request once: wire format, wire types of known fields, UTF-8 of every string, length of every
//! trace and span id (16 and 8 bytes, or none), nesting. It refuses all that `prost` with the official types refuses.
//! `decode` turns checked bytes into rows and `encode` turns rows into bytes again. Unknown fields and groups are
//! passed over, a repeated scalar field counts as its last value, and the parts of a split message are joined, all as
//! protobuf has it. String-table references, which are for profiles only, count as absent, as OTLP has it.
//!
//! Limits: [`MAX_BYTES`] a request; [`MAX_DEPTH`] messages in one another; and, past the first [`FREE_ITEMS`] points,
//! records or spans, [`MIN_ITEM_BYTES`] bytes an item on average (less than a time stamp takes), so that decoding holds
//! at most [`MEMORY_FACTOR`] times the request's size.

mod any_value;
mod check;
pub(crate) mod decode;
mod encode;
mod sets;
pub(crate) mod valid;
mod wire;

pub mod answer;
pub mod json;

use crate::batch::{Rows, Signal};

/// Nested messages (and groups): the limit of the C++, Java and Rust protobuf libraries.
pub const MAX_DEPTH: u32 = 100;
/// Keeps every column's offsets within 32 bits, whatever the bytes say.
pub const MAX_BYTES: usize = 128 << 20;
/// Requests with fewer items may have items of any size.
pub const FREE_ITEMS: usize = 1000;
pub const MIN_ITEM_BYTES: usize = 8;
/// Decoded size over encoded size, at most, for requests past 64 KiB (telemetry as it is stays near 1).
pub const MEMORY_FACTOR: usize = 64;

const TOO_DEEP: &str = "messages are nested over 100 deep";

/// Bytes that are not a valid OTLP export request; nothing of them was taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed OTLP at byte {offset}, in {place}: {what}")]
pub struct Malformed {
    pub offset: usize,
    /// The message, and the field where known, e.g. `Span.trace_id`.
    pub place: String,
    pub what: &'static str,
}

/// Walks all of `bytes`, and counts the points, records or spans in them.
pub fn check(signal: Signal, bytes: &[u8]) -> Result<usize, Malformed> {
    check::check(signal, bytes).map(|found| found.items)
}

pub(crate) use check::{Checked, check as inspect};

/// Bytes that [`check`] has passed become rows. Others give an empty result, or a wrong one, but do not panic.
pub fn decode(signal: Signal, bytes: &[u8]) -> Rows {
    decode::decode(signal, bytes).unwrap_or_else(|error| {
        tracing::error!(signal = signal.name(), %error, "checked OTLP bytes did not decode: a bug; its rows are lost");
        Rows::default()
    })
}

/// Rows as an export request: neighbours with the same resource, scope and metric go into one group.
pub fn encode(signal: Signal, rows: &Rows) -> Vec<u8> {
    encode::encode(signal, rows)
}

#[cfg(test)]
mod tests;
