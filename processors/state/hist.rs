//! Histograms with explicit bounds that add up. Of different bounds, what is merged keeps those that both have: nothing is guessed.

use catchment_pipeline::batch::build::{Interval, PointsBuilder, Series, Stats};

use super::columns::Distribution;
use super::exp::{self, Exp, MAX_MERGED, merge_stats, stats_since};
use super::snapshot::{Reader, Writer};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hist {
    pub stats: Stats,
    /// One more than bounds.
    pub counts: Vec<u64>,
    pub bounds: Vec<f64>,
}

impl Hist {
    /// Without buckets, everything is in one.
    pub fn new(stats: Stats, counts: Vec<u64>, bounds: Vec<f64>) -> Hist {
        let fits = counts.len() == bounds.len() + 1 && bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if fits {
            Hist { stats, counts, bounds }
        } else {
            Hist { stats, counts: vec![stats.count], bounds: Vec::new() }
        }
    }

    pub fn add(&mut self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        let one = Stats { count: 1, sum: Some(value), min: Some(value), max: Some(value) };
        merge_stats(&mut self.stats, &one);
    }

    /// The same with some of its bounds only.
    fn narrow(&mut self, bounds: &[f64]) {
        let mut counts = vec![0u64; bounds.len() + 1];
        for (i, count) in self.counts.iter().enumerate() {
            // A bucket ends at its bound, so it belongs to the first that is no smaller.
            let at = self.bounds.get(i).map_or(bounds.len(), |own| bounds.partition_point(|bound| bound < own));
            counts[at] = counts[at].wrapping_add(*count);
        }
        (self.counts, self.bounds) = (counts, bounds.to_vec());
    }

    pub fn merge(&mut self, mut other: Hist) {
        if self.bounds != other.bounds {
            let shared: Vec<f64> = self.bounds.iter().filter(|bound| other.bounds.contains(bound)).copied().collect();
            self.narrow(&shared);
            other.narrow(&shared);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.wrapping_add(*more);
        }
        merge_stats(&mut self.stats, &other.stats);
    }

    /// What was added since `earlier`; `None` when that is not contained in this.
    pub fn since(&self, earlier: &Hist) -> Option<Hist> {
        if self.bounds != earlier.bounds {
            let shared: Vec<f64> = self.bounds.iter().filter(|bound| earlier.bounds.contains(bound)).copied().collect();
            let (mut later, mut earlier) = (self.clone(), earlier.clone());
            later.narrow(&shared);
            earlier.narrow(&shared);
            return later.since(&earlier);
        }
        let counts = self.counts.iter().zip(&earlier.counts).map(|(later, earlier)| later.checked_sub(*earlier));
        let counts = counts.collect::<Option<Vec<_>>>()?;
        Some(Hist { stats: stats_since(&self.stats, &earlier.stats)?, counts, bounds: self.bounds.clone() })
    }

    /// Interpolated within its bucket, as Prometheus' `histogram_quantile`; minimum and maximum are the ends where they are known.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total: u64 = self.counts.iter().fold(0, |total, count| total.wrapping_add(*count));
        if total == 0 {
            return None;
        }
        let rank = q * total as f64;
        let mut below = 0u64;
        for (i, count) in self.counts.iter().enumerate() {
            let reached = below.wrapping_add(*count);
            if *count > 0 && reached as f64 >= rank {
                let (low, high) = (i.checked_sub(1).and_then(|i| self.bounds.get(i)), self.bounds.get(i));
                let (Some(low), Some(high)) = self.ends(low.copied(), high.copied()) else {
                    return low.or(high).copied();
                };
                return Some(low + (high - low) * ((rank - below as f64) / *count as f64).clamp(0.0, 1.0));
            }
            below = reached;
        }
        self.stats.max.or(self.bounds.last().copied())
    }

    fn ends(&self, low: Option<f64>, high: Option<f64>) -> (Option<f64>, Option<f64>) {
        let (min, max) = (self.stats.min, self.stats.max);
        let zero = high.filter(|high| *high > 0.0).map(|_| 0.0);
        let low = low.map_or(min.or(zero), |low| Some(min.map_or(low, |min| min.max(low))));
        let high = high.map_or(max, |high| Some(max.map_or(high, |max| max.min(high))));
        (low, high)
    }
}

impl Distribution {
    pub fn stats(&self) -> &Stats {
        match self {
            Distribution::Explicit(hist) => &hist.stats,
            Distribution::Exponential(exp) => &exp.stats,
        }
    }

    /// One of the other sort is left out; the two never share a series.
    pub fn merge(&mut self, other: Distribution) {
        match (self, other) {
            (Distribution::Explicit(hist), Distribution::Explicit(other)) => hist.merge(other),
            (Distribution::Exponential(exp), Distribution::Exponential(other)) => exp.merge(other, MAX_MERGED),
            _ => {}
        }
    }

    pub fn since(&self, earlier: &Distribution) -> Option<Distribution> {
        match (self, earlier) {
            (Distribution::Explicit(hist), Distribution::Explicit(earlier)) => {
                hist.since(earlier).map(Distribution::Explicit)
            }
            (Distribution::Exponential(exp), Distribution::Exponential(earlier)) => {
                exp.since(earlier).map(Distribution::Exponential)
            }
            _ => None,
        }
    }

    pub fn quantile(&self, q: f64) -> Option<f64> {
        match self {
            Distribution::Explicit(hist) => hist.quantile(q),
            Distribution::Exponential(exp) => exp.quantile(q),
        }
    }

    pub fn push(&self, series: &Series<'_>, at: Interval, temporality: i32, points: &mut PointsBuilder) {
        match self {
            Distribution::Explicit(hist) => {
                points.histogram(series, at, temporality, hist.stats, (&hist.counts, &hist.bounds), &[]);
            }
            Distribution::Exponential(exp) => {
                points.exp_histogram(series, at, temporality, exp.stats, &exp.buckets(), &[]);
            }
        }
    }

    pub fn save(&self, out: &mut Writer<'_>) {
        match self {
            Distribution::Explicit(hist) => {
                out.bool(false);
                exp::save_stats(&hist.stats, out);
                out.len(hist.bounds.len());
                hist.bounds.iter().for_each(|bound| out.f64(*bound));
                hist.counts.iter().for_each(|count| out.u64(*count));
            }
            Distribution::Exponential(exp) => {
                out.bool(true);
                exp.save(out);
            }
        }
    }

    pub fn restore(state: &mut Reader<'_>) -> anyhow::Result<Distribution> {
        if state.bool()? {
            return Exp::restore(state).map(Distribution::Exponential);
        }
        let stats = exp::restore_stats(state)?;
        let len = state.len()?;
        let bounds = (0..len).map(|_| state.f64()).collect::<anyhow::Result<Vec<_>>>()?;
        let counts = (0..=len).map(|_| state.u64()).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Distribution::Explicit(Hist { stats, counts, bounds }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hist(counts: &[u64], bounds: &[f64]) -> Hist {
        let count = counts.iter().sum();
        Hist::new(Stats { count, sum: Some(count as f64), ..Stats::default() }, counts.to_vec(), bounds.to_vec())
    }

    #[test]
    fn merged_keeps_the_bounds_that_both_have() {
        let mut a = hist(&[1, 2, 3, 4], &[1.0, 2.0, 5.0]);
        a.merge(hist(&[10, 20, 30], &[2.0, 3.0]));
        assert_eq!((a.counts, a.bounds, a.stats.count), (vec![13, 57], vec![2.0], 70));
        let mut a = hist(&[1, 2], &[1.0]);
        a.merge(hist(&[5], &[]));
        assert_eq!((a.counts, a.bounds), (vec![8], vec![]));
    }

    #[test]
    fn since_an_earlier_one() {
        let (later, earlier) = (hist(&[3, 5], &[1.0]), hist(&[1, 5], &[1.0]));
        assert_eq!(later.since(&earlier).unwrap().counts, [2, 0]);
        assert_eq!(earlier.since(&later), None);
        assert_eq!(later.since(&hist(&[1, 1], &[2.0])).unwrap().counts, [6]);
    }

    /// The figures of Prometheus' `histogram_quantile`.
    #[test]
    fn quantiles_as_prometheus_has_them() {
        let h = hist(&[10, 10, 20, 0], &[1.0, 2.0, 4.0]);
        for (q, expect) in [(0.25, 1.0), (0.5, 2.0), (0.75, 3.0), (0.125, 0.5), (1.0, 4.0)] {
            assert!((h.quantile(q).unwrap() - expect).abs() < 1e-9, "{q}");
        }
        assert_eq!(hist(&[0, 5], &[1.0]).quantile(0.5), Some(1.0));
        assert_eq!(hist(&[0, 0], &[1.0]).quantile(0.5), None);
    }
}
