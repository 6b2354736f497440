//! A parsed configuration: every node knows its file, line and column.

use std::fmt;
use std::sync::Arc;

/// Lines and columns count from 1; columns in characters. Line 0: not a place in a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: Arc<str>,
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Node {
    pub value: Value,
    pub place: Place,
    /// For a value that came from `${...}`: its text before it was read as YAML, which is what is meant
    /// wherever text is wanted (`0123` stays `0123`).
    pub original: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    pub place: Place,
    pub value: Node,
}

/// A scalar keeps its text: whether `0123` is a number or a text is for the reader of the key to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    pub text: String,
    /// Written without quotes, so that it may be a number or a boolean.
    pub plain: bool,
}

/// What a scalar is when nobody says what it should be.
#[derive(Clone, Debug, PartialEq)]
pub enum Typed<'a> {
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(&'a str),
}

impl Node {
    pub fn new(value: Value, place: Place) -> Node {
        Node { value, place, original: None }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Its text, where text is wanted: a scalar as written, or what was substituted.
    pub fn text(&self) -> Option<&str> {
        match (&self.original, &self.value) {
            (Some(original), _) => Some(original),
            (None, Value::Scalar(scalar)) => Some(&scalar.text),
            _ => None,
        }
    }

    /// For messages: `a list`, `a number`, ...
    pub fn what(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar(scalar) => match scalar.typed() {
                Typed::Bool(_) => "a boolean",
                Typed::Int(_) | Typed::Float(_) => "a number",
                Typed::Text(_) => "a text",
            },
        }
    }
}

impl Scalar {
    pub fn quoted(text: impl Into<String>) -> Scalar {
        Scalar { text: text.into(), plain: false }
    }

    /// By the rules of go.yaml.in/yaml/v3, which the Collector uses: YAML 1.2 core, and besides `0b`, old
    /// octals (`0644`) and `_` between digits.
    pub fn typed(&self) -> Typed<'_> {
        let text = self.text.as_str();
        if !self.plain {
            return Typed::Text(text);
        }
        match text {
            "true" | "True" | "TRUE" => return Typed::Bool(true),
            "false" | "False" | "FALSE" => return Typed::Bool(false),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Typed::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Typed::Float(f64::NEG_INFINITY),
            ".nan" | ".NaN" | ".NAN" => return Typed::Float(f64::NAN),
            _ => {}
        }
        int(text).map(Typed::Int).or_else(|| float(text).map(Typed::Float)).unwrap_or(Typed::Text(text))
    }
}

/// Whether a plain scalar is YAML's null.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn int(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let radix = |prefix: [&str; 2]| prefix.iter().find_map(|p| digits.strip_prefix(p));
    let (digits, base) = if let Some(hex) = radix(["0x", "0X"]) {
        (hex, 16)
    } else if let Some(octal) = radix(["0o", "0O"]) {
        (octal, 8)
    } else if let Some(binary) = radix(["0b", "0B"]) {
        (binary, 2)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (digits.as_str(), 8)
    } else {
        (digits.as_str(), 10)
    };
    // A second sign is not a digit.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    // 64 bits are all that any key takes; more is a number still, out of range.
    let value = i128::from_str_radix(digits, base).ok()?;
    Some(if negative { -value } else { value })
}

fn float(text: &str) -> Option<f64> {
    let begins = text.trim_start_matches(['-', '+']);
    let digits = begins.strip_prefix('.').unwrap_or(begins);
    let usable = digits.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    usable.then(|| text.parse().ok()).flatten()
}
