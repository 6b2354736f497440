//! What the configuration says of routes, receivers, time intervals, inhibition and limits: Alertmanager's keys with Alertmanager's meanings, and ours beside.

mod inhibit;
mod interval;
mod matchers;
mod receiver;
mod route;
mod yaml;

use std::collections::BTreeMap;
use std::time::Duration;

use catchment_pipeline::alerts::{Labels, Matcher, Op};
use catchment_pipeline::config::Section;

pub use inhibit::InhibitRule;
pub use interval::Interval;
pub use receiver::{Limit, Receiver};
pub use route::{GroupBy, Route};

/// Nanoseconds.
const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

#[derive(Clone, Debug)]
pub struct Settings {
    /// In the order of the file, depth first; the root is the first.
    pub routes: Vec<Route>,
    pub receivers: BTreeMap<String, Receiver>,
    pub intervals: BTreeMap<String, Vec<Interval>>,
    pub inhibit_rules: Vec<InhibitRule>,
    /// After so long without being sent again an alert from outside that names no end is resolved; nanoseconds.
    pub resolve_timeout: i64,
    pub external_url: String,
    pub max_alerts: usize,
    pub max_silences: usize,
    /// Alerts in one notification; more are counted only.
    pub max_alerts_per_notification: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            routes: vec![Route::default()],
            receivers: BTreeMap::new(),
            intervals: BTreeMap::new(),
            inhibit_rules: Vec::new(),
            resolve_timeout: 5 * MINUTE,
            external_url: String::new(),
            max_alerts: 50_000,
            max_silences: 10_000,
            max_alerts_per_notification: 1_000,
        }
    }
}

/// The receiver of a root route that names none: all channels.
const DEFAULT: &str = "default";

impl Settings {
    /// The keys `route`, `receivers`, `time_intervals` (or `mute_time_intervals`), `inhibit_rules`, `severities`, `resolve_timeout`, `external_url`
    /// and the limits of the connector's section.
    pub fn read(section: &mut Section) -> Settings {
        let mut settings = Settings { intervals: interval::read_all(section), ..Settings::default() };
        settings.receivers.extend(receiver::read_all(section));
        settings.inhibit_rules = inhibit::read_all(section);
        settings.routes = route::read_all(section, &settings.intervals);
        settings.severities(section);
        settings.resolve_timeout = nanos(section, "resolve_timeout", settings.resolve_timeout, true);
        settings.external_url = section.or("external_url", String::new());
        settings.max_alerts = count(section, "max_alerts", settings.max_alerts, 1_000_000);
        settings.max_silences = count(section, "max_silences", settings.max_silences, 100_000);
        let per = settings.max_alerts_per_notification;
        settings.max_alerts_per_notification = count(section, "max_alerts_per_notification", per, 10_000);
        settings
    }

    /// `severities: {critical: [pagerduty, slack]}`: after the root's other routes, one for each severity and each receiver.
    fn severities(&mut self, section: &mut Section) {
        let Some(by_severity) = section.get::<BTreeMap<String, Vec<String>>>("severities") else { return };
        for (severity, receivers) in by_severity {
            for (index, receiver) in receivers.iter().enumerate() {
                let Ok(matcher) = Matcher::new("severity", Op::Equal, severity.as_str()) else { continue };
                let more = index + 1 < receivers.len();
                self.append(vec![matcher], receiver, more);
            }
        }
    }

    /// A route right below the root, after all others.
    fn append(&mut self, matchers: Vec<Matcher>, receiver: &str, goes_on: bool) {
        let index = self.routes.len();
        let Some(root) = self.routes.first_mut() else { return };
        root.children.push(index);
        let route = root.child(matchers, root.children.len() - 1);
        self.routes.push(Route { receiver: receiver.to_owned(), goes_on, ..route });
    }

    /// The receiver of this name; a name that is none is a channel's.
    pub fn receiver(&self, name: &str) -> Receiver {
        let channels = if name == DEFAULT { Vec::new() } else { vec![name.to_owned()] };
        let named = || Receiver { channels, ..Receiver::default() };
        self.receivers.get(name).cloned().unwrap_or_else(named)
    }

    /// All that somebody can be told as, sorted.
    pub fn receiver_names(&self) -> Vec<String> {
        let routes = self.routes.iter().map(|route| &route.receiver);
        let all: std::collections::BTreeSet<_> = self.receivers.keys().chain(routes).cloned().collect();
        all.into_iter().collect()
    }

    /// Exporters that are named here, for who knows which there are.
    pub fn names_exporters(&self) -> Vec<String> {
        let routes = self
            .routes
            .iter()
            .flat_map(|route| std::iter::once(&route.receiver).chain(route.ladder.iter().map(|step| &step.receiver)));
        let used = routes.flat_map(|name| self.receiver(name).channels);
        let listed = self.receivers.values().flat_map(|receiver| receiver.channels.clone());
        let all: std::collections::BTreeSet<_> = used.chain(listed).collect();
        all.into_iter().collect()
    }

    /// The positions of the routes that alerts of these labels take: depth first, the first that matches unless it says `continue`.
    pub fn matching(&self, labels: &Labels) -> Vec<usize> {
        let mut found = Vec::new();
        self.descend(0, labels, &mut found);
        found
    }

    fn descend(&self, at: usize, labels: &Labels, found: &mut Vec<usize>) -> bool {
        let Some(route) = self.routes.get(at).filter(|route| Matcher::all(&route.matchers, labels)) else {
            return false;
        };
        let before = found.len();
        for child in &route.children {
            if self.descend(*child, labels, found) && !self.routes.get(*child).is_some_and(|child| child.goes_on) {
                break;
            }
        }
        if found.len() == before {
            found.push(at);
        }
        true
    }

    /// As Alertmanager's configuration file, without secrets (there are none in it); what is ours only is in comments.
    pub fn yaml(&self) -> String {
        yaml::write(self)
    }
}

/// A duration in nanoseconds.
fn nanos(section: &mut Section, key: &str, default: i64, positive: bool) -> i64 {
    let Some(duration) = section.get::<Duration>(key) else { return default };
    if positive && duration.is_zero() {
        section.mistake(key, format!("{key} is 0"), "write how long, as in 5m");
    }
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn count(section: &mut Section, key: &str, default: usize, most: usize) -> usize {
    let Some(count) = section.get::<usize>(key) else { return default };
    if count == 0 || count > most {
        section.mistake(key, format!("{key} is {count}"), format!("write a number from 1 to {most}"));
    }
    count
}
