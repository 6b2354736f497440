//! Writing attribute text, byte by byte: shared by [`super::Value`] and the OTLP decoder.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

pub(crate) const EMPTY: &[u8] = br#"{"$empty":true}"#;

pub(crate) fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

pub(crate) fn write_int(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub(crate) fn write_double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        let name = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        out.extend_from_slice(br#"{"$double":""#);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(br#""}"#);
    }
}

pub(crate) fn write_bytes(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"$bytes":""#);
    let start = out.len();
    out.resize(start + value.len().div_ceil(3) * 4, 0);
    let written = BASE64.encode_slice(value, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
    out.extend_from_slice(br#""}"#);
}

/// A map's key with its colon.
pub(crate) fn write_key(key: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    write_string(key, out);
    if key.first() == Some(&b'$') {
        out.insert(start + 1, b'$');
    }
    out.push(b':');
}

/// `value` is UTF-8.
#[inline]
pub(crate) fn write_string(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    // Most strings need no escape.
    if is_plain(value) {
        out.extend_from_slice(value);
    } else {
        for byte in value {
            match byte {
                b'"' => out.extend_from_slice(br#"\""#),
                b'\\' => out.extend_from_slice(br"\\"),
                b'\n' => out.extend_from_slice(br"\n"),
                b'\r' => out.extend_from_slice(br"\r"),
                b'\t' => out.extend_from_slice(br"\t"),
                0x08 => out.extend_from_slice(br"\b"),
                0x0c => out.extend_from_slice(br"\f"),
                byte if *byte < b' ' => {
                    const HEX: &[u8; 16] = b"0123456789abcdef";
                    out.extend_from_slice(br"\u00");
                    out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                }
                byte => out.push(*byte),
            }
        }
    }
    out.push(b'"');
}

/// No control character, quote or backslash, looked for in eight bytes at once.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    // Sets the high bit of the lowest byte that is below `least`, and none if there is no such byte.
    let below = |word: u64, least: u8| word.wrapping_sub(ONES * u64::from(least)) & !word;
    let is_byte = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let found = |word: u64| (below(word, b' ') | is_byte(word, b'"') | is_byte(word, b'\\')) & HIGH;
    match text.last_chunk::<8>() {
        Some(last) => {
            let words = text.as_chunks::<8>().0.iter().map(|word| found(u64::from_ne_bytes(*word)));
            words.fold(found(u64::from_ne_bytes(*last)), |all, word| all | word) == 0
        }
        None => text.iter().all(|byte| *byte >= b' ' && *byte != b'"' && *byte != b'\\'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_needs_an_escape_is_seen_wherever_it_stands() {
        for len in 0..26 {
            for at in 0..len {
                for byte in 0..=255 {
                    for filler in [b'a', b'!', b'#', 0x7f, 0x80, 0xff] {
                        let mut text = vec![filler; len];
                        text[at] = byte;
                        let needs = byte < b' ' || byte == b'"' || byte == b'\\';
                        assert_eq!(is_plain(&text), !needs, "{byte} at {at} of {len}, else {filler}");
                    }
                }
            }
        }
    }
}
