//! Attribute sets as canonical JSON text, and back, losslessly.
//!
//! The text: keys sorted by their bytes (equal keys stay, in their order), integers as `1`, doubles always with `.` or
//! an exponent. What JSON cannot say is an object with one `$` key: `{"$bytes":"<base64>"}`,
//! `{"$double":"NaN"|"Infinity"|"-Infinity"}`, `{"$empty":true}` (a value of no kind); a real key that begins with `$` is
//! written with a second `$`. All NaN are one. Nesting is limited by the OTLP check (100 messages, some 48 levels here).

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Deeper text is refused; the OTLP check lets pass less than this.
const MAX_DEPTH: u32 = 128;

/// OTLP's `AnyValue`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Empty,
    String(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Attributes),
}

impl Value {
    /// From canonical JSON text; `null` is taken for `Empty`.
    pub fn parse(json: &str) -> Result<Value, Invalid> {
        let mut parser = Parser::new(json);
        let value = parser.owned_value(MAX_DEPTH)?;
        parser.end()?;
        Ok(value)
    }

    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        text(out)
    }

    /// The value as plain text: a string as it is, everything else as JSON.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Value::String(string) => Cow::Borrowed(string),
            other => Cow::Owned(other.to_json()),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Empty => out.extend_from_slice(EMPTY),
            Value::String(string) => write_string(string.as_bytes(), out),
            Value::Bool(bool) => write_bool(*bool, out),
            Value::Int(int) => write_int(*int, out),
            Value::Double(double) => write_double(*double, out),
            Value::Bytes(bytes) => write_bytes(bytes, out),
            Value::Map(map) => map.write(out),
            Value::List(list) => {
                out.push(b'[');
                for (i, value) in list.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    value.write(out);
                }
                out.push(b']');
            }
        }
    }
}

/// A set of attributes, or a map among their values. Keeps repeated keys, should a sender have sent them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(Vec<(String, Value)>);

impl Attributes {
    pub fn parse(json: &str) -> Result<Attributes, Invalid> {
        match Value::parse(json)? {
            Value::Map(map) => Ok(map),
            _ => Err(Invalid { at: 0, what: "an attribute set is an object" }),
        }
    }

    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        text(out)
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// Sets `key`, replacing every value it had.
    pub fn insert(&mut self, key: impl Into<String>, value: Value) {
        let key = key.into();
        self.remove(&key);
        self.0.push((key, value));
    }

    /// Removes every value of `key`; gives back the first.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let first = self.0.iter().position(|(k, _)| k == key)?;
        let (_, value) = self.0.remove(first);
        self.0.retain(|(k, _)| k != key);
        Some(value)
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Value) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut sorted = self.0.iter().collect::<Vec<_>>();
        sorted.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
        out.push(b'{');
        for (i, (key, value)) in sorted.into_iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_key(key.as_bytes(), out);
            value.write(out);
        }
        out.push(b'}');
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Self {
        Attributes(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl<K: Into<String>> Extend<(K, Value)> for Attributes {
    fn extend<I: IntoIterator<Item = (K, Value)>>(&mut self, entries: I) {
        self.0.extend(entries.into_iter().map(|(key, value)| (key.into(), value)));
    }
}

/// The first value of `key` in a canonical set, without building the rest. `None` when it is absent or `json` is invalid.
pub fn get(json: &str, key: &str) -> Option<Value> {
    Value::parse(find(json, key)?).ok()
}

/// As [`get`], when the value is a string: what the lake's promoted columns hold.
pub fn get_str<'a>(json: &'a str, key: &str) -> Option<Cow<'a, str>> {
    let value = find(json, key)?;
    value.starts_with('"').then(|| Parser::new(value).string().ok()).flatten()
}

/// As [`get`], as plain text: strings as they are, everything else as JSON.
pub fn get_text<'a>(json: &'a str, key: &str) -> Option<Cow<'a, str>> {
    let value = find(json, key)?;
    if value.starts_with('"') { Parser::new(value).string().ok() } else { Some(Cow::Borrowed(value)) }
}

/// The JSON text of the value of `key`.
fn find<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    let mut parser = Parser::new(json);
    let mut found = None;
    parser
        .object(|parser, k| {
            let start = parser.at;
            parser.skip_value(MAX_DEPTH)?;
            if found.is_none() && unescape_key(&k) == key {
                found = json.get(start..parser.at);
            }
            Ok(())
        })
        .ok()?;
    found
}

/// JSON text that is not an attribute value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    pub at: usize,
    pub what: &'static str,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attribute text is invalid at byte {}: {}", self.at, self.what)
    }
}

impl std::error::Error for Invalid {}

fn text(json: Vec<u8>) -> String {
    // Written from `str`s and ASCII only.
    String::from_utf8(json).unwrap_or_default()
}

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

fn unescape_key(key: &str) -> &str {
    if key.starts_with("$$") { &key[1..] } else { key }
}

/// One value, containers unread.
pub(crate) enum Token<'a> {
    Empty,
    String(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
    /// Read its entries with [`Parser::object`].
    Object,
    /// Read its items with [`Parser::array`].
    Array,
}

/// Reads canonical attribute text, and any JSON with white space besides.
pub(crate) struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Parser { text, at: 0 }
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, Invalid> {
        Err(Invalid { at: self.at, what })
    }

    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.peek();
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &'static str) -> Result<(), Invalid> {
        if self.eat(token) { Ok(()) } else { self.fail("not what JSON has here") }
    }

    pub fn end(&mut self) -> Result<(), Invalid> {
        if self.peek().is_none() { Ok(()) } else { self.fail("something follows the value") }
    }

    /// The next value; of an object or array only the kind.
    pub fn token(&mut self) -> Result<Token<'a>, Invalid> {
        match self.peek() {
            Some(b'"') => Ok(Token::String(self.string()?)),
            Some(b'[') => Ok(Token::Array),
            Some(b'{') => self.special(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.eat("true") => Ok(Token::Bool(true)),
            _ if self.eat("false") => Ok(Token::Bool(false)),
            _ if self.eat("null") => Ok(Token::Empty),
            _ => self.fail("not a value"),
        }
    }

    /// At `{`: an object with one `$` key stands for a value that JSON lacks.
    fn special(&mut self) -> Result<Token<'a>, Invalid> {
        let start = self.at;
        self.at += 1;
        let bytes = self.text.as_bytes();
        if self.peek() != Some(b'"') || bytes.get(self.at + 1) != Some(&b'$') || bytes.get(self.at + 2) == Some(&b'$') {
            self.at = start;
            return Ok(Token::Object);
        }
        let key = self.string()?;
        self.expect(":")?;
        let token = match &*key {
            "$empty" if self.eat("true") => Token::Empty,
            "$bytes" => match BASE64.decode(self.string()?.as_bytes()) {
                Ok(bytes) => Token::Bytes(bytes),
                Err(_) => return self.fail("not base64"),
            },
            "$double" => Token::Double(match &*self.string()? {
                "NaN" => f64::NAN,
                "Infinity" => f64::INFINITY,
                "-Infinity" => f64::NEG_INFINITY,
                _ => return self.fail("a double that is not a number is NaN, Infinity or -Infinity"),
            }),
            _ => return self.fail("an unknown key that begins with `$`; write a real one with `$$`"),
        };
        self.expect("}")?;
        Ok(token)
    }

    fn number(&mut self) -> Result<Token<'a>, Invalid> {
        let rest = &self.text[self.at..];
        let len = rest
            .bytes()
            .position(|b| !matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        let number = &rest[..len];
        let token = if number.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) {
            number.parse().ok().filter(|double: &f64| double.is_finite()).map(Token::Double)
        } else {
            number.parse().ok().map(Token::Int)
        };
        match token {
            Some(token) => {
                self.at += len;
                Ok(token)
            }
            None => self.fail("not a 64-bit integer or double"),
        }
    }

    pub fn string(&mut self) -> Result<Cow<'a, str>, Invalid> {
        self.expect("\"")?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        match memchr::memchr2(b'"', b'\\', &bytes[start..]) {
            Some(len) if bytes[start + len] == b'"' => {
                self.at = start + len + 1;
                Ok(Cow::Borrowed(&self.text[start..start + len]))
            }
            Some(_) => self.escaped_string().map(Cow::Owned),
            None => self.fail("a string without an end"),
        }
    }

    fn escaped_string(&mut self) -> Result<String, Invalid> {
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(plain) = memchr::memchr2(b'"', b'\\', rest.as_bytes()) else {
                return self.fail("a string without an end");
            };
            out.push_str(&rest[..plain]);
            self.at += plain + 1;
            if rest.as_bytes()[plain] == b'"' {
                return Ok(out);
            }
            let escape = self.text.as_bytes().get(self.at).copied();
            self.at += 1;
            out.push(match escape {
                Some(b'n') => '\n',
                Some(b'r') => '\r',
                Some(b't') => '\t',
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
                Some(b'u') => self.escaped_char()?,
                _ => {
                    self.at -= 1;
                    return self.fail("an unknown escape");
                }
            });
        }
    }

    fn hex4(&mut self) -> Result<u32, Invalid> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(unit) => {
                self.at += 4;
                Ok(unit)
            }
            None => self.fail("\\u wants four hexadecimal digits"),
        }
    }

    fn escaped_char(&mut self) -> Result<char, Invalid> {
        let mut code = self.hex4()?;
        if (0xd800..0xdc00).contains(&code) && self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            match self.hex4()? {
                low @ 0xdc00..0xe000 => code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00),
                _ => return self.fail("half of a surrogate pair"),
            }
        }
        match char::from_u32(code) {
            Some(c) => Ok(c),
            None => self.fail("half of a surrogate pair"),
        }
    }

    /// The entries of the object here; `entry` reads one value, and is given the key as written.
    pub fn object(
        &mut self,
        mut entry: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Invalid>,
    ) -> Result<(), Invalid> {
        self.expect("{")?;
        if self.eat("}") {
            return Ok(());
        }
        loop {
            self.peek();
            let key = self.string()?;
            self.expect(":")?;
            self.peek();
            entry(self, key)?;
            if !self.eat(",") {
                return self.expect("}");
            }
        }
    }

    /// As [`Parser::object`], with each key unescaped.
    pub fn map(&mut self, mut entry: impl FnMut(&mut Self, &str) -> Result<(), Invalid>) -> Result<(), Invalid> {
        self.object(|parser, key| entry(parser, unescape_key(&key)))
    }

    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Invalid>) -> Result<(), Invalid> {
        self.expect("[")?;
        if self.eat("]") {
            return Ok(());
        }
        loop {
            item(self)?;
            if !self.eat(",") {
                return self.expect("]");
            }
        }
    }

    /// One level down, or an error when that is too deep.
    pub fn deeper(&self, depth: u32) -> Result<u32, Invalid> {
        depth.checked_sub(1).ok_or(Invalid { at: self.at, what: "nested too deep" })
    }

    fn skip_value(&mut self, depth: u32) -> Result<(), Invalid> {
        let depth = self.deeper(depth)?;
        match self.token()? {
            Token::Object => self.object(|parser, _| parser.skip_value(depth)),
            Token::Array => self.array(|parser| parser.skip_value(depth)),
            _ => Ok(()),
        }
    }

    fn owned_value(&mut self, depth: u32) -> Result<Value, Invalid> {
        let depth = self.deeper(depth)?;
        Ok(match self.token()? {
            Token::Empty => Value::Empty,
            Token::String(string) => Value::String(string.into_owned()),
            Token::Bool(bool) => Value::Bool(bool),
            Token::Int(int) => Value::Int(int),
            Token::Double(double) => Value::Double(double),
            Token::Bytes(bytes) => Value::Bytes(bytes),
            Token::Array => {
                let mut list = Vec::new();
                self.array(|parser| {
                    list.push(parser.owned_value(depth)?);
                    Ok(())
                })?;
                Value::List(list)
            }
            Token::Object => {
                let mut map = Vec::new();
                self.map(|parser, key| {
                    map.push((key.to_owned(), parser.owned_value(depth)?));
                    Ok(())
                })?;
                Value::Map(Attributes(map))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(value: Value, json: &str) {
        assert_eq!(value.to_json(), json);
        assert_eq!(Value::parse(json).unwrap().to_json(), json);
    }

    #[test]
    fn every_kind_both_ways() {
        check(Value::Empty, r#"{"$empty":true}"#);
        check(Value::String("a\"\\\n\u{1}é\u{1F600}".into()), "\"a\\\"\\\\\\n\\u0001é\u{1F600}\"");
        check(Value::Bool(true), "true");
        check(Value::Int(i64::MIN), "-9223372036854775808");
        check(Value::Double(1.0), "1.0");
        check(Value::Double(-0.0), "-0.0");
        check(Value::Double(1e300), "1e300");
        check(Value::Double(f64::MIN_POSITIVE), "2.2250738585072014e-308");
        check(Value::Double(f64::NAN), r#"{"$double":"NaN"}"#);
        check(Value::Double(f64::NEG_INFINITY), r#"{"$double":"-Infinity"}"#);
        check(Value::Bytes(vec![0, 255, 7, 1]), r#"{"$bytes":"AP8HAQ=="}"#);
        check(Value::List(vec![]), "[]");
        check(Value::List(vec![Value::Int(1), Value::Map(Attributes::default())]), "[1,{}]");
        let map = [("b", Value::Int(1)), ("$a", Value::Int(2)), ("a", Value::Int(3)), ("a", Value::Int(1))];
        check(Value::Map(map.into_iter().collect()), r#"{"$$a":2,"a":3,"a":1,"b":1}"#);
        let same_as_bytes: Attributes = [("$bytes", Value::String("x".into()))].into_iter().collect();
        check(Value::Map(same_as_bytes), r#"{"$$bytes":"x"}"#);
    }

    #[test]
    fn reads_what_other_writers_write() {
        let value = Value::parse(" { \"a\" : [ 1 , \"\\u00e9\\ud83d\\ude00\\/\" , null ] } ").unwrap();
        assert_eq!(value.to_json(), "{\"a\":[1,\"é\u{1F600}/\",{\"$empty\":true}]}");
    }

    #[test]
    fn invalid_text_is_an_error() {
        for text in [
            "",
            "{",
            "[1",
            "\"a",
            "1 2",
            "{\"a\"}",
            "{\"$x\":1}",
            "\"\\ud800\"",
            "1e999",
            "99999999999999999999",
            "{\"$bytes\":\"*\"}",
            "tru",
            "\"\\",
        ] {
            assert!(Value::parse(text).is_err(), "{text}");
        }
        assert!(Value::parse(&"[".repeat(100_000)).is_err());
        assert!(Attributes::parse("1").is_err());
    }

    #[test]
    fn finds_one_key() {
        let json = r#"{"$$k":"x","host.name":"a\"b","n":{"host.name":1},"service.name":"shop","z":12.0}"#;
        assert_eq!(get_str(json, "host.name").unwrap(), "a\"b");
        assert_eq!(get_str(json, "service.name").unwrap(), "shop");
        assert_eq!(get_str(json, "$k").unwrap(), "x");
        assert_eq!(get_str(json, "z"), None);
        assert_eq!(get_text(json, "z").unwrap(), "12.0");
        assert_eq!(get_text(json, "n").unwrap(), r#"{"host.name":1}"#);
        assert_eq!(get(json, "z"), Some(Value::Double(12.0)));
        assert_eq!(get_str("{}", "a"), None);
    }

    #[test]
    fn a_set_is_edited() {
        let mut set = Attributes::parse(r#"{"a":1,"a":2,"b":3}"#).unwrap();
        set.insert("a", Value::Bool(false));
        set.insert("0", Value::Empty);
        assert_eq!(set.to_json(), r#"{"0":{"$empty":true},"a":false,"b":3}"#);
        assert_eq!(set.remove("b"), Some(Value::Int(3)));
        assert_eq!(set.len(), 2);
    }
}
