//! What a value of the configuration can become.

use std::collections::BTreeMap;
use std::time::Duration;

use super::mistake::Report;
use super::node::{Node, Scalar, Typed, Value};
use super::units;

/// A type a value of the configuration can become. `None`: a mistake was recorded. Never called for null.
pub trait FromNode: Sized {
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self>;
}

/// Where a value is being read, so that what is wrong with it can be said.
#[derive(Debug)]
pub struct Reader<'a> {
    pub(super) path: String,
    pub(super) report: &'a Report,
}

impl Reader<'_> {
    pub fn wrong(&self, node: &Node, what: impl Into<String>, mend: impl Into<String>) {
        self.report.error(&node.place, &self.path, what, mend);
    }

    /// For an element of the value at hand: `[0]`, or `::key`.
    fn inner(&self, suffix: &str) -> Reader<'_> {
        Reader { path: format!("{}{suffix}", self.path), report: self.report }
    }

    fn expected<T>(&self, node: &Node, wanted: &str, mend: &str) -> Option<T> {
        let got = match node.text() {
            Some(text) => format!("{} (\"{}\")", node.what(), clip(text)),
            None => node.what().to_owned(),
        };
        self.wrong(node, format!("expected {wanted}, got {got}"), mend);
        None
    }
}

/// Enough of a value to recognise it in a message.
fn clip(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

impl FromNode for Node {
    fn from_node(node: &Node, _: &Reader<'_>) -> Option<Self> {
        Some(node.clone())
    }
}

/// A plain scalar is taken as it is written: `0123` is the text `0123`.
impl FromNode for String {
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self> {
        match node.text() {
            Some(text) => Some(text.to_owned()),
            None => at.expected(node, "a text", "write one value here"),
        }
    }
}

impl FromNode for bool {
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar) => match scalar.typed() {
                Typed::Bool(value) => Some(value),
                _ => at.expected(node, "true or false", "write true or false, without quotes"),
            },
            _ => at.expected(node, "true or false", "write true or false"),
        }
    }
}

macro_rules! whole_numbers {
    ($($t:ty),*) => {$(
        impl FromNode for $t {
            fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self> {
                let number = match &node.value {
                    Value::Scalar(scalar) => match scalar.typed() {
                        Typed::Int(number) => number,
                        Typed::Text(text) if !scalar.plain && number_in_quotes(text) => {
                            return at.expected(node, "a whole number", "remove the quotes");
                        }
                        _ => return at.expected(node, "a whole number", ""),
                    },
                    _ => return at.expected(node, "a whole number", ""),
                };
                let range = format!("a whole number from {} to {}", <$t>::MIN, <$t>::MAX);
                match <$t>::try_from(number) {
                    Ok(value) => Some(value),
                    Err(_) => {
                        at.wrong(node, format!("{number} is out of range"), format!("write {range}"));
                        None
                    }
                }
            }
        }
    )*};
}
whole_numbers!(u8, u16, u32, u64, usize, i32, i64);

fn number_in_quotes(text: &str) -> bool {
    matches!(Scalar { text: text.to_owned(), plain: true }.typed(), Typed::Int(_) | Typed::Float(_))
}

impl FromNode for f64 {
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self> {
        let typed = if let Value::Scalar(scalar) = &node.value { Some(scalar.typed()) } else { None };
        match typed {
            Some(Typed::Int(number)) => Some(number as f64),
            Some(Typed::Float(number)) => Some(number),
            Some(Typed::Text(text)) if number_in_quotes(text) => at.expected(node, "a number", "remove the quotes"),
            _ => at.expected(node, "a number", ""),
        }
    }
}

/// `10s`, `1m30s`, `200ms`, as Go writes durations.
impl FromNode for Duration {
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self> {
        let Some(text) = node.text() else {
            return at.expected(node, "a duration", "write a number with a unit: 200ms, 10s, 1m30s");
        };
        units::duration(text)
            .map_err(|why| {
                let mend = match why {
                    "has no unit" => format!("write {text}s, or with ms, m or h"),
                    "is negative" => "durations start at 0".to_owned(),
                    _ => "write a number with a unit: 200ms, 10s, 1m30s".to_owned(),
                };
                at.wrong(node, format!("the duration \"{}\" {why}", clip(text)), mend);
            })
            .ok()
    }
}

/// A number of bytes: `64MiB`, `1GB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl FromNode for ByteSize {
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self> {
        let mend = "write a number of bytes, or one with a unit: 512KiB, 64MiB, 1GB";
        let Some(text) = node.text() else {
            return at.expected(node, "a size", mend);
        };
        units::bytes(text)
            .map(ByteSize)
            .map_err(|why| at.wrong(node, format!("the size \"{}\" {why}", clip(text)), mend))
            .ok()
    }
}

/// A value that is never printed: `Debug`, errors and `print-config` show `[REDACTED]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl FromNode for Secret {
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self> {
        at.report.secret(&at.path);
        match node.text() {
            Some(text) => Some(Secret(text.to_owned())),
            None => {
                at.wrong(node, format!("expected a text, got {}", node.what()), "write one value here");
                None
            }
        }
    }
}

/// As JSON would write it: what an attribute's `value` is.
impl FromNode for serde_json::Value {
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self> {
        use serde_json::Value as Json;
        Some(match &node.value {
            Value::Null => Json::Null,
            Value::Scalar(scalar) => match scalar.typed() {
                Typed::Bool(value) => Json::Bool(value),
                Typed::Int(number) => match i64::try_from(number) {
                    Ok(number) => Json::from(number),
                    Err(_) => {
                        at.wrong(node, format!("{number} does not fit into 64 bits"), "quote it to make it a text");
                        return None;
                    }
                },
                Typed::Float(number) => match serde_json::Number::from_f64(number) {
                    Some(number) => Json::Number(number),
                    None => return at.expected(node, "a finite number", ""),
                },
                Typed::Text(text) => Json::String(text.to_owned()),
            },
            Value::List(_) => Json::Array(Vec::from_node(node, at)?),
            Value::Map(_) => Json::Object(BTreeMap::from_node(node, at)?.into_iter().collect()),
        })
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    /// All of it or nothing, and every wrong element is reported. A text is a list with commas, as in the
    /// Collector: `${env:HOSTS}` can give several.
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self> {
        let items = match &node.value {
            Value::List(items) => items.clone(),
            Value::Scalar(scalar) if scalar.text.is_empty() => Vec::new(),
            Value::Scalar(scalar) => scalar
                .text
                .split(',')
                .map(|text| Scalar { text: text.trim().to_owned(), plain: scalar.plain })
                .map(|scalar| Node::new(Value::Scalar(scalar), node.place.clone()))
                .collect(),
            _ => return at.expected(node, "a list", "write [a, b], or one \"- item\" a line"),
        };
        let read = items.iter().enumerate().map(|(index, item)| element(item, &at.inner(&format!("[{index}]"))));
        read.collect::<Vec<_>>().into_iter().collect()
    }
}

impl<T: FromNode> FromNode for BTreeMap<String, T> {
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            return at.expected(node, "a mapping", "write one \"key: value\" a line");
        };
        let read = entries.iter().map(|entry| {
            element(&entry.value, &at.inner(&format!("::{}", entry.key))).map(|value| (entry.key.clone(), value))
        });
        read.collect::<Vec<_>>().into_iter().collect()
    }
}

fn element<T: FromNode>(node: &Node, at: &Reader<'_>) -> Option<T> {
    if node.is_null() {
        at.wrong(node, "there is no value here", "write one, or remove the line");
        return None;
    }
    T::from_node(node, at)
}
