//! Alertmanager's defaults, one by one.

use super::Bench;

#[test]
fn a_group_waits_30s_is_looked_at_each_5m_and_repeated_after_4h() {
    let mut bench = Bench::new("");
    bench.fire(0, r#"alertname="A""#);
    bench.run(29);
    assert_eq!(bench.said(), Vec::<String>::new());
    bench.fire(29, r#"alertname="B""#);
    bench.run(30);
    assert_eq!(bench.said(), ["30s default firing A B"]);
    bench.fire(40, r#"alertname="C""#);
    bench.run(329);
    assert_eq!(bench.said(), Vec::<String>::new());
    bench.run(330);
    assert_eq!(bench.said(), ["330s default firing A B C"]);
    bench.resolve(400, r#"alertname="B""#);
    bench.run(630);
    assert_eq!(bench.said(), ["630s default firing A C resolved B"]);
    bench.run(630 + 14_399);
    assert_eq!(bench.said(), Vec::<String>::new());
    bench.run(630 + 14_400);
    assert_eq!(bench.said(), ["15030s default firing A C"]);
    bench.resolve(15_100, r#"alertname="A""#);
    bench.resolve(15_100, r#"alertname="C""#);
    bench.run(100_000);
    assert_eq!(bench.said(), ["15330s default resolved A C"]);
    assert_eq!(bench.policy.due(), None);
}

#[test]
fn an_alert_from_outside_is_given_up_5m_after_it_was_last_sent() {
    let mut bench = Bench::new("route: {group_wait: 0s, group_interval: 10s}");
    for at in [0, 200] {
        bench.policy.put(super::time(at), vec![super::alert(r#"alertname="A""#)], &mut bench.out);
    }
    bench.run(499);
    assert_eq!(bench.said(), ["0s default firing A"]);
    bench.run(600);
    assert_eq!(bench.said(), ["500s default resolved A"]);
}

/// Time in which nobody looked resolves nothing and repeats nothing by itself.
#[test]
fn a_gap_is_taken_out() {
    let mut bench = Bench::new("route: {group_wait: 30s, escalate: [{after: 10m, receiver: boss}]}");
    bench.policy.put(super::time(0), vec![super::alert(r#"alertname="A""#)], &mut bench.out);
    bench.run(40);
    bench.restart();
    bench.policy.gap(36_000 * super::SECOND);
    bench.run(36_040);
    assert_eq!(bench.said(), ["30s default firing A"]);
    // 300 s after it came, without the gap.
    bench.run(36_329);
    assert_eq!(bench.said(), Vec::<String>::new());
    bench.run(36_700);
    assert_eq!(bench.said(), ["36330s default resolved A"]);
}

#[test]
fn an_alert_that_waited_already_is_told_at_once() {
    let mut bench = Bench::new("");
    let old = catchment_pipeline::alerts::Alert { starts_at: super::time(-31), ..super::alert(r#"alertname="A""#) };
    bench.policy.put(super::time(0), vec![old], &mut bench.out);
    assert_eq!(bench.said(), ["0s default firing A"]);
}

#[test]
fn group_keys_are_alertmanagers() {
    let yaml = r#"
route:
  group_by: [alertname]
  group_wait: 0s
  routes:
    - matchers: ['team=~"a|b"', severity="page"]
      routes: [{match: {job: db}, group_by: ['...'], receiver: dba}]
"#;
    let mut bench = Bench::new(yaml);
    bench.fire(0, r#"alertname="X""#);
    bench.fire(0, r#"alertname="X",severity="page",team="a""#);
    bench.fire(0, r#"alertname="X",severity="page",team="a",job="db""#);
    let found: Vec<_> = bench.out.iter().map(|notification| notification.group_key.as_str()).collect();
    assert_eq!(
        found,
        [
            r#"{}:{alertname="X"}"#,
            r#"{}/{severity="page",team=~"a|b"}:{alertname="X"}"#,
            r#"{}/{severity="page",team=~"a|b"}/{job="db"}:{alertname="X", job="db", severity="page", team="a"}"#,
        ]
    );
    let third = &bench.out[2];
    assert_eq!(
        (third.receiver.as_str(), &third.channels[..], third.version.as_str()),
        ("dba", &["dba".to_owned()][..], "4")
    );
    assert!(bench.out[0].channels.is_empty(), "all channels");
}

/// What was resolved under a silence and fires again is told of: an Alertmanager would stay quiet until it repeats.
#[test]
fn what_fires_anew_is_told_anew() {
    let mut bench = Bench::new("");
    bench.fire(0, r#"alertname="A""#);
    bench.run(100);
    bench.silence(100, "s", r#"alertname="A""#, 100, 2_000);
    bench.resolve(500, r#"alertname="A""#);
    bench.run(2_000);
    bench.fire(2_000, r#"alertname="A""#);
    bench.run(3_000);
    assert_eq!(bench.said(), ["30s default firing A", "2030s default firing A"]);
}

#[test]
fn severities_and_bound_channels_choose_who_is_told() {
    let mut bench = Bench::new("route: {group_wait: 0s}\nseverities: {critical: [pagerduty, slack], warning: slack}");
    bench.fire(0, r#"alertname="A",severity="critical""#);
    bench.fire(1, r#"alertname="B",severity="warning""#);
    bench.fire(2, r#"alertname="C""#);
    let bound = vec!["email".to_owned(), "discord".to_owned()];
    bench.policy.put_rules(
        super::time(3),
        vec![(super::alert(r#"alertname="D",severity="critical""#), bound)],
        &mut bench.out,
    );
    let said = [
        "0s pagerduty firing A",
        "0s slack firing A",
        "1s slack firing B",
        "2s default firing C",
        "3s discord firing D",
        "3s email firing D",
    ];
    assert_eq!(bench.said(), said);
    let names = bench.policy.settings().names_exporters();
    assert_eq!(names, ["pagerduty", "slack"]);
}
