//! `aggregate`'s keys.

use std::time::Duration;

use catchment_pipeline::batch::build::{CUMULATIVE, DELTA};
use catchment_pipeline::config::Section;
use regex::Regex;

use super::group::Input;

#[derive(Debug)]
pub struct Settings {
    pub interval: Duration,
    pub allowed_lateness: Duration,
    pub grace: Duration,
    pub max_stale: Duration,
    pub pass_late: bool,
    pub initial: Initial,
    pub max_series: usize,
    pub fold_overflow: bool,
    pub max_buckets: usize,
    pub rules: Vec<Rule>,
    /// Written as the Collector's `interval`: delta points pass, and gauges where this says so.
    pub interval_only: Option<bool>,
}

/// What the first point of a cumulative series adds, of which nobody knows what it held before: the Collector's `initial_value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    Auto,
    Keep,
    Drop,
}

pub const INITIAL: [(&str, Initial); 3] = [("auto", Initial::Auto), ("keep", Initial::Keep), ("drop", Initial::Drop)];

#[derive(Debug)]
pub struct Rule {
    /// None: every metric.
    pub metrics: Vec<Regex>,
    pub labels: Labels,
    pub functions: Vec<Function>,
    pub over_time: Option<Function>,
    pub temporality: Option<i32>,
    pub drop_original: bool,
    /// `{name}` and `{function}` stand for themselves.
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// In time only.
    All,
    By(Vec<String>),
    Without(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    Avg,
    Max,
    Min,
    Sum,
    Count,
    Last,
    Rate,
    Merge,
    Quantile(f64),
}

const FUNCTIONS: [(&str, Function); 9] = [
    ("avg", Function::Avg),
    ("mean", Function::Avg),
    ("max", Function::Max),
    ("min", Function::Min),
    ("sum", Function::Sum),
    ("count", Function::Count),
    ("last", Function::Last),
    ("rate", Function::Rate),
    ("merge", Function::Merge),
];

impl Function {
    /// As part of a metric's name.
    pub fn suffix(self) -> String {
        match self {
            Function::Quantile(q) => format!("p{}", (q * 1e8).round() / 1e6).replace('.', "_"),
            other => FUNCTIONS.iter().find(|(_, f)| *f == other).map_or("", |(name, _)| name).to_owned(),
        }
    }

    /// A name as above, or `p99`, `p99.9`.
    fn named(word: &str) -> Option<Function> {
        let quantile = || {
            let percent: f64 = word.strip_prefix('p')?.parse().ok()?;
            (0.0..=100.0).contains(&percent).then_some(Function::Quantile(percent / 100.0))
        };
        let known = FUNCTIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, function)| *function);
        known.or_else(quantile)
    }
}

pub fn read(section: &mut Section) -> Settings {
    let settings = Settings {
        interval: section.or("interval", Duration::from_secs(60)),
        allowed_lateness: section.or("allowed_lateness", Duration::from_secs(10)),
        grace: section.or("grace", Duration::from_secs(30)),
        max_stale: section.or("max_stale", Duration::from_secs(3600)),
        pass_late: section.choice("late", &[("drop", false), ("pass", true)]).unwrap_or_default(),
        initial: section.choice("initial_value", &INITIAL).unwrap_or(Initial::Auto),
        max_series: section.or("max_series", 1_000_000),
        fold_overflow: section.choice("overflow", &[("fold", true), ("pass", false)]).unwrap_or(true),
        max_buckets: section.or("max_buckets", 640),
        rules: Vec::new(),
        interval_only: None,
    };
    if settings.interval < Duration::from_millis(1) {
        section.mistake("interval", "windows of less than a millisecond are not kept", "write 1s or more");
    }
    if settings.max_series == 0 || settings.max_series > 100_000_000 {
        section.mistake("max_series", "this many series are not kept", "write a number from 1 to 100000000");
    }
    if !(8..=4096).contains(&settings.max_buckets) {
        section.mistake("max_buckets", "quantiles need 8 to 4096 buckets", "write 640, or leave it out");
    }
    let id = section.path().rsplit("::").next().unwrap_or_default();
    if id.split('/').next() == Some("interval") {
        return interval(section, settings);
    }
    let general = rule(section, None);
    let mut rules: Vec<Rule> =
        section.list("rules").into_iter().map(|mut section| rule(&mut section, Some(&general))).collect();
    if rules.is_empty() {
        rules.push(general);
    }
    Settings { rules, ..settings }
}

/// The Collector's `interval`: of every series its last point.
pub(super) fn interval(section: &mut Section, settings: Settings) -> Settings {
    let mut pass_gauges = false;
    if let Some(mut pass) = section.section("pass_through") {
        pass_gauges = pass.or("gauge", false);
        if pass.get::<bool>("summary") == Some(false) {
            pass.warning("summary", "summaries always pass", "remove it, or write true");
        }
    }
    let rule = Rule {
        metrics: Vec::new(),
        labels: Labels::All,
        functions: vec![Function::Last],
        over_time: None,
        temporality: None,
        drop_original: true,
        name: None,
    };
    Settings { rules: vec![rule], interval_only: Some(pass_gauges), ..settings }
}

/// What a rule does not say, the keys beside `rules` say.
fn rule(section: &mut Section, general: Option<&Rule>) -> Rule {
    let metrics = patterns(section);
    let labels = match (section.get::<Vec<String>>("by"), section.get::<Vec<String>>("without")) {
        (Some(_), Some(_)) => {
            section.mistake("without", "\"by\" is there too, and says it all", "remove one of the two");
            Labels::All
        }
        (Some(by), None) => Labels::By(by),
        (None, Some(without)) => Labels::Without(without),
        (None, None) => general.map_or(Labels::All, |general| general.labels.clone()),
    };
    let mut functions = Vec::new();
    for word in section.or("functions", Vec::<String>::new()) {
        match Function::named(&word) {
            Some(function) => functions.push(function),
            None => {
                let names = FUNCTIONS.map(|(name, _)| name).join(", ");
                section.mistake(
                    "functions",
                    format!("{word:?} is no function"),
                    format!("choices: {names}, p50, p99.9"),
                );
            }
        }
    }
    for q in section.or("quantiles", Vec::<f64>::new()) {
        if (0.0..=1.0).contains(&q) {
            functions.push(Function::Quantile(q));
        } else {
            section.mistake("quantiles", format!("{q} is no share"), "write numbers from 0 to 1");
        }
    }
    if functions.is_empty() {
        functions = general.map(|general| general.functions.clone()).unwrap_or_default();
    }
    let stages = ["avg", "max", "min", "sum", "last"];
    let stages = stages.map(|name| (name, Function::named(name)));
    let over_time = section.choice("over_time", &stages).flatten().or(general.and_then(|general| general.over_time));
    let temporality = section.choice("temporality", &[("delta", DELTA), ("cumulative", CUMULATIVE)]);
    let name = section.get::<String>("name");
    if let Some(name) = &name
        && functions.len() > 1
        && !name.contains("{function}")
    {
        section.mistake("name", "several functions would give metrics of one name", "add {function} to it");
    }
    Rule {
        metrics,
        labels,
        functions,
        over_time,
        temporality: temporality.or(general.and_then(|general| general.temporality)),
        drop_original: section.get("drop_original").unwrap_or(general.is_none_or(|general| general.drop_original)),
        name: name.or_else(|| general.and_then(|general| general.name.clone())),
    }
}

/// Names in which `*` stands for any text, or with `match_type: regexp` patterns.
fn patterns(section: &mut Section) -> Vec<Regex> {
    let types = [("glob", false), ("strict", false), ("regexp", true)];
    let regexp = section.choice("match_type", &types).unwrap_or_default();
    let mut patterns = Vec::new();
    for name in section.or("metrics", Vec::<String>::new()) {
        let glob = || format!("^{}$", regex::escape(&name).replace(r"\*", ".*").replace(r"\?", "."));
        match Regex::new(&if regexp { name.clone() } else { glob() }) {
            Ok(regex) => patterns.push(regex),
            Err(error) => section.mistake("metrics", format!("{name:?} is no pattern: {error}"), "mend the pattern"),
        }
    }
    patterns
}

impl Settings {
    /// What a state means something under.
    pub fn identity(&self) -> String {
        let Settings { interval, rules, interval_only, .. } = self;
        format!("{interval:?} {rules:?} {interval_only:?}")
    }

    pub fn passes(&self, input: Input) -> bool {
        match (self.interval_only, input) {
            (Some(gauges), Input::Gauge) => gauges,
            (Some(_), Input::Delta(_) | Input::Distribution(_, false)) => true,
            _ => false,
        }
    }

    /// The rule that a metric is under, the first that names it.
    pub fn rule_of(&self, metric: &str) -> Option<usize> {
        let names = |rule: &Rule| rule.metrics.is_empty() || rule.metrics.iter().any(|regex| regex.is_match(metric));
        self.rules.iter().position(names)
    }
}
