//! promtool's file of unit tests.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use catchment_pipeline::alerts::{Alert, Labels};
use catchment_pipeline::config::{Report, Section, Severity};
use catchment_storage::Template as Sql;

use super::{DEFAULT_INTERVAL, series, timeless};
use crate::alerting::rules::{Group, Kind, Query, Rule};
use crate::state::length;

const MAX_BYTES: u64 = 16 << 20;

pub struct Suite {
    pub rule_files: Vec<String>,
    pub interval: Duration,
    pub cases: Vec<Case>,
}

/// Times are nanoseconds since the beginning.
pub struct Case {
    pub name: Option<String>,
    /// Between points.
    pub interval: i64,
    pub inputs: Vec<Input>,
    pub alerts: Vec<AlertTest>,
    pub exprs: Vec<ExprTest>,
    pub external_labels: Labels,
    pub external_url: String,
}

pub struct Input {
    pub name: String,
    /// Canonical JSON.
    pub attributes: String,
    /// `None`: no point.
    pub values: Vec<Option<f64>>,
}

pub struct AlertTest {
    pub at: i64,
    pub name: String,
    /// Labels and annotations.
    pub expected: Vec<(Labels, Labels)>,
}

pub struct ExprTest {
    pub at: i64,
    pub expr: String,
    sql: Sql,
    window: i64,
    pub expected: BTreeMap<Labels, Option<f64>>,
}

impl ExprTest {
    pub fn rule(&self) -> (Group, Rule) {
        let query = Query { sql: self.sql.clone(), window: self.window, check: None };
        let (group, name) = ("test".to_owned(), "test".to_owned());
        let rule = Rule { group: group.clone(), name, id: 0, query, labels: Vec::new(), kind: Kind::Record };
        let interval = length(DEFAULT_INTERVAL);
        let rules = vec![Arc::new(rule.clone())];
        (Group { name: group, file: String::new(), interval, query_offset: 0, limit: 0, rules }, rule)
    }
}

pub fn read(file: &Path) -> anyhow::Result<Suite> {
    let name = file.display().to_string();
    let size = std::fs::metadata(file).with_context(|| name.clone())?.len();
    ensure!(size <= MAX_BYTES, "{name} has more than {MAX_BYTES} bytes");
    let text = std::fs::read_to_string(file).with_context(|| name.clone())?;
    let report = Report::default();
    let suite = Section::read(&text, &name, &report).map(|mut section| suite(&mut section));
    let errors: Vec<String> = (report.mistakes().iter())
        .filter(|mistake| mistake.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    ensure!(errors.is_empty(), "{}", errors.join("\n"));
    suite.with_context(|| format!("{name} is empty"))
}

fn suite(section: &mut Section) -> Suite {
    let interval = section.or("evaluation_interval", DEFAULT_INTERVAL);
    section.accepted("group_eval_order", "groups are evaluated in the order of the files");
    section.accepted("fuzzy_compare", "values are compared to nine digits in any case");
    let rule_files = section.or("rule_files", Vec::new());
    let cases = section.list("tests").into_iter().map(|mut section| case(&mut section, interval)).collect();
    Suite { rule_files, interval, cases }
}

fn texts(section: &mut Section, key: &str) -> Labels {
    Labels::new(section.get::<BTreeMap<String, String>>(key).unwrap_or_default())
}

fn case(section: &mut Section, interval: Duration) -> Case {
    let mut inputs = Vec::new();
    for mut input in section.list("input_series") {
        let (written, values) = (input.required::<String>("series"), input.required::<String>("values"));
        let (Some(written), Some(values)) = (written, values) else { continue };
        match (series::name(&written), series::values(&values)) {
            (Ok((name, labels)), Ok(values)) => {
                let pairs = labels.iter().map(|(name, value)| (name.to_owned(), serde_json::Value::from(value)));
                let attributes = serde_json::Value::Object(pairs.collect()).to_string();
                inputs.push(Input { name, attributes, values });
            }
            (Err(error), _) => input.mistake("series", error, "write name{label=\"value\"}"),
            (_, Err(error)) => input.mistake("values", error, "write 1 2 3, 0+10x5, _, or stale"),
        }
    }
    let alerts = section.list("alert_rule_test").into_iter().map(|mut test| alert_test(&mut test)).collect();
    let exprs = section.list("sql_expr_test").into_iter().filter_map(|mut test| expr_test(&mut test)).collect();
    if section.has("promql_expr_test") {
        section.mistake("promql_expr_test", "expressions are SQL here", "write sql_expr_test, with SQL as `expr`");
        section.get::<catchment_pipeline::config::Node>("promql_expr_test");
    }
    section.accepted("start_timestamp", "the first moment is 2026-01-01T00:00:00Z");
    Case {
        name: section.get("name"),
        interval: length(section.or("interval", interval)).max(1),
        inputs,
        alerts,
        exprs,
        external_labels: texts(section, "external_labels"),
        external_url: section.or("external_url", String::new()),
    }
}

fn alert_test(section: &mut Section) -> AlertTest {
    let name = section.required::<String>("alertname").unwrap_or_default();
    let mut expected = Vec::new();
    for mut alert in section.list("exp_alerts") {
        let mut labels = texts(&mut alert, "exp_labels");
        labels.set(Alert::NAME, name.as_str());
        expected.push((labels, texts(&mut alert, "exp_annotations")));
    }
    AlertTest { at: length(section.or("eval_time", Duration::ZERO)), name, expected }
}

fn expr_test(section: &mut Section) -> Option<ExprTest> {
    let expr = section.required::<String>("expr")?;
    let mut expected = BTreeMap::new();
    for mut sample in section.list("exp_samples") {
        let labels = sample.or("labels", "{}".to_owned());
        match series::name(&labels) {
            Ok((_, labels)) => {
                expected.insert(labels, sample.get::<f64>("value"));
            }
            Err(error) => sample.mistake("labels", error, "write {label=\"value\"}"),
        }
    }
    let at = length(section.or("eval_time", Duration::ZERO));
    let window = length(section.or("window", Duration::from_secs(300)));
    match Sql::parse(expr.clone()).map_err(anyhow::Error::from).and_then(|sql| timeless(&expr).map(|()| sql)) {
        Ok(sql) => Some(ExprTest { at, expr, sql, window, expected }),
        Err(error) => {
            section.mistake("expr", error.to_string(), "rules are SQL over the lake's tables: docs/alerting.md");
            None
        }
    }
}
