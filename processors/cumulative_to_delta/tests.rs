#![allow(clippy::unwrap_used, clippy::panic)]

use catchment_pipeline::batch::build::{DELTA, Kind, PointsBuilder, Series, Stats};

use super::*;
use crate::testing::{Chance, T, at, feed, interval, mistakes, numbers, relay, restarted, shown, sums};

const SUM: Kind = Kind::Sum(CUMULATIVE, true);

/// The Collector's README on `initial_value`.
#[test]
fn the_first_point() {
    for (initial, began_before, begins_after) in [("auto", 0, 1), ("keep", 1, 1), ("drop", 0, 0)] {
        for (start, expect) in [(-900.0, began_before), (5.0, begins_after)] {
            let (mut stage, tally) = relay(&SPEC, &format!("initial_value: {initial}"));
            feed(&mut *stage, sums(Kind::Gauge, "g", &[(0.0, 1.0, 1)]), at(T));
            let out = feed(&mut *stage, sums(SUM, "m", &[(start, 10.0, 100)]), at(T + 10.0));
            assert_eq!(shown(&out).len(), expect, "{initial} {start}");
            assert_eq!(tally.taken_out().get("initial").copied().unwrap_or_default(), 1 - expect as u64);
            let out = feed(&mut *stage, sums(SUM, "m", &[(start, 20.0, 107)]), at(T + 20.0));
            assert_eq!(shown(&out), [(10.0, 20.0, 7.0)]);
            assert_eq!(numbers(&out)[0].kind, "sum delta monotonic");
        }
    }
}

#[test]
fn resets_gaps_and_points_out_of_order() {
    let (mut stage, tally) = relay(&SPEC, "");
    let mut next = |points: &[_]| {
        let out = feed(&mut *stage, sums(SUM, "m", points), at(T + 99.0));
        shown(&out)
    };
    assert_eq!(next(&[(-9.0, 10.0, 1_000_000)]), []);
    assert_eq!(next(&[(-9.0, 30.0, 1_000_005), (-9.0, 20.0, 1_000_004), (-9.0, 30.0, 1_000_005)]), [(10.0, 30.0, 5.0)]);
    assert_eq!(next(&[(-9.0, 500.0, 1_000_006)]), [(30.0, 500.0, 1.0)]);
    // A new start, even with a larger value, and a fall without one.
    assert_eq!(next(&[(505.0, 510.0, 2_000_000)]), [(505.0, 510.0, 2_000_000.0)]);
    assert_eq!(next(&[(505.0, 520.0, 3)]), [(510.0, 520.0, 3.0)]);
    assert_eq!(next(&[(-9.0, 530.0, 1_000_009)]), [], "of before the reset");
    assert_eq!((tally.taken_out()["out_of_order"], tally.taken_out()["initial"]), (3, 1));
}

#[test]
fn what_is_not_meant_passes_untouched() {
    for (yaml, kind) in [
        ("", Kind::Sum(DELTA, true)),
        ("", Kind::Sum(CUMULATIVE, false)),
        ("", Kind::Gauge),
        ("include: { metrics: [other], match_type: strict }", SUM),
        ("include: { metric_types: [histogram] }", SUM),
        ("exclude: { metrics: ['^m'], match_type: regexp }", SUM),
        ("{ include: { metrics: [M], match_type: strict }, exclude: { metric_types: [Sum] } }", SUM),
    ] {
        let (mut stage, _) = relay(&SPEC, yaml);
        let batch = sums(kind, "m", &[(0.0, 1.0, 5), (0.0, 2.0, 6)]);
        assert!(feed(&mut *stage, batch.clone(), at(T))[0].is_same(&batch), "{yaml}");
    }
    let (mut stage, _) = relay(&SPEC, "include: { metrics: [M], match_type: strict }");
    assert_eq!(shown(&feed(&mut *stage, sums(SUM, "m", &[(-9.0, 1.0, 5), (-9.0, 2.0, 6)]), at(T))).len(), 1);
}

#[test]
fn histograms_of_both_kinds() {
    let (mut stage, _) = relay(&SPEC, "");
    let point = |time: f64, counts: &[u64], scale: i32, exponential: &[u64]| {
        let mut builder = PointsBuilder::default();
        let stats = |counts: &[u64]| {
            let count = counts.iter().sum();
            Stats { count, sum: Some(count as f64), min: Some(1.0), max: Some(2.0) }
        };
        let series = Series { name: "h", ..Series::default() };
        builder.histogram(&series, interval(-9.0, time), CUMULATIVE, stats(counts), (counts, &[1.0]), &[]);
        let buckets =
            catchment_pipeline::batch::build::ExpBuckets { scale, positive: (4, exponential), ..Default::default() };
        builder.exp_histogram(&series, interval(-9.0, time), CUMULATIVE, stats(exponential), &buckets, &[]);
        builder.finish().unwrap()
    };
    assert_eq!(feed(&mut *stage, point(10.0, &[5, 6], 1, &[1, 2, 3]), at(T)).len(), 0);
    let out = feed(&mut *stage, point(20.0, &[5, 9], 0, &[0, 4, 9]), at(T));
    // At the coarser scale buckets 4 and 5 are bucket 2, and 6 is 3: nothing of them is in 4, 5 and 6 of scale 0.
    let rows = |table| Distributions::new(table, out[0].rows().table(table).unwrap()).unwrap();
    let explicit = rows(Table::Histograms);
    let Distribution::Explicit(hist) = explicit.get(0) else { panic!() };
    assert_eq!((hist.counts, hist.stats.count, hist.stats.sum, hist.stats.min), (vec![0, 3], 3, Some(3.0), None));
    assert_eq!((explicit.temporality, explicit.points.start[0]), (&[DELTA][..], interval(10.0, 0.0).start));
    let Distribution::Exponential(exp) = rows(Table::ExpHistograms).get(0) else { panic!() };
    assert_eq!(exp.stats.count, 13, "a histogram that lost its buckets began anew");
}

#[test]
fn bounds_staleness_and_restarts() {
    let yaml = "{ max_staleness: 100s, initial_value: drop, max_series: 1 }";
    let (mut stage, _) = relay(&SPEC, yaml);
    feed(&mut *stage, sums(SUM, "m", &[(0.0, 1.0, 5)]), at(T));
    let out = feed(&mut *stage, sums(SUM, "n", &[(0.0, 1.0, 5)]), at(T + 1.0));
    assert_eq!(numbers(&out)[0].kind, "sum cumulative monotonic", "past the bound as it is");
    let (mut stage, _) = restarted(&*stage, &SPEC, yaml);
    assert_eq!(shown(&feed(&mut *stage, sums(SUM, "m", &[(0.0, 2.0, 7)]), at(T + 2.0))), [(1.0, 2.0, 2.0)]);
    assert_eq!(feed(&mut *stage, sums(SUM, "m", &[(0.0, 300.0, 9)]), at(T + 300.0)).len(), 0, "begun anew");
    assert!(mistakes(&SPEC, "include: { metrics: [a] }").contains("match_type"));
    assert!(mistakes(&SPEC, "initial_value: none").contains("is not one of the choices"));
}

/// What goes out adds up to what came in, in any order within what was not reset.
#[test]
fn deltas_add_up() {
    for seed in 0..300 {
        let mut chance = Chance::new(seed);
        let (mut stage, _) = relay(&SPEC, "initial_value: keep");
        let (mut value, mut start, mut time, mut expect, mut found) = (0, 0.0, 1.0, 0, 0.0);
        for _ in 0..30 {
            time += 1.0 + chance.below(9) as f64;
            if chance.one_in(5) {
                (value, start) = (0, time - 0.5);
            }
            let more = chance.below(100) as i64;
            (value, expect) = (value + more, expect + more);
            let mut points = vec![(start, time, value)];
            if chance.one_in(3) {
                points.push((start, time - 0.25, value - more.min(1)));
            }
            if chance.one_in(4) {
                (stage, _) = restarted(&*stage, &SPEC, "initial_value: keep");
            }
            found += shown(&feed(&mut *stage, sums(SUM, "m", &points), at(T + time))).iter().map(|p| p.2).sum::<f64>();
        }
        assert_eq!(found, expect as f64, "seed {seed}");
    }
}
