//! Silences, with Alertmanager's rules for what an edit does.

use std::collections::BTreeMap;

use catchment_pipeline::alerts::{Labels, Silence, SilenceState};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// So long after its end a silence can be looked at still; nanoseconds.
const KEPT: i64 = 120 * 3_600 * 1_000_000_000;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Silences(BTreeMap<String, Silence>);

impl Silences {
    /// `None`: there are too many.
    pub fn put(&mut self, now: i64, mut silence: Silence, most: usize) -> Option<String> {
        self.0.retain(|_, silence| is_kept(silence, now));
        silence.updated_at = now;
        if let Some(old) = self.0.get_mut(&silence.id) {
            if old.can_become(&silence, now) {
                *old = silence;
                return Some(old.id.clone());
            }
            end(old, now);
            let id = xxh3_128(format!("{} {now} {}", silence.id, self.0.len()).as_bytes());
            silence.id = uuid(id);
        }
        if self.0.len() >= most {
            return None;
        }
        // What was not in force cannot have been.
        silence.starts_at = silence.starts_at.max(now);
        let id = silence.id.clone();
        self.0.insert(id.clone(), silence);
        Some(id)
    }

    pub fn expire(&mut self, now: i64, id: &str) {
        if let Some(silence) = self.0.get_mut(id) {
            end(silence, now);
        }
    }

    /// Ids of those that mute.
    pub fn muting<'a>(&'a self, labels: &'a Labels, now: i64) -> impl Iterator<Item = &'a str> + 'a {
        self.0.values().filter(move |silence| silence.mutes(labels, now)).map(|silence| silence.id.as_str())
    }

    pub fn all(&self, now: i64) -> impl Iterator<Item = &Silence> {
        self.0.values().filter(move |silence| is_kept(silence, now))
    }
}

fn is_kept(silence: &Silence, now: i64) -> bool {
    silence.ends_at.saturating_add(KEPT) > now
}

fn end(silence: &mut Silence, now: i64) {
    match silence.state(now) {
        SilenceState::Expired => return,
        SilenceState::Pending => silence.starts_at = now,
        SilenceState::Active => {}
    }
    silence.ends_at = now;
    silence.updated_at = now;
}

/// With the bits of version 8: made by a rule of our own.
fn uuid(bits: u128) -> String {
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | 0x8 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)].map(|(from, to)| hex.get(from..to).unwrap_or_default());
    parts.join("-")
}
