#![allow(clippy::unwrap_used, clippy::panic)]

use catchment_pipeline::batch::build::{Kind, PointsBuilder, Series, Stats};

use super::*;
use crate::testing::{Chance, T, at, feed, interval, relay, restarted, shown, sums};

const DELTAS: Kind = Kind::Sum(DELTA, true);

/// The Collector's `delta.Aggregate`: first, in order, out of order, of an older series.
#[test]
fn added_up_as_in_the_collector() {
    let (mut stage, tally) = relay(&SPEC, "");
    let mut next = |points: &[_]| {
        let out = feed(&mut *stage, sums(DELTAS, "m", points), at(T));
        shown(&out)
    };
    assert_eq!(next(&[(0.0, 10.0, 5)]), [(0.0, 10.0, 5.0)]);
    assert_eq!(next(&[(10.0, 20.0, 2), (10.0, 20.0, 2), (5.0, 15.0, 9)]), [(0.0, 20.0, 7.0)]);
    assert_eq!(next(&[(-5.0, 30.0, 1)]), []);
    assert_eq!(next(&[(90.0, 100.0, 1)]), [(0.0, 100.0, 8.0)], "a gap adds nothing");
    assert_eq!((tally.taken_out()["out_of_order"], tally.taken_out()["older_start"]), (2, 1));
    let (mut stage, _) = relay(&SPEC, "");
    for kind in [Kind::Gauge, Kind::Sum(CUMULATIVE, true)] {
        let batch = sums(kind, "m", &[(0.0, 1.0, 5)]);
        assert!(feed(&mut *stage, batch.clone(), at(T))[0].is_same(&batch));
    }
}

#[test]
fn bounds_staleness_and_restarts() {
    let yaml = "{ max_stale: 60s, max_streams: 1 }";
    let (mut stage, tally) = relay(&SPEC, yaml);
    feed(&mut *stage, sums(DELTAS, "m", &[(0.0, 1.0, 5)]), at(T));
    assert_eq!(feed(&mut *stage, sums(DELTAS, "n", &[(0.0, 1.0, 5)]), at(T)).len(), 0);
    assert_eq!(tally.taken_out()["over_limit"], 1);
    let (mut stage, _) = restarted(&*stage, &SPEC, yaml);
    assert_eq!(shown(&feed(&mut *stage, sums(DELTAS, "m", &[(1.0, 2.0, 5)]), at(T + 2.0))), [(0.0, 2.0, 10.0)]);
    let out = feed(&mut *stage, sums(DELTAS, "m", &[(99.0, 100.0, 1)]), at(T + 100.0));
    assert_eq!(shown(&out), [(99.0, 100.0, 1.0)], "forgotten, so begun anew");
}

#[test]
fn histograms_of_both_kinds() {
    let (mut stage, _) = relay(&SPEC, "");
    let point = |time: f64, counts: &[u64], bounds: &[f64], scale: i32, offset: i32| {
        let mut builder = PointsBuilder::default();
        let count = counts.iter().sum();
        let stats = Stats { count, sum: Some(count as f64), min: Some(-time), max: Some(time) };
        let series = Series { name: "h", ..Series::default() };
        builder.histogram(&series, interval(time - 1.0, time), DELTA, stats, (counts, bounds), &[]);
        let buckets =
            catchment_pipeline::batch::build::ExpBuckets { scale, positive: (offset, counts), ..Default::default() };
        builder.exp_histogram(&series, interval(time - 1.0, time), DELTA, stats, &buckets, &[]);
        builder.finish().unwrap()
    };
    feed(&mut *stage, point(10.0, &[1, 2], &[1.0], 1, 4), at(T));
    let out = feed(&mut *stage, point(20.0, &[3, 4], &[1.0], 0, 2), at(T));
    let rows = |out: &[Batch], table| {
        let rows = out[0].rows().table(table).unwrap().clone();
        let rows = Distributions::new(table, &rows).unwrap();
        (rows.get(0), rows.points.start[0], rows.temporality[0])
    };
    let (Distribution::Explicit(hist), start, temporality) = rows(&out, Table::Histograms) else { panic!() };
    assert_eq!((hist.counts, hist.stats.count, hist.stats.max), (vec![4, 6], 10, Some(20.0)));
    assert_eq!((start, temporality), (interval(9.0, 0.0).start, CUMULATIVE));
    let (Distribution::Exponential(exp), ..) = rows(&out, Table::ExpHistograms) else { panic!() };
    // At scale 0, buckets 4 and 5 of scale 1 are bucket 2.
    assert_eq!((exp.scale, exp.buckets().positive), (0, (2, &[1 + 2 + 3, 4][..])));
    let out = feed(&mut *stage, point(30.0, &[5], &[], 0, 2), at(T));
    let (Distribution::Explicit(hist), start, _) = rows(&out, Table::Histograms) else { panic!() };
    assert_eq!((hist.counts, start), (vec![5], interval(29.0, 0.0).start), "other bounds begin anew");
}

#[test]
fn what_goes_out_is_the_sum_so_far() {
    for seed in 0..300 {
        let mut chance = Chance::new(seed);
        let (mut stage, _) = relay(&SPEC, "max_stale: 0s");
        let (mut time, mut sum) = (0.0, 0);
        for _ in 0..30 {
            let value = chance.below(100) as i64 - 20;
            (time, sum) = (time + 1.0 + chance.below(500) as f64, sum + value);
            if chance.one_in(4) {
                (stage, _) = restarted(&*stage, &SPEC, "max_stale: 0s");
            }
            let out = feed(&mut *stage, sums(DELTAS, "m", &[(time - 1.0, time, value)]), at(T + time));
            assert_eq!(shown(&out)[0].2, sum as f64, "seed {seed}");
        }
    }
}
