#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounds;
mod ladder;
mod oracle;
mod scenario;
mod silences;
mod timing;

use std::sync::Arc;

use catchment_pipeline::alerts::{Alert, Labels, Matcher, Notification, Silence};
use catchment_pipeline::config::Section;

use super::{Policy, Settings};

pub const SECOND: i64 = 1_000_000_000;
/// 2026-03-02, a Monday, 00:00 UTC.
pub const MONDAY: i64 = 1_772_409_600;

pub fn settings(yaml: &str) -> Arc<Settings> {
    let mut section = Section::parse(yaml);
    let settings = Settings::read(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new(), "{yaml}");
    Arc::new(settings)
}

pub fn mistakes(yaml: &str) -> Vec<String> {
    let mut section = Section::parse(yaml);
    Settings::read(&mut section);
    section.mistakes()
}

/// A policy, and what it said; times in seconds after [`MONDAY`].
pub struct Bench {
    pub policy: Policy,
    pub out: Vec<Notification>,
}

impl Bench {
    pub fn new(yaml: &str) -> Bench {
        Bench { policy: Policy::new(settings(yaml)), out: Vec::new() }
    }

    /// A rule's alert; `{a="b"}`.
    pub fn fire(&mut self, at: i64, labels: &str) {
        self.policy.put_rules(
            time(at),
            vec![(Alert { starts_at: time(at), ..alert(labels) }, Vec::new())],
            &mut self.out,
        );
    }

    pub fn resolve(&mut self, at: i64, labels: &str) {
        self.policy.put_rules(
            time(at),
            vec![(Alert { starts_at: 1, ends_at: time(at), ..alert(labels) }, Vec::new())],
            &mut self.out,
        );
    }

    pub fn silence(&mut self, at: i64, id: &str, matchers: &str, from: i64, to: i64) -> Option<String> {
        self.policy.silence(time(at), silence(id, matchers, from, to), &mut self.out)
    }

    pub fn acknowledge(&mut self, at: i64, matchers: &str, by: &str) -> usize {
        self.policy.acknowledge(time(at), &Matcher::parse_all(matchers).unwrap(), by, &mut self.out).len()
    }

    pub fn run(&mut self, until: i64) {
        self.policy.tick(time(until), &mut self.out);
    }

    pub fn restart(&mut self) {
        let mut state = Vec::new();
        self.policy.save(&mut state).unwrap();
        let mut again = Policy::new(self.policy.settings().clone());
        again.restore(&state).unwrap();
        self.policy = again;
    }

    /// What was said since the last call: `90s default firing A B; resolved C`, with the step of the ladder, who acknowledged, and the size of a digest.
    pub fn said(&mut self) -> Vec<String> {
        self.out.drain(..).map(|notification| said(&notification)).collect()
    }
}

pub fn said(notification: &Notification) -> String {
    let names = |alerts: Vec<&Labels>| {
        alerts.iter().map(|labels| format!(" {}", labels.get("alertname").unwrap_or("?"))).collect::<String>()
    };
    let mut text = format!("{}s {}", (notification.at - time(0)) / SECOND, notification.receiver);
    let firing = names(notification.firing().map(|alert| &alert.labels).collect());
    let resolved = names(notification.resolved().map(|alert| &alert.labels).collect());
    if !firing.is_empty() {
        text += &format!(" firing{firing}");
    }
    if !resolved.is_empty() {
        text += &format!(" resolved{resolved}");
    }
    if notification.escalation > 0 {
        text += &format!(" (step {})", notification.escalation);
    }
    if let Some(by) = &notification.acknowledged_by {
        text += &format!(" (taken on by {by})");
    }
    if notification.digest_of > 0 {
        text += &format!(" (digest of {}, {} left out)", notification.digest_of, notification.truncated_alerts);
    }
    text
}

pub fn time(seconds: i64) -> i64 {
    (MONDAY + seconds) * SECOND
}

pub fn alert(labels: &str) -> Alert {
    let matchers = Matcher::parse_all(labels).unwrap();
    let labels = matchers.iter().map(|matcher| (matcher.name(), matcher.value())).collect();
    Alert { labels, ..Alert::default() }
}

pub fn silence(id: &str, matchers: &str, from: i64, to: i64) -> Silence {
    Silence {
        id: id.to_owned(),
        matchers: Matcher::parse_all(matchers).unwrap(),
        starts_at: time(from),
        ends_at: time(to),
        updated_at: 0,
        created_by: "me".to_owned(),
        comment: "for a test".to_owned(),
    }
}
