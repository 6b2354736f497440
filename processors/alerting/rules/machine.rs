//! From what evaluations gave to alerts: pending, firing, resolved, as Prometheus has it, and what stays as it is while nobody can tell.
//!
//! Pure: the same inputs at the same times give the same, also over [`Machine::save`] and [`Machine::restore`]. Differences to Prometheus: time in
//! which nobody looked is taken out of `for` and `keep_firing_for`; alerts of a rule that cannot be evaluated stay and are said again, where Prometheus
//! lets its Alertmanager time out on them; resolved ones are said once, since nothing that is said gets lost.

use std::collections::HashMap;
use std::sync::Arc;

use catchment_pipeline::alerts::{Alert, AlertEvent, AlertView, Change, Evaluated, Labels, RuleGroupView};

use super::active::State;
use super::rule_state::{Health, RuleState};
use super::{GAP, Global, Group, Kind};

/// Gaps that are remembered, so that a window of time can leave them out.
const MAX_GAPS: usize = 64;

#[derive(Debug, Default)]
pub struct Step {
    pub updates: Vec<Update>,
    pub recorded: Vec<Recorded>,
}

/// What became of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    pub event: AlertEvent,
    /// The exporters that the rule names; empty: whom routes lead to.
    pub channels: Arc<[String]>,
}

impl Update {
    /// What the policy is told: pending alerts are nobody's business yet.
    pub fn told(&self) -> Option<(Alert, Vec<String>)> {
        match self.event.change {
            Change::Firing | Change::StillFiring | Change::Resolved => {
                Some((self.event.alert.clone(), self.channels.to_vec()))
            }
            Change::Pending | Change::Withdrawn | Change::Acknowledged => None,
        }
    }
}

/// A sample of a recording rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub name: String,
    pub labels: Labels,
    pub value: f64,
    /// Nanoseconds.
    pub at: i64,
}

#[derive(Debug)]
pub struct Machine {
    pub(super) global: Global,
    pub(super) groups: Vec<GroupHead>,
    pub(super) rules: Vec<RuleState>,
    pub(super) index: HashMap<Key, usize>,
    /// When something was said last; 0: nothing yet.
    pub(super) last: i64,
    /// From, to: the newest last.
    pub(super) gaps: Vec<(i64, i64)>,
    /// What fired under rules that are gone.
    pub(super) orphans: Vec<(Update, i64)>,
}

/// Group, rule, id.
pub(super) type Key = (String, String, u64);

#[derive(Debug)]
pub(super) struct GroupHead {
    name: String,
    file: String,
    interval: i64,
    /// Positions in `rules`.
    rules: std::ops::Range<usize>,
}

impl Machine {
    pub fn new(global: Global, groups: &[Group]) -> Machine {
        let (mut heads, mut rules, mut index) = (Vec::new(), Vec::new(), HashMap::new());
        for group in groups {
            let from = rules.len();
            for rule in &group.rules {
                index.insert((rule.group.clone(), rule.name.clone(), rule.id), rules.len());
                rules.push(RuleState::new(rule.clone(), group));
            }
            let (name, file) = (group.name.clone(), group.file.clone());
            heads.push(GroupHead { name, file, interval: group.interval, rules: from..rules.len() });
        }
        Machine { global, groups: heads, rules, index, last: 0, gaps: Vec::new(), orphans: Vec::new() }
    }

    /// Something was said at `now`. To be called for each input before it is carried out. How long nobody had looked before.
    pub fn observe(&mut self, now: i64) -> Option<i64> {
        let gap = self.gap_until(now);
        if let Some(gap) = gap {
            for rule in &mut self.rules {
                rule.active.values_mut().for_each(|active| active.skip(gap));
            }
            self.gaps.push((self.last, now));
            let too_many = self.gaps.len().saturating_sub(MAX_GAPS);
            self.gaps.drain(..too_many);
        }
        self.last = self.last.max(now);
        gap
    }

    /// How long nobody will have looked, if something is said at `now`.
    pub fn gap_until(&self, now: i64) -> Option<i64> {
        Some(now.saturating_sub(self.last)).filter(|gap| self.last != 0 && *gap > GAP)
    }

    /// When something was said last; 0: nothing yet.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// Times in which nobody looked, the newest last.
    pub fn gaps(&self) -> &[(i64, i64)] {
        &self.gaps
    }

    pub fn has_orphans(&self) -> bool {
        !self.orphans.is_empty()
    }

    /// What fired under rules that are gone is resolved.
    pub fn tick(&mut self, now: i64, step: &mut Step) {
        for (mut update, fired_at) in self.orphans.drain(..) {
            update.event.alert.ends_at = now.max(fired_at);
            step.updates.push(update);
        }
    }

    pub fn evaluated(&mut self, now: i64, evaluated: Evaluated, step: &mut Step) {
        self.tick(now, step);
        let Evaluated { group, rule, id, at, took, outcome } = evaluated;
        let Some(position) = self.index.get(&(group, rule, id)) else { return };
        let Some(rule) = self.rules.get_mut(*position) else { return };
        let at = at.min(now).max(rule.last_at);
        (rule.last_at, rule.took) = (at, took);
        let result = match rule.rule.clone().kind {
            Kind::Alert(_) => rule.alert(at, outcome, &self.global, &mut step.updates),
            Kind::Record => rule.record(at, outcome, &mut step.recorded),
        };
        match result {
            Ok(()) => (rule.health, rule.last_error) = (Health::Ok, String::new()),
            Err(error) => (rule.health, rule.last_error) = (Health::Failed, error),
        }
    }

    /// Pending and firing ones, and those that were resolved lately.
    pub fn alerts(&self) -> Vec<AlertView> {
        let mut alerts = Vec::new();
        for rule in &self.rules {
            for active in rule.active.values() {
                let change = match active.state {
                    State::Pending => Change::Pending,
                    State::Firing => Change::StillFiring,
                    State::Inactive => Change::Resolved,
                };
                let event = rule.event(active, change, active.sent_at, &self.global);
                alerts.push(AlertView {
                    alert: event.alert,
                    updated_at: rule.last_at,
                    pending: active.state == State::Pending,
                    value: active.value,
                    group: event.group,
                    rule: event.rule,
                    ..AlertView::default()
                });
            }
        }
        alerts
    }

    /// Labels and annotations of what fires under this name, without external labels.
    pub fn firing(&self, name: &str) -> Vec<(Labels, Labels)> {
        let active = self.rules.iter().flat_map(|rule| rule.active.values());
        let firing = active.filter(|active| active.state == State::Firing);
        let named = firing.filter(|active| active.labels.get(Alert::NAME) == Some(name));
        named.map(|active| (active.labels.clone(), active.annotations.clone())).collect()
    }

    pub fn groups(&self) -> Vec<RuleGroupView> {
        let group = |head: &GroupHead| {
            let rules = self.rules.get(head.rules.clone()).unwrap_or_default();
            RuleGroupView {
                name: head.name.clone(),
                file: head.file.clone(),
                interval: head.interval,
                last_evaluation: rules.iter().map(|rule| rule.last_at).max().unwrap_or_default(),
                took: rules.iter().map(|rule| rule.took).sum(),
                rules: rules.iter().map(RuleState::view).collect(),
            }
        };
        self.groups.iter().map(group).collect()
    }
}
