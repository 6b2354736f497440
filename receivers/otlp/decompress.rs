//! Content encodings, decompressed under a cap: what comes out is counted and reserved while it comes out, so
//! that a small request cannot become a large one.

use std::io::{BufReader, Chain, Cursor, Read};

use bytes::Bytes;
use catchment_pipeline::component::Encoding;

use super::answer::{Refusal, Why};
use super::body::{Pieces, Reserved};

/// The largest zstd window a sender may ask for, as a power of two: 8 MiB, what RFC 8878 recommends to support.
const ZSTD_WINDOW_LOG: u32 = 23;

/// What a header asks for: `None` for no compression; among `allowed`, or a refusal.
pub(super) fn asked(header: Option<&http::HeaderValue>, allowed: &[Encoding]) -> Result<Option<Encoding>, Refusal> {
    let Some(header) = header else { return Ok(None) };
    let name = header.to_str().unwrap_or("?").trim();
    if name.is_empty() || name.eq_ignore_ascii_case("identity") {
        return Ok(None);
    }
    match Encoding::named(name).filter(|encoding| allowed.contains(encoding)) {
        Some(encoding) => Ok(Some(encoding)),
        None => Err(Refusal::new(
            Why::UnknownEncoding,
            format!("encoding {name:?} is not accepted here; send {} or none", names(allowed)),
        )),
    }
}

/// All of `body`, decompressed.
pub(super) fn decompress(encoding: Encoding, body: Pieces, reserved: &mut Reserved) -> Result<Bytes, Refusal> {
    let compressed = body.len();
    let wrong = |error: std::io::Error| {
        Refusal::new(Why::Malformed, format!("the body is not valid {}: {error}", encoding.name()))
    };
    let (magic, body) = peek(body).map_err(wrong)?;
    match encoding {
        Encoding::Gzip => {
            drain(flate2::bufread::MultiGzDecoder::new(BufReader::new(body)), compressed, reserved, wrong)
        }
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(body).map_err(wrong)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(wrong)?;
            drain(decoder, compressed, reserved, wrong)
        }
        // HTTP's "deflate" is zlib's format; some senders mean raw deflate.
        Encoding::Zlib | Encoding::Deflate if is_zlib(magic) => {
            drain(flate2::bufread::ZlibDecoder::new(BufReader::new(body)), compressed, reserved, wrong)
        }
        Encoding::Zlib | Encoding::Deflate => {
            drain(flate2::bufread::DeflateDecoder::new(BufReader::new(body)), compressed, reserved, wrong)
        }
        // Two formats go by one name: older Collectors send frames, newer ones a block.
        Encoding::Snappy | Encoding::SnappyFramed if magic.starts_with(b"\xff\x06\0\0sNaP") => {
            drain(snap::read::FrameDecoder::new(body), compressed, reserved, wrong)
        }
        Encoding::Snappy | Encoding::SnappyFramed => snappy_block(body, compressed, reserved, wrong),
        Encoding::Lz4 => drain(lz4_flex::frame::FrameDecoder::new(body), compressed, reserved, wrong),
    }
}

pub(super) fn names(encodings: &[Encoding]) -> String {
    encodings.iter().map(|encoding| encoding.name()).collect::<Vec<_>>().join(", ")
}

type Peeked = Chain<Cursor<Vec<u8>>, Pieces>;

fn peek(mut body: Pieces) -> std::io::Result<([u8; 8], Peeked)> {
    let mut head = Vec::with_capacity(8);
    (&mut body).take(8).read_to_end(&mut head)?;
    let mut magic = [0; 8];
    magic[..head.len()].copy_from_slice(&head);
    Ok((magic, Cursor::new(head).chain(body)))
}

/// RFC 1950: method 8, and a check over the first two bytes.
fn is_zlib(magic: [u8; 8]) -> bool {
    magic[0] & 0x0f == 8 && u16::from_be_bytes([magic[0], magic[1]]).is_multiple_of(31)
}

fn drain(
    mut decoder: impl Read,
    compressed: usize,
    reserved: &mut Reserved,
    wrong: impl Fn(std::io::Error) -> Refusal,
) -> Result<Bytes, Refusal> {
    let max = reserved.limits().max_bytes;
    let most = reserved.limits().in_flight();
    let mut out = Vec::new();
    // Telemetry shrinks five- to tenfold; doubling follows where it is more.
    let mut room = compressed.saturating_mul(6).clamp(4096, max.max(4096));
    loop {
        // What is only a guess must not be what does not fit.
        room = room.min(most.saturating_sub(compressed + out.len())).max(1);
        reserved.grow_to(compressed + out.len() + room)?;
        out.reserve_exact(room);
        let read = decoder.by_ref().take(room as u64).read_to_end(&mut out).map_err(&wrong)?;
        if out.len() > max {
            return Err(reserved.limits().too_large());
        }
        if read < room {
            return Ok(out.into());
        }
        // One byte more than is allowed shows that there is more.
        room = out.len().min(max + 1 - out.len()).max(1);
    }
}

fn snappy_block(
    mut body: Peeked,
    compressed: usize,
    reserved: &mut Reserved,
    wrong: impl Fn(std::io::Error) -> Refusal,
) -> Result<Bytes, Refusal> {
    let mut block = Vec::with_capacity(compressed);
    reserved.grow_to(compressed * 2)?;
    body.read_to_end(&mut block).map_err(&wrong)?;
    // A block says how long it will be.
    let length = snap::raw::decompress_len(&block).map_err(|error| wrong(error.into()))?;
    if length > reserved.limits().max_bytes {
        return Err(reserved.limits().too_large());
    }
    reserved.grow_to(compressed * 2 + length)?;
    let out = snap::raw::Decoder::new().decompress_vec(&block).map_err(|error| wrong(error.into()))?;
    Ok(out.into())
}
