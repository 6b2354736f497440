//! Histograms over a limit, folded as numbers are: those of a batch with delta temporality become one, cumulative ones the running total of what they
//! added. Of different bounds those are kept that all have; exponential ones go to the coarsest scale.

use std::collections::{HashMap, HashSet};

use catchment_pipeline::batch::build::{CUMULATIVE, DELTA, Interval, PointsBuilder, Series};

use super::fold::{both, key, overflow};
use crate::state::columns::{Distribution, Distributions as Rows};
use crate::state::counter::Amount as _;
use crate::state::snapshot::{Reader, Writer};

pub struct Distributions {
    most: usize,
    /// Of this batch, in the order in which they came.
    points: Vec<Point>,
    index: HashMap<u64, usize>,
    totals: HashMap<u64, Total>,
    /// Cumulative series that are added up, each with what it said last.
    added: HashMap<i64, Added>,
}

struct Point {
    texts: [String; 10],
    at: Interval,
    temporality: i32,
    value: Distribution,
}

struct Total {
    start: i64,
    value: Distribution,
}

struct Added {
    total: u64,
    start: i64,
    time: i64,
    value: Distribution,
    seen: i64,
}

impl Distributions {
    pub fn new(most: usize) -> Distributions {
        let (points, index) = Default::default();
        Distributions { most, points, index, totals: HashMap::new(), added: HashMap::new() }
    }

    /// `false`: it cannot be added to others.
    pub fn add(&mut self, rows: &Rows<'_>, row: usize, label: Option<(&str, &str)>, now: i64) -> bool {
        let temporality = rows.temporality[row];
        if temporality != DELTA && temporality != CUMULATIVE {
            return false;
        }
        if rows.points.has_no_value(row) {
            return true;
        }
        let texts = rows.points.series(row).texts();
        let mut value = rows.get(row);
        let kind = [temporality as u8, u8::from(matches!(value, Distribution::Exponential(_)))];
        let key = key(&texts, label, &kind);
        let mut at = Interval { start: rows.points.start[row], time: rows.points.time[row] };
        if temporality == CUMULATIVE {
            let Some(total) = self.total(key, rows.points.series_id[row], at, value, now) else { return true };
            (at.start, value) = (total.start, total.value.clone());
        }
        match self.index.get(&key).and_then(|index| self.points.get_mut(*index)) {
            None => {
                self.index.insert(key, self.points.len());
                self.points.push(Point { texts: overflow(texts, label), at, temporality, value });
            }
            Some(point) => {
                point.at = both(point.at, at);
                if temporality == CUMULATIVE {
                    point.value = value;
                } else {
                    point.value.merge(value);
                }
            }
        }
        true
    }

    /// The running total with what this point adds; `None`: there is none, and it is not added up.
    fn total(&mut self, key: u64, series: i64, at: Interval, value: Distribution, now: i64) -> Option<&Total> {
        if !self.added.contains_key(&series) && self.added.len() >= self.most {
            return self.totals.get(&key);
        }
        let nothing = value.since(&value)?;
        let total = self.totals.entry(key).or_insert_with(|| Total { start: at.time, value: nothing });
        let step = match self.added.get(&series) {
            // Out of order: it was counted with what followed.
            Some(before) if at.time <= before.time => return Some(total),
            Some(before) if before.start == at.start && !value.is_less(&before.value) => value.since(&before.value),
            None if at.start < total.start || at.start == 0 => value.since(&value),
            _ => None,
        };
        total.value.merge(step.unwrap_or_else(|| value.clone()));
        self.added.insert(series, Added { total: key, start: at.start, time: at.time, value, seen: now });
        Some(total)
    }

    /// The series has room of its own now.
    pub fn forget(&mut self, series: i64) {
        if !self.added.is_empty() {
            self.added.remove(&series);
        }
    }

    pub fn take(&mut self, points: &mut PointsBuilder) {
        for point in self.points.drain(..) {
            let series = Series::of(point.texts.each_ref().map(String::as_str));
            point.value.push(&series, point.at, point.temporality, points);
        }
        self.index.clear();
    }

    pub fn sweep(&mut self, now: i64, expiry: i64) {
        self.added.retain(|_, added| now.saturating_sub(added.seen) <= expiry);
        let used = self.added.values().map(|added| added.total).collect::<HashSet<_>>();
        self.totals.retain(|key, _| used.contains(key));
    }

    pub fn save(&self, state: &mut Vec<u8>) {
        let mut out = Writer::new(state, "cardinality_limiter", 1, "");
        out.len(self.totals.len());
        for (key, total) in &self.totals {
            out.fixed(*key);
            out.i64(total.start);
            total.value.save(&mut out);
        }
        out.len(self.added.len());
        for (series, added) in &self.added {
            out.fixed(*series as u64);
            out.fixed(added.total);
            [added.start, added.time, added.seen].into_iter().for_each(|time| out.i64(time));
            added.value.save(&mut out);
        }
        out.finish();
    }

    pub fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        let mut state = Reader::new(state, "cardinality_limiter", 1, "")?;
        for _ in 0..state.len()? {
            let (key, start) = (state.fixed()?, state.i64()?);
            self.totals.insert(key, Total { start, value: Distribution::restore(&mut state)? });
        }
        for _ in 0..state.len()? {
            let (series, total) = (state.fixed()? as i64, state.fixed()?);
            let (start, time, seen) = (state.i64()?, state.i64()?, state.i64()?);
            let added = Added { total, start, time, seen, value: Distribution::restore(&mut state)? };
            if self.added.len() < self.most {
                self.added.insert(series, added);
            }
        }
        state.end()
    }
}
