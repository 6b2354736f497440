//! Both machines behind one lock: rules, and whom to tell. What goes in are inputs, what comes out are events and recorded samples.

use std::collections::BTreeMap;

use catchment_pipeline::alerts::{Alert, AlertEvent, AlertView, Change, Event, Fingerprint, Input, Notification, View};

use super::policy::Policy;
use super::rules::{Machine, Recorded, Step, Update};

pub struct Decider {
    pub rules: Machine,
    policy: Policy,
    events: Vec<Event>,
    recorded: Vec<Recorded>,
    /// Nobody looks just now: nothing is due until something is said.
    asleep: bool,
}

impl Decider {
    pub fn new(rules: Machine, policy: Policy) -> Decider {
        Decider { rules, policy, events: Vec::new(), recorded: Vec::new(), asleep: false }
    }

    pub fn input(&mut self, now: i64, input: Input) {
        self.asleep = false;
        if let Some(gap) = self.rules.observe(now) {
            self.policy.gap(gap);
        }
        let mut told = Vec::new();
        match input {
            Input::Alive => self.policy.tick(now, &mut told),
            Input::Evaluated(evaluated) => {
                let mut step = Step::default();
                self.rules.evaluated(now, evaluated, &mut step);
                self.take(now, step);
            }
            Input::Alerts(alerts) => self.policy.put(now, alerts, &mut told),
            Input::Silence(silence) => {
                self.policy.silence(now, silence, &mut told);
            }
            Input::Expire { silence } => self.policy.expire(now, &silence, &mut told),
            Input::Acknowledge { matchers, by, comment: _ } => {
                let alerts = self.policy.acknowledge(now, &matchers, &by, &mut told);
                self.events.extend(alerts.into_iter().map(acknowledged));
            }
        }
        self.tell(told);
    }

    pub fn due(&self) -> Option<i64> {
        if self.asleep {
            return None;
        }
        let orphans = self.rules.has_orphans().then(|| self.rules.last());
        [orphans, self.policy.due()].into_iter().flatten().min()
    }

    pub fn tick(&mut self, now: i64) {
        if self.rules.gap_until(now).is_some() {
            self.asleep = true;
            return;
        }
        let mut step = Step::default();
        self.rules.tick(now, &mut step);
        self.take(now, step);
        let mut told = Vec::new();
        self.policy.tick(now, &mut told);
        self.tell(told);
    }

    /// What came of it since this was called last.
    pub fn take_out(&mut self) -> (Vec<Event>, Vec<Recorded>) {
        let counts = self.policy.take_counts();
        if counts.alerts_refused > 0 || counts.silences_refused > 0 {
            let (alerts, silences) = (counts.alerts_refused, counts.silences_refused);
            tracing::error!(
                alerts,
                silences,
                "data lost: more alerts or silences than there may be; raise `max_alerts`"
            );
        }
        (std::mem::take(&mut self.events), std::mem::take(&mut self.recorded))
    }

    pub fn view(&self, at: i64) -> View {
        let parts = self.policy.view(at);
        let mut alerts = parts.alerts;
        let places: BTreeMap<Fingerprint, usize> =
            alerts.iter().enumerate().map(|(place, view)| (view.alert.fingerprint(), place)).collect();
        for of_rule in self.rules.alerts() {
            match places.get(&of_rule.alert.fingerprint()).and_then(|place| alerts.get_mut(*place)) {
                Some(known) => {
                    let AlertView { value, group, rule, pending, .. } = of_rule;
                    (known.value, known.group, known.rule, known.pending) = (value, group, rule, pending);
                }
                None => alerts.push(of_rule),
            }
        }
        View {
            at,
            alerts,
            silences: parts.silences,
            groups: parts.groups,
            receivers: parts.receivers,
            rules: self.rules.groups(),
            config: self.policy.settings().yaml(),
        }
    }

    pub fn save(&self, state: &mut Vec<u8>) {
        let mut rules = Vec::new();
        self.rules.save(&mut rules);
        state.extend_from_slice(&(rules.len() as u64).to_le_bytes());
        state.extend_from_slice(&rules);
        if let Err(error) = self.policy.save(state) {
            tracing::error!(%error, "the state of alerts cannot be written");
        }
    }

    pub fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        let cut = || anyhow::anyhow!("the state is cut off");
        let (length, state) = state.split_first_chunk::<8>().ok_or_else(cut)?;
        let length = usize::try_from(u64::from_le_bytes(*length))?;
        let (rules, policy) = state.split_at_checked(length).ok_or_else(cut)?;
        self.rules.restore(rules)?;
        self.policy.restore(policy)
    }

    fn take(&mut self, now: i64, step: Step) {
        let alerts: Vec<(Alert, Vec<String>)> = step.updates.iter().filter_map(Update::told).collect();
        self.events.extend(step.updates.into_iter().map(|update| Event::Alert(update.event)));
        self.recorded.extend(step.recorded);
        let mut told = Vec::new();
        self.policy.put_rules(now, alerts, &mut told);
        self.tell(told);
    }

    fn tell(&mut self, told: Vec<Notification>) {
        self.events.extend(told.into_iter().map(Event::Notification));
    }
}

fn acknowledged(alert: Alert) -> Event {
    let (group, rule) = (String::new(), String::new());
    Event::Alert(AlertEvent { alert, change: Change::Acknowledged, value: None, group, rule })
}
