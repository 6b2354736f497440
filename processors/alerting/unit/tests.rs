#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

/// promtool's own examples of the notation.
#[test]
fn series_as_promtool_writes_them() {
    let values = |text: &str| {
        series::values(text)
            .map(|all| all.iter().map(|v| v.map_or("_".to_owned(), |v| v.to_string())).collect::<Vec<_>>().join(" "))
    };
    for (text, expect) in [
        ("-2+4x3", "-2 2 6 10"),
        ("1-2x4", "1 -1 -3 -5 -7"),
        ("1x4", "1 1 1 1 1"),
        ("1 _x3 stale", "1 _ _ _ _"),
        ("0 0 1.5e2 _", "0 0 150 _"),
    ] {
        assert_eq!(values(text).unwrap(), expect, "{text}");
    }
    for text in ["a", "1+x", "1x", "1+2x99999999", "{{schema:0}}"] {
        assert!(values(text).is_err(), "{text}");
    }
    let (name, labels) = series::name(r#"up{job="a", instance="b:1"}"#).unwrap();
    assert_eq!((name.as_str(), labels), ("up", Labels::new([("job", "a"), ("instance", "b:1")])));
}

const RULES: &str = r#"
groups:
- name: example
  rules:
  - alert: InstanceDown
    expr: SELECT job, instance, last_value(value ORDER BY ts) AS value FROM up WHERE $range GROUP BY 1, 2 HAVING last_value(value ORDER BY ts) = 0
    for: 5m
    window: 1m
    labels: { severity: page }
    annotations:
      summary: 'Instance {{ $labels.instance }} down'
      description: '{{ $labels.instance }} of job {{ $labels.job }} has been down for more than 5 minutes.'
  - record: job:up:sum
    window: 1m
    expr: SELECT job, sum(value) AS value FROM up WHERE $range GROUP BY job
"#;

/// The example of Prometheus' documentation of unit tests, its expressions as SQL.
const TESTS: &str = r#"
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - { series: 'up{job="prometheus", instance="localhost:9090"}', values: '0 0 0 0 0 0 0 0 0 0 0 0 0 0 0' }
  - { series: 'up{job="node_exporter", instance="localhost:9100"}', values: '1+0x6 0 0 0 0 0 0 0 0' }
  alert_rule_test:
  - { eval_time: 4m, alertname: InstanceDown }
  - eval_time: 10m
    alertname: InstanceDown
    exp_alerts:
    - exp_labels: { severity: page, instance: 'localhost:9090', job: prometheus }
      exp_annotations:
        summary: 'Instance localhost:9090 down'
        description: 'localhost:9090 of job prometheus has been down for more than 5 minutes.'
  sql_expr_test:
  - expr: SELECT job, last_value(value ORDER BY ts) AS value FROM up WHERE $range GROUP BY job
    eval_time: 4m
    exp_samples:
    - { labels: '{job="prometheus"}', value: 0 }
    - { labels: '{job="node_exporter"}', value: 1 }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_prometheus_documentation_passes_and_others_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let rules = write("rules.yaml", RULES);
    let checked = check(&rules);
    assert_eq!((checked.rules, checked.mistakes), (2, Vec::new()));
    assert_eq!(test(&write("tests.yaml", TESTS)).await.unwrap(), Vec::<String>::new());
    let failures = test(&write(
        "wrong.yaml",
        &TESTS.replace("severity: page", "severity: other").replace("value: 1 }", "value: 2 }"),
    ))
    .await
    .unwrap();
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(
        failures.iter().any(|failure| failure.starts_with("test 1: alertname: InstanceDown, time: 10m")),
        "{failures:?}"
    );
    let wrong = check(&write("wrong_rules.yaml", "groups: [{ name: a, rules: [{ alert: A, exprr: SELECT 1 }] }]"));
    assert!(wrong.mistakes.join("\n").contains("did you mean \"expr\""), "{:?}", wrong.mistakes);
}
