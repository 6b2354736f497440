//! Protobuf bytes -> JSON text.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::wire::{Fault, Reader, Value, zigzag};
use super::super::{MAX_DEPTH, Malformed, TOO_DEEP};
use super::schema::{Field, Kind, Message};

pub(super) fn message(message: &'static Message, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let printed = Printer { out }.message(message, bytes, MAX_DEPTH);
    printed.map_err(|fault| Malformed {
        offset: fault.offset(bytes),
        place: "a request that was checked".to_owned(),
        what: fault.what,
    })
}

struct Printer<'a> {
    out: &'a mut Vec<u8>,
}

impl Printer<'_> {
    fn message(&mut self, message: &'static Message, bytes: &[u8], depth: u32) -> Result<(), Fault> {
        // Protobuf lets a list's elements lie apart; JSON wants them together.
        let mut found: Vec<(usize, Value)> = Vec::new();
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match (message.by_number(number), value) {
                (None, _) | (_, Value::Group) => reader.skip(number, value, depth)?,
                (Some(index), _) => {
                    if message.fields[index].one_of {
                        found.retain(|(other, _)| *other == index || !message.fields[*other].one_of);
                    }
                    found.push((index, value));
                }
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
    fn single(&mut self, field: &'static Field, group: &[(usize, Value)], depth: u32) -> Result<(), Fault> {
        let Some((_, last)) = group.last() else { return Ok(()) };
        if matches!(field.kind, Kind::Message(_)) && group.len() > 1 {
            let parts =
                group.iter().filter_map(|(_, value)| if let Value::Len(part) = value { Some(*part) } else { None });
            return self.one(field, Value::Len(&parts.collect::<Vec<_>>().concat()), depth);
        }
        self.one(field, *last, depth)
    }

    fn list(&mut self, field: &'static Field, group: &[(usize, Value)], depth: u32) -> Result<(), Fault> {
        self.out.push(b'[');
        let mut first = true;
        let mut comma = |out: &mut Vec<u8>| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
        };
        for (_, value) in group {
            match value {
                Value::Len(packed) if field.kind.wire_type() != 2 => {
                    let mut reader = Reader::new(packed);
                    while !reader.is_empty() {
                        comma(self.out);
                        let number = reader.value(field.kind.wire_type())?;
                        self.one(field, number, depth)?;
                    }
                }
                value => {
                    comma(self.out);
                    self.one(field, *value, depth)?;
                }
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn one(&mut self, field: &'static Field, value: Value, depth: u32) -> Result<(), Fault> {
        match (field.kind, value) {
            (Kind::Message(message), Value::Len(bytes)) => {
                let depth = depth.checked_sub(1).ok_or(Fault::new(bytes, TOO_DEEP))?;
                return self.message(message, bytes, depth);
            }
            (Kind::String, Value::Len(bytes)) => {
                let text = std::str::from_utf8(bytes).map_err(|_| Fault::new(bytes, "text is not UTF-8"))?;
                self.write(|out| serde_json::to_writer(out, text).map_err(std::io::Error::from));
            }
            (Kind::Id, Value::Len(bytes)) => {
                self.out.push(b'"');
                for byte in bytes {
                    for digit in [byte >> 4, byte & 15] {
                        self.out.push(b"0123456789abcdef"[usize::from(digit)]);
                    }
                }
                self.out.push(b'"');
            }
            (Kind::Bytes, Value::Len(bytes)) => {
                let text = STANDARD.encode(bytes);
                self.write(|out| write!(out, "\"{text}\""));
            }
            (Kind::Bool, Value::Varint(n)) => self.write(|out| write!(out, "{}", n != 0)),
            (Kind::Uint32, Value::Varint(n)) => self.write(|out| write!(out, "{}", n as u32)),
            (Kind::Fixed32, Value::Fixed32(n)) => self.write(|out| write!(out, "{n}")),
            (Kind::Enum(_), Value::Varint(n)) => self.write(|out| write!(out, "{}", n as i32)),
            (Kind::Sint32, Value::Varint(n)) => self.write(|out| write!(out, "{}", zigzag(n))),
            (Kind::Int64, Value::Varint(n)) | (Kind::Sfixed64, Value::Fixed64(n)) => {
                self.write(|out| write!(out, "\"{}\"", n as i64));
            }
            (Kind::Uint64, Value::Varint(n)) | (Kind::Fixed64, Value::Fixed64(n)) => {
                self.write(|out| write!(out, "\"{n}\""));
            }
            (Kind::Double, Value::Fixed64(n)) => self.double(f64::from_bits(n)),
            _ => return Err(Fault::new(&[], "another wire type than this field has")),
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
