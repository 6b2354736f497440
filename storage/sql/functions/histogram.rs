//! Histograms with explicit bounds, added up, and quantiles of the sum as Prometheus' `histogram_quantile` defines them.
//!
//! Bucket i holds values in (bounds[i-1], bounds[i]]; the last one has no upper bound. Histograms of the same bounds are
//! added exactly. Those of different bounds come to the union of all bounds, each bucket spread evenly over the parts
//! it is cut into; of the lowest one only what is above 0 (when it reaches there), as in asking for a quantile; all of
//! an unbounded one goes to its lowest part, since a quantile in it is answered with its lower bound too.

use std::collections::BTreeMap;

/// A bound in its order; no NaN gets here.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bound(f64);

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Bound) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Bound) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Counts by bounds: order of adding does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Histogram(BTreeMap<Vec<Bound>, Vec<f64>>);

impl Histogram {
    /// What is no histogram (counts and bounds that do not fit, bounds not rising) is left out, and says so.
    pub(super) fn add(&mut self, counts: &[f64], bounds: &[f64]) -> bool {
        let rising = bounds.is_sorted_by(|a, b| a < b) && bounds.iter().all(|bound| bound.is_finite());
        if counts.len() != bounds.len() + 1 || !rising || counts.iter().any(|count| count.is_nan() || *count < 0.0) {
            return false;
        }
        // -0.0 and 0.0 are one bound.
        let key = bounds.iter().map(|bound| Bound(bound + 0.0)).collect();
        let sums = self.0.entry(key).or_insert_with(|| vec![0.0; counts.len()]);
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        true
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = (Vec<f64>, &[f64])> {
        self.0.iter().map(|(bounds, counts)| (bounds.iter().map(|bound| bound.0).collect(), counts.as_slice()))
    }

    /// Bytes, about.
    pub(super) fn size(&self) -> usize {
        self.0.values().map(|counts| counts.len() * 16 + 128).sum()
    }

    /// Upper bounds of all buckets but the last, and all counts.
    fn union(&self) -> (Vec<f64>, Vec<f64>) {
        let mut bounds = self.0.keys().flatten().copied().collect::<Vec<_>>();
        bounds.sort_unstable();
        bounds.dedup();
        let bounds = bounds.into_iter().map(|bound| bound.0).collect::<Vec<_>>();
        let mut counts = vec![0.0; bounds.len() + 1];
        for (own, of) in &self.0 {
            spread(own, of, &bounds, &mut counts);
        }
        (bounds, counts)
    }

    /// `None` when nothing was counted, or there is no bound to tell values apart.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let (bounds, counts) = self.union();
        let highest = *bounds.last()?;
        let total = counts.iter().sum::<f64>();
        if total.is_nan() || total <= 0.0 {
            return None;
        }
        if let Some(outside) = outside(q) {
            return Some(outside);
        }
        let rank = q * total;
        let mut below = 0.0;
        for (n, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            if below + count >= rank {
                let Some(upper) = bounds.get(n).copied() else { return Some(highest) };
                let lower = n.checked_sub(1).and_then(|n| bounds.get(n)).copied();
                return Some(match lower.or((upper > 0.0).then_some(0.0)) {
                    Some(lower) => lower + (upper - lower) * ((rank - below) / count).clamp(0.0, 1.0),
                    None => upper,
                });
            }
            below += count;
        }
        // Adding up rounded: the rank is at the very end.
        let last = counts.iter().rposition(|count| *count > 0.0)?;
        Some(bounds.get(last).copied().unwrap_or(highest))
    }
}

/// As Prometheus answers a quantile that is none.
pub(super) fn outside(q: f64) -> Option<f64> {
    match q {
        q if q.is_nan() => Some(f64::NAN),
        q if q < 0.0 => Some(f64::NEG_INFINITY),
        q if q > 1.0 => Some(f64::INFINITY),
        _ => None,
    }
}

/// Adds buckets to those of `bounds`, of which theirs are a part.
fn spread(own: &[Bound], of: &[f64], bounds: &[f64], counts: &mut [f64]) {
    let mut n = 0;
    let mut lower = None;
    for (bucket, count) in of.iter().enumerate() {
        let Some(upper) = own.get(bucket).map(|bound| bound.0) else {
            if let Some(slot) = counts.get_mut(n) {
                *slot += count;
            }
            return;
        };
        // Where its values lie, as far as is known; none of the lowest's when it does not reach above 0.
        let from = lower.or((upper > 0.0).then_some(0.0)).unwrap_or(upper);
        while let (Some(end), Some(slot)) = (bounds.get(n), counts.get_mut(n)) {
            let start = n.checked_sub(1).and_then(|n| bounds.get(n)).copied().unwrap_or(f64::NEG_INFINITY);
            let share = match from < upper {
                true => ((end.min(upper) - start.max(from)) / (upper - from)).max(0.0),
                false if *end == upper => 1.0,
                false => 0.0,
            };
            *slot += count * share;
            n += 1;
            if *end >= upper {
                break;
            }
        }
        lower = Some(upper);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn of(parts: &[(&[f64], &[f64])]) -> Histogram {
        let mut histogram = Histogram::default();
        for (counts, bounds) in parts {
            assert!(histogram.add(counts, bounds), "{counts:?} {bounds:?}");
        }
        histogram
    }

    /// Each line is a sentence of Prometheus' documentation of `histogram_quantile`.
    #[test]
    fn as_prometheus_documents_it() {
        let one = of(&[(&[10.0, 10.0, 20.0, 10.0], &[1.0, 2.0, 4.0])]);
        // "assuming a linear distribution within a bucket"
        assert_eq!(one.quantile(0.5), Some(2.0 + 2.0 * (5.0 / 20.0)));
        assert_eq!(one.quantile(0.3), Some(1.5));
        assert_eq!(one.quantile(0.4), Some(2.0));
        // "The lower limit of the lowest bucket is assumed to be 0 if the upper limit of that bucket is greater than 0"
        assert_eq!(one.quantile(0.1), Some(0.5));
        assert_eq!(one.quantile(0.0), Some(0.0));
        // "If a quantile is located in the highest bucket, the upper limit of the second highest bucket is returned."
        assert_eq!(one.quantile(0.9), Some(4.0));
        assert_eq!(one.quantile(1.0), Some(4.0));
        // "Otherwise, the upper limit of the lowest bucket is returned for quantiles located in the lowest bucket."
        let negative = of(&[(&[4.0, 4.0, 0.0], &[-2.0, -1.0])]);
        assert_eq!(negative.quantile(0.25), Some(-2.0));
        assert_eq!(negative.quantile(0.75), Some(-1.5));
        // "If b has 0 observations, NaN is returned." NULL here, as SQL says of an aggregate of nothing.
        assert_eq!(of(&[(&[0.0, 0.0], &[1.0])]).quantile(0.5), None);
        // "If b contains fewer than two buckets, NaN is returned."
        assert_eq!(of(&[(&[7.0], &[])]).quantile(0.5), None);
        // "For φ < 0, -Inf is returned. For φ > 1, +Inf is returned." "For φ = NaN, NaN is returned."
        assert_eq!(one.quantile(-0.1), Some(f64::NEG_INFINITY));
        assert_eq!(one.quantile(1.1), Some(f64::INFINITY));
        assert!(one.quantile(f64::NAN).unwrap().is_nan());
    }

    #[test]
    fn empty_buckets_hold_no_quantile() {
        let gap = of(&[(&[0.0, 5.0, 0.0, 5.0, 0.0], &[1.0, 2.0, 3.0, 4.0])]);
        assert_eq!(gap.quantile(0.0), Some(1.0));
        assert_eq!(gap.quantile(0.5), Some(2.0));
        assert_eq!(gap.quantile(0.6), Some(3.2));
        assert_eq!(gap.quantile(1.0), Some(4.0));
    }

    #[test]
    fn other_bounds_are_united() {
        // (0,10] in halves meets (0,5] and (5,10].
        let two = of(&[(&[10.0, 0.0], &[10.0]), (&[3.0, 1.0, 0.0], &[5.0, 10.0])]);
        assert_eq!(two.union(), (vec![5.0, 10.0], vec![8.0, 6.0, 0.0]));
        // What is above 10 is at least that, and no more is known.
        let open = of(&[(&[0.0, 4.0], &[10.0]), (&[0.0, 0.0, 1.0, 0.0], &[10.0, 20.0, 30.0])]);
        assert_eq!(open.union(), (vec![10.0, 20.0, 30.0], vec![0.0, 4.0, 1.0, 0.0]));
        // Below the lowest bound lies nothing below 0, or else nothing is known but that bound.
        let low = of(&[(&[10.0, 0.0], &[10.0]), (&[1.0, 1.0, 0.0], &[-5.0, 10.0])]);
        assert_eq!(low.union(), (vec![-5.0, 10.0], vec![1.0, 11.0, 0.0]));
        let below = of(&[(&[10.0, 0.0], &[-1.0]), (&[1.0, 1.0, 0.0], &[-5.0, -1.0])]);
        assert_eq!(below.union(), (vec![-5.0, -1.0], vec![1.0, 11.0, 0.0]));
    }

    #[test]
    fn what_is_no_histogram_is_left_out() {
        let mut histogram = Histogram::default();
        assert!(!histogram.add(&[1.0, 2.0], &[1.0, 2.0]));
        assert!(!histogram.add(&[], &[]));
        assert!(!histogram.add(&[1.0, 2.0, 3.0], &[2.0, 1.0]));
        assert!(!histogram.add(&[1.0, 2.0, 3.0], &[1.0, f64::NAN]));
        assert!(!histogram.add(&[1.0, 2.0], &[f64::INFINITY]));
        assert!(!histogram.add(&[1.0, -2.0], &[1.0]));
        assert!(!histogram.add(&[1.0, f64::NAN], &[1.0]));
        assert_eq!(histogram.quantile(0.5), None);
    }

    fn arbitrary() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
        proptest::collection::btree_set(-50i32..50, 1..8).prop_flat_map(|bounds| {
            let bounds = bounds.into_iter().map(|bound| f64::from(bound) / 4.0).collect::<Vec<_>>();
            let counts = proptest::collection::vec((0u32..50).prop_map(f64::from), bounds.len() + 1);
            (counts, Just(bounds))
        })
    }

    proptest! {
        /// In whatever order, and in two steps as partial aggregates do it.
        #[test]
        fn merging_equals_adding(all in proptest::collection::vec(arbitrary(), 1..6), cut in 0usize..6, q in 0.0..=1.0f64) {
            let add = |parts: &mut dyn Iterator<Item = &(Vec<f64>, Vec<f64>)>| {
                let mut histogram = Histogram::default();
                parts.for_each(|(counts, bounds)| assert!(histogram.add(counts, bounds)));
                histogram
            };
            let whole = add(&mut all.iter());
            let mut merged = add(&mut all.iter().take(cut).rev());
            for (bounds, counts) in add(&mut all.iter().skip(cut)).parts() {
                prop_assert!(merged.add(counts, &bounds));
            }
            prop_assert_eq!(whole.quantile(q), merged.quantile(q));
            let (_, counts) = whole.union();
            let total = all.iter().flat_map(|(counts, _)| counts).sum::<f64>();
            prop_assert!((counts.iter().sum::<f64>() - total).abs() < 1e-6, "nothing is lost or made");
        }

        /// A quantile lies in the bucket that holds the value of its rank, whatever values were counted.
        #[test]
        fn a_quantile_is_in_its_bucket(
            mut values in proptest::collection::vec(0.0..12.0f64, 1..60),
            bounds in proptest::collection::btree_set(1i32..48, 1..8),
            q in 0.0..=1.0f64,
        ) {
            let bounds = bounds.into_iter().map(|bound| f64::from(bound) / 4.0).collect::<Vec<_>>();
            let mut counts = vec![0.0; bounds.len() + 1];
            for value in &values {
                counts[bounds.partition_point(|bound| bound < value)] += 1.0;
            }
            let told = of(&[(&counts, &bounds)]).quantile(q).unwrap();
            values.sort_by(f64::total_cmp);
            let rank = (q * values.len() as f64).ceil().max(1.0) as usize;
            let value = values[rank - 1];
            let bucket = bounds.partition_point(|bound| *bound < value);
            let lower = if bucket == 0 { 0.0 } else { bounds[bucket - 1] };
            let upper = bounds.get(bucket).copied().unwrap_or(lower);
            prop_assert!((lower..=upper).contains(&told), "{told} not in {lower}..={upper}");
        }

        #[test]
        fn quantiles_rise(all in proptest::collection::vec(arbitrary(), 1..4), a in 0.0..=1.0f64, b in 0.0..=1.0f64) {
            let mut histogram = Histogram::default();
            all.iter().for_each(|(counts, bounds)| assert!(histogram.add(counts, bounds)));
            if let (Some(low), Some(high)) = (histogram.quantile(a.min(b)), histogram.quantile(a.max(b))) {
                prop_assert!(low <= high, "{low} {high}");
            }
        }
    }
}
