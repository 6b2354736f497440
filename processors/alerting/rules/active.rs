//! One alert of a rule.

use std::collections::VecDeque;

use catchment_pipeline::alerts::Labels;

use super::Alerting;

/// An alert that does not fire any more is remembered for so long, as in Prometheus.
pub const RETENTION: i64 = 15 * 60 * 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    Firing,
    Inactive,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Active {
    pub labels: Labels,
    pub annotations: Labels,
    pub value: Option<f64>,
    pub state: State,
    pub active_at: i64,
    pub fired_at: i64,
    pub resolved_at: i64,
    /// Since when it fires without its condition.
    pub kept_since: Option<i64>,
    pub sent_at: i64,
    /// When it began to fire, as far as flapping asks.
    pub starts: VecDeque<i64>,
}

/// What an evaluation made of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    None,
    Pending,
    Fired,
    Withdrawn,
    Resolved,
}

impl Active {
    pub fn new(labels: Labels, annotations: Labels, value: Option<f64>, at: i64) -> Active {
        Active {
            labels,
            annotations,
            value,
            state: State::Pending,
            active_at: at,
            fired_at: 0,
            resolved_at: 0,
            kept_since: None,
            sent_at: 0,
            starts: VecDeque::new(),
        }
    }

    /// Its condition holds at `at`; `new`: it did not before.
    pub fn holds(&mut self, at: i64, new: bool, rule: &Alerting) -> Turn {
        self.kept_since = None;
        if self.state == State::Pending && at.saturating_sub(self.active_at) >= rule.hold {
            self.state = State::Firing;
            self.fired_at = at;
            self.note_start(at, rule);
            return Turn::Fired;
        }
        if new { Turn::Pending } else { Turn::None }
    }

    /// Its condition does not hold at `at`.
    pub fn fails(&mut self, at: i64, rule: &Alerting) -> Turn {
        match self.state {
            State::Pending => {
                self.state = State::Inactive;
                self.resolved_at = at;
                Turn::Withdrawn
            }
            State::Firing => {
                let keep = if self.flaps(at, rule) {
                    rule.keep_firing_for.max(rule.flap_window)
                } else {
                    rule.keep_firing_for
                };
                if keep > 0 && at.saturating_sub(*self.kept_since.get_or_insert(at)) < keep {
                    return Turn::None;
                }
                self.state = State::Inactive;
                self.resolved_at = at;
                self.kept_since = None;
                Turn::Resolved
            }
            State::Inactive => Turn::None,
        }
    }

    /// Not needed any more.
    pub fn is_over(&self, at: i64, rule: &Alerting) -> bool {
        let retention = if rule.flap_limit > 0 { RETENTION.max(rule.flap_window) } else { RETENTION };
        let fired = self.fired_at != 0 || !self.starts.is_empty();
        self.state == State::Inactive && (!fired || at.saturating_sub(self.resolved_at) > retention)
    }

    fn note_start(&mut self, at: i64, rule: &Alerting) {
        if rule.flap_limit > 0 {
            self.starts.push_back(at);
            while self.starts.len() > rule.flap_limit {
                self.starts.pop_front();
            }
        }
    }

    fn flaps(&self, at: i64, rule: &Alerting) -> bool {
        // Once kept firing, the time since then must not take it out of the window again.
        let at = self.kept_since.unwrap_or(at);
        rule.flap_limit > 0
            && self.starts.len() >= rule.flap_limit
            && self.starts.front().is_some_and(|first| at.saturating_sub(*first) <= rule.flap_window)
    }

    /// `gap` nanoseconds in which nobody looked.
    pub fn skip(&mut self, gap: i64) {
        self.active_at = self.active_at.saturating_add(gap);
        self.kept_since = self.kept_since.map(|since| since.saturating_add(gap));
        self.starts.iter_mut().for_each(|start| *start = start.saturating_add(gap));
    }
}
