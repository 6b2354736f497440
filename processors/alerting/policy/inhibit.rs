//! Which alerts keep which from being told of.

use std::collections::{BTreeMap, BTreeSet};

use catchment_pipeline::alerts::{Fingerprint, Labels, Matcher};

use super::settings::Settings;

/// For each rule the alerts that its source matchers hold for, by the values that must be equal.
pub struct Inhibitor(Vec<Sources>);

#[derive(Default)]
struct Sources {
    /// Those that its target matchers do not hold for.
    plain: ByValues,
    /// Those that may be targets too: they do not inhibit each other, nor themselves.
    both: ByValues,
}

type ByValues = BTreeMap<Vec<String>, BTreeSet<Fingerprint>>;

impl Inhibitor {
    pub fn new(settings: &Settings) -> Inhibitor {
        Inhibitor(settings.inhibit_rules.iter().map(|_| Sources::default()).collect())
    }

    pub fn insert(&mut self, settings: &Settings, alert: Fingerprint, labels: &Labels) {
        for (rule, sources) in settings.inhibit_rules.iter().zip(&mut self.0) {
            if Matcher::all(&rule.source, labels) {
                let is_target = Matcher::all(&rule.target, labels);
                let sources = if is_target { &mut sources.both } else { &mut sources.plain };
                sources.entry(rule.key(labels)).or_default().insert(alert);
            }
        }
    }

    pub fn remove(&mut self, settings: &Settings, alert: Fingerprint, labels: &Labels) {
        for (rule, sources) in settings.inhibit_rules.iter().zip(&mut self.0) {
            let key = rule.key(labels);
            for sources in [&mut sources.plain, &mut sources.both] {
                if let Some(found) = sources.get_mut(&key) {
                    found.remove(&alert);
                    if found.is_empty() {
                        sources.remove(&key);
                    }
                }
            }
        }
    }

    /// One alert for each rule that inhibits; `fires` says which count.
    pub fn inhibiting(
        &self,
        settings: &Settings,
        labels: &Labels,
        fires: impl Fn(Fingerprint) -> bool,
    ) -> Vec<Fingerprint> {
        let mut found = Vec::new();
        for (rule, sources) in settings.inhibit_rules.iter().zip(&self.0) {
            if !Matcher::all(&rule.target, labels) {
                continue;
            }
            let key = rule.key(labels);
            // Who is a source itself is inhibited only by those who cannot be its target.
            let is_source = Matcher::all(&rule.source, labels);
            let both = sources.both.get(&key).filter(|_| !is_source);
            let mut all = sources.plain.get(&key).into_iter().chain(both).flatten();
            found.extend(all.find(|alert| fires(**alert)).copied());
        }
        found
    }
}
