//! Lists of statements, and groups of them.

use std::marker::PhantomData;

use catchment_pipeline::batch::{Signal, Table};
use catchment_pipeline::config::{FromNode, Node, Reader, Section, Value};

use crate::sql::{self, ERROR_MODES, ErrorMode, Rows, Statement, Wrong};

#[derive(Default)]
pub struct Rules {
    metrics: Vec<Step>,
    logs: Vec<Step>,
    traces: Vec<Step>,
}

/// A statement, over each table that it is about.
pub struct Step {
    pub statements: Vec<Statement>,
    pub mode: ErrorMode,
}

impl Rules {
    pub fn of(&self, signal: Signal) -> &[Step] {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Logs | Signal::Alerts => &self.logs,
            Signal::Traces => &self.traces,
        }
    }
}

const KEYS: [&str; 6] = ["metrics", "logs", "traces", "metric_statements", "log_statements", "trace_statements"];

pub fn read(section: &mut Section) -> Rules {
    section.accepted("profile_statements", "profiles are not carried");
    let mode = section.choice("error_mode", &ERROR_MODES).unwrap_or(ErrorMode::Ignore);
    let rules = Rules {
        metrics: steps::<Points>(section, ["metric_statements", "metrics"], mode),
        logs: steps::<Records>(section, ["log_statements", "logs"], mode),
        traces: steps::<Spans>(section, ["trace_statements", "traces"], mode),
    };
    if !KEYS.iter().any(|key| section.has(key)) && !section.has("profile_statements") {
        section.mistake(
            "",
            "there is no statement",
            "add metrics: [\"SET attributes['key'] = 'value'\"], logs or traces",
        );
    }
    rules
}

fn steps<S: Of>(section: &mut Section, keys: [&str; 2], mode: ErrorMode) -> Vec<Step> {
    let groups = keys.map(|key| section.or(key, Vec::<Group<S>>::new()));
    let of_group = |group: Group<S>| {
        let mode = group.mode.unwrap_or(mode);
        group.steps.into_iter().map(move |statements| Step { statements, mode })
    };
    groups.into_iter().flatten().flat_map(of_group).collect()
}

trait Of {
    const TABLES: &'static [Rows];
    const CONTEXTS: &'static [&'static str];
}

struct Points;
struct Records;
struct Spans;

impl Of for Points {
    const TABLES: &'static [Rows] = &[
        Rows::Of(Table::Metrics),
        Rows::Of(Table::Histograms),
        Rows::Of(Table::ExpHistograms),
        Rows::Of(Table::Summaries),
    ];
    const CONTEXTS: &'static [&'static str] = &["resource", "scope", "metric", "datapoint"];
}

impl Of for Records {
    const TABLES: &'static [Rows] = &[Rows::Of(Table::Logs)];
    const CONTEXTS: &'static [&'static str] = &["resource", "scope", "log"];
}

impl Of for Spans {
    const TABLES: &'static [Rows] = &[Rows::Of(Table::Spans)];
    const CONTEXTS: &'static [&'static str] = &["resource", "scope", "span"];
}

/// One statement, or several with conditions of which one has to hold.
struct Group<S> {
    steps: Vec<Vec<Statement>>,
    mode: Option<ErrorMode>,
    of: PhantomData<S>,
}

impl<S: Of> FromNode for Group<S> {
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let steps = vec![compile::<S>(node, at, &[])?];
            return Some(Group { steps, mode: None, of: PhantomData });
        };
        let (mut mode, mut conditions, mut statements) = (None, Vec::new(), None);
        for entry in entries {
            match entry.key.as_str() {
                "error_mode" => {
                    let word = String::from_node(&entry.value, at)?;
                    mode = ERROR_MODES.iter().find(|(name, _)| *name == word).map(|(_, mode)| *mode);
                    if mode.is_none() {
                        at.wrong(
                            &entry.value,
                            format!("\"{word}\" is not an error mode"),
                            "write ignore, silent or propagate",
                        );
                    }
                }
                "context" => {
                    let word = String::from_node(&entry.value, at)?;
                    if !S::CONTEXTS.contains(&word.as_str()) {
                        let mend = format!("contexts: {}", S::CONTEXTS.join(", "));
                        at.wrong(&entry.value, format!("\"{word}\" is not a context here"), mend);
                    }
                }
                "conditions" => conditions = texts(&entry.value, at)?,
                "statements" => statements = Some(&entry.value),
                other => {
                    let mend = "known keys: conditions, context, error_mode, statements";
                    at.wrong(&entry.value, format!("unknown key \"{other}\""), mend);
                }
            }
        }
        let Some(Value::List(statements)) = statements.map(|node| &node.value) else {
            at.wrong(node, "there are no statements", "add statements: [\"SET attributes['key'] = 'value'\"]");
            return None;
        };
        let steps = statements.iter().filter_map(|item| compile::<S>(item, at, &conditions)).collect();
        Some(Group { steps, mode, of: PhantomData })
    }
}

/// A list of texts, none of which is taken apart at its commas.
fn texts(node: &Node, at: &Reader<'_>) -> Option<Vec<String>> {
    match &node.value {
        Value::List(items) => items.iter().map(|item| String::from_node(item, at)).collect(),
        _ => {
            at.wrong(node, "expected a list", "write one \"- condition\" a line");
            None
        }
    }
}

fn compile<S: Of>(node: &Node, at: &Reader<'_>, conditions: &[String]) -> Option<Vec<Statement>> {
    let text = String::from_node(node, at)?;
    let compiled = sql::statement(S::TABLES, &text, conditions);
    compiled.map_err(|Wrong { what, mend, .. }| at.wrong(node, what, mend)).ok()
}
