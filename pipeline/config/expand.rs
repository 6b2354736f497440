//! `${env:V}`, `${V}`, `${env:V:-default}`, `${file:path}`, `${yaml:text}`, nested; `$$` is `$`.
//!
//! As in the Collector: a value that is one reference becomes whatever its text is as YAML (a mapping too) and
//! keeps that text where text is wanted; a reference inside a longer text is put in as text. What comes in may
//! have references itself. Keys are not expanded. Unset without a default: null, and a warning.

use std::sync::Arc;

use super::mistake::{Report, suggest};
use super::node::{Entry, Node, Place, Scalar, Typed, Value, is_null};
use super::yaml;

/// Where references lead, so that planning can be tested without an environment or a disk.
pub trait Environment {
    fn var(&self, name: &str) -> Option<String>;

    /// A whole file, at most 1 MiB; why not, in words.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// References inside what references lead to.
const MAX_NESTING: usize = 32;
/// What one text may become.
const MAX_TEXT: usize = yaml::MAX_BYTES;
/// What all references together may bring in.
const MAX_TOTAL: usize = 8 * yaml::MAX_BYTES;
const SCHEMES: [&str; 3] = ["env", "file", "yaml"];

pub(super) fn expand(node: &Node, env: &dyn Environment, report: &Report) -> Node {
    let mut expander = Expander { env, report, path: Vec::new(), total: 0 };
    expander.node(node, 0)
}

struct Expander<'a> {
    env: &'a dyn Environment,
    report: &'a Report,
    path: Vec<String>,
    total: usize,
}

/// What a reference leads to.
struct Found {
    text: String,
    /// The file it is from, for places inside it.
    file: Option<Arc<str>>,
}

impl Expander<'_> {
    fn node(&mut self, node: &Node, nesting: usize) -> Node {
        let value = match &node.value {
            Value::Null => Value::Null,
            Value::List(items) => Value::List(
                (items.iter().enumerate())
                    .map(|(index, item)| self.at(format!("[{index}]"), |this| this.node(item, nesting)))
                    .collect(),
            ),
            Value::Map(entries) => Value::Map(
                (entries.iter())
                    .map(|entry| {
                        let value = self.at(entry.key.clone(), |this| this.node(&entry.value, nesting));
                        Entry { key: entry.key.clone(), place: entry.place.clone(), value }
                    })
                    .collect(),
            ),
            Value::Scalar(scalar) if scalar.text.contains('$') => return self.scalar(scalar, node, nesting),
            Value::Scalar(scalar) => Value::Scalar(scalar.clone()),
        };
        Node { value, place: node.place.clone(), original: node.original.clone() }
    }

    fn at<T>(&mut self, key: String, run: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key);
        let value = run(self);
        self.path.pop();
        value
    }

    fn error(&self, place: &Place, what: impl Into<String>, mend: impl Into<String>) {
        self.report.error(place, &self.path(), what, mend);
    }

    fn path(&self) -> String {
        self.path.join("::").replace("::[", "[")
    }

    fn scalar(&mut self, scalar: &Scalar, node: &Node, nesting: usize) -> Node {
        let null = || Node::new(Value::Null, node.place.clone());
        if let Some(reference) = whole(&scalar.text) {
            let found = self.text(reference, &node.place, nesting).and_then(|uri| self.look_up(&uri, &node.place));
            return found.map_or_else(null, |found| self.as_yaml(found, &node.place, nesting));
        }
        match self.text(&scalar.text, &node.place, nesting) {
            Some(text) => Node::new(Value::Scalar(Scalar { plain: false, text }), node.place.clone()),
            None => null(),
        }
    }

    /// A text with everything in it resolved. `None`: a mistake was recorded.
    fn text(&mut self, text: &str, place: &Place, nesting: usize) -> Option<String> {
        let mut done = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            done.push_str(&rest[..at]);
            let dollar = &rest[at..];
            if let Some(after) = dollar.strip_prefix("$$") {
                done.push('$');
                rest = after;
            } else if let Some(length) = reference(dollar) {
                let uri = self.text(&dollar[2..length - 1], place, nesting)?;
                let found = self.look_up(&uri, place)?;
                done.push_str(&self.inner_text(found, place, nesting)?);
                rest = &dollar[length..];
            } else {
                done.push('$');
                rest = &dollar[1..];
            }
            if done.len() > MAX_TEXT {
                self.error(place, "references expand to more than a text may hold", "look for a reference to itself");
                return None;
            }
        }
        done.push_str(rest);
        Some(done)
    }

    /// What was found, where it stands inside a text.
    fn inner_text(&mut self, found: Found, place: &Place, nesting: usize) -> Option<String> {
        self.deeper(nesting, place)?;
        self.text(&found.text, place, nesting + 1)
    }

    /// What was found, as a value of its own.
    fn as_yaml(&mut self, found: Found, place: &Place, nesting: usize) -> Node {
        let nothing = Node::new(Value::Null, place.clone());
        if self.deeper(nesting, place).is_none() {
            return nothing;
        }
        let trial = Report::default();
        let file = found.file.clone().unwrap_or_else(|| place.file.clone());
        let mut node = match yaml::parse(&found.text, &file, &trial) {
            Some(node) if !trial.has_errors() => node,
            // Not YAML (a password may well not be): the text itself.
            _ => Node::new(Value::Scalar(Scalar::quoted(found.text.clone())), place.clone()),
        };
        if found.file.is_none() {
            move_to(&mut node, place);
        }
        if node.is_null() && !is_null(found.text.trim()) {
            // Only comments, for YAML: `#1` may be meant as it stands.
            node.value = Value::Scalar(Scalar::quoted(found.text.clone()));
        }
        match &mut node.value {
            Value::Null => return node,
            Value::Scalar(scalar) if !scalar.plain => return self.node(&node, nesting + 1),
            // Not cut off at a `#`, nor trimmed: a text is what the variable holds.
            Value::Scalar(scalar) if matches!(scalar.typed(), Typed::Text(_)) => {
                scalar.text.clone_from(&found.text);
                return self.node(&node, nesting + 1);
            }
            _ => {}
        }
        let node = self.node(&node, nesting + 1);
        let original = self.text(&found.text, place, nesting + 1).map(Arc::from);
        Node { original, ..node }
    }

    fn deeper(&mut self, nesting: usize, place: &Place) -> Option<()> {
        if nesting >= MAX_NESTING {
            self.error(place, "too many references inside references", "look for one that leads to itself");
            return None;
        }
        Some(())
    }

    fn look_up(&mut self, uri: &str, place: &Place) -> Option<Found> {
        let (scheme, rest) = match uri.split_once(':') {
            // `${NAME:-default}`: no scheme, a default.
            Some((_, rest)) if rest.starts_with('-') => ("env", uri),
            Some((scheme, rest)) => (scheme, rest),
            None => ("env", uri),
        };
        let found = match scheme {
            "env" => self.variable(rest, place)?,
            "yaml" => Found { text: rest.to_owned(), file: None },
            "file" => match self.env.file(rest) {
                Ok(mut text) => {
                    // The line end that editors add is not part of the value.
                    text.truncate(text.trim_end_matches(['\n', '\r']).len());
                    Found { text, file: Some(Arc::from(rest)) }
                }
                Err(why) => {
                    self.error(place, format!("${{file:{rest}}} cannot be read: {why}"), "check path and permissions");
                    return None;
                }
            },
            _ => {
                let mend = format!("{}; to write it as it is, begin with $$", suggest(scheme, SCHEMES, "schemes"));
                self.error(place, format!("the scheme \"{scheme}\" in ${{{uri}}} is not supported"), mend);
                return None;
            }
        };
        self.total += found.text.len();
        if self.total > MAX_TOTAL {
            self.error(place, "references bring in more than a configuration may hold", "use fewer, or smaller files");
            return None;
        }
        Some(found)
    }

    fn variable(&mut self, reference: &str, place: &Place) -> Option<Found> {
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let head = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !head || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let mend = "use letters, digits and _, not a digit first; to write it as it is, begin with $$";
            self.error(place, format!("\"{name}\" cannot be the name of an environment variable"), mend);
            return None;
        }
        let text = match (self.env.var(name), default) {
            (Some(text), _) => text,
            (None, Some(default)) => default.to_owned(),
            (None, None) => {
                let what = format!("the environment variable {name} is not set; nothing is put in its place");
                let mend = format!("set it, or write ${{env:{name}:-default}}");
                self.report.warning(place, &self.path(), what, mend);
                String::new()
            }
        };
        Some(Found { text, file: None })
    }
}

/// The inside of a text that is one reference from end to end.
fn whole(text: &str) -> Option<&str> {
    (reference(text)? == text.len()).then(|| &text[2..text.len() - 1])
}

/// The length of the reference that `text` begins with, nested ones inside it included.
fn reference(text: &str) -> Option<usize> {
    if !text.starts_with("${") {
        return None;
    }
    let (mut depth, mut at) = (1, 2);
    while let Some(next) = text[at..].find(['$', '}']) {
        at += next;
        if text[at..].starts_with("$$") {
            at += 2;
        } else if text[at..].starts_with("${") {
            (depth, at) = (depth + 1, at + 2);
            if depth > MAX_NESTING {
                return None;
            }
        } else if text[at..].starts_with('$') {
            at += 1;
        } else {
            (depth, at) = (depth - 1, at + 1);
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// What a variable holds has no lines of its own: its mistakes are reported where it is referred to.
pub(super) fn move_to(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| move_to(item, place)),
        Value::Map(entries) => {
            for entry in entries {
                entry.place = place.clone();
                move_to(&mut entry.value, place);
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}
