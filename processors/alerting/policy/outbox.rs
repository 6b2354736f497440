//! What waits to be told to one receiver, and its limit. What does not fit singly is told in one message, the digest.

use std::collections::{BTreeMap, VecDeque};

use catchment_pipeline::alerts::{Notification, NotifiedAlert};
use serde::{Deserialize, Serialize};

use super::Policy;
use super::flush::listing;
use super::settings::{Limit, Receiver, Settings};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outbox {
    /// In the order in which they were made; of one group and kind only the newest.
    waiting: VecDeque<Notification>,
    /// Messages that were taken apart because too much waits, and alerts that the digest only counts.
    folded: u64,
    left_out: u64,
    /// Of the last messages, as many as the limit lets through.
    sent: VecDeque<i64>,
    /// When something that waits may go.
    free_at: Option<i64>,
}

impl Outbox {
    pub fn push(&mut self, notification: Notification) {
        self.waiting.push_back(notification);
    }

    pub fn due(&self) -> Option<i64> {
        self.free_at
    }

    pub fn is_idle(&self, at: i64, limit: Option<Limit>) -> bool {
        let forgets = |limit: Limit| self.sent.back().is_none_or(|last| last.saturating_add(limit.per) <= at);
        self.waiting.is_empty() && limit.is_none_or(forgets)
    }

    /// What may go now: singly while there is room for all, else the last that may go is a digest of the rest.
    fn release(&mut self, at: i64, limit: Limit) -> (Vec<Notification>, Option<Digest>) {
        while self.sent.front().is_some_and(|sent| sent.saturating_add(limit.per) <= at) {
            self.sent.pop_front();
        }
        let room = limit.messages.saturating_sub(self.sent.len());
        let fits = self.folded == 0 && self.waiting.len() <= room;
        let singly = if fits { self.waiting.len() } else { room.saturating_sub(1).min(self.waiting.len()) };
        let single: Vec<_> = self.waiting.drain(..singly).collect();
        let digest = (!fits && room > 0).then(|| Digest {
            of: self.waiting.drain(..).collect(),
            folded: std::mem::take(&mut self.folded),
            left_out: std::mem::take(&mut self.left_out),
        });
        self.sent.extend(std::iter::repeat_n(at, single.len() + usize::from(digest.is_some())));
        let waits = !self.waiting.is_empty() || self.folded > 0;
        self.free_at = self.sent.front().filter(|_| waits).map(|sent| sent.saturating_add(limit.per));
        (single, digest)
    }

    /// Keeps what waits small: of one group and kind the newest, and of `most` alerts together the oldest messages.
    fn compact(&mut self, most: usize) {
        let mut kept = BTreeMap::new();
        for (place, notification) in self.waiting.drain(..).enumerate() {
            let key = (notification.group_key.clone(), notification.escalation, notification.acknowledged_by.is_some());
            let place = kept.get(&key).map_or(place, |(first, _): &(usize, Notification)| *first);
            kept.insert(key, (place, notification));
        }
        let mut ordered: Vec<_> = kept.into_values().collect();
        ordered.sort_by_key(|(place, _)| *place);
        let mut alerts = 0;
        for (_, notification) in ordered {
            if alerts + notification.alerts.len() > most && !self.waiting.is_empty() {
                self.folded += 1;
                self.left_out += notification.alerts.len() as u64 + notification.truncated_alerts;
            } else {
                alerts += notification.alerts.len();
                self.waiting.push_back(notification);
            }
        }
    }
}

struct Digest {
    of: Vec<Notification>,
    folded: u64,
    left_out: u64,
}

impl Digest {
    /// But for its id.
    fn notification(self, at: i64, name: &str, receiver: &Receiver, settings: &Settings) -> Notification {
        let digest_of = self.of.len() as u64 + self.folded;
        let mut left_out = self.left_out;
        let mut newest = BTreeMap::<String, NotifiedAlert>::new();
        let mut acknowledged_by = self.of.first().and_then(|first| first.acknowledged_by.clone());
        for notification in self.of {
            left_out += notification.truncated_alerts;
            acknowledged_by = acknowledged_by.filter(|by| notification.acknowledged_by.as_ref() == Some(by));
            newest.extend(notification.alerts.into_iter().map(|alert| (alert.fingerprint.clone(), alert)));
        }
        let listing = listing(newest.into_values().collect(), settings);
        Notification {
            group_key: format!("{{}}/{{digest={name:?}}}:{{}}"),
            truncated_alerts: left_out + listing.truncated_alerts,
            receiver: name.to_owned(),
            channels: receiver.channels.clone(),
            at,
            acknowledged_by,
            digest_of,
            ..listing
        }
    }
}

impl Policy {
    /// Lets go what the receivers' limits allow.
    pub(super) fn put_out(&mut self, at: i64, out: &mut Vec<Notification>) {
        let settings = self.settings.clone();
        let mut digests = Vec::new();
        for (name, outbox) in &mut self.outboxes {
            let receiver = settings.receiver(name);
            let Some(limit) = receiver.limit else {
                outbox.free_at = None;
                out.extend(outbox.waiting.drain(..));
                continue;
            };
            let (single, digest) = outbox.release(at, limit);
            out.extend(single.into_iter().map(|notification| Notification { at, ..notification }));
            outbox.compact(settings.max_alerts_per_notification);
            digests.extend(digest.map(|digest| digest.notification(at, name, &receiver, &settings)));
        }
        for mut digest in digests {
            digest.id = self.next_id(&digest.group_key, &digest.receiver, at);
            out.push(digest);
        }
        self.outboxes.retain(|name, outbox| !outbox.is_idle(at, settings.receiver(name).limit));
    }
}
