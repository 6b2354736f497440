//! One rule: which alerts it has, and what an evaluation makes of them.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::sync::Arc;

use catchment_pipeline::alerts::{Alert, AlertEvent, Change, Labels, Outcome, RuleView, Sample};

use super::active::{Active, State, Turn};
use super::machine::{Recorded, Update};
use super::{Check, Global, Group, OnError, OnNoData, Rule};
use crate::alerting::template::{Facts, Text};

/// Series that one rule remembers to find what is missing.
const MAX_SEEN: usize = 200_000;

#[derive(Debug)]
pub(super) struct RuleState {
    pub rule: Arc<Rule>,
    interval: i64,
    limit: usize,
    pub active: BTreeMap<u64, Active>,
    pub seen: BTreeMap<u64, Seen>,
    pub health: Health,
    pub last_error: String,
    pub last_at: i64,
    pub took: i64,
    pub no_data: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Health {
    #[default]
    Unknown,
    Ok,
    Failed,
}

/// A series that was there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub labels: Labels,
    pub first: i64,
    pub last: i64,
    /// Fingerprint of its alert, when its condition held at last.
    pub alert: Option<u64>,
}

/// An alert as one evaluation has it.
struct Found {
    labels: Labels,
    annotations: Labels,
    value: Option<f64>,
}

/// Which alerts stay as they are though nothing was found of them.
enum Frozen {
    All,
    These(BTreeSet<u64>),
}

impl RuleState {
    pub(super) fn new(rule: Arc<Rule>, group: &Group) -> RuleState {
        RuleState {
            rule,
            interval: group.interval,
            limit: group.limit,
            active: BTreeMap::new(),
            seen: BTreeMap::new(),
            health: Health::Unknown,
            last_error: String::new(),
            last_at: 0,
            took: 0,
            no_data: false,
        }
    }

    pub(super) fn alert(
        &mut self,
        at: i64,
        outcome: Outcome,
        global: &Global,
        updates: &mut Vec<Update>,
    ) -> Result<(), String> {
        let rule = self.rule.clone();
        let Some(alerting) = rule.alerting() else { return Ok(()) };
        let found = match outcome {
            Outcome::Samples { active, quiet } => self.samples(at, active, quiet, global),
            Outcome::Failed { error } => Err(error),
        };
        let (found, frozen, result) = match found {
            Ok((found, frozen)) => (found, Frozen::These(frozen), Ok(())),
            Err(error) => {
                let (found, frozen) = match alerting.error {
                    OnError::KeepLast => (BTreeMap::new(), Frozen::All),
                    OnError::Ok => (BTreeMap::new(), Frozen::These(BTreeSet::new())),
                    OnError::Alerting => (self.own(at, None, "Error", Some(&error), global), Frozen::All),
                    OnError::Error => {
                        (self.own(at, Some("DatasourceError"), "Error", Some(&error), global), Frozen::All)
                    }
                };
                (found, frozen, Err(error))
            }
        };
        self.apply(at, found, &frozen, global, updates)?;
        result
    }

    /// What holds, and fingerprints of what stays as it is.
    fn samples(
        &mut self,
        at: i64,
        active: Vec<Sample>,
        quiet: Option<Vec<Labels>>,
        global: &Global,
    ) -> Result<(BTreeMap<u64, Found>, BTreeSet<u64>), String> {
        let rule = self.rule.clone();
        let (mut found, mut frozen) = (BTreeMap::new(), BTreeSet::new());
        let Some(alerting) = rule.alerting() else { return Ok((found, frozen)) };
        let nothing = active.is_empty() && quiet.as_ref().is_none_or(Vec::is_empty);
        self.no_data = quiet.is_some() && nothing;
        for sample in active {
            let series = sample.labels.fingerprint().0;
            let is_new = alerting.new_series_grace > 0
                && at.saturating_sub(self.seen.get(&series).map_or(at, |seen| seen.first)) < alerting.new_series_grace;
            let alert = if is_new { None } else { Some(self.find(at, &sample, None, None, global, &mut found)?) };
            if alerting.needs_quiet() {
                self.see(sample.labels, at, alert);
            }
        }
        if !alerting.needs_quiet() {
            return Ok((found, frozen));
        }
        for labels in quiet.into_iter().flatten() {
            self.see(labels, at, None);
        }
        self.seen.retain(|_, seen| at.saturating_sub(seen.last) <= alerting.forget_after);
        let missing: Vec<Seen> = self.seen.values().filter(|seen| seen.last < at).cloned().collect();
        match alerting.no_data {
            OnNoData::Ok => {}
            OnNoData::KeepLast => frozen.extend(missing.iter().filter_map(|seen| seen.alert)),
            OnNoData::Alerting if missing.is_empty() && nothing => found = self.own(at, None, "NoData", None, global),
            OnNoData::Alerting => {
                for seen in missing {
                    let sample = Sample { labels: seen.labels, value: None };
                    self.find(at, &sample, None, Some(("NoData", None)), global, &mut found)?;
                }
            }
            OnNoData::NoData if nothing => {
                found = self.own(at, Some("DatasourceNoData"), "NoData", None, global);
                frozen.extend(missing.iter().filter_map(|seen| seen.alert));
            }
            OnNoData::NoData => {}
        }
        Ok((found, frozen))
    }

    fn see(&mut self, labels: Labels, at: i64, alert: Option<u64>) {
        let room = self.seen.len() < MAX_SEEN;
        match self.seen.entry(labels.fingerprint().0) {
            btree_map::Entry::Occupied(mut seen) => {
                let seen = seen.get_mut();
                (seen.last, seen.alert) = (at, alert);
            }
            btree_map::Entry::Vacant(place) if room => {
                place.insert(Seen { labels, first: at, last: at, alert });
            }
            btree_map::Entry::Vacant(_) => {}
        }
    }

    /// One alert about the rule itself.
    fn own(
        &self,
        at: i64,
        name: Option<&str>,
        reason: &str,
        error: Option<&str>,
        global: &Global,
    ) -> BTreeMap<u64, Found> {
        let mut found = BTreeMap::new();
        let labels = match name {
            Some(_) => Labels::new([("rulename", self.rule.name.as_str())]),
            None => Labels::default(),
        };
        let sample = Sample { labels, value: None };
        // The only one: it cannot be there twice.
        let _ = self.find(at, &sample, name, Some((reason, error)), global, &mut found);
        found
    }

    /// The fingerprint of the alert of a sample.
    fn find(
        &self,
        at: i64,
        sample: &Sample,
        name: Option<&str>,
        reason: Option<(&str, Option<&str>)>,
        global: &Global,
        found: &mut BTreeMap<u64, Found>,
    ) -> Result<u64, String> {
        let facts = Facts {
            labels: &sample.labels,
            value: sample.value,
            at,
            external_labels: &global.external_labels,
            external_url: &global.external_url,
        };
        let expand = |(name, text): &(String, Text)| (name.clone(), text.expand(&facts));
        let mut labels = sample.labels.clone();
        self.rule.labels.iter().map(expand).for_each(|(name, value)| labels.set(name, value));
        labels.set(Alert::NAME, name.unwrap_or(&self.rule.name));
        let annotations = self.rule.alerting().map(|alerting| alerting.annotations.as_slice()).unwrap_or_default();
        let mut annotations: Labels = annotations.iter().map(expand).collect();
        if let Some((reason, error)) = reason {
            annotations.set("state_reason", reason);
            annotations.set("error", error.unwrap_or_default());
        }
        let fingerprint = labels.fingerprint().0;
        let alert = Found { labels, annotations, value: sample.value };
        match found.insert(fingerprint, alert) {
            None => Ok(fingerprint),
            Some(twice) => Err(format!(
                "two rows give an alert with the same labels, {}: group by what tells them apart, or aggregate",
                twice.labels
            )),
        }
    }

    fn apply(
        &mut self,
        at: i64,
        found: BTreeMap<u64, Found>,
        frozen: &Frozen,
        global: &Global,
        updates: &mut Vec<Update>,
    ) -> Result<(), String> {
        let rule = self.rule.clone();
        let Some(alerting) = rule.alerting() else { return Ok(()) };
        let before: BTreeMap<u64, State> = match self.limit {
            0 => BTreeMap::new(),
            _ => self.active.iter().map(|(fingerprint, active)| (*fingerprint, active.state)).collect(),
        };
        let mut turns = Vec::new();
        let mut holds = BTreeSet::new();
        for (fingerprint, alert) in found {
            holds.insert(fingerprint);
            let Found { labels, annotations, value } = alert;
            let new = match self.active.entry(fingerprint) {
                btree_map::Entry::Vacant(place) => {
                    place.insert(Active::new(labels, annotations, value, at));
                    true
                }
                btree_map::Entry::Occupied(mut place) if place.get().state == State::Inactive => {
                    let starts = std::mem::take(&mut place.get_mut().starts);
                    place.insert(Active { starts, ..Active::new(labels, annotations, value, at) });
                    true
                }
                btree_map::Entry::Occupied(mut place) => {
                    let active = place.get_mut();
                    (active.annotations, active.value) = (annotations, value);
                    false
                }
            };
            if let Some(active) = self.active.get_mut(&fingerprint) {
                turns.push((fingerprint, active.holds(at, new, alerting)));
            }
        }
        for (fingerprint, active) in &mut self.active {
            let stays = match frozen {
                Frozen::All => true,
                Frozen::These(these) => these.contains(fingerprint),
            };
            if !holds.contains(fingerprint) && !stays {
                turns.push((*fingerprint, active.fails(at, alerting)));
            }
        }
        let count = self.active.values().filter(|active| active.state != State::Inactive).count();
        if self.limit > 0 && count > self.limit {
            self.clear(at, &before, global, updates);
            return Err(format!("exceeded limit of {} with {count} alerts", self.limit));
        }
        self.say(at, turns, global, updates);
        self.active.retain(|_, active| !active.is_over(at, alerting));
        Ok(())
    }

    fn say(&mut self, at: i64, turns: Vec<(u64, Turn)>, global: &Global, updates: &mut Vec<Update>) {
        for (fingerprint, turn) in turns {
            let change = match turn {
                Turn::None => continue,
                Turn::Pending => Change::Pending,
                Turn::Fired => Change::Firing,
                Turn::Withdrawn => Change::Withdrawn,
                Turn::Resolved => Change::Resolved,
            };
            if let Some(active) = self.active.get_mut(&fingerprint) {
                active.sent_at = at;
                updates.extend(self.active.get(&fingerprint).map(|active| self.update(active, change, at, global)));
            }
        }
        let late: Vec<u64> = (self.active.iter())
            .filter(|(_, active)| active.state == State::Firing && active.sent_at < at)
            .filter(|(_, active)| at.saturating_sub(active.sent_at) >= global.resend_delay)
            .map(|(fingerprint, _)| *fingerprint)
            .collect();
        for fingerprint in late {
            if let Some(active) = self.active.get_mut(&fingerprint) {
                active.sent_at = at;
            }
            let active = self.active.get(&fingerprint);
            updates.extend(active.map(|active| self.update(active, Change::StillFiring, at, global)));
        }
    }

    /// There are too many: none is left.
    fn clear(&mut self, at: i64, before: &BTreeMap<u64, State>, global: &Global, updates: &mut Vec<Update>) {
        for (fingerprint, mut active) in std::mem::take(&mut self.active) {
            let change = match before.get(&fingerprint) {
                Some(State::Firing) => Change::Resolved,
                Some(State::Pending) => Change::Withdrawn,
                Some(State::Inactive) | None => continue,
            };
            active.resolved_at = at;
            updates.push(self.update(&active, change, at, global));
        }
    }

    pub(super) fn record(&mut self, at: i64, outcome: Outcome, recorded: &mut Vec<Recorded>) -> Result<(), String> {
        let samples = match outcome {
            Outcome::Samples { active, .. } => active,
            Outcome::Failed { error } => return Err(error),
        };
        if self.limit > 0 && samples.len() > self.limit {
            return Err(format!("exceeded limit of {} with {} series", self.limit, samples.len()));
        }
        let (mut all, mut known) = (Vec::new(), BTreeSet::new());
        for Sample { mut labels, value } in samples {
            self.rule.labels.iter().for_each(|(name, text)| labels.set(name.clone(), text.source()));
            if !known.insert(labels.fingerprint().0) {
                return Err(format!(
                    "two rows give a series with the same labels, {labels}: group by what tells them apart"
                ));
            }
            let name = self.rule.name.clone();
            all.extend(value.map(|value| Recorded { name, labels, value, at }));
        }
        recorded.extend(all);
        Ok(())
    }

    fn update(&self, active: &Active, change: Change, at: i64, global: &Global) -> Update {
        let channels = self.rule.alerting().map(|alerting| alerting.channels.clone()).unwrap_or_default();
        Update { event: self.event(active, change, at, global), channels }
    }

    pub(super) fn event(&self, active: &Active, change: Change, at: i64, global: &Global) -> AlertEvent {
        let delta = self.interval.max(global.resend_delay);
        event(active, change, at.saturating_add(delta.saturating_mul(4)), (&self.rule.group, &self.rule.name), global)
    }

    pub(super) fn view(&self) -> RuleView {
        let has = |state| self.active.values().any(|active| active.state == state);
        let alerting = self.rule.alerting();
        let written =
            |texts: &[(String, Text)]| texts.iter().map(|(name, text)| (name.clone(), text.source())).collect();
        RuleView {
            name: self.rule.name.clone(),
            expr: self.rule.query.sql.text().to_owned(),
            window: self.rule.query.window,
            thresholds: self.rule.query.check.map(Check::limits).unwrap_or_default(),
            hold: alerting.map(|alerting| alerting.hold).unwrap_or_default(),
            keep_firing_for: alerting.map(|alerting| alerting.keep_firing_for).unwrap_or_default(),
            labels: written(&self.rule.labels),
            annotations: alerting.map(|alerting| written(&alerting.annotations)).unwrap_or_default(),
            health: match self.health {
                Health::Unknown => "unknown",
                Health::Ok => "ok",
                Health::Failed => "err",
            },
            last_error: self.last_error.clone(),
            last_evaluation: self.last_at,
            took: self.took,
            state: match () {
                () if self.health == Health::Failed => "error",
                () if has(State::Firing) => "firing",
                () if self.no_data => "no_data",
                () if has(State::Pending) => "pending",
                () => "inactive",
            },
            recording: alerting.is_none(),
        }
    }
}

/// `valid_until`: until when it fires, unless it is said again.
fn event(
    active: &Active,
    change: Change,
    valid_until: i64,
    (group, rule): (&str, &str),
    global: &Global,
) -> AlertEvent {
    let mut labels = active.labels.clone();
    for (name, value) in global.external_labels.iter().filter(|(name, _)| active.labels.get(name).is_none()) {
        labels.set(name, value);
    }
    let (starts_at, ends_at) = match change {
        Change::Pending => (active.active_at, 0),
        Change::Withdrawn => (active.active_at, active.resolved_at),
        Change::Resolved => (active.fired_at, active.resolved_at),
        Change::Firing | Change::StillFiring | Change::Acknowledged => (active.fired_at, valid_until),
    };
    let generator_url = match global.external_url.as_str() {
        "" => String::new(),
        url => format!("{}/alerts", url.trim_end_matches('/')),
    };
    let alert = Alert { labels, annotations: active.annotations.clone(), starts_at, ends_at, generator_url };
    AlertEvent { alert, change, value: active.value, group: group.to_owned(), rule: rule.to_owned() }
}

/// Of an alert whose rule is gone; when it ended is still to be said.
pub(super) fn orphan(active: &Active, change: Change, group: &str, rule: &str, global: &Global) -> Update {
    Update { event: event(active, change, 0, (group, rule), global), channels: Arc::from([]) }
}
