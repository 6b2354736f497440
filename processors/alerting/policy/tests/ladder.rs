//! Escalation and acknowledgement.

use super::Bench;

const LADDER: &str = "
route:
  group_wait: 0s
  repeat_interval: 1h
  escalate: [{after: 15m, receiver: second}, {after: 1h, receiver: boss}]
";

#[test]
fn who_does_not_acknowledge_is_escalated_past() {
    let mut bench = Bench::new(LADDER);
    bench.fire(0, r#"alertname="A""#);
    bench.run(899);
    assert_eq!(bench.said(), ["0s default firing A"]);
    bench.run(3_599);
    assert_eq!(bench.said(), ["900s second firing A (step 1)"]);
    bench.run(3_600);
    assert_eq!(bench.said(), ["3600s boss firing A (step 2)", "3600s default firing A"]);
    bench.restart();
    bench.resolve(3_700, r#"alertname="A""#);
    bench.run(9_999);
    assert_eq!(
        bench.said(),
        ["3900s boss resolved A (step 2)", "3900s default resolved A", "3900s second resolved A (step 1)"]
    );
    // Another incident begins at the foot.
    bench.fire(10_000, r#"alertname="A""#);
    bench.run(10_900);
    assert_eq!(bench.said(), ["10000s default firing A", "10900s second firing A (step 1)"]);
}

#[test]
fn what_is_acknowledged_is_neither_repeated_nor_escalated() {
    let mut bench = Bench::new(LADDER);
    bench.fire(0, r#"alertname="A""#);
    bench.run(1_000);
    assert_eq!(bench.said(), ["0s default firing A", "900s second firing A (step 1)"]);
    assert_eq!(bench.acknowledge(1_000, r#"alertname="A""#, "ann"), 1);
    assert_eq!(bench.acknowledge(1_001, r#"alertname="A""#, "bob"), 0);
    assert_eq!(
        bench.said(),
        ["1000s default firing A (taken on by ann)", "1000s second firing A (step 1) (taken on by ann)"]
    );
    bench.restart();
    bench.run(20_000);
    assert_eq!(bench.said(), Vec::<String>::new());
    // One more, and nobody has that.
    bench.fire(20_000, r#"alertname="B""#);
    bench.run(20_399);
    let said = bench.said();
    assert!(said.contains(&"20100s default firing A B".to_owned()), "{said:?}");
    bench.resolve(20_400, r#"alertname="A""#);
    bench.resolve(20_400, r#"alertname="B""#);
    bench.run(30_000);
    assert!(bench.said().contains(&"20700s default resolved A B".to_owned()));
    // What fires again is not taken on.
    bench.fire(30_000, r#"alertname="A""#);
    bench.run(33_700);
    assert_eq!(bench.said().len(), 4, "told, escalated twice, repeated");
}

#[test]
fn silenced_alerts_do_not_escalate() {
    let mut bench = Bench::new(LADDER);
    bench.fire(0, r#"alertname="A""#);
    bench.silence(10, "s", r#"alertname="A""#, 10, 2_000);
    bench.run(2_000);
    assert_eq!(bench.said(), ["0s default firing A"]);
    bench.run(2_100);
    assert_eq!(bench.said(), ["2100s second firing A (step 1)"]);
}
