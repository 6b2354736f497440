//! Protobuf bytes -> JSON text.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::Malformed;
use super::schema::{Field, Kind, Message};

const MAX_DEPTH: usize = 128;

pub(super) fn message(message: &'static Message, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    Printer { out }.message(message, bytes, 0)
}

/// A field's value as it is on the wire.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

struct Printer<'a> {
    out: &'a mut Vec<u8>,
}

impl Printer<'_> {
    fn message(&mut self, message: &'static Message, bytes: &[u8], depth: usize) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return Err(malformed("nested too deeply"));
        }
        // Protobuf lets a list's elements lie apart; JSON wants them together.
        let mut found = Vec::new();
        let mut reader = Reader(bytes);
        while let Some((number, wire)) = reader.field()? {
            if let Some(index) = message.by_number(number) {
                found.push((index, wire));
            }
        }
        found.sort_by_key(|(index, _)| *index);
        self.out.push(b'{');
        for (place, group) in found.chunk_by(|a, b| a.0 == b.0).enumerate() {
            let field = &message.fields[group[0].0];
            if place > 0 {
                self.out.push(b',');
            }
            self.out.push(b'"');
            self.out.extend_from_slice(field.name.as_bytes());
            self.out.extend_from_slice(b"\":");
            if field.repeated {
                self.list(field, group, depth)?;
            } else {
                self.single(field, group, depth)?;
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Of a single field that occurs more than once the last counts; messages are merged, which is what their
    /// bytes one after another mean.
    fn single(&mut self, field: &'static Field, group: &[(usize, Wire)], depth: usize) -> Result<(), Malformed> {
        let Some((_, last)) = group.last() else { return Ok(()) };
        if matches!(field.kind, Kind::Message(_)) && group.len() > 1 {
            let parts = group.iter().filter_map(|(_, wire)| match wire {
                Wire::Bytes(bytes) => Some(*bytes),
                Wire::Number(_) => None,
            });
            return self.one(field, Wire::Bytes(&parts.collect::<Vec<_>>().concat()), depth);
        }
        self.one(field, *last, depth)
    }

    fn list(&mut self, field: &'static Field, group: &[(usize, Wire)], depth: usize) -> Result<(), Malformed> {
        self.out.push(b'[');
        let mut first = true;
        let mut comma = |out: &mut Vec<u8>| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
        };
        for (_, wire) in group {
            match wire {
                Wire::Bytes(packed) if field.kind.wire_type() != 2 => {
                    let mut reader = Reader(packed);
                    while !reader.0.is_empty() {
                        comma(self.out);
                        let number = Wire::Number(reader.number(field.kind.wire_type())?);
                        self.one(field, number, depth)?;
                    }
                }
                wire => {
                    comma(self.out);
                    self.one(field, *wire, depth)?;
                }
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn one(&mut self, field: &'static Field, wire: Wire, depth: usize) -> Result<(), Malformed> {
        match (field.kind, wire) {
            (Kind::Message(message), Wire::Bytes(bytes)) => return self.message(message, bytes, depth + 1),
            (Kind::String, Wire::Bytes(bytes)) => {
                let text = std::str::from_utf8(bytes).map_err(|_| malformed("a string that is not UTF-8"))?;
                self.write(|out| serde_json::to_writer(out, text).map_err(std::io::Error::from))
            }
            (Kind::Id, Wire::Bytes(bytes)) => {
                self.out.push(b'"');
                for byte in bytes {
                    for digit in [byte >> 4, byte & 15] {
                        self.out.push(b"0123456789abcdef"[usize::from(digit)]);
                    }
                }
                self.out.push(b'"');
            }
            (Kind::Bytes, Wire::Bytes(bytes)) => {
                let text = STANDARD.encode(bytes);
                self.write(|out| write!(out, "\"{text}\""));
            }
            (Kind::Bool, Wire::Number(n)) => self.write(|out| write!(out, "{}", n != 0)),
            (Kind::Uint32 | Kind::Fixed32, Wire::Number(n)) => self.write(|out| write!(out, "{}", n as u32)),
            (Kind::Enum(_), Wire::Number(n)) => self.write(|out| write!(out, "{}", n as i32)),
            (Kind::Sint32, Wire::Number(n)) => {
                let n = n as u32;
                self.write(|out| write!(out, "{}", (n >> 1) as i32 ^ -((n & 1) as i32)));
            }
            (Kind::Int64 | Kind::Sfixed64, Wire::Number(n)) => self.write(|out| write!(out, "\"{}\"", n as i64)),
            (Kind::Uint64 | Kind::Fixed64, Wire::Number(n)) => self.write(|out| write!(out, "\"{n}\"")),
            (Kind::Double, Wire::Number(n)) => self.double(f64::from_bits(n)),
            _ => return Err(malformed("a field of the wrong wire type")),
        }
        Ok(())
    }

    fn double(&mut self, value: f64) {
        let text: &[u8] = match value {
            f64::INFINITY => b"\"Infinity\"",
            f64::NEG_INFINITY => b"\"-Infinity\"",
            _ if value.is_nan() => b"\"NaN\"",
            _ => return self.out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes()),
        };
        self.out.extend_from_slice(text);
    }

    /// Writing to memory does not fail.
    fn write(&mut self, write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) {
        let _ = write(self.out);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next field's number and value; `None` at the end.
    fn field(&mut self) -> Result<Option<(u32, Wire<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| malformed("a field number out of range"))?;
        let wire_type = (tag & 7) as u8;
        if wire_type != 2 {
            return Ok(Some((number, Wire::Number(self.number(wire_type)?))));
        }
        let length = usize::try_from(self.varint()?).map_err(|_| malformed("a length out of range"))?;
        Ok(Some((number, Wire::Bytes(self.take(length)?))))
    }

    fn number(&mut self, wire_type: u8) -> Result<u64, Malformed> {
        match wire_type {
            0 => self.varint(),
            1 => self.take(8).map(|bytes| bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))),
            5 => self.take(4).map(|bytes| bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))),
            _ => Err(malformed("an unknown wire type")),
        }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, byte) in self.0.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(malformed("a varint without an end"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| malformed("cut short"))?;
        self.0 = rest;
        Ok(taken)
    }
}

/// The printer does not keep count of offsets: `otlp::check` has, for bytes from outside.
fn malformed(what: &'static str) -> Malformed {
    Malformed { offset: 0, place: "checked bytes".to_owned(), what }
}
