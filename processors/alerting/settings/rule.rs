//! One rule, in Prometheus' words and in those of thresholds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use catchment_pipeline::alerts::Alert;
use catchment_pipeline::config::Section;
use catchment_storage::Template as Sql;

use super::threshold;
use crate::alerting::rules::{Alerting, Kind, OnError, OnNoData, Query, Rule};
use crate::alerting::template::Text;
use crate::state::length;

/// What `$range` is when a rule does not say.
pub const WINDOW: Duration = Duration::from_secs(300);
const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Keys that only alerts have.
const OF_ALERTS: [&str; 12] = [
    "for",
    "keep_firing_for",
    "annotations",
    "channels",
    "severity",
    "no_data",
    "error",
    "forget_series_after",
    "new_series_grace",
    "flap_limit",
    "flap_window",
    "condition",
];

pub fn read(section: &mut Section, group: &str, group_labels: &[(String, String)]) -> Option<Rule> {
    let forms = ["alert", "record", "metric"].map(|key| section.has(key));
    match forms {
        [true, false, false] | [false, true, false] | [false, false, true] => {}
        [false, false, false] => {
            let mend = "write `alert: Name` or `record: name` with an `expr`, or `metric: name` with `condition` and `threshold`";
            section.mistake("", "this is no rule", mend);
            // So that its keys are not unknown besides.
            ["name", "expr", "labels", "window", "threshold"].iter().chain(&OF_ALERTS).for_each(|key| {
                section.get::<catchment_pipeline::config::Node>(key);
            });
            return None;
        }
        _ => section.mistake(
            "",
            "`alert`, `record` and `metric` exclude each other",
            "leave one, and move the others to rules of their own",
        ),
    }
    let window = section.or("window", WINDOW);
    if window.is_zero() {
        section.mistake("window", "nothing is in it", "write how far back $range looks: 5m");
    }
    let (name, sql, check, default_summary) = if section.has("metric") {
        threshold::read(section)?
    } else if section.has("record") {
        let name = section.required::<String>("record");
        for key in OF_ALERTS {
            if !section.has(key) {
                continue;
            }
            section.mistake(
                key,
                "a recording rule has no such key",
                "remove it, or write `alert` in place of `record`",
            );
            section.get::<catchment_pipeline::config::Node>(key);
        }
        (name.unwrap_or_default(), section.required("expr").unwrap_or_default(), None, None)
    } else {
        let name = section.required::<String>("alert").unwrap_or_default();
        let sql = section.required::<String>("expr").unwrap_or_default();
        (name, sql, threshold::check(section, false), None)
    };
    let sql = match Sql::parse(sql) {
        Ok(sql) => sql,
        Err(error) => {
            section.mistake(
                "expr",
                format!("it is no SQL: {error}"),
                "rules are SQL over the lake's tables: docs/alerting.md",
            );
            return None;
        }
    };
    if let Some(variable) = sql.variables().first() {
        let mend = "there are $range, $from, $to, $step and $step_seconds; a dollar in a string stays what it is";
        section.mistake("expr", format!("there is no variable ${variable} in rules"), mend);
    }
    let recording = section.has("record");
    let labels = labels(section, group_labels, !recording);
    let kind = match recording {
        true => Kind::Record,
        false => Kind::Alert(Box::new(alerting(section, check.is_some(), default_summary))),
    };
    Some(Rule {
        group: group.to_owned(),
        name,
        id: 0,
        query: Query { sql, window: length(window), check },
        labels,
        kind,
    })
}

fn labels(section: &mut Section, group: &[(String, String)], alert: bool) -> Vec<(String, Text)> {
    let mut labels: BTreeMap<String, String> = group.iter().cloned().collect();
    labels.extend(section.get::<BTreeMap<String, String>>("labels").unwrap_or_default());
    if alert && let Some(severity) = section.get::<String>("severity") {
        labels.insert("severity".to_owned(), severity);
    }
    for name in ["__name__", Alert::NAME] {
        if labels.remove(name).is_some() {
            section.mistake("labels", format!("the label \"{name}\" is set by the rule itself"), "remove it");
        }
    }
    texts(section, "labels", labels)
}

fn texts(section: &Section, key: &str, texts: BTreeMap<String, String>) -> Vec<(String, Text)> {
    let read = |(name, text): (String, String)| match Text::parse(&text) {
        Ok(text) => Some((name, text)),
        Err(error) => {
            let mend = "texts have Go's template syntax, as in Prometheus: docs/alerting.md";
            section.mistake(key, format!("\"{name}\" is no template: {error}"), mend);
            None
        }
    };
    texts.into_iter().filter_map(read).collect()
}

fn alerting(section: &mut Section, tells_quiet: bool, default_summary: Option<String>) -> Alerting {
    let mut annotations = section.get::<BTreeMap<String, String>>("annotations").unwrap_or_default();
    if let Some(summary) = default_summary {
        annotations.entry("summary".to_owned()).or_insert(summary);
    }
    let no_data = [
        ("alerting", OnNoData::Alerting),
        ("ok", OnNoData::Ok),
        ("keep_last", OnNoData::KeepLast),
        ("no_data", OnNoData::NoData),
    ];
    let error = [
        ("alerting", OnError::Alerting),
        ("ok", OnError::Ok),
        ("keep_last", OnError::KeepLast),
        ("error", OnError::Error),
    ];
    let duration = |section: &mut Section, key: &str, default: Duration| length(section.or(key, default));
    let alerting = Alerting {
        hold: duration(section, "for", Duration::ZERO),
        keep_firing_for: duration(section, "keep_firing_for", Duration::ZERO),
        annotations: texts(section, "annotations", annotations),
        channels: Arc::from(section.or("channels", Vec::<String>::new())),
        no_data: section.choice("no_data", &no_data).unwrap_or_default(),
        error: section.choice("error", &error).unwrap_or_default(),
        forget_after: duration(section, "forget_series_after", FORGET_AFTER),
        new_series_grace: duration(section, "new_series_grace", Duration::ZERO),
        flap_limit: section.or("flap_limit", 0usize).min(1000),
        flap_window: duration(section, "flap_window", Duration::from_secs(3600)),
    };
    if !tells_quiet {
        for key in ["no_data", "new_series_grace"] {
            if section.has(key) && alerting.needs_quiet() {
                let what = "rows for which the condition does not hold are not in the answer, so that nobody can tell them from missing ones";
                let mend = "let `expr` give all series with their value, and add `condition` and `threshold`";
                section.mistake(key, what, mend);
            }
        }
    }
    alerting
}
