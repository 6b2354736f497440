//! YAML as written and as relied upon: [`Section`] is how a component reads its keys.

use std::time::Duration;

/// One mapping of the configuration while it is being planned. Reading a key marks it known; when a section
/// is dropped, every key that nobody asked for is reported with the nearest known one.
#[derive(Debug)]
pub struct Section(());

/// A type a scalar or list of the configuration can become.
pub trait FromNode: Sized {}
impl FromNode for String {}
impl FromNode for bool {}
impl FromNode for u16 {}
impl FromNode for u32 {}
impl FromNode for u64 {}
impl FromNode for i64 {}
impl FromNode for usize {}
impl FromNode for f64 {}
/// `10s`, `1m30s`, `200ms`, as Go writes durations.
impl FromNode for Duration {}
impl<T: FromNode> FromNode for Vec<T> {}
impl<T: FromNode> FromNode for std::collections::BTreeMap<String, T> {}

/// A value that is never printed: `Debug`, errors and `print-config` show `[REDACTED]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);
impl FromNode for Secret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl Section {
    /// From YAML text, for tests of a component's plan.
    pub fn parse(_yaml: &str) -> Section {
        Section(())
    }

    /// Absent, null, or wrong (then a mistake was recorded): `None`.
    pub fn get<T: FromNode>(&mut self, _key: &str) -> Option<T> {
        None
    }

    pub fn or<T: FromNode>(&mut self, key: &str, default: T) -> T {
        self.get(key).unwrap_or(default)
    }

    /// As `get`, but absence is a mistake.
    pub fn required<T: FromNode>(&mut self, _key: &str) -> Option<T> {
        None
    }

    /// A nested mapping; `key:` with nothing after it is an empty one.
    pub fn section(&mut self, _key: &str) -> Option<Section> {
        None
    }

    /// A mapping whose keys are the user's, each value a mapping (e.g. `scrapers`).
    pub fn sections(&mut self, _key: &str) -> Vec<(String, Section)> {
        Vec::new()
    }

    /// A list of mappings (e.g. `actions`).
    pub fn list(&mut self, _key: &str) -> Vec<Section> {
        Vec::new()
    }

    pub fn has(&self, _key: &str) -> bool {
        false
    }

    /// The value of `key` (or the section itself for "") is wrong: say what, and how to mend it.
    pub fn mistake(&self, _key: &str, _what: impl Into<String>, _mend: impl Into<String>) {}

    /// What has been found wrong so far in the whole tree this section belongs to, ready to print.
    pub fn mistakes(&self) -> Vec<String> {
        Vec::new()
    }
}
