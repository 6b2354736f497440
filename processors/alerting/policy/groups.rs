//! Groups: alerts that one receiver is told of together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catchment_pipeline::alerts::{Fingerprint, Labels};
use serde::{Deserialize, Serialize};

use super::Policy;
use super::settings::{Route, Settings};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId {
    /// Position of its route.
    pub route: usize,
    pub labels: Labels,
    /// The channel or receiver its alerts are bound to, in place of the route's.
    pub bound: Option<String>,
}

/// Times in nanoseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Group {
    /// The next flush.
    pub next: i64,
    pub alerts: BTreeSet<Fingerprint>,
    /// What was told, by place on the ladder: 0 is the route's own receiver.
    pub told: BTreeMap<u32, Told>,
    /// When it was first told that something fires, while something does.
    pub since: Option<i64>,
    /// Steps of the ladder that were taken.
    pub steps: u32,
    /// When the next step is to be taken.
    pub escalate_at: Option<i64>,
}

/// What somebody was told last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Told {
    pub at: i64,
    pub firing: BTreeSet<Fingerprint>,
    pub resolved: BTreeSet<Fingerprint>,
}

impl GroupId {
    /// As Alertmanager writes it: `{}/{severity="page"}:{alertname="X"}`.
    pub fn key(&self, route: &Route) -> String {
        // A bound group looks like one of a route below.
        let bound = self.bound.as_ref().map(|name| format!("/{{channel={name:?}}}")).unwrap_or_default();
        format!("{}{bound}:{}", route.key, self.labels)
    }

    /// Who is told at a step of the ladder (0: the receiver itself).
    pub fn receiver<'a>(&'a self, route: &'a Route, step: u32) -> Option<&'a str> {
        match step.checked_sub(1) {
            None => Some(self.bound.as_deref().unwrap_or(&route.receiver)),
            Some(index) => route.ladder.get(index as usize).map(|step| step.receiver.as_str()),
        }
    }
}

impl Group {
    pub fn due(&self) -> i64 {
        self.escalate_at.map_or(self.next, |at| at.min(self.next))
    }

    pub fn skip(&mut self, length: i64) {
        self.next = self.next.saturating_add(length);
        self.since = self.since.map(|at| at.saturating_add(length));
        self.escalate_at = self.escalate_at.map(|at| at.saturating_add(length));
    }
}

/// The groups that an alert of these labels is in.
pub fn of(settings: &Settings, labels: &Labels, bound: &[String]) -> Vec<GroupId> {
    let routes = settings.matching(labels).into_iter();
    let id = |route: usize, bound: Option<String>| {
        let labels = settings.routes.get(route).map(|route| route.group_labels(labels)).unwrap_or_default();
        GroupId { route, labels, bound }
    };
    match bound {
        [] => routes.map(|route| id(route, None)).collect(),
        // Its channels are said: of its routes the first says with which others it is told of, and when.
        bound => routes.take(1).flat_map(|route| bound.iter().map(move |name| id(route, Some(name.clone())))).collect(),
    }
}

impl Policy {
    pub(super) fn join_groups(&mut self, now: i64, fingerprint: Fingerprint) {
        let Some(known) = self.alerts.get_mut(&fingerprint) else { return };
        if known.groups.is_empty() {
            let ids = of(&self.settings, &known.alert.labels, &known.bound);
            known.groups = ids.into_iter().map(Arc::new).collect();
        }
        let starts_at = known.alert.starts_at;
        for id in &known.groups {
            let group = self.groups.entry(id.clone()).or_insert_with(|| {
                let wait = self.settings.routes.get(id.route).map_or(0, |route| route.group_wait);
                // Who starts anew knows alerts that waited long enough already.
                let waited = starts_at.saturating_add(wait) < now;
                let group = Group { next: if waited { now } else { now.saturating_add(wait) }, ..Group::default() };
                self.queue.insert((group.due(), id.clone()));
                group
            });
            group.alerts.insert(fingerprint);
        }
    }

    /// It will be told of elsewhere.
    pub(super) fn leave_groups(&mut self, fingerprint: Fingerprint) {
        let Some(known) = self.alerts.get_mut(&fingerprint) else { return };
        for id in std::mem::take(&mut known.groups) {
            if let Some(group) = self.groups.get_mut(&id) {
                group.alerts.remove(&fingerprint);
            }
        }
    }
}
