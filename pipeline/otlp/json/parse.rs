//! JSON text -> protobuf bytes.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::schema::{Field, Kind, Message};

pub(super) fn message(message: &'static Message, text: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut json = serde_json::Deserializer::from_slice(text);
    Fields { message, out: &mut out }.deserialize(&mut json)?;
    json.end()?;
    Ok(out)
}

/// The fields of one message, without its own tag and length.
struct Fields<'a> {
    message: &'static Message,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Key(self.message))? {
            match field {
                Some(field) => map.next_value_seed(Value { field, out: self.out })?,
                None => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        Ok(())
    }
}

struct Key(&'static Message);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.by_name(name))
    }
}

/// A field's value: `null`, one, or a list.
struct Value<'a> {
    field: &'static Field,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a list for {}", self.field.name)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        if self.field.repeated {
            return json.deserialize_seq(self);
        }
        put_tag(self.out, self.field.number, self.field.kind.wire_type());
        One { field: self.field, out: self.out }.deserialize(json)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Value { field, out } = self;
        if field.kind.wire_type() == 2 {
            loop {
                let before = out.len();
                put_tag(out, field.number, 2);
                if list.next_element_seed(One { field, out })?.is_none() {
                    out.truncate(before);
                    return Ok(());
                }
            }
        }
        let before = out.len();
        put_tag(out, field.number, 2);
        let length = begin(out);
        while list.next_element_seed(One { field, out })?.is_some() {}
        if out.len() == length {
            out.truncate(before);
        } else {
            end(out, length);
        }
        Ok(())
    }
}

/// One value of a field, after its tag.
struct One<'a> {
    field: &'static Field,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.field.kind {
            Kind::Message(message) => {
                let length = begin(self.out);
                Fields { message, out: self.out }.deserialize(json)?;
                end(self.out, length);
                Ok(())
            }
            Kind::Bool => json.deserialize_bool(self),
            Kind::String | Kind::Bytes | Kind::Id => json.deserialize_str(self),
            _ => json.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let what = match self.field.kind {
            Kind::Bool => "true or false",
            Kind::String => "a string",
            Kind::Bytes => "base64 text",
            Kind::Id => "hex text",
            Kind::Message(_) => "an object",
            Kind::Double => "a number",
            Kind::Enum(_) => "a number of the enumeration",
            _ => "an integer, or one in a string",
        };
        write!(f, "{what} for {}", self.field.name)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => self.out.push(value.into()),
            _ => return Err(E::invalid_type(serde::de::Unexpected::Bool(value), &self)),
        }
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.double(value as f64),
            _ => self.integer(value.into()),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.double(value as f64),
            _ => self.integer(value.into()),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.double(value),
            // Proto3 JSON takes 1.0 and 1e3 for integers; 2^64 is the first that no kind holds.
            _ if value.fract() == 0.0 && value.abs() < 18_446_744_073_709_551_616.0 => self.integer(value as i128),
            _ => Err(E::invalid_value(serde::de::Unexpected::Float(value), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let wrong = |this: &Self| E::invalid_value(serde::de::Unexpected::Str(text), this);
        match self.field.kind {
            Kind::String => put_bytes(self.out, text.as_bytes()),
            Kind::Id => match unhex(text) {
                Some(id) => put_bytes(self.out, &id),
                None => return Err(wrong(&self)),
            },
            Kind::Bytes => match BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)) {
                Ok(bytes) => put_bytes(self.out, &bytes),
                Err(_) => return Err(wrong(&self)),
            },
            Kind::Enum(names) => match names.iter().position(|name| *name == text) {
                Some(number) => put_varint(self.out, number as u64),
                None => return Err(wrong(&self)),
            },
            Kind::Double => match text {
                "Infinity" => return self.double(f64::INFINITY),
                "-Infinity" => return self.double(f64::NEG_INFINITY),
                _ => match text.parse() {
                    Ok(number) => return self.double(number),
                    Err(_) => return Err(wrong(&self)),
                },
            },
            Kind::Bool | Kind::Message(_) => return Err(wrong(&self)),
            _ => match text.parse::<i64>().map(i128::from).or_else(|_| text.parse::<u64>().map(i128::from)) {
                Ok(number) => return self.integer(number),
                Err(_) => return Err(wrong(&self)),
            },
        }
        Ok(())
    }
}

impl One<'_> {
    fn double<E: Error>(self, value: f64) -> Result<(), E> {
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn integer<E: Error>(self, value: i128) -> Result<(), E> {
        let range = |_| E::custom(format_args!("{value} is out of range for {}", self.field.name));
        let out = self.out;
        match self.field.kind {
            Kind::Uint32 => put_varint(out, u32::try_from(value).map_err(range)?.into()),
            Kind::Sint32 => {
                let value = i32::try_from(value).map_err(range)?;
                put_varint(out, (((value << 1) ^ (value >> 31)) as u32).into());
            }
            Kind::Enum(_) => put_varint(out, i64::from(i32::try_from(value).map_err(range)?) as u64),
            Kind::Int64 => put_varint(out, i64::try_from(value).map_err(range)? as u64),
            Kind::Uint64 => put_varint(out, u64::try_from(value).map_err(range)?),
            Kind::Fixed32 => out.extend_from_slice(&u32::try_from(value).map_err(range)?.to_le_bytes()),
            Kind::Fixed64 => out.extend_from_slice(&u64::try_from(value).map_err(range)?.to_le_bytes()),
            Kind::Sfixed64 => out.extend_from_slice(&i64::try_from(value).map_err(range)?.to_le_bytes()),
            Kind::Bool | Kind::Double | Kind::String | Kind::Bytes | Kind::Id | Kind::Message(_) => {
                return Err(E::custom(format_args!("{} does not take an integer", self.field.name)));
            }
        }
        Ok(())
    }
}

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Leaves room for a one-byte length; what follows it begins at the index returned.
fn begin(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Writes the length of what came since `begin`, moving it up when the length takes more than one byte.
fn end(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
        return;
    }
    let mut varint = Vec::with_capacity(10);
    put_varint(&mut varint, length as u64);
    out.splice(start - 1..start, varint);
}
