//! `KeyValue` lists and `AnyValue`s <-> canonical JSON text (`crate::batch::attributes`).

use std::borrow::Cow;

use super::wire::{Fault, Reader, Value, put_varint, short_field};
use super::{MAX_DEPTH, TOO_DEEP};
use crate::batch::attributes::{
    EMPTY, Invalid, Parser, Token, write_bool, write_bytes, write_double, write_int, write_key, write_string,
};

/// Another occurrence of an embedded message: protobuf merges them, which is what reading their joined bytes does.
#[inline]
pub(super) fn join<'a>(message: &mut Option<Cow<'a, [u8]>>, part: &'a [u8]) {
    match message {
        None => *message = Some(Cow::Borrowed(part)),
        Some(whole) => whole.to_mut().extend_from_slice(part),
    }
}

/// A list of `KeyValue` fields, all of the number the first has, as an object.
pub(super) fn set_to_json(set: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let number = set.first().map_or(0, |key| u32::from(key >> 3));
    map_to_json(set, number, out, MAX_DEPTH)
}

struct Entry<'a> {
    key: &'a [u8],
    value: Option<Cow<'a, [u8]>>,
}

fn map_to_json(bytes: &[u8], number: u32, out: &mut Vec<u8>, depth: u32) -> Result<(), Fault> {
    let mut entries = Vec::with_capacity(8);
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.next()? {
        match value {
            Value::Len(entry) if field == number => entries.push(read_entry(entry)?),
            _ => reader.skip(field, value, MAX_DEPTH)?,
        }
    }
    if !entries.is_sorted_by(|a, b| a.key <= b.key) {
        entries.sort_by(|a, b| a.key.cmp(b.key));
    }
    out.push(b'{');
    for (i, entry) in entries.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_key(entry.key, out);
        value_to_json(entry.value.as_deref().unwrap_or_default(), out, depth)?;
    }
    out.push(b'}');
    Ok(())
}

#[inline]
fn read_entry(bytes: &[u8]) -> Result<Entry<'_>, Fault> {
    // As nearly every sender writes it.
    if let Some((key, rest)) = short_field(0x0a, bytes)
        && let Some((value, [])) = short_field(0x12, rest)
    {
        return Ok(Entry { key, value: Some(Cow::Borrowed(value)) });
    }
    let mut entry = Entry { key: &[], value: None };
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.next()? {
        match (field, value) {
            (1, Value::Len(key)) => entry.key = key,
            (2, Value::Len(value)) => join(&mut entry.value, value),
            _ => reader.skip(field, value, MAX_DEPTH)?,
        }
    }
    Ok(entry)
}

/// What an `AnyValue` holds; a later field replaces an earlier one, but lists and maps of the same kind are joined.
pub(super) enum Any<'a> {
    Empty,
    String(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Array(Cow<'a, [u8]>),
    Map(Cow<'a, [u8]>),
    Bytes(&'a [u8]),
}

pub(super) fn read_any(bytes: &[u8]) -> Result<Any<'_>, Fault> {
    let mut any = Any::Empty;
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.next()? {
        match (field, value) {
            (1, Value::Len(string)) => any = Any::String(string),
            (2, Value::Varint(bool)) => any = Any::Bool(bool != 0),
            (3, Value::Varint(int)) => any = Any::Int(int as i64),
            (4, Value::Fixed64(bits)) => any = Any::Double(f64::from_bits(bits)),
            (5, Value::Len(list)) => match &mut any {
                Any::Array(whole) => whole.to_mut().extend_from_slice(list),
                _ => any = Any::Array(Cow::Borrowed(list)),
            },
            (6, Value::Len(map)) => match &mut any {
                Any::Map(whole) => whole.to_mut().extend_from_slice(map),
                _ => any = Any::Map(Cow::Borrowed(map)),
            },
            (7, Value::Len(bytes)) => any = Any::Bytes(bytes),
            // A reference into the string table of profiles: no value here.
            (8, Value::Varint(_)) => any = Any::Empty,
            _ => reader.skip(field, value, MAX_DEPTH)?,
        }
    }
    Ok(any)
}

fn value_to_json(bytes: &[u8], out: &mut Vec<u8>, depth: u32) -> Result<(), Fault> {
    if let Some((string, [])) = short_field(0x0a, bytes) {
        write_string(string, out);
        return Ok(());
    }
    any_to_json(&read_any(bytes)?, out, depth)
}

pub(super) fn any_to_json(any: &Any<'_>, out: &mut Vec<u8>, depth: u32) -> Result<(), Fault> {
    match any {
        Any::Empty => out.extend_from_slice(EMPTY),
        Any::String(string) => write_string(string, out),
        Any::Bool(bool) => write_bool(*bool, out),
        Any::Int(int) => write_int(*int, out),
        Any::Double(double) => write_double(*double, out),
        Any::Bytes(bytes) => write_bytes(bytes, out),
        Any::Map(map) => map_to_json(map, 1, out, depth.checked_sub(1).ok_or(Fault::new(map, TOO_DEEP))?)?,
        Any::Array(list) => {
            let depth = depth.checked_sub(1).ok_or(Fault::new(list, TOO_DEEP))?;
            out.push(b'[');
            let start = out.len();
            let mut reader = Reader::new(list);
            while let Some((field, value)) = reader.next()? {
                match (field, value) {
                    (1, Value::Len(item)) => {
                        if out.len() > start {
                            out.push(b',');
                        }
                        value_to_json(item, out, depth)?;
                    }
                    _ => reader.skip(field, value, MAX_DEPTH)?,
                }
            }
            out.push(b']');
        }
    }
    Ok(())
}

/// The `KeyValue` fields of a set, each under `key` (the tag's byte). Text that is no set, which no row should hold,
/// becomes one attribute that carries it.
pub(super) fn json_to_set(json: &str, key: u8, out: &mut Vec<u8>) {
    let start = out.len();
    let mut parser = Parser::new(json);
    let whole = json_to_map(&mut parser, key, out, MAX_DEPTH).and_then(|()| parser.end());
    if whole.is_err() {
        out.truncate(start);
        nested(key, out, |out| {
            put_bytes(0x0a, b"catchment.invalid_attributes", out);
            nested(0x12, out, |out| put_bytes(0x0a, json.as_bytes(), out));
        });
    }
}

/// The content of an `AnyValue`.
pub(super) fn json_to_any(json: &str, out: &mut Vec<u8>) {
    let start = out.len();
    let mut parser = Parser::new(json);
    if parse_any(&mut parser, out, MAX_DEPTH).and_then(|()| parser.end()).is_err() {
        out.truncate(start);
        put_bytes(0x0a, json.as_bytes(), out);
    }
}

fn json_to_map(parser: &mut Parser<'_>, tag: u8, out: &mut Vec<u8>, depth: u32) -> Result<(), Invalid> {
    parser.map(|parser, key| {
        nested(tag, out, |out| {
            if !key.is_empty() {
                put_bytes(0x0a, key.as_bytes(), out);
            }
            nested(0x12, out, |out| parse_any(parser, out, depth))
        })
    })
}

fn parse_any(parser: &mut Parser<'_>, out: &mut Vec<u8>, depth: u32) -> Result<(), Invalid> {
    let depth = parser.deeper(depth)?;
    match parser.token()? {
        Token::Empty => {}
        Token::String(string) => put_bytes(0x0a, string.as_bytes(), out),
        Token::Bool(bool) => out.extend([0x10, u8::from(bool)]),
        Token::Int(int) => {
            out.push(0x18);
            put_varint(int as u64, out);
        }
        Token::Double(double) => {
            out.push(0x21);
            out.extend_from_slice(&double.to_le_bytes());
        }
        Token::Bytes(bytes) => put_bytes(0x3a, &bytes, out),
        Token::Array => {
            return nested(0x2a, out, |out| {
                parser.array(|parser| nested(0x0a, out, |out| parse_any(parser, out, depth)))
            });
        }
        Token::Object => return nested(0x32, out, |out| json_to_map(parser, 0x0a, out, depth)),
    }
    Ok(())
}

fn put_bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A length-delimited field around what `content` writes; most fit the one byte set aside for the length.
fn nested<T>(tag: u8, out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    out.extend([tag, 0]);
    let start = out.len();
    let outcome = content(out);
    let len = out.len() - start;
    if len < 0x80 {
        out[start - 1] = len as u8;
    } else {
        let mut prefix = Vec::with_capacity(5);
        put_varint(len as u64, &mut prefix);
        out.splice(start - 1..start, prefix);
    }
    outcome
}
