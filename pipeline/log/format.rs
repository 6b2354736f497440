//! The bytes of a segment file. All integers are little-endian, everything begins at a multiple of 8.
//!
//! A segment is named after its first position, `00000000000000000001.segment`, and begins with two equal copies of
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | `CTCHLOG1` |
//! | 8 | 8 | first position |
//! | 16 | 8 | the last position that was acknowledged in earlier segments; what they hold beyond it does not count |
//! | 24 | 4 | salt: random, so that bytes sent by a client can never pass for a record header |
//! | 28 | 4 | CRC-32 of the 28 bytes before |
//!
//! then records, each a header of 48 bytes, the body, and zeros up to a multiple of 8:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | `CREC` |
//! | 4 | 4 | CRC-32 of salt and the 40 bytes that follow |
//! | 8 | 4 | length of the body |
//! | 12 | 4 | CRC-32 of the body |
//! | 16 | 8 | position |
//! | 24 | 8 | accepted at, nanoseconds since 1970 |
//! | 32 | 4 | items: metric points, log records or spans |
//! | 36 | 4 | where the group that was fsynced together begins in the segment: damage in the last group of the newest segment is a torn write |
//! | 40 | 2 | length of the pipelines' names |
//! | 42 | 1 | signal: 0 metrics, 1 logs, 2 traces |
//! | 43 | 5 | zeros |
//!
//! A rewrite ([`crate::log::rewrite`]) writes a segment anew under the same name: records keep their positions, and one with 0
//! items holds nothing. `00000000000000000001.segment.rewritten` is one that is not finished.
//!
//! A body is the names of its pipelines, each as one byte of length and UTF-8, and the OTLP request. A name that begins with byte 1
//! is none: it says which relay made the record ([`Origin`]): a byte that is 1 when the next record was appended with this one, 8 bytes of
//! position and 8 of time, and the relay's name.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::batch::{Batch, Signal};
use crate::log::Position;
use crate::log::record::{Counts, Origin, Pipelines, Record};

pub(super) const SEGMENT_HEADER: u64 = 64;
pub(super) const RECORD_HEADER: usize = 48;
pub(super) const ALIGN: u64 = 8;
/// Longest body.
pub(super) const MAX_BODY: u64 = 256 << 20;
/// Longest names of one record's pipelines.
pub(super) const MAX_NAMES: usize = 4096;
pub(super) const MAGIC: [u8; 4] = *b"CREC";
const SEGMENT_MAGIC: [u8; 8] = *b"CTCHLOG1";

pub(super) fn segment_name(first: Position) -> String {
    format!("{first:020}.segment")
}

pub(super) fn segment_first(name: &str) -> Option<Position> {
    name.strip_suffix(".segment").filter(|digits| digits.len() == 20)?.parse().ok().filter(|first| *first > 0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) first: Position,
    pub(super) follows: Position,
    pub(super) salt: u32,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER as usize] {
        let mut bytes = [0; SEGMENT_HEADER as usize];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.follows.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        bytes.copy_within(..32, 32);
        bytes
    }

    /// From either copy.
    pub(super) fn decode(bytes: &[u8]) -> Option<SegmentHeader> {
        bytes.chunks_exact(32).take(2).find_map(|copy| {
            let good = copy[..8] == SEGMENT_MAGIC && u32_at(copy, 28) == crc32fast::hash(&copy[..28]);
            good.then(|| SegmentHeader { first: u64_at(copy, 8), follows: u64_at(copy, 16), salt: u32_at(copy, 24) })
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) body_len: u32,
    pub(super) body_crc: u32,
    pub(super) position: Position,
    pub(super) accepted_at: u64,
    pub(super) items: u32,
    pub(super) group: u32,
    pub(super) names_len: u16,
    pub(super) signal: u8,
}

impl RecordHeader {
    pub(super) fn encode(&self, salt: u32) -> [u8; RECORD_HEADER] {
        let mut bytes = [0; RECORD_HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.body_crc.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.position.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.accepted_at.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.items.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.group.to_le_bytes());
        bytes[40..42].copy_from_slice(&self.names_len.to_le_bytes());
        bytes[42] = self.signal;
        let crc = salted(salt, &bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8], salt: u32) -> Option<RecordHeader> {
        let bytes = bytes.get(..RECORD_HEADER)?;
        if bytes[..4] != MAGIC || u32_at(bytes, 4) != salted(salt, &bytes[8..]) {
            return None;
        }
        let header = RecordHeader {
            body_len: u32_at(bytes, 8),
            body_crc: u32_at(bytes, 12),
            position: u64_at(bytes, 16),
            accepted_at: u64_at(bytes, 24),
            items: u32_at(bytes, 32),
            group: u32_at(bytes, 36),
            names_len: u16::from_le_bytes([bytes[40], bytes[41]]),
            signal: bytes[42],
        };
        let fits = u64::from(header.body_len) <= MAX_BODY && u32::from(header.names_len) <= header.body_len;
        (fits && usize::from(header.names_len) <= MAX_NAMES).then_some(header)
    }

    /// With header and padding.
    pub(super) fn size(&self) -> u64 {
        framed(u64::from(self.body_len))
    }

    pub(super) fn counts(&self) -> Counts {
        Counts::of(u64::from(self.items), u64::from(self.body_len) - u64::from(self.names_len))
    }

    pub(super) fn accepted_at(&self) -> SystemTime {
        time_of(self.accepted_at)
    }

    /// `body` fits its checksum. `None`: it is not what this version writes all the same.
    pub(super) fn record(&self, body: Bytes) -> Option<Record> {
        let Names { pipelines, .. } = names(body.get(..usize::from(self.names_len))?)?;
        let signal = *Signal::ALL.get(usize::from(self.signal))?;
        let payload = body.slice(usize::from(self.names_len)..);
        let batch = Batch::from_checked_otlp(signal, payload, self.items as usize);
        Some(Record { position: self.position, pipelines, accepted_at: self.accepted_at(), batch })
    }
}

pub(super) fn framed(body: u64) -> u64 {
    (RECORD_HEADER as u64 + body).next_multiple_of(ALIGN)
}

pub(super) fn signal_number(signal: Signal) -> u8 {
    match signal {
        Signal::Metrics => 0,
        Signal::Logs => 1,
        Signal::Traces => 2,
        Signal::Alerts => 3,
    }
}

/// What stands before a record's OTLP.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) pipelines: Pipelines,
    pub(super) origin: Option<Origin>,
    /// The next record was appended with this one, by the same relay.
    pub(super) more: bool,
}

const ORIGIN: u8 = 1;

/// `None` when they are too long to be kept.
pub(super) fn encode_names(pipelines: &Pipelines, origin: Option<&Origin>, more: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(32);
    for name in pipelines.iter() {
        bytes.push(u8::try_from(name.len()).ok()?);
        bytes.extend_from_slice(name.as_bytes());
    }
    if let Some(Origin { relay, read, at }) = origin {
        bytes.push(u8::try_from(18 + relay.len()).ok()?);
        bytes.extend_from_slice(&[ORIGIN, u8::from(more)]);
        bytes.extend_from_slice(&read.to_le_bytes());
        bytes.extend_from_slice(&at.to_le_bytes());
        bytes.extend_from_slice(relay.as_bytes());
    }
    (bytes.len() <= MAX_NAMES).then_some(bytes)
}

pub(super) fn names(mut bytes: &[u8]) -> Option<Names> {
    let (mut names, mut origin, mut more) = (Vec::new(), None, false);
    while let Some((len, rest)) = bytes.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*len))?;
        match name {
            [ORIGIN, followed, rest @ ..] if rest.len() > 16 => {
                let relay: Arc<str> = std::str::from_utf8(&rest[16..]).ok()?.into();
                origin = Some(Origin { relay, read: u64_at(rest, 0), at: u64_at(rest, 8) });
                more = *followed == 1;
            }
            _ => names.push(std::str::from_utf8(name).ok()?),
        }
        bytes = rest;
    }
    Some(Names { pipelines: Pipelines::new(names), origin, more })
}

/// The other way round: [`nanos`].
pub(crate) fn time_of(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

/// Since 1970.
pub(crate) fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn salted(salt: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
