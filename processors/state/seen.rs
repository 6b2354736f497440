//! Identities seen of late: two generations, so that the older can go as a whole.

use std::time::Duration;

use super::length;
use super::series::SeriesMap;
use super::snapshot::{Reader, Writer};

pub struct Seen {
    /// Each generation is added to for so long, and kept as long again.
    every: i64,
    max: usize,
    turned: i64,
    young: SeriesMap<()>,
    old: SeriesMap<()>,
}

impl Seen {
    pub fn new(every: Duration, max: usize) -> Seen {
        let (young, old) = Default::default();
        Seen { every: length(every), max, turned: i64::MIN, young, old }
    }

    pub fn turn(&mut self, now: i64) {
        if now.saturating_sub(self.turned) >= self.every {
            // Both are past their time when nothing came for two turns.
            if now.saturating_sub(self.turned) >= self.every.saturating_mul(2) {
                self.young = SeriesMap::default();
            }
            self.old = std::mem::take(&mut self.young);
            self.turned = now;
        }
    }

    pub fn is_new(&mut self, id: i64, now: i64) -> bool {
        if self.young.find(id).is_some() || self.old.find(id).is_some() {
            return false;
        }
        if self.young.len() >= self.max {
            self.old = std::mem::take(&mut self.young);
            self.turned = now;
        }
        self.young.insert(id, ());
        true
    }

    /// Remembers it, whether it was known or not.
    pub fn add(&mut self, id: i64, now: i64) {
        if self.max > 0 && self.young.find(id).is_none() {
            if self.young.len() >= self.max {
                self.old = std::mem::take(&mut self.young);
                self.turned = now;
            }
            self.young.insert(id, ());
        }
    }

    pub fn has(&mut self, id: i64) -> bool {
        self.young.find(id).is_some() || self.old.find(id).is_some()
    }

    pub fn save(&self, out: &mut Writer<'_>) {
        out.i64(self.turned);
        self.young.save(out, |(), _| {});
        self.old.save(out, |(), _| {});
    }

    pub fn restore(&mut self, state: &mut Reader<'_>) -> anyhow::Result<()> {
        self.turned = state.i64()?;
        self.young = SeriesMap::restore(state, |_| Ok(()))?;
        self.old = SeriesMap::restore(state, |_| Ok(()))?;
        Ok(())
    }
}
