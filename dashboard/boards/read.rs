//! From a board's YAML to a [`Board`]: every mistake is reported with its place and its mend, and none twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use catchment_pipeline::config::{Node, Report, Section as Yaml, Value};
use catchment_storage::Template;

use super::board::{Board, Column, ICONS, Link, Panel, Query, Section, Threshold, Variable};
use crate::live::MAX_ROWS;

const MOST_PANELS: usize = 100;
const MOST_VARIABLES: usize = 16;
const LONGEST_TEXT: usize = 1000;
const LONGEST_UNIT: usize = 63;

const CHARTS: [&str; 9] = ["line", "area", "bar", "stacked", "pie", "gauge", "table", "stat", "heatmap"];
const COLORS: [&str; 12] =
    ["blue", "orange", "teal", "purple", "yellow", "pink", "green", "red", "muted", "ok", "warning", "critical"];
const MODES: [&str; 3] = ["series", "rows", "table"];
/// Names that placeholders have already.
const TAKEN: [&str; 5] = ["range", "from", "to", "step", "step_seconds"];

/// `None`: there are mistakes, in the report.
pub fn board(id: &str, text: &str, file: &str, report: &Report) -> Option<Board> {
    let before = report.mistakes().len();
    let mut yaml = Yaml::read(text, file, report)?;
    let board = Reader::default().board(id, &mut yaml);
    // Unknown keys are reported when it is dropped.
    drop(yaml);
    board.filter(|_| report.mistakes().len() == before)
}

#[derive(Default)]
struct Reader {
    variables: Vec<Variable>,
    panels: usize,
}

impl Reader {
    fn board(mut self, id: &str, yaml: &mut Yaml) -> Option<Board> {
        let title = text(yaml, "title");
        let description = yaml.or("description", String::new());
        let icon = word(yaml, "icon", &ICONS).unwrap_or("custom");
        for mut variable in yaml.list("variables") {
            let variable = self.variable(&mut variable);
            self.variables.extend(variable);
        }
        if self.variables.len() > MOST_VARIABLES {
            yaml.mistake("variables", "too many to choose from", format!("at most {MOST_VARIABLES} variables"));
        }
        let sections = yaml.list("sections").iter_mut().map(|section| self.section(section)).collect::<Vec<_>>();
        if sections.is_empty() {
            yaml.mistake("sections", "a board without sections is empty", "add sections: with panels:");
        }
        if self.panels > MOST_PANELS {
            let what = format!("{} panels are more than one page shows", self.panels);
            yaml.mistake("sections", what, format!("at most {MOST_PANELS}; make it several boards"));
        }
        let sections = sections.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Board { id: id.to_owned(), title: title?, description, icon, variables: self.variables, sections })
    }

    fn variable(&self, yaml: &mut Yaml) -> Option<Variable> {
        let name = yaml.required::<String>("name");
        let query = yaml.required::<String>("query");
        let label = yaml.get("label");
        let multi = yaml.or("multi", false);
        if let Some(query) = &query {
            self.check_sql(yaml, "query", query);
        }
        let name = name?;
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !is_name || name.len() > 63 {
            yaml.mistake(
                "name",
                format!("\"{name}\" cannot be written as a placeholder"),
                "use a-z, 0-9 and _, beginning with a letter",
            );
        } else if TAKEN.contains(&name.as_str()) {
            yaml.mistake("name", format!("${name} means something already"), "take another name");
        } else if self.variables.iter().any(|other| other.name == name) {
            yaml.mistake("name", format!("there is a variable \"{name}\" already"), "take another name");
        }
        Some(Variable { label: label.unwrap_or_else(|| name.clone()), name, query: query?, multi })
    }

    fn section(&mut self, yaml: &mut Yaml) -> Option<Section> {
        let title = text(yaml, "title");
        let panels = yaml.list("panels").iter_mut().map(|panel| self.panel(panel)).collect::<Vec<_>>();
        if panels.is_empty() {
            yaml.mistake("panels", "a section without panels is empty", "add panels:, or remove the section");
        }
        Some(Section { panels: panels.into_iter().collect::<Option<_>>()?, title: title? })
    }

    fn panel(&mut self, yaml: &mut Yaml) -> Option<Panel> {
        self.panels += 1;
        let title = text(yaml, "title");
        let description = yaml.or("description", String::new());
        let chart = word(yaml, "chart", &CHARTS);
        if !yaml.has("chart") {
            yaml.mistake("", "\"chart\" is required", format!("add chart: one of {}", CHARTS.join(", ")));
        }
        let query = self.query(yaml, chart);
        let (unit, percent) = (unit(yaml), yaml.or("percent", false));
        let (min, max) = (number(yaml, "min"), number(yaml, "max"));
        if let (Some(min), Some(max)) = (min, max)
            && min >= max
        {
            yaml.mistake("max", "is not above min", "leave one of them out, or swap them");
        }
        let span = yaml.or("span", 6);
        if !(1..=12).contains(&span) {
            yaml.mistake("span", format!("{span} of 12 columns"), "write 1 to 12");
        }
        let height = word(yaml, "height", &["s", "m", "l"]).unwrap_or("m");
        let (series, colors) = (yaml.get("series"), colors(yaml));
        let thresholds = yaml.list("thresholds").iter_mut().filter_map(threshold).collect();
        let (legend, links, columns) = (legend(yaml), links(yaml), columns(yaml));
        for (key, written) in [("links", !links.is_empty()), ("columns", !columns.is_empty())] {
            if written && chart.is_some_and(|chart| chart != "table") {
                yaml.mistake(key, "only tables have them", format!("remove {key}, or write chart: table"));
            }
        }
        Some(Panel {
            title: title?,
            description,
            chart: chart?,
            query: query?,
            unit,
            percent,
            min,
            max,
            span,
            height,
            series,
            colors,
            thresholds,
            legend,
            links,
            columns,
        })
    }

    /// A bare text is its SQL.
    fn query(&self, panel: &mut Yaml, chart: Option<&'static str>) -> Option<Query> {
        let default_mode = if chart == Some("table") { "table" } else { "series" };
        let is_mapping = panel.get::<Node>("query").is_some_and(|node| matches!(node.value, Value::Map(_)));
        if !is_mapping {
            let sql = panel.required::<String>("query")?;
            self.check_sql(panel, "query", &sql);
            return Some(Query { sql, mode: default_mode, lookback: None, min_step: None, limit: None });
        }
        let mut yaml = panel.section("query")?;
        let sql = yaml.required::<String>("sql");
        let mode = word(&mut yaml, "mode", &MODES).unwrap_or(default_mode);
        let lookback = duration(&mut yaml, "lookback");
        let min_step = duration(&mut yaml, "min_step");
        let limit = yaml.get::<usize>("limit");
        if limit.is_some_and(|limit| !(1..=MAX_ROWS).contains(&limit)) {
            yaml.mistake("limit", "is out of range", format!("write 1 to {MAX_ROWS}"));
        } else if limit.is_some() && mode == "series" {
            yaml.mistake("limit", "is of no use in mode series", "remove it, or write mode: rows or mode: table");
        }
        let sql = sql?;
        self.check_sql(&yaml, "sql", &sql);
        Some(Query { sql, mode, lookback, min_step, limit })
    }

    /// Whether it is SQL shows when it runs; its placeholders are known here.
    fn check_sql(&self, yaml: &Yaml, key: &str, sql: &str) {
        let template = match Template::parse(sql) {
            Ok(template) => template,
            Err(error) => {
                let at = error.position.map(|(line, column)| format!(" (line {line}, column {column} of it)"));
                return yaml.mistake(key, format!("is no SQL: {error}{}", at.unwrap_or_default()), "");
            }
        };
        let known = self.variables.iter().map(|variable| variable.name.as_str()).collect::<BTreeSet<_>>();
        for name in template.variables().difference(&known) {
            let all = TAKEN.iter().chain(&known).map(|name| format!("${name}")).collect::<Vec<_>>().join(", ");
            yaml.mistake(key, format!("there is no variable for ${name}"), format!("placeholders here: {all}"));
        }
    }
}

fn text(yaml: &mut Yaml, key: &str) -> Option<String> {
    let text = yaml.required::<String>(key)?;
    if text.trim().is_empty() || text.len() > LONGEST_TEXT {
        yaml.mistake(key, "is empty, or too long to be shown", format!("write 1 to {LONGEST_TEXT} bytes"));
    }
    Some(text)
}

fn word(yaml: &mut Yaml, key: &str, words: &[&'static str]) -> Option<&'static str> {
    let choices = words.iter().map(|word| (*word, *word)).collect::<Vec<_>>();
    yaml.choice(key, &choices)
}

fn number(yaml: &mut Yaml, key: &str) -> Option<f64> {
    let number = yaml.get::<f64>(key)?;
    if !number.is_finite() {
        yaml.mistake(key, "is not a finite number", "leave it out for none");
        return None;
    }
    Some(number)
}

fn unit(yaml: &mut Yaml) -> Option<String> {
    let unit = yaml.get::<String>("unit")?;
    if unit.is_empty() || unit.len() > LONGEST_UNIT {
        yaml.mistake("unit", "is no unit", "write UCUM as OTLP has it: \"1\", By, s, By/s, {request}/s");
    }
    Some(unit)
}

/// As text that the server reads again.
fn duration(yaml: &mut Yaml, key: &str) -> Option<String> {
    let duration = yaml.get::<Duration>(key)?;
    if duration.is_zero() {
        yaml.mistake(key, "is no time at all", "leave it out, or write e.g. 1m");
    }
    Some(humantime::format_duration(duration).to_string())
}

fn threshold(yaml: &mut Yaml) -> Option<Threshold> {
    let value = yaml.required::<f64>("value");
    let level = word(yaml, "level", &["warning", "critical"]);
    if !yaml.has("level") {
        yaml.mistake("", "\"level\" is required", "add level: warning or level: critical");
    }
    Some(Threshold { value: value.filter(|value| value.is_finite())?, level: level? })
}

fn legend(yaml: &mut Yaml) -> Vec<&'static str> {
    const WORDS: [&str; 4] = ["min", "mean", "max", "last"];
    let mut legend = Vec::new();
    for wanted in yaml.get::<Vec<String>>("legend").unwrap_or_default() {
        match WORDS.iter().find(|word| **word == wanted) {
            Some(word) if !legend.contains(word) => legend.push(*word),
            Some(_) => yaml.mistake("legend", format!("\"{wanted}\" is there twice"), "remove one"),
            None => yaml.mistake(
                "legend",
                format!("\"{wanted}\" is not one of the choices"),
                format!("choices: {}", WORDS.join(", ")),
            ),
        }
    }
    legend
}

fn colors(yaml: &mut Yaml) -> BTreeMap<String, String> {
    let colors = yaml.get::<BTreeMap<String, String>>("colors").unwrap_or_default();
    for (series, color) in &colors {
        if !COLORS.contains(&color.as_str()) {
            let what = format!("\"{color}\", of \"{series}\", is not a colour of the palette");
            yaml.mistake("colors", what, format!("colours: {}", COLORS.join(", ")));
        }
    }
    colors
}

/// One mapping, or a list of them.
fn links(yaml: &mut Yaml) -> Vec<Link> {
    let is_list = yaml.get::<Node>("links").is_some_and(|node| matches!(node.value, Value::List(_)));
    let mut links = if is_list { yaml.list("links") } else { yaml.section("links").into_iter().collect() };
    links.iter_mut().filter_map(link).collect()
}

fn link(yaml: &mut Yaml) -> Option<Link> {
    let (column, to) = (yaml.required::<String>("column"), yaml.required::<String>("to"));
    let to = to?;
    // A browser reads `//host` and `/\host` as another site.
    if !to.starts_with('/') || to[1..].starts_with(['/', '\\']) || to.contains(char::is_control) {
        yaml.mistake(
            "to",
            format!("\"{to}\" is not a page of this app"),
            "begin it with one /, e.g. /traces/{trace_id}",
        );
    }
    Some(Link { column: column?, to })
}

fn columns(yaml: &mut Yaml) -> BTreeMap<String, Column> {
    let columns = yaml.sections("columns").into_iter().map(|(name, mut column)| {
        let (unit, percent) = (unit(&mut column), column.or("percent", false));
        (name, Column { unit, percent })
    });
    columns.collect()
}
