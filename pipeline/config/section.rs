//! [`Section`]: one mapping while it is being planned.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::mistake::{Mistake, Report, Severity, suggest};
use super::node::{Entry, Node, Place, Value};
use super::read::{FromNode, Reader};
use super::yaml;

/// One mapping of the configuration while it is being planned. Reading a key marks it known; when a section
/// is dropped, every key that nobody asked for is reported with the nearest known one.
#[derive(Debug)]
pub struct Section {
    entries: Vec<Entry>,
    place: Place,
    path: String,
    asked: BTreeSet<String>,
    report: Report,
}

impl Section {
    /// A mapping, or null as an empty one; anything else is a mistake, and then an empty one too.
    pub(crate) fn new(node: &Node, path: String, report: &Report) -> Section {
        let entries = match &node.value {
            Value::Map(entries) => entries.clone(),
            Value::Null => Vec::new(),
            _ => {
                let what = format!("expected a mapping, got {}", node.what());
                report.error(&node.place, &path, what, "write one \"key: value\" a line, indented below it");
                Vec::new()
            }
        };
        Section { entries, place: node.place.clone(), path, asked: BTreeSet::new(), report: report.clone() }
    }

    /// From a text of its own, e.g. a file that the configuration names. `None`: it is no YAML, and the report says why.
    pub fn read(yaml: &str, file: &str, report: &Report) -> Option<Section> {
        let node = yaml::parse(yaml, &Arc::from(file), report)?;
        Some(Section::new(&node, String::new(), report))
    }

    /// From YAML text, for tests of a component's plan.
    pub fn parse(yaml: &str) -> Section {
        let report = Report::default();
        let file = Arc::<str>::from("test.yaml");
        let nothing = Node::new(Value::Null, Place { file: file.clone(), line: 1, column: 1 });
        let node = yaml::parse(yaml, &file, &report).unwrap_or(nothing);
        Section::new(&node, String::new(), &report)
    }

    /// Absent, null, or wrong (then a mistake was recorded): `None`.
    pub fn get<T: FromNode>(&mut self, key: &str) -> Option<T> {
        self.asked.insert(key.to_owned());
        let node = self.value(key).filter(|node| !node.is_null())?;
        T::from_node(node, &Reader { path: self.path_of(key), report: &self.report })
    }

    pub fn or<T: FromNode>(&mut self, key: &str, default: T) -> T {
        self.get(key).unwrap_or(default)
    }

    /// As `get`, but absence is a mistake.
    pub fn required<T: FromNode>(&mut self, key: &str) -> Option<T> {
        if self.value(key).is_none_or(Node::is_null) {
            self.asked.insert(key.to_owned());
            let place = self.value(key).map_or(&self.place, |node| &node.place);
            self.report.error(place, &self.path, format!("\"{key}\" is required"), format!("add {key}: ..."));
            return None;
        }
        self.get(key)
    }

    /// One of a few words, in any case.
    pub fn choice<T: Clone>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let word = self.get::<String>(key)?;
        let found = choices.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
        if found.is_none() {
            let names = choices.iter().map(|(name, _)| *name);
            self.mistake(key, format!("\"{word}\" is not one of the choices"), suggest(&word, names, "choices"));
        }
        found
    }

    /// A nested mapping; `key:` with nothing after it is an empty one. Read it once: each reading reports the
    /// keys it does not know.
    pub fn section(&mut self, key: &str) -> Option<Section> {
        self.asked.insert(key.to_owned());
        self.value(key).map(|node| Section::new(node, self.path_of(key), &self.report))
    }

    /// A mapping whose keys are the user's, each value a mapping (e.g. `scrapers`).
    pub fn sections(&mut self, key: &str) -> Vec<(String, Section)> {
        let Some(mut outer) = self.section(key) else { return Vec::new() };
        let names = outer.keys().map(str::to_owned).collect::<Vec<_>>();
        names.into_iter().filter_map(|name| outer.section(&name).map(|inner| (name, inner))).collect()
    }

    /// A list of mappings (e.g. `actions`).
    pub fn list(&mut self, key: &str) -> Vec<Section> {
        self.asked.insert(key.to_owned());
        let path = self.path_of(key);
        let Some(node) = self.value(key) else { return Vec::new() };
        match &node.value {
            Value::Null => Vec::new(),
            Value::List(items) => (items.iter().enumerate())
                .map(|(index, item)| Section::new(item, format!("{path}[{index}]"), &self.report))
                .collect(),
            _ => {
                let what = format!("expected a list, got {}", node.what());
                self.report.error(&node.place, &path, what, "begin each item with \"- \"");
                Vec::new()
            }
        }
    }

    /// Accepts `key` and does nothing with it; whoever wrote it is told why.
    pub fn accepted(&mut self, key: &str, why: &str) {
        self.asked.insert(key.to_owned());
        if let Some(node) = self.value(key).filter(|node| !node.is_null()) {
            self.report.note(&node.place, &self.path_of(key), "accepted, and changes nothing here", why);
        }
    }

    /// Whether the key is written here, null included. Does not count as reading it.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The keys that are written here.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    /// Where this section is in the whole configuration: `exporters::otlp_http`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value of `key` (or the section itself for "") is wrong: say what, and how to mend it.
    pub fn mistake(&self, key: &str, what: impl Into<String>, mend: impl Into<String>) {
        self.report.error(self.place_of(key), &self.path_of(key), what, mend);
    }

    /// As `mistake`, for what works but should be looked at.
    pub fn warning(&self, key: &str, what: impl Into<String>, mend: impl Into<String>) {
        self.report.warning(self.place_of(key), &self.path_of(key), what, mend);
    }

    /// What has been found wrong so far in the whole tree this section belongs to, ready to print; the keys
    /// of this section that nobody has asked for yet are part of it.
    pub fn mistakes(&self) -> Vec<String> {
        self.report_unknown();
        self.found(|severity| severity == Severity::Error)
    }

    /// Warnings and notes found so far, ready to print.
    pub fn remarks(&self) -> Vec<String> {
        self.found(|severity| severity != Severity::Error)
    }

    fn found(&self, wanted: impl Fn(Severity) -> bool) -> Vec<String> {
        let all = self.report.mistakes();
        all.iter().filter(|mistake| wanted(mistake.severity)).map(Mistake::to_string).collect()
    }

    /// A mapping whose keys are the user's, as it stands.
    pub(crate) fn entries(&mut self, key: &str) -> Vec<Entry> {
        self.section(key).map(|mut section| std::mem::take(&mut section.entries)).unwrap_or_default()
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    pub(crate) fn path_of(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (_, true) => self.path.clone(),
            (true, false) => key.to_owned(),
            (false, false) => format!("{}::{key}", self.path),
        }
    }

    fn place_of(&self, key: &str) -> &Place {
        self.value(key).map_or(&self.place, |node| &node.place)
    }

    fn report_unknown(&self) {
        for entry in self.entries.iter().filter(|entry| !self.asked.contains(&entry.key)) {
            let free = self.asked.iter().map(String::as_str).filter(|known| !self.has(known));
            // A known key that is already there cannot be what was meant, unless nothing else is left.
            let mend = match super::mistake::nearest(&entry.key, free) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => suggest(&entry.key, self.asked.iter().map(String::as_str), "known keys"),
            };
            self.report.error(&entry.place, &self.path, format!("unknown key \"{}\"", entry.key), mend);
        }
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        self.report_unknown();
    }
}
