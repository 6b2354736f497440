//! `catchment rules check` and `catchment rules test`: rule files looked at, and unit tests of rules in promtool's format, run by the very code that runs rules:
//! a lake in a temporary folder, and a clock that goes as fast as it can.
//!
//! What is not promtool's: expressions are SQL, so that `promql_expr_test` is `sql_expr_test`; labels are attributes of points; a `stale` mark is a point that is
//! not there; the first moment is 2026-01-01T00:00:00Z.

mod read;
mod series;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use catchment_pipeline::alerts::{Labels, Outcome};
use catchment_pipeline::batch::build::{Interval, Kind, Number, PointsBuilder, Series};
use catchment_storage::{Lake, Options};

use super::evaluator::{Question, ask};
use super::rules::{Global, Group, Machine, Recorded, Step};
use super::settings::read_file;
use read::{AlertTest, Case, ExprTest, Input};

/// Of a clock that tests run by; nanoseconds.
const START: i64 = 1_767_225_600_000_000_000;
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
/// Evaluations of all groups in one test.
const STEPS: i64 = 1_000_000;

/// A rule file, looked at.
#[derive(Debug)]
pub struct Checked {
    pub rules: usize,
    /// What is wrong with it, ready to print.
    pub mistakes: Vec<String>,
}

pub fn check(file: &Path) -> Checked {
    let read = read_file(file, DEFAULT_INTERVAL);
    let mut mistakes = read.mistakes;
    let rules: usize = read.groups.iter().map(|group| group.rules.len()).sum();
    if mistakes.is_empty() && read.groups.is_empty() {
        mistakes.push(format!("{}: there are no `groups` in it", file.display()));
    }
    Checked { rules, mistakes }
}

/// What did not come out as the tests of the file expect. An error: it cannot be run.
pub async fn test(file: &Path) -> anyhow::Result<Vec<String>> {
    let suite = read::read(file)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut groups = Vec::new();
    for rules in &suite.rule_files {
        let path = folder.join(rules);
        let read = read_file(&path, suite.interval);
        ensure!(read.mistakes.is_empty(), "{}", read.mistakes.join("\n"));
        groups.extend(read.groups);
    }
    for rule in groups.iter().flat_map(|group| &group.rules) {
        timeless(rule.query.sql.text()).with_context(|| format!("rule {}", rule.name))?;
    }
    let mut failures = Vec::new();
    for (number, case) in suite.cases.iter().enumerate() {
        let name = case.name.clone().unwrap_or_else(|| format!("test {}", number + 1));
        let failed = Run::new(&groups, case)?.run(case, suite.interval).await?;
        failures.extend(failed.into_iter().map(|failure| format!("{name}: {failure}")));
    }
    Ok(failures)
}

/// A clock of tests does not move `now()`.
fn timeless(sql: &str) -> anyhow::Result<()> {
    let lower = sql.to_ascii_lowercase();
    let asks =
        ["now()", "current_timestamp", "current_date", "current_time"].into_iter().find(|word| lower.contains(word));
    match asks {
        Some(word) => {
            anyhow::bail!("its SQL asks for `{word}`, which is not the time of a test: write $to, $from or $range")
        }
        None => Ok(()),
    }
}

struct Run<'a> {
    groups: &'a [Group],
    machine: Machine,
    lake: Lake,
    /// The log that there is not.
    position: u64,
    /// By time.
    points: Vec<(i64, &'a Input, f64)>,
    _folder: tempfile::TempDir,
}

impl<'a> Run<'a> {
    fn new(groups: &'a [Group], case: &'a Case) -> anyhow::Result<Run<'a>> {
        let folder = tempfile::tempdir()?;
        let lake = Lake::open(Options::new(folder.path()))?;
        let global = Global {
            external_labels: case.external_labels.clone(),
            external_url: case.external_url.clone(),
            ..Global::default()
        };
        let mut points = Vec::new();
        for input in &case.inputs {
            for (turn, value) in input.values.iter().enumerate() {
                let at = i64::try_from(turn)?.saturating_mul(case.interval);
                points.extend(value.map(|value| (at, input, value)));
            }
        }
        points.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        let machine = Machine::new(global, groups);
        Ok(Run { groups, machine, lake, position: 0, points, _folder: folder })
    }

    async fn run(mut self, case: &Case, interval: Duration) -> anyhow::Result<Vec<String>> {
        let step = i64::try_from(interval.as_nanos())?.max(1);
        let times = case.alerts.iter().map(|test| test.at).chain(case.exprs.iter().map(|test| test.at));
        let last = times.max().unwrap_or_default();
        ensure!(last / step <= STEPS, "more than {STEPS} evaluations: raise evaluation_interval");
        let mut failures = Vec::new();
        let mut now = 0;
        while now <= last {
            self.arrive(now)?;
            self.evaluate(now, &mut failures).await?;
            let next = now.saturating_add(step);
            for test in case.alerts.iter().filter(|test| (now..next).contains(&test.at)) {
                failures.extend(self.compare(test));
            }
            for test in case.exprs.iter().filter(|test| (now..next).contains(&test.at)) {
                self.arrive(test.at)?;
                failures.extend(self.ask(test).await);
            }
            now = next;
        }
        Ok(failures)
    }

    /// Points up to `now` are in the lake.
    fn arrive(&mut self, now: i64) -> anyhow::Result<()> {
        let mut builder = PointsBuilder::default();
        while let Some((at, input, value)) = self.points.pop_if(|(at, ..)| *at <= now) {
            let series = Series { name: &input.name, attributes: &input.attributes, ..Series::default() };
            builder.number(&series, Interval { start: 0, time: START + at }, Kind::Gauge, Number::Double(value), &[]);
        }
        if !builder.is_empty() {
            self.append(builder.finish()?)?;
        }
        Ok(())
    }

    fn append(&mut self, batch: catchment_pipeline::batch::Batch) -> anyhow::Result<()> {
        self.position += 1;
        Ok(self.lake.append(batch.rows(), self.position)?)
    }

    async fn evaluate(&mut self, now: i64, failures: &mut Vec<String>) -> anyhow::Result<()> {
        let at = START + now;
        // Somebody looks all the time.
        while self.machine.last() != 0 && self.machine.last() + 15_000_000_000 < at {
            self.machine.observe(self.machine.last() + 15_000_000_000);
        }
        for group in self.groups {
            for rule in &group.rules {
                let answer = ask(&self.lake, &Question { group, rule, at, gaps: &[] }).await;
                if let Outcome::Failed { error } = &answer.evaluated.outcome {
                    failures.push(format!("rule {}, time {}: {error}", rule.name, shown(now)));
                }
                let mut step = Step::default();
                self.machine.observe(at);
                self.machine.evaluated(at, answer.evaluated, &mut step);
                let recorded: Vec<Recorded> = step.recorded;
                if !recorded.is_empty() {
                    self.append(super::points(&recorded))?;
                }
            }
        }
        Ok(())
    }

    fn compare(&self, test: &AlertTest) -> Option<String> {
        let mut got = self.machine.firing(&test.name);
        let mut expected = test.expected.clone();
        got.sort();
        expected.sort();
        (got != expected).then(|| {
            format!(
                "alertname: {}, time: {}\n    exp: {}\n    got: {}",
                test.name,
                shown(test.at),
                list(&expected),
                list(&got)
            )
        })
    }

    async fn ask(&self, test: &ExprTest) -> Option<String> {
        let (group, rule) = test.rule();
        let answer = ask(&self.lake, &Question { group: &group, rule: &rule, at: START + test.at, gaps: &[] }).await;
        let samples = match answer.evaluated.outcome {
            Outcome::Samples { active, .. } => active,
            Outcome::Failed { error } => {
                return Some(format!("expr: {}, time: {}: {error}", test.expr, shown(test.at)));
            }
        };
        let got: BTreeMap<Labels, Option<f64>> =
            samples.into_iter().map(|sample| (sample.labels, sample.value)).collect();
        let same = |(a, b): (&Option<f64>, &Option<f64>)| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
            (a, b) => a.is_none() && b.is_none(),
        };
        let equal = got.keys().eq(test.expected.keys()) && got.values().zip(test.expected.values()).all(same);
        let list = |all: &BTreeMap<Labels, Option<f64>>| {
            let one = |(labels, value): (&Labels, &Option<f64>)| {
                format!("{labels} {}", value.map_or_else(|| "null".to_owned(), |value| value.to_string()))
            };
            all.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        (!equal).then(|| {
            format!(
                "expr: {}, time: {}\n    exp: {}\n    got: {}",
                test.expr,
                shown(test.at),
                list(&test.expected),
                list(&got)
            )
        })
    }
}

fn list(alerts: &[(Labels, Labels)]) -> String {
    let one = |(labels, annotations): &(Labels, Labels)| format!("\n        Labels:{labels} Annotations:{annotations}");
    if alerts.is_empty() { "nothing".to_owned() } else { alerts.iter().map(one).collect() }
}

/// `1h2m`.
fn shown(at: i64) -> String {
    let seconds = at / 1_000_000_000;
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let shown: String =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if shown.is_empty() { "0s".to_owned() } else { shown }
}
