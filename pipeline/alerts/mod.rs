//! What an alert is, and what those who deal with alerts say to each other: rules and senders to the `alerting` connector ([`Input`]), the
//! connector to channels ([`Event`]), and the connector to whoever asks what goes on ([`Desk`]).
//!
//! Names and JSON are Alertmanager's (API v2, webhook version 4), so that what people have goes on working. Times are nanoseconds since 1970
//! inside, RFC 3339 in JSON.

mod desk;
mod event;
mod input;
mod labels;
mod matcher;
mod notification;
mod silence;
pub mod time;

pub use desk::{AlertView, Alerting, Desk, GroupView, RuleGroupView, RuleView, View};
pub use event::{AlertEvent, Change, Event};
pub use input::{Evaluated, Input, Outcome, Sample};
pub use labels::{Fingerprint, Labels};
pub use matcher::{Matcher, Op};
pub use notification::{Notification, NotifiedAlert, Status};
pub use silence::{Silence, SilenceState};

use serde::{Deserialize, Serialize};

/// One condition that holds of one thing, for as long as it does. Two alerts with equal labels are the same alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    pub labels: Labels,
    #[serde(default)]
    pub annotations: Labels,
    /// Zero: when it came.
    #[serde(default, with = "time::rfc3339")]
    pub starts_at: i64,
    /// Zero: open. It is resolved once this is past.
    #[serde(default, with = "time::rfc3339")]
    pub ends_at: i64,
    #[serde(default, rename = "generatorURL")]
    pub generator_url: String,
}

impl Alert {
    pub const NAME: &'static str = "alertname";

    pub fn name(&self) -> &str {
        self.labels.get(Alert::NAME).unwrap_or_default()
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.labels.fingerprint()
    }

    pub fn is_resolved(&self, now: i64) -> bool {
        self.ends_at != 0 && self.ends_at <= now
    }
}
