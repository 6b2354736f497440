#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod oracle;
mod states;

use std::sync::Arc;

use catchment_pipeline::alerts::{Change, Evaluated, Labels, Outcome, Sample};
use catchment_pipeline::config::Section;

use super::*;
use crate::alerting::settings;

pub const SECOND: i64 = 1_000_000_000;
/// Far from zero, which says "never".
pub const EPOCH: i64 = 1_000_000 * SECOND;

pub fn groups(yaml: &str) -> Vec<Group> {
    let mut section = Section::parse(yaml);
    let read = settings::read(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    read.groups
}

pub fn one(rule: &str) -> Vec<Group> {
    groups(&format!("rules: [{rule}]"))
}

pub fn sample(host: &str, value: f64) -> Sample {
    Sample { labels: Labels::new([("host", host)]), value: Some(value) }
}

pub fn evaluated(rule: &Arc<Rule>, at: i64, outcome: Outcome) -> Evaluated {
    Evaluated { group: rule.group.clone(), rule: rule.name.clone(), id: rule.id, at, took: 0, outcome }
}

pub fn active(hosts: &[&str]) -> Outcome {
    Outcome::Samples { active: hosts.iter().map(|host| sample(host, 1.0)).collect(), quiet: None }
}

/// A machine and the one rule that is looked at.
pub struct Bench {
    pub machine: Machine,
    pub rule: Arc<Rule>,
}

impl Bench {
    pub fn new(rule: &str) -> Bench {
        let groups = one(rule);
        let rule = groups[0].rules[0].clone();
        Bench { machine: Machine::new(Global::default(), &groups), rule }
    }

    /// `host change`, `second` seconds after the beginning.
    pub fn at(&mut self, second: i64, outcome: Outcome) -> Vec<String> {
        let now = EPOCH + second * SECOND;
        let mut step = Step::default();
        self.machine.observe(now);
        self.machine.evaluated(now, evaluated(&self.rule, now, outcome), &mut step);
        said(&step)
    }

    pub fn alive(&mut self, second: i64) {
        self.machine.observe(EPOCH + second * SECOND);
    }

    /// The machine as it is after a restart, under these rules.
    pub fn restart(&mut self, rule: &str) -> Vec<String> {
        let mut state = Vec::new();
        self.machine.save(&mut state);
        let now = self.machine.last();
        *self = Bench::new(rule);
        self.machine.restore(&state).unwrap();
        let mut step = Step::default();
        self.machine.tick(now, &mut step);
        said(&step)
    }
}

pub fn said(step: &Step) -> Vec<String> {
    let word = |change: Change| match change {
        Change::StillFiring => "still",
        other => other.name(),
    };
    let mut said: Vec<_> = (step.updates.iter())
        .map(|update| {
            let labels = &update.event.alert.labels;
            let host = labels.get("host").or(labels.get("rulename")).unwrap_or("-");
            format!("{host} {}", word(update.event.change))
        })
        .collect();
    said.sort();
    said
}
