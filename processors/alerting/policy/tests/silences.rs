//! Silences, mute times, and what is wrong in a configuration.

use catchment_pipeline::alerts::SilenceState;

use super::{Bench, MONDAY, mistakes, settings, time};

#[test]
fn an_edit_keeps_the_id_where_alertmanager_does() {
    let mut bench = Bench::new("");
    let same = |bench: &mut Bench, at, matchers: &str, from, to| {
        bench.silence(at, "one", matchers, from, to).as_deref() == Some("one")
    };
    assert!(same(&mut bench, 0, r#"a="1""#, 100, 200));
    assert!(same(&mut bench, 10, r#"a="1""#, 50, 300), "pending: times may change");
    assert!(same(&mut bench, 60, r#"a="1""#, 50, 400), "active: its end may change");
    let other = bench.silence(60, "one", r#"a="2""#, 50, 400).unwrap();
    assert_ne!(other, "one", "other matchers are another silence");
    let states = |bench: &Bench, at| {
        let silences = bench.policy.view(time(at)).silences;
        silences
            .iter()
            .map(|silence| (silence.id.clone(), silence.state(time(at))))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let found = states(&bench, 61);
    assert_eq!((found["one"], found[&other]), (SilenceState::Expired, SilenceState::Active));
    // Five days after its end it is forgotten.
    assert_eq!(states(&bench, 60 + 432_000 - 1).len(), 2);
    assert_eq!(states(&bench, 60 + 432_000).len(), 1);
    assert_eq!(states(&bench, 400 + 432_000).len(), 0);
    bench.silence(1_000, "later", r#"a="1""#, 2_000, 3_000);
    bench.policy.expire(time(1_500), "later", &mut bench.out);
    assert_eq!(states(&bench, 1_500)["later"], SilenceState::Expired);
}

#[test]
fn silences_are_counted_and_bounded() {
    let mut bench = Bench::new("max_silences: 2");
    for (id, stays) in [("a", true), ("b", true), ("c", false)] {
        assert_eq!(bench.silence(0, id, r#"a="1""#, 0, 10).is_some(), stays);
    }
    assert_eq!(bench.policy.take_counts().silences_refused, 1);
}

fn within(yaml: &str, expect: &[(&str, bool)]) {
    let settings = settings(&format!("time_intervals: [{{name: x, time_intervals: [{yaml}]}}]"));
    for (at, expect) in expect {
        let nanos = catchment_pipeline::alerts::time::parse(at).unwrap();
        assert_eq!(settings.intervals["x"][0].contains(nanos), *expect, "{yaml} at {at}");
    }
}

#[test]
fn intervals_hold_in_the_zone_of_a_place() {
    // Clocks go forward in Berlin on 2026-03-29: 08:30 is 07:30 UTC before, and 06:30 UTC after.
    within(
        "{times: [{start_time: '08:30', end_time: '17:00'}], weekdays: ['monday:friday'], location: Europe/Berlin}",
        &[
            ("2026-03-27T07:29:59Z", false),
            ("2026-03-27T07:30:00Z", true),
            ("2026-03-27T16:00:00Z", false),
            ("2026-03-28T10:00:00Z", false),
            ("2026-03-30T06:29:59Z", false),
            ("2026-03-30T06:30:00Z", true),
            ("2026-03-30T15:00:00Z", false),
        ],
    );
    within(
        "{weekdays: [sunday], location: Pacific/Auckland}",
        &[("2026-03-07T12:00:00Z", true), ("2026-03-08T11:00:00Z", false)],
    );
    within("{times: [{start_time: '00:00', end_time: '24:00'}]}", &[("2026-03-07T23:59:59Z", true)]);
    within(
        "{days_of_month: ['1:3', '-2:-1']}",
        &[
            ("2026-02-03T12:00:00Z", true),
            ("2026-02-04T12:00:00Z", false),
            ("2026-02-26T12:00:00Z", false),
            ("2026-02-27T12:00:00Z", true),
            ("2024-02-28T12:00:00Z", true),
            ("2024-02-27T12:00:00Z", false),
        ],
    );
    within("{days_of_month: ['1:-5']}", &[("2026-04-26T00:00:00Z", true), ("2026-04-27T00:00:00Z", false)]);
    within("{days_of_month: ['31']}", &[("2026-04-30T00:00:00Z", false), ("2026-05-31T00:00:00Z", true)]);
    within(
        "{months: ['may:july', '12'], years: ['2026']}",
        &[
            ("2026-05-01T00:00:00Z", true),
            ("2026-08-01T00:00:00Z", false),
            ("2026-12-01T00:00:00Z", true),
            ("2027-12-01T00:00:00Z", false),
        ],
    );
}

#[test]
fn nothing_is_told_in_mute_times_and_what_is_left_afterwards_is() {
    let yaml = "
route: {routes: [{matchers: [alertname=A], mute_time_intervals: [night]}, {matchers: [alertname=B], active_time_intervals: [night]}]}
time_intervals: [{name: night, time_intervals: [{times: [{start_time: '00:00', end_time: '06:00'}]}]}]
";
    let mut bench = Bench::new(yaml);
    assert_eq!(MONDAY % 86_400, 0);
    bench.fire(0, "alertname=A");
    bench.fire(0, "alertname=B");
    assert_eq!(bench.policy.view(time(0)).alerts.iter().map(|view| view.muted_by.len()).sum::<usize>(), 1);
    bench.run(21_599);
    assert_eq!(bench.said(), ["30s default firing B", "14430s default firing B"]);
    bench.fire(21_600, "alertname=B,n=2");
    bench.run(30_000);
    assert_eq!(bench.said(), ["21630s default firing A"]);
}

fn wrong(yaml: &str, says: &str) {
    let found = mistakes(yaml);
    assert!(found.len() == 1 && found[0].contains(says), "{yaml}: {found:#?}");
}

#[test]
fn every_mistake_is_said() {
    wrong("route: {matchers: ['a=b']}", "the root route takes every alert");
    wrong("route: {group_interval: 0s}", "group_interval is 0");
    wrong("route: {group_by: ['...', a]}", "stands for all labels");
    wrong("route: {routes: [{matchers: ['a']}]}", "expected =");
    wrong("route: {routes: [{mute_time_intervals: [x]}]}", "no time interval called \"x\"");
    wrong("route: {escalate: [{after: 1h, receiver: a}, {after: 1m, receiver: b}]}", "before the one above it");
    wrong("route: {escalate: [{after: 1h}]}", "\"receiver\" is required");
    wrong("route: {groupwait: 1s}", "did you mean \"group_wait\"?");
    wrong("receivers: [{name: a}, {name: a}]", "two receivers called \"a\"");
    wrong("receivers: [{name: a, rate_limit: {messages: 0}}]", "0 messages");
    wrong("inhibit_rules: [{source_matchers: ['a=b']}]", "without target_matchers");
    wrong("max_alerts: 0", "max_alerts is 0");
    let interval = |inner: &str| format!("time_intervals: [{{name: x, time_intervals: [{{{inner}}}]}}]");
    wrong(&interval("location: Europe/Atlantis"), "no time zone called");
    wrong(&interval("times: [{start_time: '22:00', end_time: '06:00'}]"), "ends before it starts");
    wrong(&interval("times: [{start_time: '9:00', end_time: '10:00'}]"), "not a time of day");
    wrong(&interval("weekdays: [caturday]"), "not understood");
    wrong(&interval("months: ['june:may']"), "ends before it starts");
    wrong(&interval("days_of_month: ['-1:5']"), "ends before it starts");
}
