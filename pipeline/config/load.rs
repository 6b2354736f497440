//! Sources and `--set` -> one configuration: read, merge, then expand, as the Collector does.

use std::io::Read;
use std::sync::Arc;

use super::expand::{Environment, expand, move_to};
use super::mistake::Report;
use super::node::{Entry, Node, Place, Value};
use super::yaml;

/// The process's environment and files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

impl Environment for Process {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        // One byte past the limit is enough to see that it is passed, whatever the file is.
        let read = file.take(yaml::MAX_BYTES as u64 + 1).read_to_string(&mut text);
        read.map_err(|error| error.to_string())?;
        match text.len() > yaml::MAX_BYTES {
            true => Err(format!("more than {} bytes", yaml::MAX_BYTES)),
            false => Ok(text),
        }
    }
}

/// One configuration, as written (merged, `${...}` left alone) and as it is relied upon.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub written: Node,
    pub expanded: Node,
}

/// `sources` as `--config` takes them: a path, `file:path`, `yaml:inline`, `env:NAME`; later ones win, mappings
/// merge, lists replace. `sets` as `--set` takes them, after all sources. `None`: one could not be read, and
/// what the others say would only be half of it.
pub fn load(sources: &[String], sets: &[String], env: &dyn Environment, report: &Report) -> Option<Loaded> {
    let sources = sources.iter().map(|source| read(source, env, report));
    let sets = sets.iter().map(|set| assignment(set, report));
    let read = sources.chain(sets).collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()?;
    let mut written = Node::new(Value::Null, command_line("configuration"));
    // An empty source changes nothing.
    for node in read.into_iter().filter(|node| !node.is_null()) {
        merge(&mut written, node);
    }
    let expanded = expand(&written, env, report);
    Some(Loaded { written, expanded })
}

fn command_line(what: &str) -> Place {
    Place { file: Arc::from(what), line: 0, column: 0 }
}

fn read(source: &str, env: &dyn Environment, report: &Report) -> Option<Node> {
    let fail = |what: String, mend: &str| report.error(&command_line(source), "", what, mend);
    let (name, text) = match source.split_once(':') {
        Some(("yaml", text)) => ("yaml:".to_owned(), text.to_owned()),
        Some(("env", name)) => match env.var(name) {
            Some(text) => (source.to_owned(), text),
            None => {
                fail(format!("the environment variable {name} is not set"), "set it to a whole configuration");
                return None;
            }
        },
        Some((scheme, rest)) if scheme.len() > 1 && rest.starts_with("//") && scheme != "file" => {
            fail(format!("the scheme \"{scheme}\" is not supported"), "use a path, file:, env: or yaml:");
            return None;
        }
        _ => {
            let path = source.strip_prefix("file:").unwrap_or(source);
            match env.file(path) {
                Ok(text) => (path.to_owned(), text),
                Err(why) => {
                    fail(format!("cannot be read: {why}"), "check path and permissions");
                    return None;
                }
            }
        }
    };
    let mut node = yaml::parse(&text, &Arc::from(name), report)?;
    match &mut node.value {
        Value::Null => {}
        Value::Map(entries) => node = unfold(std::mem::take(entries), &node.place),
        _ => {
            let what = format!("a configuration is a mapping, and this is {}", node.what());
            report.error(&node.place, "", what, "begin with receivers:, exporters: and service:");
            return None;
        }
    }
    Some(node)
}

/// `processors::batch::timeout: 2s` at the top is three levels.
fn unfold(entries: Vec<Entry>, place: &Place) -> Node {
    let mut whole = Node::new(Value::Map(Vec::new()), place.clone());
    for entry in entries {
        merge(&mut whole, nest(&entry.key.split("::").collect::<Vec<_>>(), &entry.place, entry.value, place));
    }
    whole
}

fn nest(keys: &[&str], at: &Place, value: Node, outer: &Place) -> Node {
    let inside = keys.iter().rev().fold(value, |value, key| {
        let entry = Entry { key: (*key).to_owned(), place: at.clone(), value };
        Node::new(Value::Map(vec![entry]), at.clone())
    });
    Node { place: outer.clone(), ..inside }
}

/// `a.b=c`, or `a::b=c` when a key has a dot in it.
fn assignment(set: &str, report: &Report) -> Option<Node> {
    let place = command_line(&format!("--set {}", set.split('=').next().unwrap_or_default()));
    let Some((path, value)) = set.split_once('=').filter(|(path, _)| !path.trim().is_empty()) else {
        report.error(&place, "", "there is no key and value", "write --set processors.batch.timeout=2s");
        return None;
    };
    let mut value = yaml::parse(value, &place.file, report)?;
    move_to(&mut value, &place);
    let path = path.trim();
    let keys = path.split(if path.contains("::") { "::" } else { "." }).collect::<Vec<_>>();
    Some(nest(&keys, &place, value, &place))
}

/// Mappings merge; anything else replaces what was there.
fn merge(base: &mut Node, over: Node) {
    let Node { value, place, original } = over;
    match (&mut base.value, value) {
        (Value::Map(known), Value::Map(more)) => {
            for entry in more {
                match known.iter_mut().find(|old| old.key == entry.key) {
                    Some(old) => merge(&mut old.value, entry.value),
                    None => known.push(entry),
                }
            }
        }
        (_, value) => *base = Node { value, place, original },
    }
}
