//! How things stand, for who asks.

use std::collections::BTreeMap;

use catchment_pipeline::alerts::{AlertView, Fingerprint, GroupView, Silence};

use super::Policy;
use super::flush::muted_by;

/// The parts of a `View` that policy knows.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    pub alerts: Vec<AlertView>,
    pub silences: Vec<Silence>,
    pub groups: Vec<GroupView>,
    pub receivers: Vec<String>,
}

impl Policy {
    /// Alerts in the order of their fingerprints, those that are resolved left out; `now` not before the last call.
    pub fn view(&self, now: i64) -> Parts {
        let now = now.max(self.now);
        let mut places = BTreeMap::<Fingerprint, usize>::new();
        let mut alerts = Vec::new();
        for (fingerprint, known) in self.alerts.iter().filter(|(_, known)| !known.is_resolved(now)) {
            places.insert(*fingerprint, alerts.len());
            let labels = &known.alert.labels;
            let routes = || known.groups.iter().filter_map(|id| Some((id, self.settings.routes.get(id.route)?)));
            let mut receivers: Vec<_> =
                routes().filter_map(|(id, route)| id.receiver(route, 0)).map(str::to_owned).collect();
            let mut muted: Vec<_> =
                routes().flat_map(|(_, route)| muted_by(&self.settings, route, now)).map(str::to_owned).collect();
            for list in [&mut receivers, &mut muted] {
                list.sort();
                list.dedup();
            }
            alerts.push(AlertView {
                alert: known.alert.clone(),
                updated_at: known.updated_at,
                receivers,
                silenced_by: self.silences.muting(labels, now).map(str::to_owned).collect(),
                inhibited_by: self.inhibiting(labels, now).iter().map(ToString::to_string).collect(),
                muted_by: muted,
                acknowledged_by: known.acknowledged_by.clone(),
                ..AlertView::default()
            });
        }
        let groups = self.groups.iter().filter_map(|(id, group)| {
            let route = self.settings.routes.get(id.route)?;
            let alerts: Vec<_> = group.alerts.iter().filter_map(|alert| places.get(alert).copied()).collect();
            let receiver = id.receiver(route, 0)?.to_owned();
            (!alerts.is_empty()).then(|| GroupView { labels: id.labels.clone(), receiver, alerts })
        });
        let groups = groups.collect();
        let silences = self.silences.all(now).cloned().collect();
        Parts { alerts, silences, groups, receivers: self.settings.receiver_names() }
    }
}
