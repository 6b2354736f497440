//! Series that are within the limits, and how many there are in each group.

use std::collections::HashMap;

use anyhow::Context as _;

/// What is limited together: a metric, or a tenant.
#[derive(Clone, Copy)]
pub struct Group {
    pub hash: u64,
    pub limit: u32,
}

#[derive(Default)]
pub struct Known {
    most: usize,
    series: HashMap<i64, Entry>,
    counts: HashMap<u64, u32>,
    swept: Option<i64>,
}

/// Times are seconds since 1970.
struct Entry {
    groups: [Option<u64>; 2],
    seen: i64,
}

impl Known {
    pub fn new(most: usize) -> Known {
        Known { most, ..Known::default() }
    }

    pub fn admit(&mut self, series: i64, groups: [Option<Group>; 2], now: i64) -> bool {
        if let Some(entry) = self.series.get_mut(&series) {
            entry.seen = now;
            return true;
        }
        let is_full = |group: &Group| self.counts.get(&group.hash).is_some_and(|count| *count >= group.limit);
        if self.series.len() >= self.most || groups.iter().flatten().any(is_full) {
            return false;
        }
        for group in groups.iter().flatten() {
            *self.counts.entry(group.hash).or_default() += 1;
        }
        self.series.insert(series, Entry { groups: groups.map(|group| group.map(|group| group.hash)), seen: now });
        true
    }

    /// Forgets what has been silent; whether it was time to.
    pub fn sweep(&mut self, now: i64, expiry: i64) -> bool {
        let swept = *self.swept.get_or_insert(now);
        if now.saturating_sub(swept) < (expiry / 4).max(1) {
            return false;
        }
        self.swept = Some(now);
        let counts = &mut self.counts;
        self.series.retain(|_, entry| {
            let alive = now.saturating_sub(entry.seen) <= expiry;
            for group in entry.groups.iter().flatten().filter(|_| !alive) {
                if let Some(count) = counts.get_mut(group) {
                    *count = count.saturating_sub(1);
                }
            }
            alive
        });
        self.counts.retain(|_, count| *count > 0);
        true
    }

    /// Little-endian: when it was swept, how many series, and each with its groups (0: none) and when it was seen.
    pub fn save(&self, state: &mut Vec<u8>) {
        state.extend(self.swept.unwrap_or(i64::MIN).to_le_bytes());
        state.extend((self.series.len() as u64).to_le_bytes());
        for (series, entry) in &self.series {
            state.extend(series.to_le_bytes());
            entry.groups.iter().for_each(|group| state.extend(group.unwrap_or_default().to_le_bytes()));
            state.extend(entry.seen.to_le_bytes());
        }
    }

    /// What is left of `state`.
    pub fn restore<'a>(&mut self, state: &'a [u8]) -> anyhow::Result<&'a [u8]> {
        let mut state = state;
        self.swept = Some(i64::from_le_bytes(take(&mut state)?)).filter(|swept| *swept != i64::MIN);
        let count = u64::from_le_bytes(take(&mut state)?);
        for _ in 0..count {
            let series = i64::from_le_bytes(take(&mut state)?);
            let groups = [u64::from_le_bytes(take(&mut state)?), u64::from_le_bytes(take(&mut state)?)];
            let groups = groups.map(|group| Some(group).filter(|group| *group != 0));
            let seen = i64::from_le_bytes(take(&mut state)?);
            // Fewer than before, if that is what the settings say now.
            if self.series.len() < self.most && self.series.insert(series, Entry { groups, seen }).is_none() {
                groups.iter().flatten().for_each(|group| *self.counts.entry(*group).or_default() += 1);
            }
        }
        Ok(state)
    }
}

pub fn take<const N: usize>(state: &mut &[u8]) -> anyhow::Result<[u8; N]> {
    let (first, rest) = state.split_first_chunk::<N>().context("the state ends too early")?;
    *state = rest;
    Ok(*first)
}
