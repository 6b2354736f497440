//! YAML text -> [`Node`]s with their places. Bounded in size, depth and what aliases expand to; keys must be
//! scalars and differ; one document.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::mistake::Report;
use super::node::{Entry, Node, Place, Scalar, Value, is_null};

pub(super) const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 64;
/// Text plus a share for every node, after aliases are expanded.
const MAX_WEIGHT: usize = 16 << 20;
const NODE_WEIGHT: usize = 64;

/// `None` when the text cannot be read at all; the reasons are in the report. An empty text is null.
pub fn parse(text: &str, file: &Arc<str>, report: &Report) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::new(file.clone(), report);
    if text.len() > MAX_BYTES {
        let what = format!("{} bytes are more than a configuration may have ({MAX_BYTES})", text.len());
        report.error(&builder.top(), "", what, "split it into several --config files");
        return None;
    }
    // Not the crate's `load`, which recurses: `next` keeps its own stack.
    for event in Parser::new_from_str(text) {
        let taken = event.map_err(|error| builder.scan_error(text, &error)).and_then(|(event, span)| {
            let place = builder.place(&span.start);
            builder.event(event, place)
        });
        if taken.is_err() {
            return None;
        }
    }
    let top = builder.top();
    Some(builder.root.unwrap_or(Node::new(Value::Null, top)))
}

/// A reported mistake after which reading on makes no sense.
struct Fatal;

/// A node with what it weighs and how deep it is.
#[derive(Clone)]
struct Weighed {
    node: Node,
    weight: usize,
    depth: usize,
}

/// A list or mapping that is still open.
struct Open {
    anchor: usize,
    place: Place,
    weight: usize,
    depth: usize,
    children: Children,
}

enum Children {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Key>, merges: Vec<Node> },
}

enum Key {
    Name(String, Place),
    /// `<<`
    Merge,
}

struct Builder<'a> {
    file: Arc<str>,
    report: &'a Report,
    open: Vec<Open>,
    anchors: HashMap<usize, Weighed>,
    root: Option<Node>,
    weight: usize,
    documents: usize,
}

impl<'a> Builder<'a> {
    fn new(file: Arc<str>, report: &'a Report) -> Builder<'a> {
        let (open, anchors) = (Vec::new(), HashMap::new());
        Builder { file, report, open, anchors, root: None, weight: 0, documents: 0 }
    }

    fn top(&self) -> Place {
        Place { file: self.file.clone(), line: 1, column: 1 }
    }

    fn place(&self, marker: &Marker) -> Place {
        Place { file: self.file.clone(), line: marker.line(), column: marker.col() + 1 }
    }

    fn fatal(&self, place: &Place, what: impl Into<String>, mend: impl Into<String>) -> Fatal {
        self.report.error(place, "", what, mend);
        Fatal
    }

    fn too_deep(&self, place: &Place) -> Fatal {
        self.fatal(place, format!("more than {MAX_DEPTH} levels deep"), "close the brackets, or flatten it")
    }

    fn event(&mut self, event: Event<'_>, place: Place) -> Result<(), Fatal> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                match self.documents {
                    1 => Ok(()),
                    _ => Err(self.fatal(&place, "a second YAML document begins here", "keep one document per file")),
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.is_text(tag, &place);
                let length = text.len();
                let value = match plain && is_null(&text) {
                    true => Value::Null,
                    false => Value::Scalar(Scalar { text: text.into_owned(), plain }),
                };
                let weight = NODE_WEIGHT + length;
                self.finished(Weighed { node: Node::new(value, place), weight, depth: 1 }, anchor, weight)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(known) => {
                    let weight = known.weight;
                    self.finished(known, 0, weight)
                }
                None => Err(self.fatal(&place, "an alias inside what it stands for", "an anchor cannot hold itself")),
            },
            Event::SequenceStart(anchor, tag) => {
                self.is_text(tag, &place);
                self.begin(anchor, place, Children::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.is_text(tag, &place);
                self.begin(anchor, place, Children::Map { entries: Vec::new(), key: None, merges: Vec::new() })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let value = match open.children {
                    Children::List(items) => Value::List(items),
                    Children::Map { mut entries, merges, .. } => {
                        merges.iter().for_each(|from| merge(&mut entries, from, self.report));
                        Value::Map(entries)
                    }
                };
                let node = Node::new(value, open.place);
                let done = Weighed { node, weight: open.weight + NODE_WEIGHT, depth: open.depth + 1 };
                self.finished(done, open.anchor, NODE_WEIGHT)
            }
        }
    }

    fn begin(&mut self, anchor: usize, place: Place, children: Children) -> Result<(), Fatal> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(&place));
        }
        self.open.push(Open { anchor, place, weight: 0, depth: 0, children });
        Ok(())
    }

    /// A node is complete: remember it under its anchor, and give it to its parent. `fresh` is how much of its
    /// weight was not counted yet.
    fn finished(&mut self, done: Weighed, anchor: usize, fresh: usize) -> Result<(), Fatal> {
        self.weight += fresh;
        if self.weight > MAX_WEIGHT || self.open.len() + done.depth > MAX_DEPTH + 1 {
            let what = "aliases expand to more than a configuration may hold";
            return Err(self.fatal(&done.node.place, what, "write out less, or split it"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, done.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(done.node);
            return Ok(());
        };
        parent.weight += done.weight;
        parent.depth = parent.depth.max(done.depth);
        match &mut parent.children {
            Children::List(items) => items.push(done.node),
            Children::Map { entries, key, merges } => match key.take() {
                Some(Key::Merge) => merges.push(done.node),
                Some(Key::Name(name, place)) => {
                    insert(entries, Entry { key: name, place, value: done.node }, self.report);
                }
                None => {
                    let Some(name) = Key::of(&done.node) else {
                        let what = format!("{} cannot be a key", done.node.what());
                        return Err(self.fatal(&done.node.place, what, "a key is a text; quote it if it has { or ["));
                    };
                    *key = Some(name);
                }
            },
        }
        Ok(())
    }

    /// Whether the tag asks for text; any other tag means nothing here.
    fn is_text(&self, tag: Option<Cow<'_, Tag>>, place: &Place) -> bool {
        match tag {
            None => false,
            Some(tag) if tag.is_yaml_core_schema() => tag.suffix == "str",
            Some(tag) => {
                let what = format!("the tag {tag} is not known");
                self.report.error(place, "", what, "remove it: types follow from the keys");
                false
            }
        }
    }

    fn scan_error(&self, text: &str, error: &ScanError) -> Fatal {
        let at = self.place(error.marker());
        // Whatever the parser made of it, a tab in the indentation is what the author has to know about.
        let tab = text.lines().take(at.line).enumerate().find_map(|(index, line)| {
            let column = line.find(|c: char| c != ' ').filter(|column| line[*column..].starts_with('\t'))?;
            (!line.trim().is_empty()).then(|| Place { file: self.file.clone(), line: index + 1, column: column + 1 })
        });
        if let Some(place) = tab {
            return self.fatal(&place, "a tab is used for indentation", "YAML allows only spaces there");
        }
        if error.info().contains("recursion limit") {
            return self.too_deep(&at);
        }
        let mend = match error.info() {
            info if info.contains("mapping values") => "a value with \": \" in it needs quotes; check the indentation",
            info if info.contains("unknown anchor") => "define it before it is used: &name",
            _ => "check quotes, brackets and indentation here and on the line above",
        };
        self.fatal(&at, format!("not valid YAML: {}", error.info()), mend)
    }
}

impl Key {
    fn of(node: &Node) -> Option<Key> {
        match &node.value {
            Value::Scalar(scalar) if scalar.plain && scalar.text == "<<" => Some(Key::Merge),
            Value::Scalar(scalar) => Some(Key::Name(scalar.text.clone(), node.place.clone())),
            Value::Null => Some(Key::Name("null".to_owned(), node.place.clone())),
            _ => None,
        }
    }
}

fn insert(entries: &mut Vec<Entry>, entry: Entry, report: &Report) {
    if let Some(first) = entries.iter().find(|first| first.key == entry.key) {
        let what = format!("the key \"{}\" is already there, on line {}", entry.key, first.place.line);
        report.error(&entry.place, "", what, "remove or rename one of them");
        return;
    }
    entries.push(entry);
}

/// `<<: *base` or `<<: [*a, *b]`: what the mapping does not say itself is taken over.
fn merge(entries: &mut Vec<Entry>, from: &Node, report: &Report) {
    match &from.value {
        Value::Map(more) => {
            for entry in more {
                if !entries.iter().any(|known| known.key == entry.key) {
                    entries.push(entry.clone());
                }
            }
        }
        Value::List(maps) => maps.iter().for_each(|map| merge(entries, map, report)),
        _ => {
            let what = format!("\"<<\" takes over mappings, and this is {}", from.what());
            report.error(&from.place, "", what, "give it an alias of a mapping, or a list of them");
        }
    }
}
