//! Who is told of which alerts, when: Alertmanager's routes, groups, silences, inhibition and mute times, and ours: acknowledgement,
//! escalation, limits.
//!
//! A pure machine: it has no clock and asks nothing of the world. It steps through what was due in the order of its times, so that it does not matter how
//! often it is called: two calls give together what the second alone would have. Times are nanoseconds since 1970.
//!
//! Where it is not Alertmanager: what a group was told of is forgotten with the group, so that an alert that was resolved under a silence and fires again is told of
//! anew; and nothing happens in time in which nobody looked ([`Policy::gap`]).

mod alerts;
mod escalation;
mod flush;
mod groups;
mod inhibit;
mod outbox;
mod saved;
pub mod settings;
mod silences;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catchment_pipeline::alerts::{Alert, Fingerprint, Matcher, Notification, Silence};

use alerts::Known;
use groups::{Group, GroupId};
use inhibit::Inhibitor;
use outbox::Outbox;
pub use settings::Settings;
use silences::Silences;

pub struct Policy {
    settings: Arc<Settings>,
    inhibitor: Inhibitor,
    /// Never goes back.
    now: i64,
    alerts: BTreeMap<Fingerprint, Known>,
    groups: BTreeMap<Arc<GroupId>, Group>,
    /// When each group has something to do.
    queue: BTreeSet<(i64, Arc<GroupId>)>,
    silences: Silences,
    /// By receiver.
    outboxes: BTreeMap<String, Outbox>,
    /// Messages made so far.
    sequence: u64,
    counts: Counts,
}

/// What happened since somebody last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// New alerts that were refused because there are `max_alerts`.
    pub alerts_refused: u64,
    /// New silences that were refused because there are `max_silences`.
    pub silences_refused: u64,
}

impl Policy {
    pub fn new(settings: Arc<Settings>) -> Policy {
        Policy {
            inhibitor: Inhibitor::new(&settings),
            settings,
            now: 0,
            alerts: BTreeMap::new(),
            groups: BTreeMap::new(),
            queue: BTreeSet::new(),
            silences: Silences::default(),
            outboxes: BTreeMap::new(),
            sequence: 0,
            counts: Counts::default(),
        }
    }

    /// Alerts from outside: resolved when they say so, when their end has come, or when they have none and do not come again for `resolve_timeout`.
    pub fn put(&mut self, now: i64, alerts: Vec<Alert>, out: &mut Vec<Notification>) {
        let now = self.begin(now, out);
        for alert in alerts {
            self.put_outside(now, alert);
        }
        self.advance(now, out);
    }

    /// Alerts of rules, when they begin to fire, change or are resolved (`ends_at`); each with the channels (or receivers) that it is bound to, or none.
    pub fn put_rules(&mut self, now: i64, alerts: Vec<(Alert, Vec<String>)>, out: &mut Vec<Notification>) {
        let now = self.begin(now, out);
        for (alert, bound) in alerts {
            self.put_of_rule(now, alert, bound);
        }
        self.advance(now, out);
    }

    /// A new silence, or another in place of the one with its id. Its id, which is another where the old one cannot be changed; `None`: refused.
    pub fn silence(&mut self, now: i64, silence: Silence, out: &mut Vec<Notification>) -> Option<String> {
        let now = self.begin(now, out);
        let id = self.silences.put(now, silence, self.settings.max_silences);
        self.counts.silences_refused += u64::from(id.is_none());
        self.advance(now, out);
        id
    }

    pub fn expire(&mut self, now: i64, silence: &str, out: &mut Vec<Notification>) {
        let now = self.begin(now, out);
        self.silences.expire(now, silence);
        self.advance(now, out);
    }

    /// Of the alerts that fire now and that the matchers hold for: no repetition and no escalation until they are resolved. Those who had been told of them are told
    /// so. The alerts that were not acknowledged before.
    pub fn acknowledge(&mut self, now: i64, matchers: &[Matcher], by: &str, out: &mut Vec<Notification>) -> Vec<Alert> {
        let now = self.begin(now, out);
        let alerts = self.take_on(now, matchers, by);
        self.advance(now, out);
        alerts
    }

    /// Nobody looked for so long, up to the next call. Must come before any other call with a time after it (and nothing may be ticked in it): groups'
    /// times, ladders and the ends of alerts from outside are moved on.
    pub fn gap(&mut self, length: i64) {
        let (length, since) = (length.max(0), self.now);
        for alert in self.alerts.values_mut() {
            alert.skip(length, since);
        }
        for group in self.groups.values_mut() {
            group.skip(length);
        }
        self.queue = self.groups.iter().map(|(id, group)| (group.due(), id.clone())).collect();
    }

    /// When there is something to do; may be in the past.
    pub fn due(&self) -> Option<i64> {
        let groups = self.queue.first().map(|(at, _)| *at);
        groups.into_iter().chain(self.outboxes.values().filter_map(Outbox::due)).min()
    }

    /// What is due at `now`, and what was due before.
    pub fn tick(&mut self, now: i64, out: &mut Vec<Notification>) {
        self.begin(now, out);
    }

    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    fn begin(&mut self, now: i64, out: &mut Vec<Notification>) -> i64 {
        let now = now.max(self.now);
        self.advance(now, out);
        self.now = now;
        now
    }

    /// Goes through all that is due up to `now`, each at its own time; what comes of one time is put out together, so that limits see it together.
    fn advance(&mut self, now: i64, out: &mut Vec<Notification>) {
        while let Some(at) = self.due().filter(|at| *at <= now) {
            while let Some((due, id)) = self.queue.first().cloned().filter(|(due, _)| *due <= at) {
                self.queue.remove(&(due, id.clone()));
                self.attend(at, &id);
            }
            self.put_out(at, out);
        }
        self.put_out(now, out);
    }
}
