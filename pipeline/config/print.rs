//! A configuration back to YAML, for `print-config`; and its fingerprint.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::node::{Node, Scalar, Typed, Value, is_null};

/// Block style, two spaces a level. Values at one of the `secrets` paths become `[REDACTED]`.
pub fn print(node: &Node, secrets: &BTreeSet<String>) -> String {
    let mut out = String::new();
    write_node(&mut out, node, "", 0, secrets);
    out
}

/// Equal exactly when kind and expanded values are: what did not change need not be restarted.
pub(super) fn fingerprint(kind: &str, node: &Node) -> u64 {
    let text = format!("{kind}\n{}", print(node, &BTreeSet::new()));
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

/// Writes what follows `key:` or `-`, the space or line end before it included.
fn write_node(out: &mut String, node: &Node, path: &str, level: usize, secrets: &BTreeSet<String>) {
    let indent = "  ".repeat(level);
    match &node.value {
        _ if secrets.contains(path) && !node.is_null() => inline(out, "\"[REDACTED]\""),
        Value::Null => inline(out, if out.is_empty() { "{}" } else { "" }),
        Value::Scalar(scalar) => inline(out, &scalar_text(scalar)),
        Value::List(items) if items.is_empty() => inline(out, "[]"),
        Value::Map(entries) if entries.is_empty() => inline(out, "{}"),
        Value::List(items) => {
            end_line(out);
            for (index, item) in items.iter().enumerate() {
                let _ = write!(out, "{indent}-");
                write_node(out, item, &format!("{path}[{index}]"), level + 1, secrets);
            }
        }
        Value::Map(entries) => {
            end_line(out);
            for entry in entries {
                let key = scalar_text(&Scalar::quoted(entry.key.as_str()));
                let _ = write!(out, "{indent}{key}:");
                let path = if path.is_empty() { entry.key.clone() } else { format!("{path}::{}", entry.key) };
                write_node(out, &entry.value, &path, level + 1, secrets);
            }
        }
    }
}

fn inline(out: &mut String, text: &str) {
    if !out.is_empty() && !text.is_empty() {
        out.push(' ');
    }
    out.push_str(text);
    out.push('\n');
}

fn end_line(out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
}

/// As it stands where that is read back as the same thing, and in double quotes otherwise.
fn scalar_text(scalar: &Scalar) -> String {
    let text = scalar.text.as_str();
    let begins =
        text.trim_start_matches('-').starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '/' | '$'));
    let simple = text.chars().all(|c| c.is_alphanumeric() || "_-./+=@$(){}:".contains(c));
    let bare = begins && simple && !text.ends_with(':');
    let same = scalar.plain || {
        let plain = Scalar { text: text.to_owned(), plain: true };
        matches!(plain.typed(), Typed::Text(_)) && !is_null(text)
    };
    if bare && same { text.to_owned() } else { quote(text) }
}

fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
