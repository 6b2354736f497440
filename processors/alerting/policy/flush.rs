//! A group's turn: who is to be told what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catchment_pipeline::alerts::{Alert, Fingerprint, Labels, Matcher, Notification, NotifiedAlert, Status};
use xxhash_rust::xxh3::xxh3_128;

use super::Policy;
use super::groups::{Group, GroupId, Told};
use super::settings::{Receiver, Route, Settings};

/// What nobody is kept from being told of.
#[derive(Default)]
pub struct Unmuted {
    pub firing: BTreeSet<Fingerprint>,
    pub resolved: BTreeSet<Fingerprint>,
}

/// A message, but for its content.
pub struct Message<'a> {
    pub route: &'a Route,
    pub id: &'a GroupId,
    pub step: u32,
    pub acknowledged_by: Option<String>,
}

impl Policy {
    /// A flush, a step of its ladder, or both.
    pub(super) fn attend(&mut self, at: i64, id: &Arc<GroupId>) {
        let settings = self.settings.clone();
        let (Some(mut group), Some(route)) = (self.groups.remove(id), settings.routes.get(id.route)) else { return };
        let flush = group.next <= at;
        if flush {
            group.next = at.saturating_add(route.group_interval.max(1));
        }
        let unmuted = self.unmuted(at, route, &group);
        if flush {
            self.tell_changes(at, route, id, &mut group, &unmuted);
        }
        self.escalate(at, route, id, &mut group, &unmuted);
        if flush {
            self.drop_resolved(at, id, &mut group);
        }
        if !group.alerts.is_empty() {
            self.queue.insert((group.due(), id.clone()));
            self.groups.insert(id.clone(), group);
        }
    }

    fn unmuted(&self, at: i64, route: &Route, group: &Group) -> Unmuted {
        let mut unmuted = Unmuted::default();
        if is_muted(&self.settings, route, at) {
            return unmuted;
        }
        for fingerprint in &group.alerts {
            let Some(known) = self.alerts.get(fingerprint) else { continue };
            let labels = &known.alert.labels;
            if self.silences.muting(labels, at).next().is_some() || !self.inhibiting(labels, at).is_empty() {
                continue;
            }
            let of = if known.is_resolved(at) { &mut unmuted.resolved } else { &mut unmuted.firing };
            of.insert(*fingerprint);
        }
        unmuted
    }

    pub(super) fn inhibiting(&self, labels: &Labels, at: i64) -> Vec<Fingerprint> {
        let fires = |alert| self.alerts.get(&alert).is_some_and(|known| !known.is_resolved(at));
        self.inhibitor.inhibiting(&self.settings, labels, fires)
    }

    /// The route's receiver, and who was told by escalation.
    fn tell_changes(&mut self, at: i64, route: &Route, id: &Arc<GroupId>, group: &mut Group, unmuted: &Unmuted) {
        if unmuted.firing.is_empty() && unmuted.resolved.is_empty() {
            return;
        }
        for step in 0..=group.steps {
            let Some(name) = id.receiver(route, step) else { continue };
            let receiver = self.settings.receiver(name);
            if self.is_news(at, route, group.told.get(&step), unmuted, receiver.send_resolved) {
                self.tell(at, Message { route, id, step, acknowledged_by: None }, &receiver, unmuted);
                group.tell(at, step, unmuted);
            }
        }
        match group.told.get(&0).is_some_and(|told| !told.firing.is_empty()) {
            true if group.since.is_none() => {
                group.since = Some(at);
                group.escalate_at = route.ladder.first().map(|step| at.saturating_add(step.after));
            }
            true => {}
            false => group.end_incident(),
        }
    }

    /// Alertmanager's rule: something fires of which they were not told, nothing does any more, something more was resolved, or it is time to repeat it.
    fn is_news(&self, at: i64, route: &Route, told: Option<&Told>, unmuted: &Unmuted, send_resolved: bool) -> bool {
        let Some(told) = told else { return !unmuted.firing.is_empty() };
        if !unmuted.firing.is_subset(&told.firing) {
            return true;
        }
        if unmuted.firing.is_empty() {
            return !told.firing.is_empty();
        }
        if send_resolved && !unmuted.resolved.is_subset(&told.resolved) {
            return true;
        }
        // Alertmanager's timers are late by a little, so that its `<` lets a multiple of group_interval pass, too.
        told.at.saturating_add(route.repeat_interval) <= at && !self.all_taken_on(&unmuted.firing)
    }

    /// Somebody acknowledged each of them.
    pub(super) fn all_taken_on(&self, firing: &BTreeSet<Fingerprint>) -> bool {
        let taken_on = |alert| self.alerts.get(alert).is_some_and(|known| known.acknowledged_by.is_some());
        firing.iter().all(taken_on)
    }

    fn drop_resolved(&mut self, at: i64, id: &Arc<GroupId>, group: &mut Group) {
        let alerts = &mut self.alerts;
        let mut gone = Vec::new();
        group.alerts.retain(|fingerprint| {
            let Some(known) = alerts.get_mut(fingerprint) else { return false };
            if !known.is_resolved(at) {
                return true;
            }
            known.groups.retain(|group| group != id);
            if known.groups.is_empty() {
                gone.push(*fingerprint);
            }
            false
        });
        gone.into_iter().for_each(|alert| self.forget(alert));
    }

    /// Puts a message into the receiver's outbox.
    pub(super) fn tell(&mut self, at: i64, message: Message<'_>, receiver: &Receiver, of: &Unmuted) {
        let Some(name) = message.id.receiver(message.route, message.step).map(str::to_owned) else { return };
        let alert = |fingerprint: &Fingerprint, status| {
            let known = self.alerts.get(fingerprint)?;
            Some(notified(&known.alert, *fingerprint, status))
        };
        let firing = of.firing.iter().filter_map(|fingerprint| alert(fingerprint, Status::Firing));
        let resolved = of.resolved.iter().filter(|_| receiver.send_resolved);
        let resolved = resolved.filter_map(|fingerprint| alert(fingerprint, Status::Resolved));
        let alerts: Vec<_> = firing.chain(resolved).collect();
        // Without `send_resolved` there may be nothing to say, but that it was said.
        if alerts.is_empty() {
            return;
        }
        let group_key = message.id.key(message.route);
        let notification = Notification {
            group_labels: message.id.labels.clone(),
            channels: receiver.channels.clone(),
            id: self.next_id(&group_key, &name, at),
            at,
            escalation: message.step,
            acknowledged_by: message.acknowledged_by,
            group_key,
            receiver: name,
            ..listing(alerts, &self.settings)
        };
        self.outboxes.entry(notification.receiver.clone()).or_default().push(notification);
    }

    /// 32 hexadecimal digits; no two messages have the same.
    pub(super) fn next_id(&mut self, group_key: &str, receiver: &str, at: i64) -> String {
        self.sequence += 1;
        format!("{:032x}", xxh3_128(format!("{group_key}\n{receiver}\n{at}\n{}", self.sequence).as_bytes()))
    }
}

impl Group {
    pub(super) fn tell(&mut self, at: i64, step: u32, unmuted: &Unmuted) {
        let (firing, resolved) = (unmuted.firing.clone(), unmuted.resolved.clone());
        self.told.insert(step, Told { at, firing, resolved });
    }

    /// Nothing fires any more, as far as they were told.
    fn end_incident(&mut self) {
        self.since = None;
        self.escalate_at = None;
        self.steps = 0;
        self.told.retain(|step, _| *step == 0);
    }
}

/// The names of the intervals that keep the route from telling anything.
pub fn muted_by<'a>(settings: &'a Settings, route: &'a Route, at: i64) -> impl Iterator<Item = &'a str> {
    let within =
        move |name: &String| settings.intervals.get(name).is_some_and(|all| all.iter().any(|one| one.contains(at)));
    let muting = route.mute.iter().filter(move |name| within(name));
    let idle = !route.active.is_empty() && !route.active.iter().any(within);
    muting.chain(route.active.iter().filter(move |_| idle)).map(String::as_str)
}

fn is_muted(settings: &Settings, route: &Route, at: i64) -> bool {
    muted_by(settings, route, at).next().is_some()
}

fn notified(alert: &Alert, fingerprint: Fingerprint, status: Status) -> NotifiedAlert {
    NotifiedAlert {
        status,
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        starts_at: alert.starts_at,
        ends_at: if status == Status::Resolved { alert.ends_at } else { 0 },
        generator_url: alert.generator_url.clone(),
        fingerprint: fingerprint.to_string(),
    }
}

/// What a message says of its alerts: firing ones first, no more than there may be, and what they have in common.
pub fn listing(mut alerts: Vec<NotifiedAlert>, settings: &Settings) -> Notification {
    alerts.sort_by(|a, b| (a.status, &a.labels).cmp(&(b.status, &b.labels)));
    let (common_labels, common_annotations) = common(&alerts);
    let most = settings.max_alerts_per_notification;
    Notification {
        version: Notification::VERSION.to_owned(),
        truncated_alerts: alerts.len().saturating_sub(most) as u64,
        status: alerts.first().map_or(Status::Firing, |alert| alert.status),
        common_labels,
        common_annotations,
        external_url: settings.external_url.clone(),
        alerts: alerts.into_iter().take(most).collect(),
        ..Notification::default()
    }
}

/// Labels and annotations that all of them have.
fn common(alerts: &[NotifiedAlert]) -> (Labels, Labels) {
    let of = |labels: fn(&NotifiedAlert) -> &Labels| {
        let Some((first, rest)) = alerts.split_first() else { return Labels::default() };
        let shared = labels(first)
            .iter()
            .filter(|(name, value)| rest.iter().all(|alert| labels(alert).get(name) == Some(value)));
        shared.collect()
    };
    (of(|alert| &alert.labels), of(|alert| &alert.annotations))
}

impl Policy {
    pub(super) fn take_on(&mut self, now: i64, matchers: &[Matcher], by: &str) -> Vec<Alert> {
        let mut taken = BTreeMap::new();
        for (fingerprint, known) in &mut self.alerts {
            let open = known.acknowledged_by.is_none() && !known.is_resolved(now);
            if open && Matcher::all(matchers, &known.alert.labels) {
                known.acknowledged_by = Some(by.to_owned());
                taken.insert(*fingerprint, known.alert.clone());
            }
        }
        let fingerprints: BTreeSet<_> = taken.keys().copied().collect();
        self.tell_taken_on(now, &fingerprints, by);
        taken.into_values().collect()
    }

    /// To who was told of them.
    fn tell_taken_on(&mut self, now: i64, taken: &BTreeSet<Fingerprint>, by: &str) {
        let settings = self.settings.clone();
        let groups: BTreeSet<_> =
            taken.iter().filter_map(|alert| self.alerts.get(alert)).flat_map(|known| known.groups.clone()).collect();
        for id in groups {
            let (Some(group), Some(route)) = (self.groups.get(&id), settings.routes.get(id.route)) else { continue };
            let told: Vec<_> = group.told.iter().map(|(step, told)| (*step, taken & &told.firing)).collect();
            for (step, firing) in told.into_iter().filter(|(_, firing)| !firing.is_empty()) {
                let Some(name) = id.receiver(route, step) else { continue };
                let receiver = settings.receiver(name);
                let message = Message { route, id: &id, step, acknowledged_by: Some(by.to_owned()) };
                self.tell(now, message, &receiver, &Unmuted { firing, resolved: BTreeSet::new() });
            }
        }
    }
}
