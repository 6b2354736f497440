//! Exponential histograms as OTLP has them, added up at the coarsest scale, and quantiles of the sum.
//!
//! At scale s the base is 2^(2^-s), and bucket i holds absolute values in (base^i, base^(i+1)]; halving the resolution
//! puts bucket i into bucket i >> 1 (OpenTelemetry's data model). Within a bucket values are taken to be spread
//! exponentially, within the zero bucket linearly, as Prometheus does for native histograms: from 0 on when there are
//! only positive values beside it, up to 0 when there are only negative ones, on both sides otherwise.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::histogram::outside;

/// Buckets of one sign; more are halved until they fit.
const MOST: usize = 8192;
/// From a histogram's first bucket to its last, where it is written and where it is asked.
pub(super) const REACH: i64 = 16_384;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExpHistogram {
    /// `None`: nothing was added yet.
    scale: Option<i32>,
    zero: f64,
    zero_threshold: f64,
    positive: BTreeMap<i64, f64>,
    negative: BTreeMap<i64, f64>,
}

/// Where a row's counts begin, and the counts.
pub(super) type Buckets<'a> = (i64, &'a [f64]);

impl Default for ExpHistogram {
    fn default() -> Self {
        Self { scale: None, zero: 0.0, zero_threshold: 0.0, positive: BTreeMap::new(), negative: BTreeMap::new() }
    }
}

impl ExpHistogram {
    pub(super) fn new(scale: i32, zero: f64, zero_threshold: f64, positive: Buckets, negative: Buckets) -> Self {
        let counted = |(offset, counts): Buckets| {
            let counts = (0..).zip(counts).filter(|(_, count)| **count > 0.0);
            counts.map(|(n, count)| (offset.saturating_add(n), *count)).collect::<BTreeMap<_, _>>()
        };
        ExpHistogram {
            scale: Some(scale),
            zero: if zero > 0.0 { zero } else { 0.0 },
            zero_threshold: if zero_threshold > 0.0 { zero_threshold } else { 0.0 },
            positive: counted(positive),
            negative: counted(negative),
        }
    }

    pub(super) fn from_sparse(
        scale: Option<i32>,
        zero: f64,
        zero_threshold: f64,
        positive: impl Iterator<Item = (i64, f64)>,
        negative: impl Iterator<Item = (i64, f64)>,
    ) -> Self {
        ExpHistogram { scale, zero, zero_threshold, positive: positive.collect(), negative: negative.collect() }
    }

    pub(super) fn scale(&self) -> Option<i32> {
        self.scale
    }

    pub(super) fn zero(&self) -> (f64, f64) {
        (self.zero, self.zero_threshold)
    }

    pub(super) fn positive(&self) -> &BTreeMap<i64, f64> {
        &self.positive
    }

    pub(super) fn negative(&self) -> &BTreeMap<i64, f64> {
        &self.negative
    }

    /// Bytes, about.
    pub(super) fn size(&self) -> usize {
        (self.positive.len() + self.negative.len()) * 32
    }

    /// Any; equal are only those that are the same.
    pub(crate) fn order(&self, other: &ExpHistogram) -> Ordering {
        fn side(buckets: &BTreeMap<i64, f64>) -> impl Iterator<Item = (i64, u64)> {
            buckets.iter().map(|(index, count)| (*index, count.to_bits()))
        }
        let zero = |of: &ExpHistogram| (of.scale, of.zero.to_bits(), of.zero_threshold.to_bits());
        zero(self)
            .cmp(&zero(other))
            .then_with(|| side(&self.positive).cmp(side(&other.positive)))
            .then_with(|| side(&self.negative).cmp(side(&other.negative)))
    }

    /// As coarse as it takes for no side to reach over more than so many buckets.
    pub(super) fn fit(&mut self, most: i64) {
        let reach = |side: &BTreeMap<i64, f64>| {
            let ends = side.first_key_value().zip(side.last_key_value());
            ends.map_or(0, |((first, _), (last, _))| last.saturating_sub(*first))
        };
        while reach(&self.positive).max(reach(&self.negative)) >= most {
            let Some(coarser) = self.scale.and_then(|scale| scale.checked_sub(1)) else { break };
            self.coarsen(coarser);
        }
    }

    /// To this scale, if that is coarser.
    fn coarsen(&mut self, scale: i32) {
        let Some(own) = self.scale.filter(|own| *own > scale) else { return };
        let shift = (i64::from(own) - i64::from(scale)).min(63);
        for buckets in [&mut self.positive, &mut self.negative] {
            let mut coarse = BTreeMap::new();
            for (index, count) in std::mem::take(buckets) {
                *coarse.entry(index >> shift).or_insert(0.0) += count;
            }
            *buckets = coarse;
        }
        self.scale = Some(scale);
    }

    pub(crate) fn merge(&mut self, mut other: ExpHistogram) {
        let Some(theirs) = other.scale else { return };
        let scale = self.scale.map_or(theirs, |own| own.min(theirs));
        self.coarsen(scale);
        other.coarsen(scale);
        self.scale = Some(scale);
        self.zero += other.zero;
        self.zero_threshold = self.zero_threshold.max(other.zero_threshold);
        for (own, theirs) in [(&mut self.positive, other.positive), (&mut self.negative, other.negative)] {
            theirs.into_iter().for_each(|(index, count)| *own.entry(index).or_insert(0.0) += count);
        }
        while self.positive.len().max(self.negative.len()) > MOST {
            let coarser = self.scale.unwrap_or(0).saturating_sub(1);
            self.coarsen(coarser);
        }
    }

    /// What was counted since `previous`; `None` when this does not go on from there: it was reset.
    pub(crate) fn since(&self, mut previous: ExpHistogram) -> Option<ExpHistogram> {
        let (scale, before) = (self.scale?, previous.scale?);
        if before < scale || self.zero_threshold < previous.zero_threshold {
            return None;
        }
        previous.coarsen(scale);
        let mut rest = self.clone();
        rest.zero -= previous.zero;
        for (own, theirs) in [(&mut rest.positive, previous.positive), (&mut rest.negative, previous.negative)] {
            for (index, count) in theirs {
                let left = own.get_mut(&index)?;
                *left -= count;
                if *left < 0.0 {
                    return None;
                }
            }
            own.retain(|_, count| *count > 0.0);
        }
        (rest.zero >= 0.0).then_some(rest)
    }

    /// `None` when nothing was counted.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let buckets = self.in_order();
        let total = buckets.iter().map(|bucket| bucket.count).sum::<f64>();
        if total.is_nan() || total <= 0.0 {
            return None;
        }
        if let Some(outside) = outside(q) {
            return Some(outside);
        }
        let rank = q * total;
        let mut below = 0.0;
        for bucket in &buckets {
            if below + bucket.count >= rank {
                return Some(bucket.at((rank - below) / bucket.count));
            }
            below += bucket.count;
        }
        buckets.last().map(|bucket| bucket.at(1.0))
    }

    /// From the smallest value up; none is empty. What the zero threshold covers is zero.
    fn in_order(&self) -> Vec<Bucket> {
        let width = f64::exp2(-f64::from(self.scale.unwrap_or(0)));
        let edge = |index: i64| f64::exp2(index as f64 * width).min(f64::MAX);
        let mut zero = self.zero;
        let mut side = |buckets: &BTreeMap<i64, f64>| {
            let mut outside = Vec::with_capacity(buckets.len());
            for (index, count) in buckets.iter().filter(|(_, count)| **count > 0.0) {
                let (low, high) = (edge(*index), edge(index.saturating_add(1)));
                if high <= self.zero_threshold {
                    zero += count;
                } else {
                    outside.push((low.max(self.zero_threshold), high, *count));
                }
            }
            outside
        };
        let (positive, negative) = (side(&self.positive), side(&self.negative));
        let threshold = self.zero_threshold;
        let from = if negative.is_empty() && !positive.is_empty() { 0.0 } else { -threshold };
        let to = if positive.is_empty() && !negative.is_empty() { 0.0 } else { threshold };
        let zero = Bucket { from, to, count: zero, linear: true };
        let negative =
            negative.into_iter().rev().map(|(low, high, count)| Bucket { from: -high, to: -low, count, linear: false });
        let positive =
            positive.into_iter().map(|(low, high, count)| Bucket { from: low, to: high, count, linear: false });
        negative.chain((zero.count > 0.0).then_some(zero)).chain(positive).collect()
    }
}

struct Bucket {
    from: f64,
    to: f64,
    count: f64,
    linear: bool,
}

impl Bucket {
    fn at(&self, fraction: f64) -> f64 {
        let fraction = fraction.clamp(0.0, 1.0);
        let (from, to) = (self.from, self.to);
        // An edge that is too small to say has no logarithm to go by.
        if self.linear || from == 0.0 || to == 0.0 {
            return from + (to - from) * fraction;
        }
        let (low, high) = (from.abs().log2(), to.abs().log2());
        let value = f64::exp2(low + (high - low) * fraction).copysign(from);
        value.clamp(from, to)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const NONE: Buckets = (0, &[]);

    #[test]
    fn buckets_are_where_the_data_model_puts_them() {
        // Scale 0: base 2; bucket 0 is (1,2], bucket 1 (2,4].
        let histogram = ExpHistogram::new(0, 0.0, 0.0, (0, &[1.0, 3.0]), NONE);
        assert_eq!(histogram.quantile(0.25), Some(2.0));
        assert_eq!(histogram.quantile(1.0), Some(4.0));
        assert_eq!(histogram.quantile(0.0), Some(1.0));
        // Exponential within the bucket: a third of the way from 2 to 4.
        assert!((histogram.quantile(0.5).unwrap() - 2.0 * f64::exp2(1.0 / 3.0)).abs() < 1e-12);
        // Scale 1: base sqrt(2); bucket -2 is (1/2, 1/sqrt(2)].
        let histogram = ExpHistogram::new(1, 0.0, 0.0, (-2, &[1.0]), NONE);
        assert_eq!(histogram.quantile(0.0), Some(0.5));
        assert!((histogram.quantile(1.0).unwrap() - 0.5f64.sqrt()).abs() < 1e-12);
        // Scale -1: base 4; bucket 0 is (1,4].
        assert_eq!(ExpHistogram::new(-1, 0.0, 0.0, (0, &[1.0]), NONE).quantile(1.0), Some(4.0));
    }

    #[test]
    fn zero_and_negative_values() {
        let both = ExpHistogram::new(0, 2.0, 0.5, (0, &[1.0]), (0, &[0.0, 1.0]));
        assert_eq!(both.quantile(0.0), Some(-4.0));
        assert_eq!(both.quantile(0.25), Some(-2.0));
        assert_eq!(both.quantile(0.5), Some(0.0));
        assert_eq!(both.quantile(0.75), Some(0.5));
        assert_eq!(both.quantile(1.0), Some(2.0));
        let positive = ExpHistogram::new(0, 2.0, 0.5, (0, &[2.0]), NONE);
        assert_eq!(positive.quantile(0.25), Some(0.25));
        let negative = ExpHistogram::new(0, 2.0, 0.5, NONE, (0, &[2.0]));
        assert_eq!(negative.quantile(0.75), Some(-0.25));
        let only_zero = ExpHistogram::new(0, 2.0, 0.0, NONE, NONE);
        assert_eq!(only_zero.quantile(0.9), Some(0.0));
        assert_eq!(ExpHistogram::new(0, 0.0, 0.0, NONE, NONE).quantile(0.9), None);
        assert_eq!(ExpHistogram::default().quantile(0.9), None);
        assert_eq!(both.quantile(2.0), Some(f64::INFINITY));
    }

    #[test]
    fn the_larger_zero_threshold_takes_what_it_covers() {
        let mut histogram = ExpHistogram::new(0, 0.0, 0.0, (-3, &[4.0, 0.0, 0.0, 4.0]), NONE);
        histogram.merge(ExpHistogram::new(0, 0.0, 1.5, NONE, NONE));
        // (1/8, 1/4] is zero now, and (1, 2] begins at 1.5.
        assert_eq!(histogram.quantile(0.25), Some(0.75));
        assert_eq!(histogram.quantile(0.5), Some(1.5));
        assert_eq!(histogram.quantile(1.0), Some(2.0));
    }

    #[test]
    fn merging_comes_to_the_coarsest_scale() {
        // Scale 2: 4..7 are (2, 4]; scale 0: 1 is (2, 4].
        let mut histogram = ExpHistogram::new(2, 1.0, 0.0, (4, &[1.0, 1.0, 1.0, 1.0]), (-1, &[2.0]));
        histogram.merge(ExpHistogram::new(0, 2.0, 0.0, (1, &[4.0]), (-1, &[2.0])));
        assert_eq!(histogram, ExpHistogram::new(0, 3.0, 0.0, (1, &[8.0]), (-1, &[4.0])));
    }

    #[test]
    fn since_an_earlier_point() {
        let earlier = ExpHistogram::new(2, 1.0, 0.0, (4, &[1.0, 0.0, 1.0]), NONE);
        let later = ExpHistogram::new(0, 2.0, 0.0, (0, &[3.0, 5.0]), NONE);
        assert_eq!(later.since(earlier.clone()), Some(ExpHistogram::new(0, 1.0, 0.0, (0, &[3.0, 3.0]), NONE)));
        assert_eq!(later.since(later.clone()), Some(ExpHistogram::new(0, 0.0, 0.0, NONE, NONE)));
        // A finer scale, fewer values, or a bucket that is gone: it began anew.
        assert_eq!(earlier.since(later.clone()), None);
        assert_eq!(ExpHistogram::new(0, 2.0, 0.0, (0, &[3.0, 1.0]), NONE).since(later.clone()), None);
        assert_eq!(ExpHistogram::new(0, 2.0, 0.0, (0, &[3.0]), NONE).since(later), None);
    }

    #[test]
    fn absurd_input_is_bounded_and_answers() {
        for scale in [i32::MIN, -40, 60, i32::MAX] {
            for offset in [i64::from(i32::MIN), 0, i64::from(i32::MAX), i64::MAX] {
                let mut histogram =
                    ExpHistogram::new(scale, f64::NAN, f64::NAN, (offset, &[1.0, f64::NAN, -1.0]), (offset, &[1.0]));
                histogram.merge(ExpHistogram::new(0, 1.0, 0.0, (0, &[1.0]), NONE));
                let median = histogram.quantile(0.5).unwrap();
                assert!(!median.is_nan(), "{scale} {offset}");
            }
        }
        let mut histogram = ExpHistogram::default();
        for n in 0..100 {
            histogram.merge(ExpHistogram::new(20, 0.0, 0.0, (n * 1000, &[1.0; 1000]), NONE));
        }
        assert!(histogram.positive.len() <= MOST);
        assert_eq!(histogram.positive.values().sum::<f64>(), 100_000.0);
    }

    fn arbitrary() -> impl Strategy<Value = ExpHistogram> {
        let counts = || proptest::collection::vec((0u32..5).prop_map(f64::from), 0..40);
        (-3i32..8, 0u32..5, -30i64..30, counts(), -30i64..30, counts()).prop_map(
            |(scale, zero, p, positive, n, negative)| {
                ExpHistogram::new(scale, zero.into(), 0.0, (p, &positive), (n, &negative))
            },
        )
    }

    proptest! {
        #[test]
        fn merging_equals_adding(all in proptest::collection::vec(arbitrary(), 1..6), cut in 0usize..6, q in 0.0..=1.0f64) {
            let merge = |parts: &mut dyn Iterator<Item = &ExpHistogram>| {
                let mut merged = ExpHistogram::default();
                parts.for_each(|part| merged.merge(part.clone()));
                merged
            };
            let whole = merge(&mut all.iter());
            let mut two = merge(&mut all.iter().skip(cut).rev());
            two.merge(merge(&mut all.iter().take(cut)));
            prop_assert_eq!(&whole, &two);
            prop_assert_eq!(whole.quantile(q), two.quantile(q));
        }

        /// Of values counted at two scales: the quantile is in the bucket, at the coarser one, of the value with its rank.
        #[test]
        fn a_quantile_is_in_its_bucket(
            mut values in proptest::collection::vec((-6.0..12.0f64).prop_map(f64::exp2), 1..60),
            scales in (-2i32..6, -2i32..6),
            q in 0.0..=1.0f64,
        ) {
            let bucket = |value: f64, scale: i32| (value.log2() * f64::exp2(scale.into())).ceil() as i64 - 1;
            let mut histogram = ExpHistogram::default();
            for (n, value) in values.iter().enumerate() {
                let scale = if n % 2 == 0 { scales.0 } else { scales.1 };
                histogram.merge(ExpHistogram::new(scale, 0.0, 0.0, (bucket(*value, scale), &[1.0]), NONE));
            }
            values.sort_by(f64::total_cmp);
            let rank = (q * values.len() as f64).ceil().max(1.0) as usize;
            let scale = histogram.scale.unwrap();
            let index = bucket(values[rank - 1], scale) as f64;
            let (low, high) = (f64::exp2(index * f64::exp2((-scale).into())), f64::exp2((index + 1.0) * f64::exp2((-scale).into())));
            let told = histogram.quantile(q).unwrap();
            prop_assert!(told >= low * (1.0 - 1e-9) && told <= high * (1.0 + 1e-9), "{told} not in {low}..={high}");
        }

        /// Counting on and asking what is new gives what was counted.
        #[test]
        fn since_undoes_merging(earlier in arbitrary(), more in arbitrary()) {
            let mut later = earlier.clone();
            later.merge(more.clone());
            let mut expected = more;
            expected.coarsen(later.scale.unwrap());
            prop_assert_eq!(later.since(earlier), Some(expected));
        }
    }
}
