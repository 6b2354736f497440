//! Attribute sets as canonical JSON text, and back, losslessly.
//!
//! The text: keys sorted by their bytes (equal keys stay, in their order), integers as `1`, doubles always with `.` or
//! an exponent. What JSON cannot say is an object with one `$` key: `{"$bytes":"<base64>"}`,
//! `{"$double":"NaN"|"Infinity"|"-Infinity"}`, `{"$empty":true}` (a value of no kind); a real key that begins with `$` is
//! written with a second `$`. All NaN are one. Nesting is limited by the OTLP check (100 messages, some 48 levels here).

mod parse;
mod write;

use std::borrow::Cow;
use std::fmt;

use parse::unescape_key;
pub(crate) use parse::{Parser, Token};
pub(crate) use write::{EMPTY, write_bool, write_bytes, write_double, write_int, write_key, write_string};

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
