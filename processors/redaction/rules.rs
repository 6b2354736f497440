//! What is kept, masked and removed: one attribute set, or one body, at a time.

use std::borrow::Cow;
use std::collections::HashSet;

use catchment_pipeline::batch::attributes::{Attributes, Value};
use catchment_pipeline::config::{Secret, Section};
use md5::Digest as _;
use regex::{Regex, RegexSet};

use crate::actions::{as_string, hex};

const MASK: &str = "****";

pub(super) struct Rules {
    /// `None`: all.
    allowed_keys: Option<HashSet<String>>,
    ignored_keys: HashSet<String>,
    ignored_key_patterns: RegexSet,
    blocked_key_patterns: RegexSet,
    allowed_values: RegexSet,
    /// Whether any of `blocked_values` is there: most texts have none.
    any_blocked: RegexSet,
    blocked_values: Vec<Regex>,
    mask: Mask,
    summary: Summary,
    all_types: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Summary {
    Silent,
    Info,
    Debug,
}

enum Mask {
    Stars,
    Md5,
    Sha1,
    Sha3,
    Hmac(ring::hmac::Key),
}

#[derive(Clone, Copy)]
enum Hash {
    None,
    Md5,
    Sha1,
    Sha3,
    Hmac(ring::hmac::Algorithm, usize),
}

const HASHES: [(&str, Hash); 6] = [
    ("", Hash::None),
    ("md5", Hash::Md5),
    ("sha1", Hash::Sha1),
    ("sha3", Hash::Sha3),
    ("hmac-sha256", Hash::Hmac(ring::hmac::HMAC_SHA256, 32)),
    ("hmac-sha512", Hash::Hmac(ring::hmac::HMAC_SHA512, 64)),
];

/// What the processor itself writes, and a second one lets pass.
const OWN: [&str; 14] = [
    "redaction.redacted.keys",
    "redaction.redacted.count",
    "redaction.masked.keys",
    "redaction.masked.count",
    "redaction.allowed.keys",
    "redaction.allowed.count",
    "redaction.ignored.keys",
    "redaction.ignored.count",
    "redaction.body.redacted.keys",
    "redaction.body.redacted.count",
    "redaction.body.masked.keys",
    "redaction.body.masked.count",
    "redaction.body.allowed.keys",
    "redaction.body.allowed.count",
];

impl Rules {
    pub fn read(section: &mut Section) -> Rules {
        let allow_all = section.or("allow_all_keys", false);
        let allowed = section.or("allowed_keys", Vec::<String>::new());
        let ignored = section.or("ignored_keys", Vec::<String>::new());
        let summaries = [("silent", Summary::Silent), ("info", Summary::Info), ("debug", Summary::Debug)];
        for (key, instead) in [
            ("url_sanitizer", "URLs are not sanitized here"),
            ("db_sanitizer", "database statements are not sanitized here"),
        ] {
            if section
                .section(key)
                .is_some_and(|mut sanitizer| sanitizer.keys().next().is_some() && asks(&mut sanitizer))
            {
                section.mistake(
                    key,
                    instead,
                    "mask what must not be kept by blocked_values, or leave it to a Collector before",
                );
            }
        }
        let own = OWN.iter().chain(["redaction.body.ignored.count"].iter()).map(|key| (*key).to_owned());
        Rules {
            allowed_keys: (!allow_all).then(|| allowed.into_iter().chain(own).collect()),
            ignored_keys: ignored.into_iter().collect(),
            ignored_key_patterns: patterns(section, "ignored_key_patterns").1,
            blocked_key_patterns: patterns(section, "blocked_key_patterns").1,
            allowed_values: patterns(section, "allowed_values").1,
            summary: section.choice("summary", &summaries).unwrap_or(Summary::Silent),
            all_types: section.or("redact_all_types", false),
            mask: mask(section),
            ..Rules::blocking(patterns(section, "blocked_values"))
        }
    }

    fn blocking((blocked_values, any_blocked): (Vec<Regex>, RegexSet)) -> Rules {
        Rules {
            allowed_keys: None,
            ignored_keys: HashSet::new(),
            ignored_key_patterns: RegexSet::empty(),
            blocked_key_patterns: RegexSet::empty(),
            allowed_values: RegexSet::empty(),
            any_blocked,
            blocked_values,
            mask: Mask::Stars,
            summary: Summary::Silent,
            all_types: false,
        }
    }
}

fn asks(sanitizer: &mut Section) -> bool {
    let names = sanitizer.keys().map(str::to_owned).collect::<Vec<_>>();
    let mut enabled = sanitizer.or("enabled", false);
    for name in names.iter().filter(|name| !["enabled", "attributes", "sanitize_span_name"].contains(&name.as_str())) {
        if let Some(mut one) = sanitizer.section(name) {
            enabled |= one.or("enabled", false);
            let _ = one.get::<Vec<String>>("attributes");
        }
    }
    let _ = sanitizer.get::<Vec<String>>("attributes");
    let _ = sanitizer.get::<bool>("sanitize_span_name");
    enabled
}

fn patterns(section: &mut Section, key: &str) -> (Vec<Regex>, RegexSet) {
    let texts = section.or(key, Vec::<String>::new());
    let compiled = texts.iter().filter_map(|text| {
        let failed = |error: regex::Error| {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let what = format!("\"{text}\" is not a regular expression: {last}");
            section.mistake(key, what, "see https://docs.rs/regex/#syntax");
        };
        Regex::new(text).map_err(failed).ok()
    });
    let compiled = compiled.collect::<Vec<_>>();
    let set = RegexSet::new(compiled.iter().map(Regex::as_str)).unwrap_or_else(|error| {
        section.mistake(key, format!("together they are too large: {error}"), "write fewer, or shorter ones");
        RegexSet::empty()
    });
    (compiled, set)
}

fn mask(section: &mut Section) -> Mask {
    let key = section.get::<Secret>("hmac_key");
    match section.choice("hash_function", &HASHES).unwrap_or(Hash::None) {
        Hash::None => Mask::Stars,
        Hash::Md5 => Mask::Md5,
        Hash::Sha1 => Mask::Sha1,
        Hash::Sha3 => Mask::Sha3,
        Hash::Hmac(algorithm, least) => {
            let Secret(key) = key.unwrap_or_else(|| Secret(String::new()));
            if key.len() < least {
                let what = format!("this hash_function needs a key of at least {least} bytes");
                section.mistake("hmac_key", what, "for example hmac_key: ${env:REDACTION_KEY}");
            }
            Mask::Hmac(ring::hmac::Key::new(algorithm, key.as_bytes()))
        }
    }
}

impl Mask {
    fn of(&self, text: &str) -> String {
        match self {
            Mask::Stars => MASK.to_owned(),
            Mask::Md5 => hex(&md5::Md5::digest(text)),
            Mask::Sha1 => hex(ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref()),
            Mask::Sha3 => hex(&sha3::Sha3_256::digest(text)),
            Mask::Hmac(key) => hex(ring::hmac::sign(key, text.as_bytes()).as_ref()),
        }
    }
}

/// The keys of one set, or the paths of one body, by what became of them.
#[derive(Default)]
pub(super) struct Found {
    redacted: Vec<String>,
    masked: Vec<String>,
    allowed: Vec<String>,
    ignored: Vec<String>,
}

enum Fate {
    Keep,
    Remove,
    Become(String),
}

impl Rules {
    /// Canonical JSON in, canonical JSON out; `None` when nothing changed.
    pub fn set(&self, json: &str) -> Option<String> {
        // What cannot be read is not let through.
        let Ok(set) = Attributes::parse(json) else { return Some("{}".to_owned()) };
        let mut found = Found::default();
        let fates = set.iter().map(|(key, value)| self.attribute(key, value, &mut found)).collect::<Vec<_>>();
        if found.redacted.is_empty() && found.masked.is_empty() && (self.summary == Summary::Silent || found.is_empty())
        {
            return None;
        }
        let kept = set.iter().zip(fates).filter_map(|((key, value), fate)| match fate {
            Fate::Keep => Some((key.to_owned(), value.clone())),
            Fate::Remove => None,
            Fate::Become(text) => Some((key.to_owned(), Value::String(text))),
        });
        let mut kept: Attributes = kept.collect();
        self.summarize(&mut kept, found, "redaction");
        Some(kept.to_json())
    }

    fn attribute(&self, key: &str, value: &Value, found: &mut Found) -> Fate {
        if self.ignores(key) {
            found.ignored.push(key.to_owned());
            return Fate::Keep;
        }
        if !self.allows(key) {
            found.redacted.push(key.to_owned());
            return Fate::Remove;
        }
        let text = match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            _ if self.all_types => as_string(value),
            _ => Cow::Borrowed(""),
        };
        if self.allowed_values.is_match(&text) {
            found.allowed.push(key.to_owned());
            return Fate::Keep;
        }
        if self.blocked_key_patterns.is_match(key) {
            found.masked.push(key.to_owned());
            return Fate::Become(self.mask.of(&text));
        }
        match self.masked(&text) {
            None => Fate::Keep,
            Some(masked) => {
                found.masked.push(key.to_owned());
                Fate::Become(masked)
            }
        }
    }

    fn ignores(&self, key: &str) -> bool {
        self.ignored_keys.contains(key) || self.ignored_key_patterns.is_match(key)
    }

    fn allows(&self, key: &str) -> bool {
        self.allowed_keys.as_ref().is_none_or(|allowed| allowed.contains(key))
    }

    /// `None`: nothing in it is blocked.
    fn masked(&self, text: &str) -> Option<String> {
        if !self.any_blocked.is_match(text) {
            return None;
        }
        let mut masked = Cow::Borrowed(text);
        for pattern in &self.blocked_values {
            if let Cow::Owned(next) = pattern.replace_all(&masked, |at: &regex::Captures<'_>| self.mask.of(&at[0])) {
                masked = Cow::Owned(next);
            }
        }
        Some(masked.into_owned()).filter(|masked| masked != text)
    }

    /// A body that is a plain text. `None`: it stays.
    pub fn text_body(&self, text: &str, found: &mut Found) -> Option<String> {
        let masked = if self.allowed_values.is_match(text) { None } else { self.masked(text) };
        found.masked.extend(masked.is_some().then(|| "body".to_owned()));
        masked
    }

    /// A body that is anything else. `None`: it stays.
    pub fn body(&self, body: &Value, found: &mut Found) -> Option<Value> {
        match body {
            Value::Map(_) | Value::List(_) => {
                let mut body = body.clone();
                self.nested("", &mut body, found).then_some(body)
            }
            Value::Empty => None,
            other => self.text_body(&as_string(other), found).map(Value::String),
        }
    }

    /// Whether anything changed. `path`: of keys, `a.b.[0]`.
    fn nested(&self, path: &str, value: &mut Value, found: &mut Found) -> bool {
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match value {
            Value::Map(map) => {
                let mut changed = false;
                let kept = map.iter().filter_map(|(key, value)| {
                    let path = below(key);
                    let mut value = value.clone();
                    if self.ignores(key) {
                        found.ignored.push(path);
                    } else if !self.allows(key) {
                        found.redacted.push(path);
                        changed = true;
                        return None;
                    } else if self.blocked_key_patterns.is_match(key) {
                        found.masked.push(path);
                        let text = if let Value::String(text) = &value { text.as_str() } else { "" };
                        value = Value::String(self.mask.of(text));
                        changed = true;
                    } else {
                        changed |= self.nested(&path, &mut value, found);
                    }
                    Some((key.to_owned(), value))
                });
                let kept: Attributes = kept.collect();
                *map = kept;
                changed
            }
            Value::List(items) => {
                let mut changed = false;
                for (index, item) in items.iter_mut().enumerate() {
                    changed |= self.nested(&below(&format!("[{index}]")), item, found);
                }
                changed
            }
            _ => {
                let text = as_string(value);
                if self.allowed_values.is_match(&text) {
                    found.allowed.push(path.to_owned());
                    return false;
                }
                let Some(masked) = self.masked(&text) else { return false };
                found.masked.push(path.to_owned());
                *value = Value::String(masked);
                true
            }
        }
    }

    /// A record's attributes with what was found in its body. `None`: nothing is to be said.
    pub fn with_body_summary(&self, json: &str, found: Found) -> Option<String> {
        if self.summary == Summary::Silent || found.is_empty() {
            return None;
        }
        let mut set = Attributes::parse(json).ok()?;
        self.summarize(&mut set, found, "redaction.body");
        Some(set.to_json())
    }

    /// Added to what a processor before this one has said.
    fn summarize(&self, set: &mut Attributes, found: Found, prefix: &str) {
        let Found { redacted, masked, allowed, ignored } = found;
        for (what, mut keys) in [("redacted", redacted), ("masked", masked), ("allowed", allowed), ("ignored", ignored)]
        {
            if keys.is_empty() || self.summary == Summary::Silent {
                continue;
            }
            let mut count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
            if self.summary == Summary::Debug && what != "ignored" {
                let name = format!("{prefix}.{what}.keys");
                if let Some(Value::String(before)) = set.get(&name).filter(|value| !as_string(value).is_empty()) {
                    keys.extend(before.split(',').map(str::to_owned));
                }
                keys.sort_unstable();
                set.insert(name, Value::String(keys.join(",")));
            }
            let name = format!("{prefix}.{what}.count");
            if let Some(Value::Int(before)) = set.get(&name) {
                count = count.saturating_add(*before);
            }
            set.insert(name, Value::Int(count));
        }
    }
}

impl Found {
    pub fn is_empty(&self) -> bool {
        [&self.redacted, &self.masked, &self.allowed, &self.ignored].into_iter().all(Vec::is_empty)
    }
}
