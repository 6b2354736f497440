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
    let plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    // Without a branch per byte, this is vectorised; most strings need no escape.
    if value.iter().fold(true, |all, byte| all & plain(byte)) {
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
