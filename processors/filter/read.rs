//! The Collector's keys, and what is wrong with them.

use std::marker::PhantomData;

use catchment_pipeline::batch::{Signal, Table};
use catchment_pipeline::config::{FromNode, Node, Reader, Section, Value};

use crate::matching::Properties;
use crate::sql::{self, ERROR_MODES, ErrorMode, Program, Rows, Wrong};

#[derive(Default)]
pub struct Rules {
    conditions: Vec<Condition>,
    pub named: Vec<Named>,
}

/// Compiled once for each sort of row that has its columns.
pub struct Condition {
    pub programs: Vec<Program>,
    pub mode: ErrorMode,
    /// True of one point: its metric goes as a whole.
    pub whole_metric: bool,
}

/// `include` or `exclude` of a signal.
pub struct Named {
    pub signal: Signal,
    pub include: bool,
    pub properties: Properties,
}

impl Rules {
    pub fn concern(&self, signal: Signal) -> bool {
        self.named.iter().any(|named| named.signal == signal)
            || self.conditions.iter().flat_map(|condition| &condition.programs).any(|it| signal_of(it.rows) == signal)
    }

    /// Those about `rows`.
    pub fn of(&self, rows: Rows) -> impl Iterator<Item = (&Condition, &Program)> {
        let all = self.conditions.iter().flat_map(|condition| condition.programs.iter().map(move |it| (condition, it)));
        all.filter(move |(_, program)| program.rows == rows)
    }
}

pub const METRICS: [Table; 4] = [Table::Metrics, Table::Histograms, Table::ExpHistograms, Table::Summaries];

fn signal_of(rows: Rows) -> Signal {
    match rows {
        Rows::SpanEvents => Signal::Traces,
        Rows::Of(table) => table.signal(),
    }
}

pub fn read(section: &mut Section) -> Rules {
    let mut rules = Rules::default();
    section.accepted("profile_conditions", "profiles are not carried");
    section.accepted("profiles", "profiles are not carried");
    let mode = section.choice("error_mode", &ERROR_MODES).unwrap_or(ErrorMode::Ignore);
    rules.add(section.or("metric_conditions", Vec::<Group<Points>>::new()), mode);
    rules.add(section.or("log_conditions", Vec::<Group<Records>>::new()), mode);
    rules.add(section.or("trace_conditions", Vec::<Group<Spans>>::new()), mode);
    if let Some(mut metrics) = section.section("metrics") {
        rules.add(metrics.or("resource", Vec::<Group<Points>>::new()), mode);
        rules.add(metrics.or("metric", Vec::<Group<Metrics>>::new()), mode);
        rules.add(metrics.or("datapoint", Vec::<Group<Points>>::new()), mode);
        metrics.accepted("regexp", "every distinct value is matched once a batch");
        rules.read_metric_names(&mut metrics);
    }
    if let Some(mut logs) = section.section("logs") {
        rules.add(logs.or("resource", Vec::<Group<Records>>::new()), mode);
        rules.add(logs.or("log_record", Vec::<Group<Records>>::new()), mode);
        for (key, include) in [("include", true), ("exclude", false)] {
            let properties = logs.section(key).and_then(|mut section| Properties::read_logs(&mut section));
            rules.name(Signal::Logs, include, properties);
        }
    }
    if let Some(mut traces) = section.section("traces") {
        rules.add(traces.or("resource", Vec::<Group<Spans>>::new()), mode);
        rules.add(traces.or("span", Vec::<Group<Spans>>::new()), mode);
        rules.add(traces.or("spanevent", Vec::<Group<Events>>::new()), mode);
    }
    if let Some(mut spans) = section.section("spans") {
        for (key, include) in [("include", true), ("exclude", false)] {
            rules.name(Signal::Traces, include, spans.section(key).and_then(Properties::read));
        }
    }
    let named = ["metric_conditions", "log_conditions", "trace_conditions", "metrics", "logs", "traces", "spans"];
    if !named.iter().any(|key| section.has(key)) && !section.has("profiles") && !section.has("profile_conditions") {
        section.mistake(
            "",
            "there is no condition",
            "add metric_conditions: [\"metric_name = 'name'\"], log_conditions or trace_conditions",
        );
    }
    rules
}

impl Rules {
    fn add<C>(&mut self, groups: Vec<Group<C>>, mode: ErrorMode) {
        for group in groups {
            let mode = group.mode.unwrap_or(mode);
            let whole_metric = group.whole_metric;
            let condition = |programs| Condition { programs, mode, whole_metric };
            self.conditions.extend(group.conditions.into_iter().map(condition));
        }
    }

    fn name(&mut self, signal: Signal, include: bool, properties: Option<Properties>) {
        self.named.extend(properties.map(|properties| Named { signal, include, properties }));
    }

    /// What is excluded by its name, and what is excluded by its resource, are two things; what is included has to be both.
    fn read_metric_names(&mut self, metrics: &mut Section) {
        for (key, include) in [("include", true), ("exclude", false)] {
            let Some(mut section) = metrics.section(key) else { continue };
            if section.get::<Vec<String>>("expressions").is_some() {
                let mend = "write them in SQL under metrics::metric: [\"metric_name = 'my.metric' AND attributes['my_label'] = 'abc123'\"]";
                section.mistake("expressions", "the expr language is not spoken here", mend);
                let _ = section.get::<String>("match_type");
                continue;
            }
            let (names, resources) = Properties::read_metrics(&mut section);
            self.name(Signal::Metrics, include, names);
            self.name(Signal::Metrics, include, resources);
        }
    }
}

/// What a list of conditions is about.
trait About {
    const TABLES: &'static [Rows];
    /// `context` as the Collector names it, and what it is here.
    const CONTEXTS: &'static [(&'static str, &'static [Rows])] = &[];
    const WHOLE_METRIC: bool = false;
}

struct Points;
struct Metrics;
struct Records;
struct Spans;
struct Events;

const POINT_ROWS: &[Rows] = &[
    Rows::Of(Table::Metrics),
    Rows::Of(Table::Histograms),
    Rows::Of(Table::ExpHistograms),
    Rows::Of(Table::Summaries),
];
const RECORD_ROWS: &[Rows] = &[Rows::Of(Table::Logs)];
const SPAN_ROWS: &[Rows] = &[Rows::Of(Table::Spans)];
const EVENT_ROWS: &[Rows] = &[Rows::SpanEvents];

impl About for Points {
    const TABLES: &'static [Rows] = POINT_ROWS;
    const CONTEXTS: &'static [(&'static str, &'static [Rows])] =
        &[("datapoint", POINT_ROWS), ("metric", POINT_ROWS), ("resource", POINT_ROWS), ("scope", POINT_ROWS)];
}

impl About for Metrics {
    const TABLES: &'static [Rows] = POINT_ROWS;
    const WHOLE_METRIC: bool = true;
}

impl About for Records {
    const TABLES: &'static [Rows] = RECORD_ROWS;
    const CONTEXTS: &'static [(&'static str, &'static [Rows])] =
        &[("log", RECORD_ROWS), ("resource", RECORD_ROWS), ("scope", RECORD_ROWS)];
}

impl About for Spans {
    const TABLES: &'static [Rows] = SPAN_ROWS;
    const CONTEXTS: &'static [(&'static str, &'static [Rows])] =
        &[("span", SPAN_ROWS), ("spanevent", EVENT_ROWS), ("resource", SPAN_ROWS), ("scope", SPAN_ROWS)];
}

impl About for Events {
    const TABLES: &'static [Rows] = EVENT_ROWS;
}

/// One condition, or several with settings of their own.
struct Group<C> {
    conditions: Vec<Vec<Program>>,
    mode: Option<ErrorMode>,
    whole_metric: bool,
    about: PhantomData<C>,
}

impl<C: About> FromNode for Group<C> {
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) if !C::CONTEXTS.is_empty() => entries,
            _ => {
                let programs = compile(node, at, C::TABLES)?;
                let (conditions, whole_metric) = (vec![programs], C::WHOLE_METRIC);
                return Some(Group { conditions, mode: None, whole_metric, about: PhantomData });
            }
        };
        let mut group = Group { conditions: Vec::new(), mode: None, whole_metric: false, about: PhantomData };
        let mut tables = C::TABLES;
        let text = |key: &str| {
            let entry = entries.iter().find(|entry| entry.key == key)?;
            String::from_node(&entry.value, at).map(|text| (text, &entry.value))
        };
        if let Some((word, node)) = text("error_mode") {
            group.mode = ERROR_MODES.iter().find(|(name, _)| *name == word).map(|(_, mode)| *mode);
            if group.mode.is_none() {
                at.wrong(node, format!("\"{word}\" is not an error mode"), "write ignore, silent or propagate");
            }
        }
        if let Some((word, node)) = text("context") {
            group.whole_metric = word == "metric";
            match C::CONTEXTS.iter().find(|(name, _)| *name == word) {
                Some((_, rows)) => tables = rows,
                None => {
                    let names = C::CONTEXTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                    at.wrong(node, format!("\"{word}\" is not a context here"), format!("contexts: {names}"));
                }
            }
        }
        for entry in entries {
            match (entry.key.as_str(), &entry.value.value) {
                ("conditions", Value::List(items)) => {
                    group.conditions.extend(items.iter().filter_map(|item| compile(item, at, tables)));
                }
                ("conditions", _) => at.wrong(&entry.value, "expected a list", "write one \"- condition\" a line"),
                ("context" | "error_mode", _) => {}
                (other, _) => {
                    let mend = "known keys: conditions, context, error_mode";
                    at.wrong(&entry.value, format!("unknown key \"{other}\""), mend);
                }
            }
        }
        Some(group)
    }
}

fn compile(node: &Node, at: &Reader<'_>, tables: &[Rows]) -> Option<Vec<Program>> {
    let text = String::from_node(node, at)?;
    // As the Collector infers it.
    let tables = if text.contains("spanevent.") && tables == SPAN_ROWS { EVENT_ROWS } else { tables };
    let compiled = sql::condition_for(tables, &text);
    compiled.map_err(|Wrong { what, mend, .. }| at.wrong(node, what, mend)).ok()
}
