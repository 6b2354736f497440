//! Storms: limits, digests, bounds.

use std::collections::BTreeSet;

use super::{Bench, SECOND, alert, time};

const LIMITED: &str = "
route: {receiver: ops, group_by: ['...'], group_wait: 0s}
receivers: [{name: ops, channels: [slack], rate_limit: {messages: 20, per: 1m}}]
";

fn storm(bench: &mut Bench, at: i64, from: usize, to: usize) {
    let alerts = (from..to).map(|n| (alert(&format!("alertname=A{n}")), Vec::new())).collect();
    bench.policy.put_rules(time(at), alerts, &mut bench.out);
}

#[test]
fn a_storm_is_told_in_one_digest() {
    let mut bench = Bench::new(LIMITED);
    storm(&mut bench, 0, 0, 10_000);
    assert_eq!(bench.out.len(), 20);
    let digest = bench.out.last().unwrap();
    assert_eq!((digest.digest_of, digest.alerts.len(), digest.truncated_alerts), (9_981, 1_000, 8_981));
    assert_eq!(digest.channels, ["slack"]);
    // What comes while nothing may be said waits, and is told together.
    storm(&mut bench, 10, 10_000, 10_500);
    storm(&mut bench, 20, 10_500, 11_000);
    bench.restart();
    bench.out.clear();
    bench.run(59);
    assert!(bench.out.is_empty());
    bench.run(60);
    assert_eq!(bench.out.len(), 20);
    assert_eq!(bench.out.last().unwrap().digest_of, 981);
}

/// Whatever comes when: no span of a minute has more messages than the limit, and everybody who fires is told of or counted.
#[test]
fn the_limit_holds_in_any_minute() {
    for seed in 0..200 {
        let mut dice = super::scenario::Dice::new(seed);
        let mut bench = Bench::new(
            "
route: {receiver: ops, group_by: ['...'], group_wait: 0s, repeat_interval: 1d}
receivers: [{name: ops, rate_limit: {messages: 3, per: 1m}}]
",
        );
        let (mut at, mut n) = (0, 0);
        for _ in 0..60 {
            at += dice.below(40) as i64;
            let more = dice.below(4) as usize;
            storm(&mut bench, at, n, n + more);
            n += more;
            if dice.below(5) == 0 {
                bench.restart();
            }
        }
        bench.run(at + 600);
        let times: Vec<_> = bench.out.iter().map(|notification| notification.at).collect();
        assert!(times.windows(4).all(|four| four[3] - four[0] >= 60 * SECOND), "seed {seed}: {times:?}");
        let told: BTreeSet<_> =
            bench.out.iter().flat_map(|notification| &notification.alerts).map(|alert| &alert.fingerprint).collect();
        assert_eq!(told.len(), n, "seed {seed}");
    }
}

#[test]
fn alerts_are_bounded_and_counted() {
    let mut bench = Bench::new("max_alerts: 100\nroute: {group_wait: 0s}");
    storm(&mut bench, 0, 0, 150);
    assert_eq!(bench.out[0].alerts.len(), 100);
    assert_eq!(bench.policy.take_counts().alerts_refused, 50);
    assert_eq!(bench.policy.view(time(0)).alerts.len(), 100);
    for n in 0..100 {
        bench.resolve(10, &format!("alertname=A{n}"));
    }
    bench.run(400);
    storm(&mut bench, 400, 150, 200);
    assert_eq!(bench.policy.take_counts().alerts_refused, 0);
    assert_eq!(bench.policy.view(time(400)).alerts.len(), 50);
}

#[test]
fn damaged_states_are_errors() {
    let mut bench = Bench::new("");
    bench.fire(0, "alertname=A");
    let mut state = Vec::new();
    bench.policy.save(&mut state).unwrap();
    state[40] ^= 1;
    let mut again = crate::alerting::policy::Policy::new(bench.policy.settings().clone());
    assert!(again.restore(&state).is_err());
}

/// Under other settings silences, acknowledgements and alerts are still there, and groups that are still there are not told again.
#[test]
fn other_settings_keep_what_is_known() {
    let mut bench = Bench::new("route: {group_by: [alertname], group_wait: 0s}");
    bench.fire(0, "alertname=A");
    bench.fire(0, "alertname=B,team=x");
    bench.silence(0, "s", "alertname=C", 0, 99_999);
    bench.acknowledge(1, "alertname=A", "ann");
    let mut state = Vec::new();
    bench.policy.save(&mut state).unwrap();
    let settings =
        super::settings("route: {group_by: [alertname], group_wait: 0s, routes: [{matchers: [team=x], receiver: x}]}");
    bench.policy = crate::alerting::policy::Policy::new(settings);
    bench.policy.restore(&state).unwrap();
    bench.out.clear();
    bench.run(5_000);
    assert_eq!(bench.said(), ["1s x firing B"]);
    let view = bench.policy.view(time(5_000));
    assert_eq!((view.silences.len(), view.alerts.len(), view.groups.len()), (1, 2, 2));
    assert_eq!(view.alerts.iter().filter(|view| view.acknowledged_by.is_some()).count(), 1);
}
