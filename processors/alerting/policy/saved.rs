//! The state as bytes. It is read under whatever settings there are now: alerts are routed anew, and a group that is still there goes on where it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use catchment_pipeline::alerts::Labels;
use serde::{Deserialize, Serialize};

use super::Policy;
use super::alerts::Known;
use super::groups::{Group, GroupId, of};
use super::outbox::Outbox;
use super::silences::Silences;
use crate::state::snapshot::{Reader, Writer};

const TAG: &str = "alerting.policy";
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct State {
    now: i64,
    sequence: u64,
    alerts: Vec<Known>,
    groups: Vec<(SavedId, Group)>,
    silences: Silences,
    outboxes: BTreeMap<String, Outbox>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct SavedId {
    route: String,
    labels: Labels,
    bound: Option<String>,
}

impl Policy {
    /// Appends what [`Policy::restore`] needs.
    pub fn save(&self, state: &mut Vec<u8>) -> anyhow::Result<()> {
        let groups = self.groups.iter().filter_map(|(id, group)| Some((self.saved_id(id)?, group.clone())));
        let saved = State {
            now: self.now,
            sequence: self.sequence,
            alerts: self.alerts.values().cloned().collect(),
            groups: groups.collect(),
            silences: self.silences.clone(),
            outboxes: self.outboxes.clone(),
        };
        let mut writer = Writer::new(state, TAG, VERSION, "");
        writer.bytes(&serde_json::to_vec(&saved)?);
        writer.finish();
        Ok(())
    }

    /// Called once, before anything else.
    pub fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        let mut reader = Reader::new(state, TAG, VERSION, "")?;
        let saved: State = serde_json::from_slice(reader.bytes()?).context("the state of alerts is not understood")?;
        reader.end()?;
        (self.now, self.sequence) = (saved.now, saved.sequence);
        (self.silences, self.outboxes) = (saved.silences, saved.outboxes);
        let mut groups: BTreeMap<SavedId, Group> = saved.groups.into_iter().collect();
        for mut known in saved.alerts {
            let fingerprint = known.alert.fingerprint();
            let ids = of(&self.settings, &known.alert.labels, &known.bound);
            for id in ids.into_iter().map(Arc::new) {
                let Some(saved_id) = self.saved_id(&id) else { continue };
                if let Some(group) = groups.remove(&saved_id) {
                    self.queue.insert((group.due(), id.clone()));
                    self.groups.insert(id.clone(), group);
                }
                // What was resolved may have left the group already; what fires belongs to it in any case.
                let is_there = self.groups.get(&id).is_some_and(|group| group.alerts.contains(&fingerprint));
                if is_there || !known.is_resolved(saved.now) {
                    known.groups.push(id);
                }
            }
            self.inhibitor.insert(&self.settings, fingerprint, &known.alert.labels);
            let is_resolved = known.groups.is_empty();
            self.alerts.insert(fingerprint, known);
            if is_resolved {
                self.forget(fingerprint);
            } else {
                self.join_groups(saved.now, fingerprint);
            }
        }
        self.prune();
        Ok(())
    }

    fn saved_id(&self, id: &GroupId) -> Option<SavedId> {
        let route = self.settings.routes.get(id.route)?.id.clone();
        Some(SavedId { route, labels: id.labels.clone(), bound: id.bound.clone() })
    }

    /// Alerts that a group had and that other settings put elsewhere.
    fn prune(&mut self) {
        for (id, group) in &mut self.groups {
            let alerts = &self.alerts;
            group.alerts.retain(|alert| alerts.get(alert).is_some_and(|known| known.groups.contains(id)));
        }
    }
}
