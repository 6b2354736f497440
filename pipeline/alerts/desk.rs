//! Where who asks about alerts meets the connector that knows: the binary makes a [`Desk`] and offers it to both.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::{Alert, Input, Labels, Silence};
use crate::component::Refused;

#[derive(Default)]
pub struct Desk(RwLock<BTreeMap<String, Arc<dyn Alerting>>>);

/// A running `alerting` connector.
#[async_trait]
pub trait Alerting: Send + Sync {
    /// Returns once `inputs` are in the log: from then on they count, whatever crashes.
    async fn submit(&self, inputs: Vec<Input>) -> Result<(), Refused>;

    fn view(&self) -> Arc<View>;
}

impl Desk {
    /// In place of the connector of this id, if there is one.
    pub fn open(&self, id: &str, alerting: Arc<dyn Alerting>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), alerting);
    }

    pub fn close(&self, id: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// By id; most instances have one.
    pub fn all(&self) -> Vec<(String, Arc<dyn Alerting>)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(id, alerting)| (id.clone(), alerting.clone())).collect()
    }
}

/// How things stand.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Nanoseconds: when this was so.
    pub at: i64,
    pub alerts: Vec<AlertView>,
    pub silences: Vec<Silence>,
    pub groups: Vec<GroupView>,
    pub receivers: Vec<String>,
    pub rules: Vec<RuleGroupView>,
    /// The settings as YAML, without secrets.
    pub config: String,
}

#[derive(Clone, Debug, Default)]
pub struct AlertView {
    pub alert: Alert,
    pub updated_at: i64,
    /// Its rule's condition holds, and it does not fire yet.
    pub pending: bool,
    pub value: Option<f64>,
    pub receivers: Vec<String>,
    pub silenced_by: Vec<String>,
    /// Fingerprints.
    pub inhibited_by: Vec<String>,
    /// Names of mute times.
    pub muted_by: Vec<String>,
    pub acknowledged_by: Option<String>,
    /// Of the rule that it is of; empty for alerts from outside.
    pub group: String,
    pub rule: String,
}

/// Alerts that one receiver is told of together.
#[derive(Clone, Debug, Default)]
pub struct GroupView {
    pub labels: Labels,
    pub receiver: String,
    /// Positions in [`View::alerts`].
    pub alerts: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
pub struct RuleGroupView {
    pub name: String,
    pub file: String,
    /// Nanoseconds.
    pub interval: i64,
    pub last_evaluation: i64,
    pub took: i64,
    pub rules: Vec<RuleView>,
}

#[derive(Clone, Debug, Default)]
pub struct RuleView {
    pub name: String,
    pub expr: String,
    /// What `$range` is in it, in nanoseconds.
    pub window: i64,
    /// What the value is held against, where the rule says it beside the expression.
    pub thresholds: Vec<f64>,
    pub hold: i64,
    pub keep_firing_for: i64,
    pub labels: Labels,
    pub annotations: Labels,
    /// `ok`, `err`, `unknown`.
    pub health: &'static str,
    pub last_error: String,
    pub last_evaluation: i64,
    pub took: i64,
    /// `inactive`, `pending`, `firing`; `no_data`, `error`.
    pub state: &'static str,
    pub recording: bool,
}
