//! JSON text -> protobuf bytes. Numbers are read by the standard library: serde_json without its `float_roundtrip`
//! gives some doubles one bit off.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::wire::put_varint;
use super::MalformedJson;
use super::schema::{Field, Kind, Message};
use crate::batch::attributes::{Invalid, Parser};

/// Objects and lists in one another: what any protobuf message takes as JSON.
const MAX_DEPTH: u32 = 2 * super::super::MAX_DEPTH;

pub(super) fn message(message: &'static Message, text: &[u8]) -> Result<Vec<u8>, MalformedJson> {
    let whole = simdutf8::compat::from_utf8(text)
        .map_err(|error| MalformedJson::new(text, error.valid_up_to(), "text that is not UTF-8".into()))?;
    let mut json = Json { text: Parser::new(whole), out: Vec::with_capacity(text.len() / 2), wrong: None };
    match json.fields(message, "the request", MAX_DEPTH).and_then(|()| json.text.end()) {
        Ok(()) => Ok(json.out),
        Err(Invalid { at, what }) => Err(MalformedJson::new(text, at, json.wrong.unwrap_or_else(|| what.into()))),
    }
}

struct Json<'a> {
    text: Parser<'a>,
    out: Vec<u8>,
    /// Of the error that is on its way out, where more can be said than `Invalid` has room for.
    wrong: Option<String>,
}

impl<'a> Json<'a> {
    #[cold]
    fn wrong<T>(&mut self, at: usize, what: String) -> Result<T, Invalid> {
        self.wrong = Some(what);
        Err(Invalid { at, what: "" })
    }

    #[cold]
    fn expected<T>(&mut self, at: usize, what: &str, field: &str) -> Result<T, Invalid> {
        self.wrong(at, format!("expected {what} for {field}"))
    }

    /// The fields of one message, without its own tag and length.
    fn fields(&mut self, message: &'static Message, name: &str, depth: u32) -> Result<(), Invalid> {
        let depth = self.text.deeper(depth)?;
        if self.text.peek() != Some(b'{') {
            return self.expected(self.text.at(), "an object", name);
        }
        self.text.open("{")?;
        let mut more = !self.text.eat("}");
        while more {
            let key = self.string()?;
            self.text.open(":")?;
            match message.by_name(&key) {
                Some(field) => self.value(field, depth)?,
                None => self.skip(depth)?,
            }
            more = self.another("}")?;
        }
        Ok(())
    }

    /// Past a comma, or past the end of the list or object.
    fn another(&mut self, end: &'static str) -> Result<bool, Invalid> {
        if self.text.eat(",") { Ok(true) } else { self.text.open(end).map(|()| false) }
    }

    /// A field's value: `null`, one, or a list.
    fn value(&mut self, field: &'static Field, depth: u32) -> Result<(), Invalid> {
        if self.text.eat("null") {
            return Ok(());
        }
        let wire_type = field.kind.wire_type();
        if !field.repeated {
            self.tag(field.number, wire_type);
            return self.one(field, depth);
        }
        let depth = self.text.deeper(depth)?;
        if self.text.peek() != Some(b'[') {
            return self.expected(self.text.at(), "a list", field.name);
        }
        self.text.open("[")?;
        let mut more = !self.text.eat("]");
        if wire_type == 2 {
            while more {
                self.tag(field.number, 2);
                self.one(field, depth)?;
                more = self.another("]")?;
            }
        } else if more {
            self.tag(field.number, 2);
            let packed = self.begin();
            while more {
                self.one(field, depth)?;
                more = self.another("]")?;
            }
            self.end(packed);
        }
        Ok(())
    }

    /// One value of a field, after its tag.
    fn one(&mut self, field: &'static Field, depth: u32) -> Result<(), Invalid> {
        let next = self.text.peek();
        let at = self.text.at();
        match field.kind {
            Kind::Message(message) => {
                let start = self.begin();
                self.fields(message, field.name, depth)?;
                self.end(start);
            }
            Kind::Bool if self.text.eat("true") => self.out.push(1),
            Kind::Bool if self.text.eat("false") => self.out.push(0),
            Kind::Bool => return self.expected(at, "true or false", field.name),
            Kind::String | Kind::Bytes | Kind::Id if next == Some(b'"') => {
                let text = self.string()?;
                match (field.kind, &*text) {
                    (Kind::String, text) => self.bytes(text.as_bytes()),
                    (Kind::Id, text) => match unhex(text) {
                        Some(id) => self.bytes(&id),
                        None => return self.expected(at, "hex text", field.name),
                    },
                    (_, text) => match BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)) {
                        Ok(bytes) => self.bytes(&bytes),
                        Err(_) => return self.expected(at, "base64 text", field.name),
                    },
                }
            }
            Kind::String | Kind::Bytes | Kind::Id => return self.expected(at, "a string", field.name),
            Kind::Double => self.double(field, next)?,
            _ => self.integer(field, next)?,
        }
        Ok(())
    }

    fn double(&mut self, field: &'static Field, next: Option<u8>) -> Result<(), Invalid> {
        let at = self.text.at();
        let value = match next {
            // "NaN", "Infinity", "-Infinity" are the standard library's words too.
            Some(b'"') => self.string()?.parse().ok(),
            Some(b'-' | b'0'..=b'9') => self.text.number_text()?.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        };
        match value {
            Some(value) => self.out.extend_from_slice(&value.to_le_bytes()),
            None => return self.expected(at, "a number", field.name),
        }
        Ok(())
    }

    fn integer(&mut self, field: &'static Field, next: Option<u8>) -> Result<(), Invalid> {
        let at = self.text.at();
        let value = match next {
            Some(b'"') => {
                let text = self.string()?;
                match field.kind {
                    Kind::Enum(names) => names.iter().position(|name| *name == text).map(|number| number as i128),
                    _ => whole(&text),
                }
            }
            Some(b'-' | b'0'..=b'9') => {
                let text = self.text.number_text()?;
                // Proto3 JSON takes 1.0 and 1e3 for integers; 2^64 is the first that no kind holds.
                let float =
                    || text.parse().ok().filter(|n: &f64| n.fract() == 0.0 && n.abs() < 18_446_744_073_709_551_616.0);
                whole(text).or_else(|| float().map(|number| number as i128))
            }
            _ => None,
        };
        let Some(value) = value else {
            let what = match field.kind {
                Kind::Enum(_) => "a number of the enumeration",
                _ => "an integer, or one in a string",
            };
            return self.expected(at, what, field.name);
        };
        if put_integer(field.kind, value, &mut self.out).is_none() {
            return self.wrong(at, format!("{value} is out of range for {}", field.name));
        }
        Ok(())
    }

    /// A value that no field takes.
    fn skip(&mut self, depth: u32) -> Result<(), Invalid> {
        let (close, object) = match self.text.peek() {
            Some(b'"') => return self.string().map(drop),
            Some(b'{') => ("}", true),
            Some(b'[') => ("]", false),
            Some(b'-' | b'0'..=b'9') => return self.text.number_text().map(drop),
            _ if self.text.eat("true") || self.text.eat("false") || self.text.eat("null") => return Ok(()),
            _ => return self.wrong(self.text.at(), "expected a value".to_owned()),
        };
        let depth = self.text.deeper(depth)?;
        self.text.open(if object { "{" } else { "[" })?;
        let mut more = !self.text.eat(close);
        while more {
            if object {
                self.string()?;
                self.text.open(":")?;
            }
            self.skip(depth)?;
            more = self.another(close)?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Invalid> {
        self.text.peek();
        let start = self.text.at();
        let string = self.text.string()?;
        match self.text.since(start).bytes().position(|byte| byte < b' ') {
            None => Ok(string),
            Some(control) => self.wrong(start + control, "a control character in a string; write it as \\u00..".into()),
        }
    }

    fn tag(&mut self, number: u32, wire_type: u8) {
        put_varint(u64::from(number) << 3 | u64::from(wire_type), &mut self.out);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        put_varint(bytes.len() as u64, &mut self.out);
        self.out.extend_from_slice(bytes);
    }

    /// Leaves room for a one-byte length; what follows it begins at the index returned.
    fn begin(&mut self) -> usize {
        self.out.push(0);
        self.out.len()
    }

    /// Writes the length of what came since `begin`, moving it up when the length takes more than one byte.
    fn end(&mut self, start: usize) {
        let length = self.out.len() - start;
        if length < 0x80 {
            self.out[start - 1] = length as u8;
            return;
        }
        let mut varint = Vec::with_capacity(10);
        put_varint(length as u64, &mut varint);
        self.out.splice(start - 1..start, varint);
    }
}

fn whole(text: &str) -> Option<i128> {
    text.parse::<i64>().map(i128::from).or_else(|_| text.parse::<u64>().map(i128::from)).ok()
}

/// `None`: out of the kind's range.
fn put_integer(kind: Kind, value: i128, out: &mut Vec<u8>) -> Option<()> {
    match kind {
        Kind::Uint32 => put_varint(u32::try_from(value).ok()?.into(), out),
        Kind::Sint32 => {
            let value = i32::try_from(value).ok()?;
            put_varint((((value << 1) ^ (value >> 31)) as u32).into(), out);
        }
        Kind::Enum(_) => put_varint(i64::from(i32::try_from(value).ok()?) as u64, out),
        Kind::Int64 => put_varint(i64::try_from(value).ok()? as u64, out),
        Kind::Uint64 => put_varint(u64::try_from(value).ok()?, out),
        Kind::Fixed32 => out.extend_from_slice(&u32::try_from(value).ok()?.to_le_bytes()),
        Kind::Fixed64 => out.extend_from_slice(&u64::try_from(value).ok()?.to_le_bytes()),
        Kind::Sfixed64 => out.extend_from_slice(&i64::try_from(value).ok()?.to_le_bytes()),
        Kind::Bool | Kind::Double | Kind::String | Kind::Bytes | Kind::Id | Kind::Message(_) => return None,
    }
    Some(())
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
