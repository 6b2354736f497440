//! What every channel does alike: it reads events, keeps the notifications that are meant for it, and makes one attempt at each, in order. What
//! was told of a batch is remembered between attempts (not over a crash: then the same notification goes out again, with the same id).
//!
//! A notification that the destination will never take is lost and said so; those after it go out. While the destination is away those
//! after it wait: `retry_on_failure::max_elapsed_time` is 0, for ever, unless set.

pub(crate) mod address;
pub(crate) mod fields;
pub(crate) mod http;
pub(crate) mod message;
pub(crate) mod pace;
pub(crate) mod secret;
pub(crate) mod text;
pub(crate) mod tls;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use catchment_pipeline::alerts::{Event, Notification, Status};
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{ExportError, Exporter};
use catchment_pipeline::log::Position;

/// The signal of channels.
pub(crate) const SIGNALS: &[Signal] = &[Signal::Alerts];

/// Where notifications go.
#[async_trait]
pub(crate) trait Channel: Send + Sync {
    /// ONE attempt.
    async fn tell(&self, notification: &Notification) -> Result<(), ExportError>;
}

/// A [`Channel`] as the engine drives it.
pub(crate) struct Notifier<C> {
    /// The exporter's, which notifications name.
    id: String,
    send_resolved: bool,
    channel: C,
    told: Mutex<BTreeMap<Position, Told>>,
}

/// Of one batch's notifications.
#[derive(Clone, Debug, Default)]
struct Told {
    next: usize,
    refused: u64,
    reason: String,
}

/// Batches that were begun and not ended; more than the engine has under way.
const REMEMBERED: usize = 1_024;

impl<C: Channel> Notifier<C> {
    pub fn new(id: String, send_resolved: bool, channel: C) -> Notifier<C> {
        Notifier { id, send_resolved, channel, told: Mutex::default() }
    }

    fn told(&self) -> MutexGuard<'_, BTreeMap<Position, Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mine(&self, batch: &Batch) -> Vec<Notification> {
        let mine = Event::read(batch).into_iter().filter_map(|event| match event {
            Event::Notification(notification) if notification.is_for(&self.id) => Some(notification),
            _ => None,
        });
        mine.filter_map(|notification| self.wanted(notification)).collect()
    }

    /// Without what is resolved, where nobody asked for it.
    fn wanted(&self, mut notification: Notification) -> Option<Notification> {
        if self.send_resolved {
            return Some(notification);
        }
        if notification.status == Status::Resolved {
            return None;
        }
        notification.alerts.retain(|alert| alert.status == Status::Firing);
        Some(notification)
    }
}

#[async_trait]
impl<C: Channel> Exporter for Notifier<C> {
    async fn export(&self, batch: &Batch, at: Position) -> Result<(), ExportError> {
        let notifications = self.mine(batch);
        let mut told = self.told().get(&at).cloned().unwrap_or_default();
        for notification in notifications.iter().skip(told.next) {
            let (id, group) = (&notification.id, &notification.group_key);
            match self.channel.tell(notification).await {
                Ok(()) => tracing::debug!(channel = %self.id, id, group, "notified"),
                Err(error @ ExportError::Transient { .. }) => return Err(error),
                Err(ExportError::Permanent { reason } | ExportError::Partial { reason, .. }) => {
                    told.refused += 1;
                    told.reason = format!("notification {id} of group {group}: {reason}");
                }
            }
            told.next += 1;
            let mut all = self.told();
            all.insert(at, told.clone());
            if all.len() > REMEMBERED {
                all.pop_first();
            }
        }
        self.told().remove(&at);
        match told.refused {
            0 => Ok(()),
            rejected => Err(ExportError::Partial { rejected, reason: told.reason }),
        }
    }
}
