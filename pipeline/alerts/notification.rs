//! What a channel tells people.

use serde::{Deserialize, Serialize};

use super::{Labels, time};

/// One message about one group of alerts. Its JSON is Alertmanager's webhook body (version 4), with keys of ours beside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Notification {
    /// `4`.
    pub version: String,
    /// Which group: the same for all notifications of it.
    pub group_key: String,
    /// Alerts of the group that are left out of `alerts`.
    pub truncated_alerts: u64,
    /// Firing while one of its alerts is.
    pub status: Status,
    pub receiver: String,
    pub group_labels: Labels,
    pub common_labels: Labels,
    pub common_annotations: Labels,
    #[serde(rename = "externalURL")]
    pub external_url: String,
    /// Firing ones first.
    pub alerts: Vec<NotifiedAlert>,
    /// The exporters that are meant, by id; empty: all channels of the pipeline.
    pub channels: Vec<String>,
    /// The same for every attempt to deliver this very message, and for no other: the destination's idempotency key.
    pub id: String,
    #[serde(with = "time::rfc3339")]
    pub at: i64,
    /// Its place on an escalation ladder: 0 for who is told first.
    pub escalation: u32,
    /// Who acknowledged it, when that is what this tells.
    pub acknowledged_by: Option<String>,
    /// It stands for so many groups that would have been told singly, had there not been so many.
    pub digest_of: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Firing,
    Resolved,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NotifiedAlert {
    pub status: Status,
    pub labels: Labels,
    pub annotations: Labels,
    #[serde(with = "time::rfc3339")]
    pub starts_at: i64,
    /// Go's zero time while it fires.
    #[serde(with = "time::rfc3339")]
    pub ends_at: i64,
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
    /// 16 hexadecimal digits.
    pub fingerprint: String,
}

impl Notification {
    pub const VERSION: &'static str = "4";

    pub fn firing(&self) -> impl Iterator<Item = &NotifiedAlert> {
        self.alerts.iter().filter(|alert| alert.status == Status::Firing)
    }

    pub fn resolved(&self) -> impl Iterator<Item = &NotifiedAlert> {
        self.alerts.iter().filter(|alert| alert.status == Status::Resolved)
    }

    /// The channel of this id is meant.
    pub fn is_for(&self, channel: &str) -> bool {
        self.channels.is_empty() || self.channels.iter().any(|id| id == channel)
    }
}
