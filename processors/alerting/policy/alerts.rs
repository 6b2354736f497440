//! Alerts as they are known, and how one that comes again changes what is known.

use std::sync::Arc;

use catchment_pipeline::alerts::{Alert, Fingerprint};
use serde::{Deserialize, Serialize};

use super::Policy;
use super::groups::GroupId;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Known {
    pub alert: Alert,
    pub updated_at: i64,
    /// It names no end of its own: `ends_at` is when it is given up.
    pub timeout: bool,
    /// From outside: its end moves on over time in which nobody looked.
    pub outside: bool,
    /// Channels or receivers that it is for, instead of its routes'.
    pub bound: Vec<String>,
    pub acknowledged_by: Option<String>,
    #[serde(skip)]
    pub groups: Vec<Arc<GroupId>>,
}

impl Known {
    pub fn is_resolved(&self, now: i64) -> bool {
        self.alert.is_resolved(now)
    }

    pub fn skip(&mut self, length: i64, since: i64) {
        if self.outside && self.alert.ends_at > since {
            self.alert.ends_at = self.alert.ends_at.saturating_add(length);
        }
    }

    /// The same alert came again while this one was active: what it said of its start stays, and an end that was said counts more than one
    /// that was assumed.
    fn merged(self, newer: Known) -> Known {
        let (old, new) = (&self.alert, &newer.alert);
        let (from, to) = (old.starts_at, if old.ends_at == 0 { i64::MAX } else { old.ends_at });
        let overlap = new.ends_at > from && new.ends_at < to || new.starts_at > from && new.starts_at < to;
        if !overlap {
            return newer;
        }
        let starts_at = old.starts_at.min(new.starts_at);
        let now = newer.updated_at;
        let old_end_counts = if newer.is_resolved(now) { self.is_resolved(now) } else { !self.timeout };
        let ends_at = if old_end_counts { old.ends_at.max(new.ends_at) } else { new.ends_at };
        Known { alert: Alert { starts_at, ends_at, ..newer.alert }, ..newer }
    }
}

impl Policy {
    pub(super) fn put_outside(&mut self, now: i64, mut alert: Alert) {
        let timeout = alert.ends_at == 0;
        if alert.starts_at == 0 {
            alert.starts_at = if timeout { now } else { alert.ends_at };
        }
        if timeout {
            alert.ends_at = now.saturating_add(self.settings.resolve_timeout);
        }
        let known = Known {
            alert,
            updated_at: now,
            timeout,
            outside: true,
            bound: Vec::new(),
            acknowledged_by: None,
            groups: Vec::new(),
        };
        self.insert(now, known);
    }

    pub(super) fn put_of_rule(&mut self, now: i64, mut alert: Alert, bound: Vec<String>) {
        if alert.starts_at == 0 {
            alert.starts_at = now;
        }
        let known = Known {
            alert,
            updated_at: now,
            timeout: false,
            outside: false,
            bound,
            acknowledged_by: None,
            groups: Vec::new(),
        };
        self.insert(now, known);
    }

    fn insert(&mut self, now: i64, mut newer: Known) {
        let fingerprint = newer.alert.fingerprint();
        match self.alerts.remove(&fingerprint) {
            Some(old) => {
                // An alert that was resolved and fires again is another incident.
                let goes_on = !old.is_resolved(now);
                newer.acknowledged_by = old.acknowledged_by.clone().filter(|_| goes_on);
                newer.groups.clone_from(&old.groups);
                let routed_anew = !goes_on || old.bound != newer.bound;
                let known = if old.outside && newer.outside { old.merged(newer) } else { newer };
                self.alerts.insert(fingerprint, known);
                if routed_anew {
                    self.leave_groups(fingerprint);
                }
            }
            // Nobody was told of it, and nobody needs to be.
            None if newer.is_resolved(now) => return,
            None if self.alerts.len() >= self.settings.max_alerts => {
                self.counts.alerts_refused += 1;
                return;
            }
            None => {
                self.inhibitor.insert(&self.settings, fingerprint, &newer.alert.labels);
                self.alerts.insert(fingerprint, newer);
            }
        }
        self.join_groups(now, fingerprint);
    }

    /// Resolved, and in no group any more.
    pub(super) fn forget(&mut self, fingerprint: Fingerprint) {
        if let Some(known) = self.alerts.remove(&fingerprint) {
            self.inhibitor.remove(&self.settings, fingerprint, &known.alert.labels);
        }
    }
}
