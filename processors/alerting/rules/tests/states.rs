//! What Prometheus does not have, and what is worth seeing by itself.

use super::*;

#[track_caller]
fn check(rule: &str, history: &[(i64, Outcome, &[&str])]) {
    let mut bench = Bench::new(rule);
    for (second, outcome, expect) in history {
        assert_eq!(bench.at(*second, outcome.clone()), *expect, "second {second}");
    }
}

fn failed() -> Outcome {
    Outcome::Failed { error: "no such column".to_owned() }
}

/// Active, quiet.
fn both(hosts: &[&str], quiet: &[&str]) -> Outcome {
    let active = hosts.iter().map(|host| sample(host, 1.0)).collect();
    Outcome::Samples { active, quiet: Some(quiet.iter().map(|host| Labels::new([("host", *host)])).collect()) }
}

const CHECKED: &str = "alert: A, expr: SELECT 1, condition: greater_than, threshold: 0";

#[test]
fn downtime_neither_fires_nor_resolves() {
    let mut bench = Bench::new("{ alert: A, expr: SELECT 1, for: 5m }");
    assert_eq!(bench.at(0, active(&["a"])), ["a pending"]);
    bench.alive(15);
    // An hour later: 15 s of the 5 m are over.
    bench.alive(3615);
    assert_eq!(bench.at(3616, active(&["a"])), Vec::<String>::new());
    (3630..3615 + 280).step_by(15).for_each(|second| bench.alive(second));
    assert_eq!(bench.at(3615 + 284, active(&["a"])), Vec::<String>::new());
    assert_eq!(bench.at(3615 + 285, active(&["a"])), ["a firing"]);
}

#[test]
fn what_is_sent_ends_four_times_the_longer_of_interval_and_resending_later() {
    let groups = groups("groups: [{ name: g, interval: 5m, rules: [{ alert: A, expr: SELECT 1 }] }]");
    let mut machine = Machine::new(Global::default(), &groups);
    let mut step = Step::default();
    machine.evaluated(EPOCH, evaluated(&groups[0].rules[0], EPOCH, active(&["a"])), &mut step);
    let alert = &step.updates[0].event.alert;
    assert_eq!((alert.starts_at, alert.ends_at), (EPOCH, EPOCH + 4 * 300 * SECOND));
}

#[test]
fn alerts_stay_while_the_rule_cannot_be_evaluated() {
    let rule = "{ alert: A, expr: SELECT 1 }";
    check(
        rule,
        &[
            (0, active(&["a"]), &["a firing"]),
            (30, failed(), &[]),
            (60, failed(), &["a still"]),
            (75, active(&[]), &["a resolved"]),
        ],
    );
}

#[test]
fn errors_may_be_alerts_of_their_own() {
    check(
        "{ alert: A, expr: SELECT 1, error: error }",
        &[(0, active(&["a"]), &["a firing"]), (30, failed(), &["A firing"]), (45, active(&["a"]), &["A resolved"])],
    );
    check(
        "{ alert: A, expr: SELECT 1, error: ok }",
        &[(0, active(&["a"]), &["a firing"]), (30, failed(), &["a resolved"])],
    );
    check(
        "{ alert: A, expr: SELECT 1, error: alerting, for: 20s }",
        &[(0, failed(), &["- pending"]), (30, failed(), &["- firing"]), (40, active(&[]), &["- resolved"])],
    );
}

#[test]
fn two_rows_of_one_alert_and_too_many_alerts_are_errors() {
    let mut bench = Bench::new("{ alert: A, expr: SELECT 1 }");
    assert_eq!(bench.at(0, active(&["a"])), ["a firing"]);
    assert_eq!(bench.at(15, active(&["a", "a"])), Vec::<String>::new());
    assert!(bench.machine.groups()[0].rules[0].last_error.contains("same labels"));
    let groups = groups("groups: [{ name: g, limit: 2, rules: [{ alert: A, expr: SELECT 1 }] }]");
    let rule = groups[0].rules[0].clone();
    let mut machine = Machine::new(Global::default(), &groups);
    let mut at = |second: i64, hosts: &[&str]| {
        let (now, mut step) = (EPOCH + second * SECOND, Step::default());
        machine.evaluated(now, evaluated(&rule, now, active(hosts)), &mut step);
        (said(&step), machine.groups()[0].rules[0].last_error.clone())
    };
    assert_eq!(at(0, &["a", "b"]), (vec!["a firing".to_owned(), "b firing".to_owned()], String::new()));
    let (said, error) = at(15, &["a", "b", "c"]);
    assert_eq!(said, ["a resolved", "b resolved"]);
    assert_eq!(error, "exceeded limit of 2 with 3 alerts");
}

#[test]
fn missing_series_are_what_the_rule_says() {
    check(
        &format!("{{ {CHECKED}, no_data: keep_last }}"),
        &[
            (0, both(&["a"], &["b"]), &["a firing"]),
            (30, both(&[], &["b"]), &[]),
            (45, both(&[], &["a", "b"]), &["a resolved"]),
        ],
    );
    check(
        &format!("{{ {CHECKED}, no_data: alerting, for: 20s }}"),
        &[
            (0, both(&[], &["a", "b"]), &[]),
            (30, both(&[], &["b"]), &["a pending"]),
            (60, both(&[], &["b"]), &["a firing"]),
            (75, both(&[], &["a", "b"]), &["a resolved"]),
        ],
    );
    check(
        &format!("{{ {CHECKED}, no_data: no_data }}"),
        &[
            (0, both(&["a"], &[]), &["a firing"]),
            (30, both(&[], &[]), &["A firing"]),
            (45, both(&["a"], &[]), &["A resolved"]),
        ],
    );
    check(&format!("{{ {CHECKED} }}"), &[(0, both(&["a"], &[]), &["a firing"]), (30, both(&[], &[]), &["a resolved"])]);
}

#[test]
fn new_series_have_their_grace_and_flapping_is_damped() {
    check(
        &format!("{{ {CHECKED}, new_series_grace: 1m }}"),
        &[(0, both(&["a"], &[]), &[]), (30, both(&["a"], &[]), &[]), (60, both(&["a"], &[]), &["a firing"])],
    );
    let mut bench = Bench::new("{ alert: A, expr: SELECT 1, flap_limit: 2, flap_window: 5m }");
    let mut changes = Vec::new();
    for second in (0..=390).step_by(15) {
        let hosts: &[&str] = if [0, 30, 60].contains(&second) { &["a"] } else { &[] };
        let said = bench.at(second, active(hosts)).into_iter().filter(|said| said != "a still");
        changes.extend(said.map(|said| format!("{second} {said}")));
    }
    // It began to fire twice in five minutes: it is resolved when it was quiet for as long.
    assert_eq!(changes, ["0 a firing", "15 a resolved", "30 a firing", "375 a resolved"]);
}

#[test]
fn rules_that_are_gone_resolve_what_they_raised() {
    let mut bench = Bench::new("{ alert: A, expr: SELECT 1 }");
    assert_eq!(bench.at(0, active(&["a"])), ["a firing"]);
    assert_eq!(bench.restart("{ alert: B, expr: SELECT 1 }"), ["a resolved"]);
    assert_eq!(bench.restart("{ alert: B, expr: SELECT 1 }"), Vec::<String>::new());
}

#[test]
fn recorded_samples_have_the_rules_labels() {
    let mut bench = Bench::new("{ record: 'hosts:up', expr: SELECT 1, labels: { team: infra } }");
    let mut step = Step::default();
    let outcome = Outcome::Samples { active: vec![sample("a", 3.0)], quiet: None };
    bench.machine.evaluated(EPOCH, evaluated(&bench.rule, EPOCH, outcome), &mut step);
    let labels = Labels::new([("host", "a"), ("team", "infra")]);
    assert_eq!(step.recorded, [Recorded { name: "hosts:up".to_owned(), labels, value: 3.0, at: EPOCH }]);
}

#[test]
fn a_state_that_is_cut_off_is_an_error() {
    let mut bench = Bench::new("{ alert: A, expr: SELECT 1 }");
    bench.at(0, active(&["a", "b"]));
    let mut state = Vec::new();
    bench.machine.save(&mut state);
    for length in 0..state.len() {
        assert!(Bench::new("{ alert: A, expr: SELECT 1 }").machine.restore(&state[..length]).is_err());
    }
}
