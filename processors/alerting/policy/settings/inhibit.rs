//! `inhibit_rules`: alerts that keep others from being told of.

use catchment_pipeline::alerts::{Labels, Matcher};
use catchment_pipeline::config::Section;

use super::matchers;

#[derive(Clone, Debug)]
pub struct InhibitRule {
    pub source: Vec<Matcher>,
    pub target: Vec<Matcher>,
    /// Labels whose values must be the same; one that is not there is empty.
    pub equal: Vec<String>,
}

impl InhibitRule {
    pub fn key(&self, labels: &Labels) -> Vec<String> {
        self.equal.iter().map(|name| labels.get(name).unwrap_or_default().to_owned()).collect()
    }
}

pub fn read_all(section: &mut Section) -> Vec<InhibitRule> {
    section.list("inhibit_rules").into_iter().map(read).collect()
}

fn read(mut section: Section) -> InhibitRule {
    let source = matchers::read(&mut section, "source_");
    let target = matchers::read(&mut section, "target_");
    let equal = section.get("equal").unwrap_or_default();
    // Alertmanager 0.28 and newer let a rule have a name; it changes nothing.
    let _ = section.get::<String>("name");
    for (end, matchers) in [("source", &source), ("target", &target)] {
        if matchers.is_empty() {
            section.mistake(
                "",
                format!("an inhibition rule without {end}_matchers holds for every alert"),
                format!("add {end}_matchers: ['severity=\"critical\"']"),
            );
        }
    }
    InhibitRule { source, target, equal }
}
