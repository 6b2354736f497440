//! Rollups: of each series one row per five minutes and per hour, kept longer than the rows it is made of.
//!
//! A rollup's file says which times it covers: every row that its table had there is in it. Rows that come later are marked in their
//! own file (`late`), and the times they touch are read from the table itself until they are rolled up again. So the answer
//! from rollups is what all rows give, up to the order in which doubles are added.

mod exp_histograms;
mod histograms;
mod numbers;
mod series;

use std::ops::Range;

use arrow::array::{Float64Array, Int32Array, Int64Array};

use crate::changes::Span;
use crate::files::{Ranges, union};
use crate::schema::{LakeTable, Step};
use crate::sql::TableSnapshot;

pub(crate) use exp_histograms::ExpHistograms;
pub(crate) use histograms::Histograms;
pub(crate) use numbers::Numbers;
pub(crate) use series::{Before, Kind, Series, read};

/// Microseconds: a point adds to the one before it when that is not older than this. Rollups look so far back before the hours that they are
/// of, SQL's `increase` before the times that are asked for.
pub(crate) const LOOK_BACK: i64 = Step::Hour.micros();

/// OTLP's number of delta temporality.
const DELTA: i32 = 1;

/// What a counter added, as `counter_delta` has it: less than before means that it began anew.
fn difference(now: f64, before: f64) -> f64 {
    if now < before { now } else { now - before }
}

/// What histograms of both kinds say beside their buckets.
#[derive(Clone, Default)]
struct Totals {
    delta: bool,
    count: i64,
    sum: Option<f64>,
    extremes: Extremes,
}

#[derive(Clone, Default)]
struct Extremes {
    min: Option<f64>,
    max: Option<f64>,
}

struct TotalsColumns<'a> {
    temporality: &'a Int32Array,
    count: &'a Int64Array,
    sum: &'a Float64Array,
    min: &'a Float64Array,
    max: &'a Float64Array,
}

/// Times, in whole steps, whose rows in `rollup` stand for all of them in `raw`. Sorted and disjoint. `increases`: also in what points
/// added, which depends on rows of up to [`LOOK_BACK`] before them.
pub(crate) fn usable(rollup: &TableSnapshot, raw: &TableSnapshot, increases: bool) -> Ranges {
    let LakeTable::Rollup(_, step) = rollup.table else { return Ranges::new() };
    let files = rollup.files.iter().filter(|file| file.tags.increases || !increases);
    let covered = union(files.flat_map(|file| &file.tags.covers).cloned());
    let late = raw.files.iter().flat_map(|file| &file.tags.late).cloned();
    let hot = raw.hot.iter().map(|chunk| whole(chunk.span));
    let unsure = late.chain(hot);
    if !increases {
        return without(covered, &union(unsure.map(|range| widen(&range, step))));
    }
    // Rows that no rollup has seen yet may have come after it was written that looked back at their times.
    let unseen = union(raw.files.iter().map(|file| whole(file.span())));
    let unsure = unsure.chain(without(unseen, &covered)).map(|range| range.start..range.end.saturating_add(LOOK_BACK));
    let unsure = union(unsure.map(|range| widen(&range, step)));
    without(covered, &unsure)
}

fn whole(span: Span) -> Range<i64> {
    span.first..span.last.saturating_add(1)
}

/// To whole steps.
fn widen(range: &Range<i64>, step: Step) -> Range<i64> {
    let step = step.micros();
    let end = range.end.saturating_add(step - 1);
    range.start.saturating_sub(range.start.rem_euclid(step))..end.saturating_sub(end.rem_euclid(step))
}

/// What of `ranges` is not in `taken`; both sorted and disjoint.
pub(crate) fn without(ranges: Ranges, taken: &[Range<i64>]) -> Ranges {
    let mut left = Ranges::new();
    for range in ranges {
        let mut start = range.start;
        for taken in taken.iter().filter(|taken| taken.start < range.end && taken.end > range.start) {
            if start < taken.start {
                left.push(start..taken.start);
            }
            start = start.max(taken.end);
        }
        if start < range.end {
            left.push(start..range.end);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges() -> impl Strategy<Value = Vec<Range<i64>>> {
        proptest::collection::vec((-20i64..20, 0i64..8).prop_map(|(start, length)| start..start + length), 0..6)
    }

    proptest! {
        #[test]
        fn ranges_are_sets(a in ranges(), b in ranges()) {
            let (joined, taken) = (union(a.iter().cloned()), union(b.iter().cloned()));
            let left = without(joined.clone(), &taken);
            let within = |ranges: &[Range<i64>], at: i64| ranges.iter().any(|range| range.contains(&at));
            for at in -25..30 {
                prop_assert_eq!(within(&joined, at), within(&a, at));
                prop_assert_eq!(within(&left, at), within(&a, at) && !within(&b, at));
            }
            prop_assert!(left.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }

        #[test]
        fn widened_ranges_are_whole_steps(start in -10i64.pow(10)..10i64.pow(10), length in 1i64..10i64.pow(10)) {
            let wide = widen(&(start..start + length), Step::FiveMinutes);
            prop_assert!(wide.start <= start && wide.end >= start + length);
            prop_assert!(wide.start % 300_000_000 == 0 && wide.end % 300_000_000 == 0);
            prop_assert!(start - wide.start < 300_000_000 && wide.end - start - length < 300_000_000);
        }
    }
}
