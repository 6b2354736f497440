//! Rules: what is asked of the lake, and what becomes of the answers. No I/O, no clock.

mod active;
mod machine;
mod rule_state;
mod saved;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use catchment_pipeline::alerts::Labels;
use catchment_storage::Template as Sql;

pub use machine::{Machine, Recorded, Step, Update};

use super::template::Text;

/// Time between two inputs that is longer than this (nanoseconds) is time in which nobody looked.
pub const GAP: i64 = 40_000_000_000;

/// Nanoseconds throughout.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: String,
    /// Empty: in the configuration itself.
    pub file: String,
    pub interval: i64,
    /// How far back from the time of an evaluation it looks.
    pub query_offset: i64,
    /// Alerts, or recorded series, of one rule; 0: any number.
    pub limit: usize,
    pub rules: Vec<Arc<Rule>>,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub group: String,
    pub name: String,
    /// Tells apart rules of one name in one group. The same for as long as file, name and labels stay.
    pub id: u64,
    pub query: Query,
    pub labels: Vec<(String, Text)>,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Alert(Box<Alerting>),
    /// The rule's name is the metric's.
    Record,
}

#[derive(Clone, Debug)]
pub struct Query {
    pub sql: Sql,
    /// What `$range` is.
    pub window: i64,
    /// `None`: each row of the answer is active.
    pub check: Option<Check>,
}

#[derive(Clone, Debug, Default)]
pub struct Alerting {
    /// `for`.
    pub hold: i64,
    pub keep_firing_for: i64,
    pub annotations: Vec<(String, Text)>,
    pub channels: Arc<[String]>,
    pub no_data: OnNoData,
    pub error: OnError,
    /// After which time a series that is missing is forgotten.
    pub forget_after: i64,
    pub new_series_grace: i64,
    /// Having begun to fire so often within `flap_window`, it goes on firing for as long.
    pub flap_limit: usize,
    pub flap_window: i64,
}

impl Alerting {
    /// Whether the machine needs to know of series for which the condition does not hold.
    pub fn needs_quiet(&self) -> bool {
        self.no_data != OnNoData::Ok || self.new_series_grace > 0
    }
}

/// What a series that was there and is not any more means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNoData {
    /// Its condition does not hold: as in Prometheus.
    #[default]
    Ok,
    /// Its condition holds.
    Alerting,
    /// It stays as it was.
    KeepLast,
    /// An alert of its own, when nothing is there at all.
    NoData,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// All stays as it was.
    #[default]
    KeepLast,
    Ok,
    Alerting,
    /// An alert of its own.
    Error,
}

/// What a value is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    Above(f64),
    AtLeast(f64),
    Below(f64),
    AtMost(f64),
    Equal(f64),
    NotEqual(f64),
    /// Bounds included.
    Within(f64, f64),
    Outside(f64, f64),
}

impl Check {
    pub fn limits(self) -> Vec<f64> {
        match self {
            Check::Above(limit)
            | Check::AtLeast(limit)
            | Check::Below(limit)
            | Check::AtMost(limit)
            | Check::Equal(limit)
            | Check::NotEqual(limit) => vec![limit],
            Check::Within(low, high) | Check::Outside(low, high) => vec![low, high],
        }
    }

    pub fn holds(self, value: f64) -> bool {
        match self {
            Check::Above(limit) => value > limit,
            Check::AtLeast(limit) => value >= limit,
            Check::Below(limit) => value < limit,
            Check::AtMost(limit) => value <= limit,
            Check::Equal(other) => value == other,
            Check::NotEqual(other) => value != other,
            Check::Within(low, high) => low <= value && value <= high,
            Check::Outside(low, high) => value < low || high < value,
        }
    }
}

/// What rules are decided under.
#[derive(Clone, Debug)]
pub struct Global {
    pub resend_delay: i64,
    pub external_labels: Labels,
    pub external_url: String,
}

impl Default for Global {
    fn default() -> Self {
        Global { resend_delay: 60_000_000_000, external_labels: Labels::default(), external_url: String::new() }
    }
}

impl Rule {
    pub fn alerting(&self) -> Option<&Alerting> {
        match &self.kind {
            Kind::Alert(alerting) => Some(alerting),
            Kind::Record => None,
        }
    }
}
