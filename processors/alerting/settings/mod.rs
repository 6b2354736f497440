//! The connector's settings, and rule files.

mod files;
mod rule;
mod threshold;

use std::time::Duration;

use catchment_pipeline::alerts::Labels;
use catchment_pipeline::config::Section;
use xxhash_rust::xxh3::xxh3_64;

use super::rules::{Global, Group, Rule};
use crate::state::length;

pub use files::{Loaded, load, read_file};

/// Rules of one connector.
const MAX_RULES: usize = 10_000;

pub struct Settings {
    /// Rules in the configuration itself.
    pub groups: Vec<Group>,
    /// Patterns; read when the connector is built.
    pub rule_files: Vec<String>,
    /// Of groups that say none.
    pub interval: Duration,
    pub global: Global,
    /// Rules are looked at as data arrives, beside their interval.
    pub as_data_arrives: bool,
}

/// Prometheus' default.
const INTERVAL: Duration = Duration::from_secs(60);

pub fn read(section: &mut Section) -> Settings {
    let interval = section.or("evaluation_interval", INTERVAL);
    if interval.is_zero() {
        section.mistake("evaluation_interval", "rules would never rest", "write 1s or more");
    }
    let resend = section.or("resend_delay", Duration::from_secs(60));
    let labels = section.get::<std::collections::BTreeMap<String, String>>("external_labels").unwrap_or_default();
    let global = Global {
        resend_delay: length(resend),
        external_labels: Labels::new(labels),
        external_url: section.or("external_url", String::new()),
    };
    let mut groups = groups(section, "", interval);
    let loose = section.list("rules");
    if !loose.is_empty() {
        let head =
            Head { name: "rules".to_owned(), interval, query_offset: Duration::ZERO, limit: 0, labels: Vec::new() };
        if groups.iter().any(|group| group.name == head.name) {
            section.mistake(
                "rules",
                "a group has the name \"rules\", which these rules have",
                "name that group otherwise",
            );
        }
        groups.push(head.with("", loose));
    }
    Settings {
        groups,
        rule_files: section.or("rule_files", Vec::new()),
        interval,
        global,
        as_data_arrives: section.or("evaluate_as_data_arrives", true),
    }
}

/// What a group says beside its rules.
struct Head {
    name: String,
    interval: Duration,
    query_offset: Duration,
    limit: usize,
    labels: Vec<(String, String)>,
}

/// `groups`, as rule files have them.
pub fn groups(section: &mut Section, file: &str, interval: Duration) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut count = 0;
    for mut section in section.list("groups") {
        let labels = section.get::<std::collections::BTreeMap<String, String>>("labels").unwrap_or_default();
        let head = Head {
            name: section.required("name").unwrap_or_default(),
            interval: section.or("interval", interval),
            query_offset: section.or("query_offset", Duration::ZERO),
            limit: section.or("limit", 0),
            labels: labels.into_iter().collect(),
        };
        if head.interval.is_zero() {
            section.mistake("interval", "the group would never rest", "write 1s or more");
        }
        section.accepted("partial_response_strategy", "it is Thanos': there is one lake to ask");
        if groups.iter().any(|group| group.name == head.name) {
            let what = format!("there is another group \"{}\" in this file", head.name);
            section.mistake("name", what, "names of groups are unique within a file");
        }
        let rules = section.list("rules");
        count += rules.len();
        if count > MAX_RULES {
            section.mistake("rules", format!("more than {MAX_RULES} rules"), "split them over several instances");
            return groups;
        }
        groups.push(head.with(file, rules));
    }
    groups
}

impl Head {
    fn with(self, file: &str, sections: Vec<Section>) -> Group {
        let mut rules: Vec<Rule> = Vec::new();
        for mut section in sections {
            if let Some(mut rule) = rule::read(&mut section, &self.name, &self.labels) {
                let labels: Vec<_> =
                    rule.labels.iter().map(|(name, text)| format!("{name}={}", text.source())).collect();
                // As in Prometheus: a rule is the same while its name and labels are. The nth of several that share both is the nth.
                let identity = |nth: usize| {
                    let kind = if rule.alerting().is_some() { "alert" } else { "record" };
                    xxh3_64([file, kind, &labels.join("\0"), &nth.to_string()].join("\x01").as_bytes())
                };
                let taken = |id: u64| rules.iter().any(|other| other.name == rule.name && other.id == id);
                rule.id = (0..).map(identity).find(|id| !taken(*id)).unwrap_or_default();
                rules.push(rule);
            }
        }
        Group {
            name: self.name,
            file: file.to_owned(),
            interval: length(self.interval).max(1),
            query_offset: length(self.query_offset),
            limit: self.limit,
            rules: rules.into_iter().map(std::sync::Arc::new).collect(),
        }
    }
}
