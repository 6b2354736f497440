#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use catchment_pipeline::batch::build::{CUMULATIVE, DELTA, ExpBuckets, Interval, Series, Stats};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::*;
use crate::state::columns::Distribution;
use crate::testing::{show, texts};

#[derive(Clone, Copy)]
enum Of {
    Gauge,
    Delta,
    Total,
    /// Cumulative, not monotonic.
    Level,
}

/// (tenant, series, time in seconds, value)
type Given<'a> = (&'a str, &'a str, u64, i64);

const SECOND: u64 = 1_000_000_000;

fn batch(name: &str, of: Of, start: u64, points: &[Given<'_>]) -> Batch {
    let point = |(tenant, series, time, value): &Given<'_>| NumberDataPoint {
        attributes: texts(&[("tenant", tenant), ("s", series)]),
        start_time_unix_nano: start * SECOND,
        time_unix_nano: time * SECOND,
        value: Some(number_data_point::Value::AsInt(*value)),
        ..Default::default()
    };
    let data_points = points.iter().map(point).collect::<Vec<_>>();
    let sum = |aggregation_temporality, is_monotonic| {
        metric::Data::Sum(Sum { data_points: data_points.clone(), aggregation_temporality, is_monotonic })
    };
    let data = match of {
        Of::Gauge => metric::Data::Gauge(Gauge { data_points: data_points.clone() }),
        Of::Delta => sum(1, true),
        Of::Total => sum(2, true),
        Of::Level => sum(2, false),
    };
    let metric = Metric { name: name.into(), unit: "By".into(), data: Some(data), ..Default::default() };
    let resource_metrics = vec![ResourceMetrics {
        resource: Some(Resource { attributes: texts(&[("service.name", "shop")]), ..Default::default() }),
        scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }],
        ..Default::default()
    }];
    Batch::from_otlp(Signal::Metrics, ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into()).unwrap()
}

fn limiter(yaml: &str) -> (Limiter, Arc<Tally>) {
    let mut section = Section::parse(yaml);
    let settings = read(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    let context = Context { id: "cardinality_limiter".into(), ..Context::default() };
    let tally = context.tally.clone();
    (Limiter::new(Arc::new(settings), context), tally)
}

fn net(tally: &Tally) -> i64 {
    let sum = |of: std::collections::BTreeMap<&str, u64>| of.values().sum::<u64>() as i64;
    sum(tally.all_put_in()) - sum(tally.taken_out())
}

/// Every number point as `[attributes] time value`, sorted; each item is accounted for on the way.
fn give(limiter: &mut Limiter, tally: &Tally, seconds: u64, batch: Batch) -> Vec<String> {
    let (came, before) = (batch.items() as i64, net(tally));
    let mut out = Out::default();
    limiter.process(batch, UNIX_EPOCH + Duration::from_secs(seconds), &mut out);
    let (mut shown, mut left) = (Vec::new(), 0);
    for (batch, _) in out.take() {
        left += batch.items() as i64;
        let decoded = ExportMetricsServiceRequest::decode(batch.otlp().clone()).unwrap();
        for metric in decoded.resource_metrics.into_iter().flat_map(|of| of.scope_metrics).flat_map(|of| of.metrics) {
            assert_eq!(metric.unit, "By");
            let points = match metric.data.unwrap() {
                metric::Data::Gauge(gauge) => gauge.data_points,
                metric::Data::Sum(sum) => sum.data_points,
                _ => Vec::new(),
            };
            shown.extend(points.into_iter().map(|point| {
                let Some(number_data_point::Value::AsInt(value)) = point.value else { panic!() };
                format!("[{}] {} {value}", show(&point.attributes), point.time_unix_nano / SECOND)
            }));
        }
    }
    assert_eq!(came + net(tally) - before, left, "{tally:?}");
    shown.sort();
    shown
}

fn over(time: u64, value: i64) -> String {
    format!("[otel.metric.overflow=trueb] {time} {value}")
}

#[test]
fn what_was_there_first_stays_and_the_rest_is_folded() {
    let (mut limiter, tally) = limiter("limit_per_metric: 2");
    let points = [("a", "1", 1, 10), ("a", "2", 1, 20), ("a", "3", 1, 30), ("a", "4", 2, 40)];
    // Of gauges the last by time.
    let out = give(&mut limiter, &tally, 1, batch("m", Of::Gauge, 0, &points));
    assert_eq!(out, [over(2, 40), "[s=1 tenant=a] 1 10".into(), "[s=2 tenant=a] 1 20".into()]);
    // Another metric has room of its own, and what is within the limit goes on as it came.
    let other = batch("other", Of::Gauge, 0, &points[2..]);
    let mut out = Out::default();
    limiter.process(other.clone(), UNIX_EPOCH + Duration::from_secs(2), &mut out);
    assert!(out.take()[0].0.is_same(&other));
    assert_eq!(tally.taken_out().get("folded"), Some(&2));
    assert_eq!(tally.all_put_in().get("overflow"), Some(&1));
}

#[test]
fn deltas_are_added() {
    let (mut limiter, tally) = limiter("limit_per_metric: 1");
    let points = [("a", "1", 6, 1), ("a", "2", 6, 2), ("a", "3", 7, 3)];
    let out = give(&mut limiter, &tally, 1, batch("m", Of::Delta, 5, &points));
    assert_eq!(out, [over(7, 5), "[s=1 tenant=a] 6 1".into()]);
    assert_eq!(give(&mut limiter, &tally, 2, batch("m", Of::Delta, 7, &[("a", "3", 8, 4)])), [over(8, 4)]);
}

#[test]
fn totals_count_what_was_added_since_the_first() {
    let (mut limiter, tally) = limiter("limit_per_metric: 1");
    let mut step = |seconds, start, points: &[Given<'_>]| {
        give(&mut limiter, &tally, seconds, batch("m", Of::Total, start, points)).remove(0)
    };
    // No giant first step: both had been counting for long.
    assert_eq!(step(10, 1, &[("a", "1", 10, 5), ("a", "2", 10, 1000), ("a", "3", 10, 2000)]), over(10, 0));
    assert_eq!(step(20, 1, &[("a", "2", 20, 1007), ("a", "3", 20, 2003)]), over(20, 10));
    // A reset, and a point out of order; then a series that began since.
    assert_eq!(step(30, 1, &[("a", "2", 30, 4), ("a", "3", 15, 2001)]), over(30, 14));
    assert_eq!(step(40, 35, &[("a", "4", 40, 6)]), over(40, 20));
}

#[test]
fn levels_are_added_and_go_with_their_series() {
    let (mut limiter, tally) = limiter("{ limit_per_metric: 1, series_expiry: 100s }");
    let mut step =
        |seconds, points: &[Given<'_>]| give(&mut limiter, &tally, seconds, batch("m", Of::Level, 1, points)).remove(0);
    assert_eq!(step(10, &[("a", "1", 10, 5), ("a", "2", 10, 100), ("a", "3", 10, 50)]), over(10, 150));
    assert_eq!(step(80, &[("a", "1", 80, 5), ("a", "2", 80, 90)]), over(80, 140));
    assert_eq!(step(120, &[("a", "1", 120, 5), ("a", "2", 120, 95)]), over(120, 95));
}

#[test]
fn tenants_have_room_of_their_own_and_overflows_too() {
    let points = [("a", "1", 1, 1), ("a", "2", 1, 2), ("b", "3", 1, 3), ("b", "4", 1, 4), ("b", "5", 1, 5)];
    let (mut by_tenant, tally) = limiter("limit_per_label: { label: tenant, limit: 1 }");
    let out = give(&mut by_tenant, &tally, 1, batch("m", Of::Delta, 0, &points));
    let overflow = ["[otel.metric.overflow=trueb tenant=a] 1 2", "[otel.metric.overflow=trueb tenant=b] 1 9"];
    assert_eq!(out, [overflow[0], overflow[1], "[s=1 tenant=a] 1 1", "[s=3 tenant=b] 1 3"]);
    // Over all metrics.
    let out = give(&mut by_tenant, &tally, 1, batch("n", Of::Delta, 0, &[("a", "9", 1, 7)]));
    assert_eq!(out, ["[otel.metric.overflow=trueb tenant=a] 1 7"]);
    // What the resource says anyway is not said again.
    let (mut by_service, tally) = limiter("limit_per_label: { label: service.name, limit: 1 }");
    let out = give(&mut by_service, &tally, 1, batch("m", Of::Delta, 0, &points));
    assert_eq!(out, [over(1, 14), "[s=1 tenant=a] 1 1".into()]);
}

#[test]
fn silent_series_make_room() {
    let (mut limiter, tally) = limiter("{ limit_per_metric: 1, series_expiry: 100s }");
    let mut step =
        |series, time| give(&mut limiter, &tally, time, batch("m", Of::Gauge, 0, &[("a", series, time, 1)])).remove(0);
    assert_eq!(step("1", 1), "[s=1 tenant=a] 1 1");
    assert_eq!(step("2", 90), over(90, 1));
    assert_eq!(step("2", 150), "[s=2 tenant=a] 150 1");
    assert_eq!(step("1", 151), over(151, 1));
}

#[test]
fn memory_is_bounded() {
    let (mut limiter, tally) = limiter("{ limit_per_metric: 1000000, max_series: 100 }");
    for i in 0..50u64 {
        let names = (0..20).map(|s| format!("{i}-{s}")).collect::<Vec<_>>();
        let points = names.iter().map(|name| ("a", name.as_str(), i + 1, 1)).collect::<Vec<_>>();
        give(&mut limiter, &tally, i, batch("m", Of::Total, 0, &points));
    }
    assert_eq!(tally.taken_out().get("folded"), Some(&900));
    let mut state = Vec::new();
    limiter.save(&mut state);
    assert!(state.len() < 100 * 100, "{}", state.len());
}

/// Series, start, time, counts.
type Buckets<'a> = (&'a str, f64, f64, &'a [u64]);

/// Histograms of the bounds 1 and 2 (those of series "b": 2 and 3), or exponential ones of scale 1 (of series "b": 0).
fn histograms(temporality: i32, exponential: bool, points: &[Buckets<'_>]) -> Batch {
    let mut builder = PointsBuilder::default();
    for (series, start, time, counts) in points {
        let attributes = format!(r#"{{"s":"{series}"}}"#);
        let own = Series { name: "h", attributes: &attributes, ..Series::default() };
        let at = Interval { start: (start * 1e9) as i64, time: (time * 1e9) as i64 };
        let stats = Stats { count: counts.iter().sum(), sum: Some(1.0), ..Stats::default() };
        let other = *series == "b";
        if exponential {
            let buckets = ExpBuckets { scale: i32::from(!other), positive: (0, counts), ..ExpBuckets::default() };
            builder.exp_histogram(&own, at, temporality, stats, &buckets, &[]);
        } else {
            let bounds = if other { [2.0, 3.0] } else { [1.0, 2.0] };
            builder.histogram(&own, at, temporality, stats, (counts, &bounds), &[]);
        }
    }
    builder.finish().unwrap()
}

/// What came out as the overflow: count, and the buckets with their bounds or scale.
fn overflow_of(limiter: &mut Limiter, seconds: u64, batch: Batch) -> String {
    let mut out = Out::default();
    limiter.process(batch, UNIX_EPOCH + Duration::from_secs(seconds), &mut out);
    let batch = &out.take()[0].0;
    for table in [Table::Histograms, Table::ExpHistograms] {
        let Some(rows) = batch.rows().table(table) else { continue };
        let rows = crate::state::columns::Distributions::new(table, rows).unwrap();
        let overflow = |row: &usize| rows.points.series(*row).attributes == r#"{"otel.metric.overflow":true}"#;
        let Some(row) = (0..rows.points.time.len()).find(overflow) else { continue };
        return match rows.get(row) {
            Distribution::Explicit(hist) => format!("{} {:?} {:?}", hist.stats.count, hist.bounds, hist.counts),
            Distribution::Exponential(exp) => format!("{} {} {:?}", exp.stats.count, exp.scale, exp.buckets().positive),
        };
    }
    panic!("no overflow")
}

#[test]
fn histograms_are_folded() {
    let (mut limiter, tally) = limiter("limit_per_metric: 1");
    let delta = [("1", 0.0, 5.0, &[9, 9, 9][..]), ("a", 0.0, 5.0, &[1, 2, 3]), ("b", 0.0, 6.0, &[10, 20, 30])];
    // Of the bounds only 2 is one that both have.
    assert_eq!(overflow_of(&mut limiter, 1, histograms(DELTA, false, &delta)), "66 [2.0] [13, 53]");
    assert_eq!(tally.taken_out().get("folded"), Some(&2));
    // From the second point on, and over a reset.
    let mut step = |seconds, points: &[Buckets<'_>]| {
        let mut state = Vec::new();
        limiter.save(&mut state);
        limiter = super::tests::limiter("limit_per_metric: 1").0;
        limiter.restore(&state).unwrap();
        overflow_of(&mut limiter, seconds, histograms(CUMULATIVE, false, points))
    };
    assert_eq!(step(10, &[("a", 1.0, 10.0, &[100, 100, 100]), ("c", 1.0, 10.0, &[5, 5, 5])]), "0 [1.0, 2.0] [0, 0, 0]");
    assert_eq!(step(20, &[("a", 1.0, 20.0, &[101, 100, 102]), ("c", 1.0, 20.0, &[5, 7, 5])]), "5 [1.0, 2.0] [1, 2, 2]");
    assert_eq!(step(30, &[("a", 25.0, 30.0, &[0, 1, 0]), ("c", 1.0, 15.0, &[9, 9, 9])]), "6 [1.0, 2.0] [1, 3, 2]");
}

#[test]
fn exponential_histograms_are_folded_at_the_coarsest_scale() {
    let (mut limiter, _) = limiter("limit_per_metric: 1");
    let delta = [("1", 0.0, 5.0, &[9][..]), ("a", 0.0, 5.0, &[1, 2, 3, 4]), ("b", 0.0, 5.0, &[10, 20])];
    assert_eq!(overflow_of(&mut limiter, 1, histograms(DELTA, true, &delta)), "40 0 (0, [13, 27])");
}

#[test]
fn what_cannot_be_added_up_is_dropped_and_counted() {
    let (mut limiter, tally) = limiter("limit_per_metric: 1");
    let points = [("1", 0.0, 5.0, &[1, 1, 1][..]), ("2", 0.0, 5.0, &[1, 1, 1])];
    let mut out = Out::default();
    limiter.process(histograms(0, false, &points), UNIX_EPOCH, &mut out);
    assert_eq!(tally.taken_out().get("over_limit"), Some(&1));
}

/// What was saved goes on as what was not interrupted does.
#[test]
fn it_goes_on_from_what_it_saved() {
    let yaml = "{ limit_per_metric: 2, limit_per_label: { label: tenant, limit: 3 }, series_expiry: 100s }";
    let steps = |i: u64| {
        let (name, of) = [("a", Of::Total), ("b", Of::Level), ("c", Of::Gauge), ("d", Of::Delta)][i as usize % 4];
        let names = [i % 5, (i + 2) % 7, i % 3].map(|series| series.to_string());
        let point = |(n, series): (usize, &'_ String)| (["x", "y"][n % 2], series.clone(), i + 1, (i * 7 % 40) as i64);
        let points = names.iter().enumerate().map(point).collect::<Vec<_>>();
        let points = points.iter().map(|(tenant, series, time, value)| (*tenant, series.as_str(), *time, *value));
        batch(name, of, 1, &points.collect::<Vec<_>>())
    };
    let (mut whole, tally) = limiter(yaml);
    let expect = (0..60).map(|i| give(&mut whole, &tally, i * 9, steps(i))).collect::<Vec<_>>();
    assert!(expect.iter().flatten().any(|point| point.contains("overflow")));
    let (mut part, mut tally) = limiter(yaml);
    for i in 0..60 {
        if i % 10 == 9 {
            let mut state = Vec::new();
            part.save(&mut state);
            (part, tally) = limiter(yaml);
            part.restore(&state).unwrap();
        }
        assert_eq!(give(&mut part, &tally, i * 9, steps(i)), expect[i as usize], "step {i}");
    }
    assert!(limiter(yaml).0.restore(&[1, 2, 3]).is_err());
}

#[test]
fn mistakes() {
    for (yaml, expect) in [
        ("{}", "there is no limit"),
        ("limit_per_metric: 0", "a limit of 0 lets no series pass"),
        ("limit_per_label: { label: tenant }", "\"limit\" is required"),
        ("{ limit_per_metric: 5, series_expiry: 10ms }", "series would be forgotten at once"),
        ("{ limit_per_metric: 5, max_series: 0 }", "cannot be remembered"),
    ] {
        let mut section = Section::parse(yaml);
        let _settings = read(&mut section);
        assert!(section.mistakes().join("\n").contains(expect), "{yaml}: {:#?}", section.mistakes());
    }
}
