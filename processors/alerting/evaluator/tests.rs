#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use catchment_pipeline::alerts::{Labels, Outcome};
use catchment_pipeline::batch::build::{Interval, Kind, Number, PointsBuilder, Series};
use catchment_pipeline::config::Section;
use catchment_storage::Options;

use super::*;
use crate::alerting::rules::{Global, Group, Machine, Step};
use crate::alerting::settings;

const AT: i64 = 1_767_225_600_000_000_000;
const SECOND: i64 = 1_000_000_000;

fn group(rule: &str) -> Group {
    let mut section = Section::parse(&format!("rules: [{rule}]"));
    let mut read = settings::read(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    read.groups.remove(0)
}

/// `cpu` of `hosts` hosts, one point each a second ago: the host's number.
fn lake(hosts: usize) -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(Options::new(folder.path())).unwrap();
    let mut points = PointsBuilder::default();
    for host in 0..hosts {
        let resource = format!("{{\"host.name\":\"h{host}\",\"service.name\":\"s\"}}");
        let series =
            Series { resource_attributes: &resource, name: "load", attributes: "{\"cpu\":\"0\"}", ..Series::default() };
        let at = Interval { start: 0, time: AT - SECOND };
        points.number(&series, at, Kind::Gauge, Number::Double(host as f64), &[]);
    }
    lake.append(points.finish().unwrap().rows(), 1).unwrap();
    (folder, lake)
}

async fn outcome(lake: &Lake, rule: &str) -> Outcome {
    let group = group(rule);
    ask(lake, &Question { group: &group, rule: &group.rules[0], at: AT, gaps: &[] }).await.evaluated.outcome
}

type Active = Vec<(Labels, Option<f64>)>;

#[track_caller]
fn samples(outcome: Outcome) -> (Active, Option<Vec<Labels>>) {
    match outcome {
        Outcome::Samples { active, quiet } => {
            let mut active: Vec<_> = active.into_iter().map(|sample| (sample.labels, sample.value)).collect();
            active.sort_by(|a, b| a.0.cmp(&b.0));
            (active, quiet)
        }
        Outcome::Failed { error } => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_become_labels_and_values() {
    let (_folder, lake) = lake(3);
    let sql = r#"{ alert: A, expr: 'SELECT host_name, cpu, value, ts FROM load WHERE $range AND value >= 1' }"#;
    let (active, quiet) = samples(outcome(&lake, sql).await);
    let labels = |host: &str| Labels::new([("host_name", host), ("cpu", "0")]);
    assert_eq!(active, [(labels("h1"), Some(1.0)), (labels("h2"), Some(2.0))]);
    assert_eq!(quiet, None);
    let (active, _) = samples(outcome(&lake, "{ alert: A, expr: SELECT count(*) FROM load WHERE $range }").await);
    assert_eq!(active, [(Labels::default(), Some(3.0))]);
    // Nobody sent it yet.
    assert_eq!(samples(outcome(&lake, "{ alert: A, expr: SELECT value FROM nothing_yet WHERE $range }").await).0, []);
    for (sql, part) in [
        ("{ alert: A, expr: SELECT nothing FROM load }", "nothing"),
        ("{ alert: A, expr: 'SELECT 1 AS a, 2 AS b' }", "AS value"),
        ("{ alert: A, expr: DELETE FROM load }", ""),
    ] {
        let Outcome::Failed { error } = outcome(&lake, sql).await else { panic!("{sql}") };
        assert!(error.contains(part), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thresholds_are_sql() {
    let (_folder, lake) = lake(3);
    let rule = "{ metric: load, condition: '>=', threshold: 2, no_data: keep_last }";
    let (active, quiet) = samples(outcome(&lake, rule).await);
    let labels = |host: &str| Labels::new([("host_name", host), ("service_name", "s"), ("cpu", "0")]);
    assert_eq!(active, [(labels("h2"), Some(2.0))]);
    assert_eq!(quiet.unwrap().len(), 2);
    for more in [
        "aggregation: max, group_by: [service_name]",
        "aggregation: p99, group_by: [host_name]",
        "aggregation: last, group_by: []",
        "aggregation: increase",
        "aggregation: rate, window: 1m",
        "where: \"cpu = '0'\"",
    ] {
        samples(
            outcome(&lake, &format!("{{ metric: load, condition: outside_range, threshold: [-5, 5], {more} }}")).await,
        );
    }
    for metric in ["system.cpu.utilization", "system.memory.utilization"] {
        let rule = format!("{{ metric: {metric}, condition: greater_than, threshold: 0.85 }}");
        assert_eq!(samples(outcome(&lake, &rule).await).0, []);
    }
}

/// An hour's outage within the window: it reaches back over it.
#[test]
fn windows_leave_out_times_in_which_nobody_looked() {
    let group = group("{ alert: A, expr: SELECT 1, window: 5m }");
    let micros = |seconds: i64| (AT + seconds * SECOND) / 1000;
    let from = |gaps: &[(i64, i64)]| {
        let gaps: Vec<_> = gaps.iter().map(|(from, to)| (AT + from * SECOND, AT + to * SECOND)).collect();
        Question { group: &group, rule: &group.rules[0], at: AT, gaps: &gaps }.window().from
    };
    assert_eq!(from(&[]), micros(-300));
    assert_eq!(from(&[(-4000, -400)]), micros(-300));
    assert_eq!(from(&[(-3660, -60)]), micros(-3900));
    assert_eq!(from(&[(-7000, -4000), (-3660, -60)]), micros(-3900));
    assert_eq!(from(&[(-7000, -3800), (-3660, -60)]), micros(-3900 - 3200));
}

/// `cargo test -p catchment-processors --lib ten_thousand -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn ten_thousand_series_measured() {
    let (_folder, lake) = lake(10_000);
    let mut group = group(
        "{ metric: load, condition: '>=', threshold: 0, annotations: { summary: '{{ $labels.host_name }} {{ $value | humanize }}' } }",
    );
    group.limit = 0;
    let mut machine = Machine::new(Global::default(), std::slice::from_ref(&group));
    for round in 0..5 {
        let at = AT + round * SECOND;
        let began = Instant::now();
        let answer = ask(&lake, &Question { group: &group, rule: &group.rules[0], at, gaps: &[] }).await;
        let asked = began.elapsed();
        let batch = Input::batch(&[Input::Evaluated(answer.evaluated)], at);
        let written = began.elapsed();
        let mut step = Step::default();
        for input in Input::read(&batch) {
            if let Input::Evaluated(evaluated) = input {
                machine.evaluated(at, evaluated, &mut step);
            }
        }
        let all = began.elapsed();
        #[allow(clippy::print_stderr)]
        {
            eprintln!("asked {asked:?}, said after {written:?}, decided after {all:?}, {} updates", step.updates.len());
        }
    }
}
