//! Silences: what nobody is to be told of for a while.

use serde::{Deserialize, Serialize};

use super::{Labels, Matcher, time};

/// Mutes notifications of all alerts that all of its matchers hold for, from `starts_at` to before `ends_at`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// A UUID; empty in a request: a new one.
    #[serde(default)]
    pub id: String,
    pub matchers: Vec<Matcher>,
    #[serde(with = "time::rfc3339")]
    pub starts_at: i64,
    #[serde(with = "time::rfc3339")]
    pub ends_at: i64,
    #[serde(default, with = "time::rfc3339")]
    pub updated_at: i64,
    pub created_by: String,
    pub comment: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    Pending,
    Active,
    Expired,
}

impl Silence {
    pub fn state(&self, now: i64) -> SilenceState {
        match now {
            now if now >= self.ends_at => SilenceState::Expired,
            now if now >= self.starts_at => SilenceState::Active,
            _ => SilenceState::Pending,
        }
    }

    /// An edit may take its place under the same id: what it mutes stays, and nothing that is past changes. Else it is ended, and the edit is a new one.
    pub fn can_become(&self, edit: &Silence, now: i64) -> bool {
        const SECOND: i64 = 1_000_000_000;
        self.matchers == edit.matchers
            && match self.state(now) {
                SilenceState::Active => self.starts_at / SECOND == edit.starts_at / SECOND && edit.ends_at >= now,
                SilenceState::Pending => edit.starts_at >= now,
                SilenceState::Expired => false,
            }
    }

    pub fn mutes(&self, labels: &Labels, now: i64) -> bool {
        self.state(now) == SilenceState::Active && Matcher::all(&self.matchers, labels)
    }
}
