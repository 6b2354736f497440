//! Exponential histograms that add up, and the sketch for quantiles of single values.
//!
//! As OTLP has them: bucket `i` of scale `s` holds values in `(base^i, base^(i+1)]`, `base = 2^(2^-s)`. Merging goes to the coarsest
//! scale, and coarser until no side has more buckets than are allowed, whatever a sender's offsets say. A quantile is off by at
//! most `(base - 1) / (base + 1)` of its value: with 640 buckets a side 1.1 % where the largest value is within a million times the
//! smallest, 2.2 % within a million million.

use catchment_pipeline::batch::build::{ExpBuckets, Stats};

use super::snapshot::{Reader, Writer};

/// Buckets a side in what is merged.
pub const MAX_MERGED: usize = 4096;
/// The finest scale of the OpenTelemetry SDKs.
const MAX_SCALE: i32 = 20;

/// One side of zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    offset: i32,
    counts: Vec<u64>,
}

impl Buckets {
    pub fn new(offset: i32, counts: Vec<u64>) -> Buckets {
        let mut buckets = Buckets { offset, counts };
        buckets.trim();
        buckets
    }

    /// Without empty buckets at its ends.
    fn trim(&mut self) {
        let leading = self.counts.iter().take_while(|count| **count == 0).count();
        if leading == self.counts.len() {
            self.counts.clear();
            self.offset = 0;
            return;
        }
        self.counts.drain(..leading);
        self.offset = clamp(i64::from(self.offset) + leading as i64);
        while self.counts.last() == Some(&0) {
            self.counts.pop();
        }
    }

    /// First and last index; `None` without buckets.
    fn span(&self) -> Option<(i64, i64)> {
        let low = i64::from(self.offset);
        (!self.counts.is_empty()).then(|| (low, low + self.counts.len() as i64 - 1))
    }

    fn total(&self) -> u64 {
        self.counts.iter().fold(0, |total, count| total.wrapping_add(*count))
    }

    fn coarsen(&mut self, by: u32) {
        let by = by.min(63);
        if by == 0 || self.counts.is_empty() {
            return;
        }
        let first = i64::from(self.offset) >> by;
        let mut coarse = Vec::new();
        for (index, count) in (i64::from(self.offset)..).zip(&self.counts) {
            let at = ((index >> by) - first) as usize;
            if at == coarse.len() {
                coarse.push(0u64);
            }
            coarse[at] = coarse[at].wrapping_add(*count);
        }
        (self.offset, self.counts) = (clamp(first), coarse);
    }

    /// Makes room for the indices from `low` to `high`, which the caller has made sure are few.
    fn reach(&mut self, low: i64, high: i64) {
        let Some((own_low, own_high)) = self.span() else {
            self.offset = clamp(low);
            self.counts.resize((high - low + 1) as usize, 0);
            return;
        };
        if low < own_low {
            let more = (own_low - low) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.offset = clamp(low);
        }
        if high > own_high {
            let len = (high - i64::from(self.offset) + 1) as usize;
            self.counts.resize(len, 0);
        }
    }

    fn add(&mut self, other: &Buckets) {
        let Some((low, high)) = other.span() else { return };
        self.reach(low, high);
        let from = (low - i64::from(self.offset)) as usize;
        for (count, more) in self.counts[from..].iter_mut().zip(&other.counts) {
            *count = count.wrapping_add(*more);
        }
    }

    /// `false`: there was less than `other` has, and the outcome is of no use.
    fn subtract(&mut self, other: &Buckets) -> bool {
        let mut enough = true;
        for (index, less) in (i64::from(other.offset)..).zip(&other.counts) {
            let at = usize::try_from(index - i64::from(self.offset)).ok();
            match at.and_then(|at| self.counts.get_mut(at)) {
                Some(count) if *count >= *less => *count -= less,
                _ => enough &= *less == 0,
            }
        }
        self.trim();
        enough
    }

    /// Takes out the buckets that end at or below the one with index `last`.
    fn take_up_to(&mut self, last: i64) -> u64 {
        let Some((low, _)) = self.span() else { return 0 };
        let n = usize::try_from(last - low + 1).unwrap_or_default().min(self.counts.len());
        let taken = self.counts.drain(..n).fold(0u64, u64::wrapping_add);
        self.offset = clamp(low + n as i64);
        self.trim();
        taken
    }

    fn save(&self, out: &mut Writer<'_>) {
        out.i64(i64::from(self.offset));
        out.len(self.counts.len());
        self.counts.iter().for_each(|count| out.u64(*count));
    }

    fn restore(state: &mut Reader<'_>) -> anyhow::Result<Buckets> {
        let offset = state.i32()?;
        let counts = (0..state.len()?).map(|_| state.u64()).collect::<anyhow::Result<_>>()?;
        Ok(Buckets { offset, counts })
    }
}

fn clamp(index: i64) -> i32 {
    index.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exp {
    pub stats: Stats,
    pub scale: i32,
    pub zero_count: u64,
    pub zero_threshold: f64,
    pub positive: Buckets,
    pub negative: Buckets,
}

impl Exp {
    /// Of single values, none yet.
    pub fn sketch() -> Exp {
        Exp { scale: MAX_SCALE, ..Exp::default() }
    }

    /// Adds a value; NaN and infinities are left out.
    pub fn add(&mut self, value: f64, max_buckets: usize) {
        if !value.is_finite() {
            return;
        }
        let stats = &mut self.stats;
        stats.count += 1;
        stats.sum = Some(stats.sum.unwrap_or_default() + value);
        stats.min = Some(stats.min.map_or(value, |min| min.min(value)));
        stats.max = Some(stats.max.map_or(value, |max| max.max(value)));
        if value == 0.0 {
            self.zero_count += 1;
            return;
        }
        let mut index = index(value.abs(), self.scale);
        let side = if value > 0.0 { &self.positive } else { &self.negative };
        if let Some((low, high)) = side.span() {
            let by = excess(low.min(index), high.max(index), max_buckets);
            self.coarsen(by);
            index >>= by;
        }
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        side.reach(index, index);
        let at = (index - i64::from(side.offset)) as usize;
        if let Some(count) = side.counts.get_mut(at) {
            *count += 1;
        }
    }

    pub fn coarsen(&mut self, by: u32) {
        if by > 0 {
            self.positive.coarsen(by);
            self.negative.coarsen(by);
            self.scale = self.scale.saturating_sub_unsigned(by);
        }
    }

    /// Buckets at or below the threshold become part of the zero bucket.
    fn widen_zero(&mut self, threshold: f64) {
        if threshold <= self.zero_threshold {
            return;
        }
        self.zero_threshold = threshold;
        if threshold.is_finite() {
            // A bucket that straddles the threshold is counted as zero whole, and the threshold is moved to its end.
            let last = index(threshold, self.scale);
            let (before, taken) = (self.zero_count, self.positive.take_up_to(last) + self.negative.take_up_to(last));
            self.zero_count = before.wrapping_add(taken);
            if taken > 0 {
                self.zero_threshold = upper(last, self.scale).max(threshold);
            }
        }
    }

    /// To the coarser of both scales, and the wider of both zero buckets.
    fn align(&mut self, other: &mut Exp) {
        let scale = self.scale.min(other.scale);
        self.coarsen(self.scale.abs_diff(scale));
        other.coarsen(other.scale.abs_diff(scale));
        // Widening one may move its threshold; twice is enough, as the second time there is nothing left to take.
        for _ in 0..2 {
            self.widen_zero(other.zero_threshold);
            other.widen_zero(self.zero_threshold);
        }
    }

    pub fn merge(&mut self, mut other: Exp, max_buckets: usize) {
        self.align(&mut other);
        let by = [(&self.positive, &other.positive), (&self.negative, &other.negative)].map(|(a, b)| {
            match (a.span(), b.span()) {
                (Some(a), Some(b)) => excess(a.0.min(b.0), a.1.max(b.1), max_buckets),
                (Some(one), None) | (None, Some(one)) => excess(one.0, one.1, max_buckets),
                (None, None) => 0,
            }
        });
        let by = by[0].max(by[1]);
        self.coarsen(by);
        other.coarsen(by);
        self.positive.add(&other.positive);
        self.negative.add(&other.negative);
        self.zero_count = self.zero_count.wrapping_add(other.zero_count);
        merge_stats(&mut self.stats, &other.stats);
    }

    /// What was added since `earlier`; `None` when that is not contained in this.
    pub fn since(&self, earlier: &Exp) -> Option<Exp> {
        let (mut later, mut earlier) = (self.clone(), earlier.clone());
        later.align(&mut earlier);
        later.stats = stats_since(&later.stats, &earlier.stats)?;
        later.zero_count = later.zero_count.checked_sub(earlier.zero_count)?;
        let enough = later.positive.subtract(&earlier.positive) && later.negative.subtract(&earlier.negative);
        enough.then_some(later)
    }

    /// The value below which a share `q` of all lies, by the nearest rank.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.positive.total().wrapping_add(self.negative.total()).wrapping_add(self.zero_count);
        if count == 0 {
            return None;
        }
        let mut rank = ((q * count as f64).ceil() as u64).clamp(1, count);
        let clamp = |value: f64| {
            let value = self.stats.min.map_or(value, |min| value.max(min));
            Some(self.stats.max.map_or(value, |max| value.min(max)))
        };
        let mut within = |count: u64| {
            let found = rank <= count;
            rank = rank.saturating_sub(count);
            found
        };
        for (at, count) in self.negative.counts.iter().enumerate().rev() {
            let index = i64::from(self.negative.offset) + at as i64;
            if within(*count) {
                return clamp(-middle(index, self.scale));
            }
        }
        if within(self.zero_count) {
            return clamp(0.0);
        }
        for (index, count) in (i64::from(self.positive.offset)..).zip(&self.positive.counts) {
            if within(*count) {
                return clamp(middle(index, self.scale));
            }
        }
        self.stats.max
    }

    pub fn buckets(&self) -> ExpBuckets<'_> {
        ExpBuckets {
            scale: self.scale,
            zero_count: self.zero_count,
            zero_threshold: self.zero_threshold,
            positive: (self.positive.offset, &self.positive.counts),
            negative: (self.negative.offset, &self.negative.counts),
        }
    }

    pub fn save(&self, out: &mut Writer<'_>) {
        save_stats(&self.stats, out);
        out.i64(i64::from(self.scale));
        out.u64(self.zero_count);
        out.f64(self.zero_threshold);
        self.positive.save(out);
        self.negative.save(out);
    }

    pub fn restore(state: &mut Reader<'_>) -> anyhow::Result<Exp> {
        Ok(Exp {
            stats: restore_stats(state)?,
            scale: state.i32()?,
            zero_count: state.u64()?,
            zero_threshold: state.f64()?,
            positive: Buckets::restore(state)?,
            negative: Buckets::restore(state)?,
        })
    }
}

/// By how much indices from `low` to `high` must be coarsened to fit.
fn excess(mut low: i64, mut high: i64, max_buckets: usize) -> u32 {
    let mut by = 0;
    while high - low >= max_buckets.max(2) as i64 {
        (low, high, by) = (low >> 1, high >> 1, by + 1);
    }
    by
}

/// The bucket of a positive, finite value.
fn index(value: f64, scale: i32) -> i64 {
    let bits = value.to_bits();
    let (mut exponent, mut mantissa) = ((bits >> 52 & 0x7ff) as i64 - 1023, bits & ((1 << 52) - 1));
    if exponent == -1023 {
        // Subnormal: its highest bit is the exponent.
        let high = 63 - i64::from(mantissa.leading_zeros().min(63));
        (exponent, mantissa) = (high - 1074, mantissa & !(1 << high));
    }
    if scale <= 0 {
        return (exponent - i64::from(mantissa == 0)) >> scale.unsigned_abs().min(63);
    }
    let scale = scale.min(MAX_SCALE);
    if mantissa == 0 {
        return (exponent << scale) - 1;
    }
    let near = (value.log2() * f64::from(1u32 << scale)).ceil() as i64 - 1;
    near.clamp(exponent << scale, ((exponent + 1) << scale) - 1)
}

fn upper(index: i64, scale: i32) -> f64 {
    ((index + 1) as f64 * (-f64::from(scale)).exp2()).exp2()
}

/// As far from one end of the bucket as from the other, relative to the value.
fn middle(index: i64, scale: i32) -> f64 {
    let (low, high) = (upper(index - 1, scale), upper(index, scale));
    if !high.is_finite() {
        return low.min(f64::MAX);
    }
    let middle = 2.0 * low * (high / (low + high));
    if middle.is_finite() && middle > 0.0 { middle } else { high }
}

pub fn merge_stats(stats: &mut Stats, other: &Stats) {
    // Points without a sum, as those of negative values, leave it unknown.
    stats.sum = match (stats.count, other.count) {
        (0, _) => other.sum,
        (_, 0) => stats.sum,
        _ => stats.sum.zip(other.sum).map(|(a, b)| a + b),
    };
    let both = |a: Option<f64>, b: Option<f64>, pick: fn(f64, f64) -> f64| match (stats.count, other.count) {
        (0, _) => b,
        (_, 0) => a,
        _ => a.zip(b).map(|(a, b)| pick(a, b)),
    };
    let (min, max) = (both(stats.min, other.min, f64::min), both(stats.max, other.max, f64::max));
    (stats.min, stats.max) = (min, max);
    stats.count = stats.count.wrapping_add(other.count);
}

/// Minimum and maximum of what came between are not known.
pub fn stats_since(later: &Stats, earlier: &Stats) -> Option<Stats> {
    let sum = later.sum.zip(earlier.sum).map(|(later, earlier)| later - earlier);
    Some(Stats { count: later.count.checked_sub(earlier.count)?, sum, min: None, max: None })
}

pub fn save_stats(stats: &Stats, out: &mut Writer<'_>) {
    out.u64(stats.count);
    [stats.sum, stats.min, stats.max].into_iter().for_each(|value| out.maybe_f64(value));
}

pub fn restore_stats(state: &mut Reader<'_>) -> anyhow::Result<Stats> {
    Ok(Stats { count: state.u64()?, sum: state.maybe_f64()?, min: state.maybe_f64()?, max: state.maybe_f64()? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(values: &[f64], max: usize) -> Exp {
        let mut exp = Exp::sketch();
        values.iter().for_each(|value| exp.add(*value, max));
        exp
    }

    /// metrics/data-model.md: bucket 0 of scale 0 is (1, 2]; of scale 3, bucket 0 ends at 2^(1/8).
    #[test]
    fn buckets_are_those_of_the_data_model() {
        for (value, scale, expect) in [
            (1.0, 0, -1),
            (1.5, 0, 0),
            (2.0, 0, 0),
            (2.1, 0, 1),
            (4.0, -1, 0),
            (4.1, -1, 1),
            (0.25, -1, -2),
            (1.09, 3, 0),
            (1.1, 3, 1),
            (f64::from_bits(1), 0, -1075),
            (f64::MAX, 0, 1023),
            (f64::MIN_POSITIVE / 2.0, 0, -1024),
        ] {
            assert_eq!(index(value, scale), expect, "{value} at scale {scale}");
        }
    }

    #[test]
    fn quantiles_are_within_the_stated_error() {
        let mut seed = 1u64;
        let mut next = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 11) as f64 / (1u64 << 53) as f64
        };
        for round in 0..50 {
            let values: Vec<f64> =
                (0..500).map(|_| (next() * 13.8).exp() * if round % 2 == 0 { 1.0 } else { -1.0 }).collect();
            let exp = of(&values, 640);
            let mut sorted = values;
            sorted.sort_by(f64::total_cmp);
            for q in [0.0f64, 0.01, 0.5, 0.9, 0.99, 1.0] {
                let exact = sorted[((q * 500.0).ceil() as usize).clamp(1, 500) - 1];
                let found = exp.quantile(q).unwrap();
                assert!((found - exact).abs() <= exact.abs() * 0.0111, "{q}: {found}, not {exact}");
            }
        }
    }

    #[test]
    fn merged_is_as_if_added_to_one() {
        let (a, b) = ([0.0, 1.0, 3.5, 1e-9], [-4.0, 1e6, 0.0, 77.0, 2.0]);
        let mut merged = of(&a, 160);
        merged.merge(of(&b, 20), 160);
        let mut whole = of(&[a.as_slice(), b.as_slice()].concat(), 160);
        whole.coarsen(whole.scale.abs_diff(merged.scale));
        assert_eq!(merged, whole);
        let back = merged.since(&of(&b, 20)).unwrap();
        assert_eq!(
            (back.stats.count, back.zero_count, back.stats.sum),
            (4, 1, Some(merged.stats.sum.unwrap() - 1000075.0))
        );
        assert!(of(&a, 160).since(&merged).is_none());
    }

    #[test]
    fn hostile_offsets_take_no_memory() {
        let far = |offset| Exp {
            positive: Buckets::new(offset, vec![1]),
            stats: Stats { count: 1, ..Stats::default() },
            ..Exp::default()
        };
        let mut merged = far(i32::MIN);
        merged.merge(far(i32::MAX), 160);
        merged.merge(Exp { scale: i32::MIN, ..far(3) }, 160);
        merged.merge(Exp { zero_threshold: f64::MAX, ..far(3) }, 160);
        assert!(merged.positive.counts.len() <= 160);
        assert_eq!(merged.stats.count, 4);
        assert_eq!(merged.positive.total() + merged.zero_count, 4);
    }
}
