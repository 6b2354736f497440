//! `include` and `exclude`: which rows are meant. Every property given must hold; of a property's list, one item.
//! Dictionary columns are matched once per distinct value.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use catchment_pipeline::batch::Table;
use catchment_pipeline::batch::attributes::{self, Value};
use catchment_pipeline::config::Section;
use regex::Regex;

pub struct Properties(Vec<Property>);

enum Property {
    /// One of the texts is what the column holds.
    Text {
        column: &'static str,
        tables: &'static [Table],
        any: Vec<Pattern>,
    },
    /// The column's attribute set has what is asked for: all of it, or any of it.
    Set {
        column: &'static str,
        wanted: Vec<Wanted>,
        all: bool,
    },
    Kind(Vec<i32>),
    Severity {
        min: i32,
        match_undefined: bool,
    },
    Library(Vec<(Pattern, Option<Pattern>)>),
}

struct Wanted {
    key: String,
    value: Option<Pattern>,
}

enum Pattern {
    Strict(String),
    Regexp(Regex),
}

const SPANS: &[Table] = &[Table::Spans];
const LOGS: &[Table] = &[Table::Logs];
const METRICS: &[Table] = &[Table::Metrics, Table::Histograms, Table::ExpHistograms, Table::Summaries];
const KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Strict(wanted) => wanted == text,
            Pattern::Regexp(regex) => regex.is_match(text),
        }
    }
}

impl Properties {
    pub fn read(mut section: Section) -> Option<Properties> {
        let regexp = match_type(&mut section).unwrap_or_default();
        let mut properties = Vec::new();
        for (key, column, tables) in [
            ("span_names", "name", SPANS),
            ("metric_names", "metric_name", METRICS),
            ("log_bodies", "body", LOGS),
            ("log_severity_texts", "severity_text", LOGS),
        ] {
            let any = patterns(&mut section, key, regexp);
            if !any.is_empty() {
                properties.push(Property::Text { column, tables, any });
            }
        }
        let services = patterns(&mut section, "services", regexp).into_iter();
        let services = services.map(|value| Wanted { key: "service.name".to_owned(), value: Some(value) });
        let resources = wanted(&mut section, "resources", regexp);
        let attributes = wanted(&mut section, "attributes", regexp);
        for (column, wanted, all) in [
            ("resource_attributes", services.collect::<Vec<_>>(), false),
            ("resource_attributes", resources, true),
            ("attributes", attributes, true),
        ] {
            if !wanted.is_empty() {
                properties.push(Property::Set { column, wanted, all });
            }
        }
        let kinds = section.or("span_kinds", Vec::<String>::new());
        if !kinds.is_empty() {
            let number = |name: &String| kind(name, &section);
            properties.push(Property::Kind(kinds.iter().filter_map(number).collect()));
        }
        if let Some(mut severity) = section.section("log_severity_number") {
            let (min, match_undefined) = (severity.or("min", 1), severity.or("match_undefined", false));
            properties.push(Property::Severity { min, match_undefined });
        }
        let libraries =
            section.list("libraries").into_iter().filter_map(|mut library| library_of(&mut library, regexp));
        let libraries = libraries.collect::<Vec<_>>();
        if !libraries.is_empty() {
            properties.push(Property::Library(libraries));
        }
        if properties.is_empty() {
            section.mistake("", "it picks nothing", "add metric_names, span_names, services, attributes, ...");
        }
        Some(Properties(properties))
    }

    /// As `filter` has it for metrics: their names, and apart from them what their resources say.
    pub fn read_metrics(section: &mut Section) -> (Option<Properties>, Option<Properties>) {
        let Some(regexp) = match_type(section) else { return (None, None) };
        let any = patterns(section, "metric_names", regexp);
        let resources = wanted(section, "resource_attributes", regexp);
        if any.is_empty() && resources.is_empty() {
            section.mistake("", "it picks nothing", "add metric_names, or resource_attributes");
        }
        let names = (!any.is_empty()).then(|| vec![Property::Text { column: "metric_name", tables: METRICS, any }]);
        let resources = Property::Set { column: "resource_attributes", all: true, wanted: resources }.unless_empty();
        (names.map(Properties), resources.map(|set| Properties(vec![set])))
    }

    /// As `filter` has it for logs.
    pub fn read_logs(section: &mut Section) -> Option<Properties> {
        let regexp = match_type(section)?;
        let mut properties = Vec::new();
        for (key, column) in [("severity_texts", "severity_text"), ("bodies", "body")] {
            let any = patterns(section, key, regexp);
            if !any.is_empty() {
                properties.push(Property::Text { column, tables: LOGS, any });
            }
        }
        for (key, column) in [("resource_attributes", "resource_attributes"), ("record_attributes", "attributes")] {
            let wanted = wanted(section, key, regexp);
            properties.extend(Property::Set { column, wanted, all: true }.unless_empty());
        }
        if let Some(mut severity) = section.section("severity_number") {
            let min = severity.get::<String>("min").unwrap_or_default();
            let number = severity_number(&min);
            if number.is_none() {
                severity.mistake(
                    "min",
                    format!("\"{min}\" is not a severity"),
                    "write TRACE, DEBUG2, INFO, WARN, ERROR, FATAL or 1 to 24",
                );
            }
            let match_undefined = severity.or("match_undefined", false);
            properties.extend(number.map(|min| Property::Severity { min, match_undefined }));
        }
        if properties.is_empty() {
            section.mistake(
                "",
                "it picks nothing",
                "add resource_attributes, record_attributes, severity_texts, bodies, ...",
            );
        }
        Some(Properties(properties))
    }

    /// Keeps in `picked` what matches (or what does not, for `exclude`).
    pub fn narrow(&self, table: Table, rows: &RecordBatch, picked: &mut [bool], include: bool) {
        let mut matched = vec![true; rows.num_rows()];
        for property in &self.0 {
            property.narrow(table, rows, &mut matched);
        }
        picked.iter_mut().zip(matched).for_each(|(picked, matched)| *picked &= matched == include);
    }
}

fn match_type(section: &mut Section) -> Option<bool> {
    section.accepted("regexp", "every distinct value is matched once a batch");
    section.required::<String>("match_type");
    section.choice("match_type", &[("strict", false), ("regexp", true)])
}

/// `WARN`, `error2` or `17`, as OTLP's number; nothing is 0.
pub fn severity_number(text: &str) -> Option<i32> {
    let upper = text.to_ascii_uppercase();
    if upper.is_empty() {
        return Some(0);
    }
    if let Ok(number) = upper.parse::<i32>() {
        return (1..=24).contains(&number).then_some(number);
    }
    let (name, step) = match upper.strip_suffix(['2', '3', '4']) {
        Some(name) => (name, upper.chars().last()?.to_digit(10)?),
        None => (upper.as_str(), 1),
    };
    let base = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"].iter().position(|known| *known == name)?;
    i32::try_from(base * 4).ok()?.checked_add(i32::try_from(step).ok()?)
}

fn patterns(section: &mut Section, key: &str, regexp: bool) -> Vec<Pattern> {
    let texts = section.or(key, Vec::<String>::new());
    texts.into_iter().filter_map(|text| pattern(section, key, text, regexp)).collect()
}

fn pattern(section: &Section, key: &str, text: String, regexp: bool) -> Option<Pattern> {
    if !regexp {
        return Some(Pattern::Strict(text));
    }
    let failed =
        |_| section.mistake(key, format!("\"{text}\" is not a regular expression"), "or use match_type: strict");
    Regex::new(&text).map(Pattern::Regexp).map_err(failed).ok()
}

fn wanted(section: &mut Section, key: &str, regexp: bool) -> Vec<Wanted> {
    let items = section.list(key).into_iter().filter_map(|mut item| {
        let value = item.get::<String>("value");
        let value = value.and_then(|text| pattern(&item, "value", text, regexp));
        item.required("key").map(|key| Wanted { key, value })
    });
    items.collect()
}

fn library_of(library: &mut Section, regexp: bool) -> Option<(Pattern, Option<Pattern>)> {
    let version = library.get::<String>("version").and_then(|text| pattern(library, "version", text, regexp));
    let name = library.required::<String>("name")?;
    pattern(library, "name", name, regexp).map(|name| (name, version))
}

/// `SPAN_KIND_SERVER`, or `server`, as OTLP's number.
fn kind(name: &str, section: &Section) -> Option<i32> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SPAN_KIND_").unwrap_or(&upper);
    let found = KINDS.iter().position(|kind| *kind == short);
    if found.is_none() {
        let mend = "write SPAN_KIND_INTERNAL, _SERVER, _CLIENT, _PRODUCER or _CONSUMER";
        section.mistake("span_kinds", format!("\"{name}\" is not a span kind"), mend);
    }
    found.and_then(|index| i32::try_from(index).ok())
}

impl Property {
    fn unless_empty(self) -> Option<Property> {
        match &self {
            Property::Set { wanted, .. } if wanted.is_empty() => None,
            _ => Some(self),
        }
    }

    fn narrow(&self, table: Table, rows: &RecordBatch, matched: &mut [bool]) {
        match self {
            Property::Text { tables, .. } if !tables.contains(&table) => matched.fill(false),
            Property::Text { column, any, .. } => {
                by_text(rows, column, matched, |text| any.iter().any(|pattern| pattern.matches(text)));
            }
            Property::Set { column, wanted, all } => by_text(rows, column, matched, |json| {
                let has = |wanted: &Wanted| wanted.is_in(json);
                if *all { wanted.iter().all(has) } else { wanted.iter().any(has) }
            }),
            Property::Kind(kinds) => by_number(rows, "kind", matched, |kind| kinds.contains(&kind)),
            Property::Severity { min, match_undefined } => {
                by_number(
                    rows,
                    "severity_number",
                    matched,
                    |number| {
                        if number == 0 { *match_undefined } else { number >= *min }
                    },
                )
            }
            Property::Library(any) => {
                let mut one = vec![false; matched.len()];
                for (name, version) in any {
                    let mut this = vec![true; matched.len()];
                    by_text(rows, "scope_name", &mut this, |text| name.matches(text));
                    if let Some(version) = version {
                        by_text(rows, "scope_version", &mut this, |text| version.matches(text));
                    }
                    one.iter_mut().zip(this).for_each(|(one, this)| *one |= this);
                }
                matched.iter_mut().zip(one).for_each(|(matched, one)| *matched &= one);
            }
        }
    }
}

impl Wanted {
    fn is_in(&self, json: &str) -> bool {
        match (&self.value, attributes::get(json, &self.key)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(pattern), Some(value)) => match &value {
                Value::String(text) => pattern.matches(text),
                other => pattern.matches(&other.to_text()),
            },
        }
    }
}

/// Rows whose text, in a dictionary or plain column, does not pass are out; so are all without the column.
fn by_text(rows: &RecordBatch, column: &str, matched: &mut [bool], mut passes: impl FnMut(&str) -> bool) {
    let Some(column) = rows.column_by_name(column) else { return matched.fill(false) };
    if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() {
        let Some(values) = dictionary.values().as_string_opt::<i32>() else { return matched.fill(false) };
        let passing = values.iter().map(|text| text.is_some_and(&mut passes)).collect::<Vec<_>>();
        for (row, key) in matched.iter_mut().zip(dictionary.keys().iter()) {
            let key = key.and_then(|key| usize::try_from(key).ok());
            *row &= key.and_then(|key| passing.get(key)).copied().unwrap_or(false);
        }
    } else if let Some(texts) = column.as_string_opt::<i32>() {
        matched.iter_mut().zip(texts).for_each(|(row, text)| *row = *row && text.is_some_and(&mut passes));
    } else {
        matched.fill(false);
    }
}

fn by_number(rows: &RecordBatch, column: &str, matched: &mut [bool], passes: impl Fn(i32) -> bool) {
    let Some(column) = rows.column_by_name(column) else { return matched.fill(false) };
    match column.as_primitive_opt::<Int32Type>() {
        Some(numbers) => {
            matched.iter_mut().zip(numbers).for_each(|(row, number)| *row = *row && number.is_some_and(&passes));
        }
        None => matched.fill(false),
    }
}
