//! The actions of `attributes` and `resource`, with the Collector's keys: insert, update, upsert, delete, hash,
//! extract, convert. They work on one attribute set at a time, and run once per distinct set.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use catchment_pipeline::batch::attributes::{Attributes, Value};
use catchment_pipeline::config::Section;
use regex::Regex;
use serde_json::Value as Json;

#[derive(Debug)]
pub struct Action {
    key: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Put {
        source: Source,
        when: When,
    },
    /// The key, and every key the pattern is found in.
    Delete(Option<Regex>),
    /// SHA-256 in hex.
    Hash(Option<Regex>),
    Extract(Regex),
    Convert(Kind),
}

#[derive(Debug)]
enum Source {
    Value(Value),
    Attribute { name: String, default: Option<Value> },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Absent,
    Present,
    Always,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Int,
    Double,
    String,
}

#[derive(Clone, Copy)]
enum Verb {
    Put(When),
    Delete,
    Hash,
    Extract,
    Convert,
}

const VERBS: [(&str, Verb); 7] = [
    ("insert", Verb::Put(When::Absent)),
    ("update", Verb::Put(When::Present)),
    ("upsert", Verb::Put(When::Always)),
    ("delete", Verb::Delete),
    ("hash", Verb::Hash),
    ("extract", Verb::Extract),
    ("convert", Verb::Convert),
];

/// The list of actions under `key`; without any, the processor would do nothing.
pub fn read(section: &mut Section, key: &str) -> Vec<Action> {
    let items = section.list(key);
    if items.is_empty() {
        section.mistake(key, "there are no actions", format!("add {key}: [{{ key: k, value: v, action: upsert }}]"));
    }
    items.into_iter().filter_map(|mut item| read_action(&mut item)).collect()
}

fn read_action(item: &mut Section) -> Option<Action> {
    // All keys are known, whatever the action; what an action has no use for is a mistake of its own.
    let key = item.get::<String>("key");
    let value = item.get::<Json>("value");
    let from_attribute = item.get::<String>("from_attribute");
    let default = item.get::<Json>("default_value");
    let pattern = item.get::<String>("pattern");
    let kinds = [("int", Kind::Int), ("double", Kind::Double), ("string", Kind::String)];
    let kind = item.choice("converted_type", &kinds);
    if item.get::<String>("from_context").is_some() {
        let what = "the request's metadata is not kept with its data";
        item.mistake("from_context", what, "use value or from_attribute");
        return None;
    }
    item.required::<String>("action")?;
    let verb = item.choice("action", &VERBS)?;

    let uses: &[&str] = match verb {
        Verb::Put(_) => &["value", "from_attribute", "default_value"],
        Verb::Delete | Verb::Hash | Verb::Extract => &["pattern"],
        Verb::Convert => &["converted_type"],
    };
    for unused in ["value", "from_attribute", "default_value", "pattern", "converted_type"] {
        if item.has(unused) && !uses.contains(&unused) {
            item.mistake(unused, "this action does not use it", "remove it");
        }
    }
    if key.is_none() && !(matches!(verb, Verb::Delete | Verb::Hash) && pattern.is_some()) {
        item.required::<String>("key");
        return None;
    }
    let regex = match pattern {
        Some(pattern) => Some(compile(item, &pattern)?),
        None => None,
    };
    let what = match verb {
        Verb::Delete => What::Delete(regex),
        Verb::Hash => What::Hash(regex),
        Verb::Extract => What::Extract(named_groups(item, regex)?),
        Verb::Convert => match kind {
            Some(kind) => What::Convert(kind),
            None => {
                item.required::<String>("converted_type");
                return None;
            }
        },
        Verb::Put(when) => {
            let source = match (value, from_attribute) {
                (Some(value), None) => Source::Value(of_json(value)),
                (None, Some(name)) => Source::Attribute { name, default: default.map(of_json) },
                (None, None) if default.is_some() => Source::Value(of_json(default?)),
                (Some(_), Some(_)) => {
                    item.mistake("from_attribute", "there is a value already", "keep value or from_attribute");
                    return None;
                }
                (None, None) => {
                    item.mistake("", "there is no value", "add value: ..., or from_attribute: ...");
                    return None;
                }
            };
            What::Put { source, when }
        }
    };
    Some(Action { key: key.unwrap_or_default(), what })
}

fn compile(item: &Section, pattern: &str) -> Option<Regex> {
    let failed = |error: regex::Error| {
        let reason = error.to_string();
        let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        item.mistake("pattern", format!("it is not a regular expression: {last}"), "see https://docs.rs/regex/#syntax");
    };
    Regex::new(pattern).map_err(failed).ok()
}

/// A pattern for `extract`: every group says which attribute it fills.
fn named_groups(item: &mut Section, regex: Option<Regex>) -> Option<Regex> {
    let Some(regex) = regex else {
        item.required::<String>("pattern");
        return None;
    };
    let mut groups = regex.capture_names().skip(1).peekable();
    if groups.peek().is_none() || groups.any(|name| name.is_none()) {
        item.mistake("pattern", "every group needs a name, and there must be one", "write (?P<name>...)");
        return None;
    }
    Some(regex)
}

fn of_json(json: Json) -> Value {
    match json {
        Json::Null => Value::Empty,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Double(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::String(text),
        Json::Array(items) => Value::List(items.into_iter().map(of_json).collect()),
        Json::Object(map) => Value::Map(map.into_iter().map(|(key, value)| (key, of_json(value))).collect()),
    }
}

/// Canonical JSON in, canonical JSON out; `None` when nothing changed.
pub fn apply(actions: &[Action], json: &str) -> Option<String> {
    let mut set = Attributes::parse(json).ok()?;
    for action in actions {
        action.apply(&mut set);
    }
    let edited = set.to_json();
    (edited != json).then_some(edited)
}

impl Action {
    fn apply(&self, set: &mut Attributes) {
        let key = self.key.as_str();
        match &self.what {
            What::Put { source, when } => {
                let present = set.get(key).is_some();
                if *when == When::Absent && present || *when == When::Present && !present {
                    return;
                }
                let value = match source {
                    Source::Value(value) => Some(value),
                    Source::Attribute { name, default } => set.get(name).or(default.as_ref()),
                };
                if let Some(value) = value.cloned() {
                    set.insert(key, value);
                }
            }
            What::Delete(pattern) => {
                set.remove(key);
                if let Some(pattern) = pattern {
                    set.retain(|key, _| !pattern.is_match(key));
                }
            }
            What::Hash(pattern) => {
                let hits = |name: &str| name == key || pattern.as_ref().is_some_and(|pattern| pattern.is_match(name));
                let names = set.iter().filter(|(name, _)| hits(name)).map(|(name, _)| name.to_owned());
                for name in names.collect::<Vec<_>>() {
                    if let Some(hashed) = set.get(&name).map(hash) {
                        set.insert(name, hashed);
                    }
                }
            }
            What::Extract(pattern) => {
                let Some(Value::String(text)) = set.get(key).cloned() else { return };
                let Some(found) = pattern.captures(&text) else { return };
                for name in pattern.capture_names().flatten() {
                    let part = found.name(name).map_or("", |part| part.as_str());
                    set.insert(name, Value::String(part.to_owned()));
                }
            }
            What::Convert(kind) => {
                if let Some(converted) = set.get(key).and_then(|value| convert(value, *kind)) {
                    set.insert(key, converted);
                }
            }
        }
    }
}

/// SHA-256 in hex of a text's bytes, of a number's 8 little-endian bytes, of a boolean's one byte, as the
/// Collector hashes them; of anything else an empty text.
fn hash(value: &Value) -> Value {
    let bytes = match value {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Bool(value) => vec![u8::from(*value)],
        Value::Int(value) => value.to_le_bytes().to_vec(),
        Value::Double(value) => value.to_le_bytes().to_vec(),
        Value::Empty | Value::Bytes(_) | Value::List(_) | Value::Map(_) => Vec::new(),
    };
    if bytes.is_empty() {
        return Value::String(String::new());
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
    Value::String(hex(digest.as_ref()))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As pdata's `AsString` has it.
pub fn as_string(value: &Value) -> Cow<'_, str> {
    Cow::Owned(match value {
        Value::String(text) => return Cow::Borrowed(text),
        Value::Int(int) => int.to_string(),
        Value::Bool(bool) => bool.to_string(),
        Value::Double(double) => double_text(*double),
        Value::Empty => String::new(),
        Value::Bytes(bytes) => BASE64.encode(bytes),
        Value::List(_) | Value::Map(_) => return value.to_text(),
    })
}

/// `None`: it cannot be converted, and stays as it is.
fn convert(value: &Value, kind: Kind) -> Option<Value> {
    Some(match (kind, value) {
        (Kind::String, Value::String(_)) | (Kind::Int, Value::Int(_)) | (Kind::Double, Value::Double(_)) => {
            return None;
        }
        (Kind::String, value) => Value::String(as_string(value).into_owned()),
        (Kind::Int, Value::String(text)) => Value::Int(text.parse().ok()?),
        // The fraction is cut off, as the Collector does.
        (Kind::Int, Value::Double(double)) => Value::Int(*double as i64),
        (Kind::Int, Value::Bool(bool)) => Value::Int(i64::from(*bool)),
        (Kind::Double, Value::String(text)) => Value::Double(text.parse().ok()?),
        (Kind::Double, Value::Int(int)) => Value::Double(*int as f64),
        (Kind::Double, Value::Bool(bool)) => Value::Double(f64::from(u8::from(*bool))),
        (_, Value::Empty | Value::Bytes(_) | Value::List(_) | Value::Map(_)) => return None,
    })
}

/// As JSON and the Collector write it: an exponent for what is very small or very large.
fn double_text(double: f64) -> String {
    let size = double.abs();
    if size == 0.0 || !double.is_finite() || (1e-6..1e21).contains(&size) {
        return double.to_string();
    }
    let text = format!("{double:e}");
    if size >= 1e21 { text.replace('e', "e+") } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[track_caller]
    fn check(actions: &str, input: &str, expect: &str) {
        let mut section = Section::parse(&format!("actions: {actions}"));
        let actions = read(&mut section, "actions");
        assert_eq!(section.mistakes(), Vec::<String>::new());
        let got = apply(&actions, input).unwrap_or_else(|| input.to_owned());
        assert_eq!(got, expect);
    }

    #[track_caller]
    fn check_mistake(actions: &str, expect: &str) {
        let mut section = Section::parse(&format!("actions: {actions}"));
        read(&mut section, "actions");
        assert!(section.mistakes().join("\n").contains(expect), "{:#?}", section.mistakes());
    }

    #[test]
    fn insert_update_upsert() {
        check("[{key: a, value: 123, action: insert}]", "{}", r#"{"a":123}"#);
        check("[{key: a, value: 123, action: insert}]", r#"{"a":1}"#, r#"{"a":1}"#);
        check("[{key: a, value: x, action: update}]", r#"{"a":1}"#, r#"{"a":"x"}"#);
        check("[{key: a, value: x, action: update}]", r#"{"b":1}"#, r#"{"b":1}"#);
        check("[{key: a, value: true, action: upsert}]", r#"{"a":1}"#, r#"{"a":true}"#);
        check("[{key: a, value: 1.5, action: UPSERT}]", "{}", r#"{"a":1.5}"#);
        check("[{key: a, value: '7', action: upsert}]", "{}", r#"{"a":"7"}"#);
        check("[{key: a, value: [x, 1], action: upsert}]", "{}", r#"{"a":["x",1]}"#);
        check("[{key: b, from_attribute: a, action: upsert}]", r#"{"a":1}"#, r#"{"a":1,"b":1}"#);
        check("[{key: b, from_attribute: a, action: upsert}]", r#"{"c":1}"#, r#"{"c":1}"#);
        check("[{key: b, from_attribute: a, default_value: d, action: insert}]", "{}", r#"{"b":"d"}"#);
    }

    #[test]
    fn delete_and_hash() {
        check("[{key: a, action: delete}]", r#"{"a":1,"b":2}"#, r#"{"b":2}"#);
        check(r"[{pattern: '^http\.', action: delete}]", r#"{"a":1,"http.x":2}"#, r#"{"a":1}"#);
        check(r"[{key: a, pattern: 'x$', action: delete}]", r#"{"a":1,"http.x":2}"#, "{}");
        // FIPS 180-2's own example.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        check("[{key: a, action: hash}]", r#"{"a":"abc"}"#, &format!(r#"{{"a":"{abc}"}}"#));
        check(
            "[{pattern: '[ab]', action: hash}]",
            r#"{"a":"abc","c":"abc"}"#,
            &format!(r#"{{"a":"{abc}","c":"abc"}}"#),
        );
    }

    /// The bytes that the Collector hashes, through Python's `hashlib`; it hashes nothing of what has no such bytes.
    #[test]
    fn other_values_are_hashed_by_their_bytes() {
        for (value, hashed) in [
            ("24", "cbb032642036ec7043fa4529f06c9c9d8b12fa70ea6799a19ca8321a808d86fa"),
            ("2.4", "df3022be03461368aa299f2f30d440fd3ca45c9b62af40733f10296a53d42859"),
            ("true", "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"),
            ("false", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (r#"{"$empty":true}"#, ""),
            (r#"{"$bytes":"AQID"}"#, ""),
        ] {
            check("[{key: a, action: hash}]", &format!(r#"{{"a":{value}}}"#), &format!(r#"{{"a":"{hashed}"}}"#));
        }
    }

    #[test]
    fn extract_and_convert() {
        let pattern =
            r"'^(?P<http_protocol>.*):\/\/(?P<http_domain>.*)\/(?P<http_path>.*)(\?|\&)(?P<http_query_params>.*)'";
        check_mistake(&format!("[{{key: http.url, pattern: {pattern}, action: extract}}]"), "every group needs a name");
        let pattern =
            r"'^(?P<http_protocol>.*):\/\/(?P<http_domain>.*)\/(?P<http_path>.*)[?&](?P<http_query_params>.*)'";
        check(
            &format!("[{{key: http.url, pattern: {pattern}, action: extract}}]"),
            r#"{"http.url":"http://example.com/path?queryParam1=value1"}"#,
            r#"{"http.url":"http://example.com/path?queryParam1=value1","http_domain":"example.com","http_path":"path","http_protocol":"http","http_query_params":"queryParam1=value1"}"#,
        );
        check("[{key: a, pattern: '(?P<b>x)', action: extract}]", r#"{"a":5}"#, r#"{"a":5}"#);
        check("[{key: a, converted_type: int, action: convert}]", r#"{"a":"200"}"#, r#"{"a":200}"#);
        check("[{key: a, converted_type: int, action: convert}]", r#"{"a":"x"}"#, r#"{"a":"x"}"#);
        check("[{key: a, converted_type: int, action: convert}]", r#"{"a":2.9}"#, r#"{"a":2}"#);
        check("[{key: a, converted_type: double, action: convert}]", r#"{"a":"2.5"}"#, r#"{"a":2.5}"#);
        check("[{key: a, converted_type: string, action: convert}]", r#"{"a":7}"#, r#"{"a":"7"}"#);
        check("[{key: a, converted_type: string, action: convert}]", r#"{"a":true}"#, r#"{"a":"true"}"#);
        // Go's strconv, as pdata's AsString uses it.
        for (value, text) in [
            ("2.0", "2"),
            ("0.000001", "0.000001"),
            ("1e-7", "1e-7"),
            ("1e21", "1e+21"),
            ("[1,\"x\"]", "[1,\\\"x\\\"]"),
            ("{\"$bytes\":\"AQID\"}", "AQID"),
        ] {
            let actions = "[{key: a, converted_type: string, action: convert}]";
            check(actions, &format!("{{\"a\":{value}}}"), &format!("{{\"a\":\"{text}\"}}"));
        }
    }

    #[test]
    fn the_collector_s_sample() {
        let actions = "
      - {key: db.table, action: delete}
      - {key: redacted_span, value: true, action: upsert}
      - {key: copy_key, from_attribute: key_original, action: update}
      - {key: account_id, value: 2245, action: insert}
      - {key: account_password, action: delete}
      - {key: http.status_code, action: convert, converted_type: int}";
        check(
            actions,
            r#"{"account_password":"p","copy_key":1,"db.table":"t","http.status_code":"404","key_original":"o"}"#,
            r#"{"account_id":2245,"copy_key":"o","http.status_code":404,"key_original":"o","redacted_span":true}"#,
        );
    }

    #[test]
    fn mistakes() {
        check_mistake("[]", "there are no actions");
        check_mistake("[{key: a, action: inset, value: 1}]", "did you mean \"insert\"?");
        check_mistake("[{key: a, value: 1}]", "actions[0]: \"action\" is required");
        check_mistake("[{action: insert, value: 1}]", "\"key\" is required");
        check_mistake("[{action: delete}]", "\"key\" is required");
        check_mistake("[{key: a, action: insert}]", "there is no value");
        check_mistake("[{key: a, action: insert, value: 1, from_attribute: b}]", "there is a value already");
        check_mistake("[{key: a, action: delete, value: 1}]", "actions[0]::value: this action does not use it");
        check_mistake("[{key: a, action: extract}]", "\"pattern\" is required");
        check_mistake("[{key: a, action: extract, pattern: '(?P<x>'}]", "it is not a regular expression");
        check_mistake("[{key: a, action: convert}]", "\"converted_type\" is required");
        check_mistake("[{key: a, action: upsert, from_context: metadata.x}]", "metadata is not kept");
        check_mistake("[{key: a, action: delete, valu: 1}]", "did you mean \"value\"?");
    }
}
