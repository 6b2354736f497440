//! The functions of Go's templates and of Prometheus', as their documentation has them.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use regex::RegexBuilder;

use super::Facts;
use super::eval::Value;
use super::format::{general, printf, shortest, show};

/// Those that every text begins with, in the order in which `Eval` keeps them.
pub const VARIABLES: [&str; 4] = ["labels", "value", "externalLabels", "externalURL"];

const KNOWN: &[&str] = &[
    "and",
    "args",
    "eq",
    "externalURL",
    "ge",
    "gt",
    "html",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "index",
    "js",
    "le",
    "len",
    "lt",
    "match",
    "ne",
    "not",
    "now",
    "or",
    "parseDuration",
    "pathPrefix",
    "print",
    "printf",
    "println",
    "reReplaceAll",
    "slice",
    "stripDomain",
    "stripPort",
    "title",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "urlQueryEscape",
    "urlquery",
];
/// With why they are not here.
const REFUSED: [(&str, &str); 9] = [
    ("query", "a text asks nothing: let the rule's SQL give what it needs as a column"),
    ("first", "it works on what `query` gives, which is not supported"),
    ("label", "it works on what `query` gives, which is not supported: write $labels.name"),
    ("value", "it works on what `query` gives, which is not supported: write $value"),
    ("strvalue", "it works on what `query` gives, which is not supported"),
    ("sortByLabel", "it works on what `query` gives, which is not supported"),
    ("safeHtml", "texts are never taken as HTML: remove it"),
    ("graphLink", "expressions are SQL: write a link to a board"),
    ("tableLink", "expressions are SQL: write a link to a board"),
];
/// Bytes that a compiled pattern may take.
const PATTERN: usize = 1 << 20;

/// At reading: whether there is such a function.
pub fn check(name: &str) -> Result<(), String> {
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Err(format!("function \"{name}\" is not supported: {why}"));
    }
    if KNOWN.contains(&name) { Ok(()) } else { Err(format!("function \"{name}\" not defined")) }
}

pub fn call(name: &str, arguments: Vec<Value>, facts: &Facts<'_>) -> Result<Value, String> {
    if let Some(result) = comparison(name, &arguments) {
        return result.map(Value::Bool);
    }
    match (name, arguments.as_slice()) {
        ("not", [value]) => Ok(Value::Bool(!value.truth())),
        ("len", [value]) => length(value),
        ("index", [value, at @ ..]) => index(value, at),
        ("slice", [value, at @ ..]) => slice(value, at),
        ("print", all) => Ok(Value::Text(print(all))),
        ("println", all) => Ok(Value::Text(all.iter().map(show).collect::<Vec<_>>().join(" ") + "\n")),
        ("printf", [Value::Text(format), rest @ ..]) => Ok(Value::Text(printf(format, rest))),
        ("html", all) => Ok(Value::Text(html(&print(all)))),
        ("js", all) => Ok(Value::Text(js(&print(all)))),
        ("urlquery", all) => Ok(Value::Text(url(&print(all)))),
        ("urlQueryEscape", [value]) => Ok(Value::Text(url(&show(value)))),
        ("args", all) => Ok(Value::List(all.to_vec())),
        ("now", []) => Ok(Value::Float(facts.at as f64 / 1e9)),
        ("externalURL", []) => Ok(Value::Text(facts.external_url.to_owned())),
        ("pathPrefix", []) => Ok(Value::Text(path(facts.external_url))),
        ("parseDuration", [value]) => parse_duration(&show(value)).map(Value::Float),
        ("toUpper", [value]) => Ok(Value::Text(show(value).to_uppercase())),
        ("toLower", [value]) => Ok(Value::Text(show(value).to_lowercase())),
        ("title", [value]) => Ok(Value::Text(title(&show(value)))),
        ("match", [pattern, text]) => Ok(Value::Bool(regex(&show(pattern))?.is_match(&show(text)))),
        ("reReplaceAll", [pattern, by, text]) => replace(&show(pattern), &show(by), &show(text)),
        ("stripPort", [value]) => Ok(Value::Text(strip_port(&show(value)))),
        ("stripDomain", [value]) => Ok(Value::Text(strip_domain(&show(value)))),
        ("humanize", [value]) => number(value).map(|number| Value::Text(humanize(number))),
        ("humanize1024", [value]) => number(value).map(|number| Value::Text(humanize_1024(number))),
        ("humanizeDuration", [value]) => number(value).map(|number| Value::Text(humanize_duration(number))),
        ("humanizePercentage", [value]) => number(value).map(|number| Value::Text(general(number * 100.0, 4) + "%")),
        ("humanizeTimestamp" | "toTime", [value]) => number(value).and_then(timestamp).map(Value::Text),
        ("toDuration", [value]) => number(value).map(|number| Value::Text(go_duration(number))),
        (name, all) => Err(format!("error calling {name}: {} arguments of these kinds do not fit", all.len())),
    }
}

/// `None`: it is none.
fn comparison(name: &str, arguments: &[Value]) -> Option<Result<bool, String>> {
    let holds: fn(Ordering) -> bool = match name {
        "eq" | "ne" => Ordering::is_eq,
        "lt" => Ordering::is_lt,
        "le" => Ordering::is_le,
        "gt" => Ordering::is_gt,
        "ge" => Ordering::is_ge,
        _ => return None,
    };
    let [first, rest @ ..] = arguments else { return Some(Err(format!("missing argument for {name}"))) };
    if rest.is_empty() || (name != "eq" && rest.len() > 1) {
        return Some(Err(format!("wrong number of args for {name}")));
    }
    let compare = |other: &Value| {
        let order = match (first, other) {
            (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) if matches!(name, "eq" | "ne") => Some(a.cmp(b)),
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Nil, other) | (other, Value::Nil) if matches!(name, "eq" | "ne") => {
                Some(if *other == Value::Nil { Ordering::Equal } else { Ordering::Less })
            }
            (a, b) => match (numeric(a), numeric(b)) {
                // NaN is neither more nor less.
                (Some(a), Some(b)) => return Ok(a.partial_cmp(&b).is_some_and(holds) != (name == "ne")),
                _ => None,
            },
        };
        let order = order.ok_or_else(|| format!("error calling {name}: incompatible types for comparison"))?;
        Ok(holds(order) != (name == "ne"))
    };
    let results = rest.iter().map(compare).collect::<Result<Vec<bool>, String>>();
    Some(results.map(|results| results.into_iter().any(|holds| holds)))
}

fn numeric(value: &Value) -> Option<f64> {
    match value {
        Value::Int(int) => Some(*int as f64),
        Value::Float(float) => Some(*float),
        _ => None,
    }
}

/// Of a number, or of a text that says one.
fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Text(text) => parse(text).ok_or_else(|| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")),
        other => numeric(other).ok_or_else(|| format!("can't convert {} to float", show(other))),
    }
}

fn parse(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn length(value: &Value) -> Result<Value, String> {
    match value {
        Value::Text(text) => Ok(Value::Int(text.len() as i64)),
        Value::Map(map) => Ok(Value::Int(map.len() as i64)),
        Value::List(list) => Ok(Value::Int(list.len() as i64)),
        other => Err(format!("error calling len: len of {}", show(other))),
    }
}

fn index(value: &Value, at: &[Value]) -> Result<Value, String> {
    let Some((first, rest)) = at.split_first() else { return Ok(value.clone()) };
    let item = match (value, first) {
        (Value::Map(map), Value::Text(name)) => Value::Text(map.get(name).cloned().unwrap_or_default()),
        (Value::List(list), Value::Int(at)) => {
            let item = usize::try_from(*at).ok().and_then(|at| list.get(at)).cloned();
            item.ok_or_else(|| format!("error calling index: index out of range: {at}"))?
        }
        (Value::Text(text), Value::Int(at)) => {
            let byte = usize::try_from(*at).ok().and_then(|at| text.as_bytes().get(at)).copied();
            Value::Int(i64::from(byte.ok_or_else(|| format!("error calling index: index out of range: {at}"))?))
        }
        (other, _) => return Err(format!("error calling index: can't index {}", show(other))),
    };
    index(&item, rest)
}

fn slice(value: &Value, at: &[Value]) -> Result<Value, String> {
    let place = |value: Option<&Value>, default: usize| match value {
        None => Ok(default),
        Some(Value::Int(at)) => usize::try_from(*at).map_err(|_| "error calling slice: index out of range".to_owned()),
        Some(_) => Err("error calling slice: cannot index with such a value".to_owned()),
    };
    let out = || "error calling slice: index out of range".to_owned();
    match value {
        Value::Text(text) => {
            let (from, to) = (place(at.first(), 0)?, place(at.get(1), text.len())?);
            text.get(from..to).map(|part| Value::Text(part.to_owned())).ok_or_else(out)
        }
        Value::List(list) => {
            let (from, to) = (place(at.first(), 0)?, place(at.get(1), list.len())?);
            list.get(from..to).map(|part| Value::List(part.to_vec())).ok_or_else(out)
        }
        other => Err(format!("error calling slice: can't slice {}", show(other))),
    }
}

/// Blanks stand between two that are no texts.
fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| values.get(at));
        if before.is_some_and(|before| !matches!(before, Value::Text(_)) && !matches!(value, Value::Text(_))) {
            out.push(' ');
        }
        out.push_str(&show(value));
    }
    out
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c < ' ' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn url(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn path(url: &str) -> String {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    after.find('/').map(|at| after[at..].split(['?', '#']).next().unwrap_or_default().to_owned()).unwrap_or_default()
}

fn title(text: &str) -> String {
    let mut before = ' ';
    let upper = |c: char| {
        let begins = !before.is_alphanumeric() && before != '_' && before != '\'';
        before = c;
        if begins { c.to_uppercase().collect::<String>() } else { c.to_string() }
    };
    text.chars().map(upper).collect()
}

fn regex(pattern: &str) -> Result<regex::Regex, String> {
    RegexBuilder::new(pattern).size_limit(PATTERN).build().map_err(|error| format!("error parsing regexp: {error}"))
}

fn replace(pattern: &str, by: &str, text: &str) -> Result<Value, String> {
    let regex = regex(pattern)?;
    let matches = regex.find_iter(text).count();
    // What a match is replaced by may hold the whole text for each group it names.
    let most = matches.saturating_mul(by.len().saturating_add(by.matches('$').count().saturating_mul(text.len())));
    if most > 16 * super::OUTPUT && most > 4 * text.len() {
        return Err("reReplaceAll gives too much".to_owned());
    }
    Ok(Value::Text(regex.replace_all(text, by).into_owned()))
}

fn strip_port(host: &str) -> String {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, after)) if after.starts_with(':') => inner.to_owned(),
        Some(_) => host.to_owned(),
        None => match host.split_once(':') {
            Some((name, port)) if !port.contains(':') => name.to_owned(),
            _ => host.to_owned(),
        },
    }
}

fn strip_domain(host_port: &str) -> String {
    let (host, port) = match host_port.split_once(':') {
        Some((host, port)) if !port.contains(':') && !host_port.starts_with('[') => (host, format!(":{port}")),
        _ => (host_port, String::new()),
    };
    if host.starts_with('[') || host.contains(':') || host.parse::<std::net::IpAddr>().is_ok() {
        return host_port.to_owned();
    }
    format!("{}{port}", host.split('.').next().unwrap_or(host))
}

pub fn humanize(mut number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return general(number, 4);
    }
    let mut prefix = "";
    if number.abs() >= 1.0 {
        for next in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if number.abs() < 1000.0 {
                break;
            }
            (prefix, number) = (next, number / 1000.0);
        }
    } else {
        (number, prefix) = small(number);
    }
    general(number, 4) + prefix
}

fn small(mut number: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if number.abs() >= 1.0 {
            break;
        }
        (prefix, number) = (next, number * 1000.0);
    }
    (number, prefix)
}

fn humanize_1024(mut number: f64) -> String {
    if number.abs() <= 1.0 || !number.is_finite() {
        return general(number, 4);
    }
    let mut prefix = "";
    for next in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
        if number.abs() < 1024.0 {
            break;
        }
        (prefix, number) = (next, number / 1024.0);
    }
    general(number, 4) + prefix
}

fn humanize_duration(number: f64) -> String {
    if !number.is_finite() {
        return general(number, 4);
    }
    if number == 0.0 {
        return general(number, 4) + "s";
    }
    if number.abs() < 1.0 {
        let (number, prefix) = small(number);
        return format!("{}{prefix}s", general(number, 4));
    }
    let (sign, number) = if number < 0.0 { ("-", -number) } else { ("", number) };
    let whole = number as i64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", general(number, 4)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, ..) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

/// As Go prints a time in UTC, to the millisecond.
fn timestamp(seconds: f64) -> Result<String, String> {
    if !seconds.is_finite() {
        return Ok(general(seconds, 4));
    }
    let millis = (seconds * 1e3).floor() as i64;
    let time = DateTime::<Utc>::from_timestamp_millis(millis).ok_or("the time is out of range")?;
    let fraction = format!(".{:03}", millis.rem_euclid(1000));
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    Ok(format!("{}{fraction} +0000 UTC", time.format("%Y-%m-%d %H:%M:%S")))
}

/// `1h2m3.5s`.
fn go_duration(seconds: f64) -> String {
    let nanos = (seconds * 1e9) as i64;
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < 1_000_000_000 {
        let (unit, per) = match nanos {
            0..1_000 => ("ns", 1.0),
            1_000..1_000_000 => ("µs", 1e3),
            _ => ("ms", 1e6),
        };
        return format!("{sign}{}{unit}", shortest(nanos as f64 / per, 21));
    }
    let (hours, minutes) = (nanos / 3_600_000_000_000, nanos / 60_000_000_000 % 60);
    let seconds = shortest((nanos % 60_000_000_000) as f64 / 1e9, 21);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// Seconds of `1d12h`.
fn parse_duration(text: &str) -> Result<f64, String> {
    let wrong = || format!("not a valid duration string: {text:?}");
    let (mut seconds, mut rest) = (0.0, text);
    if rest == "0" {
        return Ok(0.0);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (count, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let per = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 7.0 * 86_400.0,
            "y" => 365.0 * 86_400.0,
            _ => return Err(wrong()),
        };
        seconds += count.parse::<f64>().map_err(|_| wrong())? * per;
        rest = after;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(seconds) }
}
