//! A real Prometheus whose Alertmanager we are.

use crate::harness::sink::Sink;
use crate::peer::{Peer, free_port, until_ready};
use crate::{catchment, notifications, peers};

#[tokio::test]
async fn prometheus_fires_and_we_route() {
    let Some(program) = peers::prometheus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut sink = Sink::start().await;
    let settings = "{ route: { group_by: [alertname], group_wait: 0s, routes: [{ matchers: ['severity=\"page\"'], receiver: oncall }] }, receivers: [{ name: oncall }] }";
    let catchment = catchment(&folder.path().join("lake"), &sink, settings);

    let rules = "
groups:
- name: g
  interval: 1s
  rules:
  - alert: Always
    expr: vector(7)
    labels: { severity: page }
    annotations: { summary: 'it is {{ $value }}' }
";
    std::fs::write(folder.path().join("rules.yml"), rules).unwrap();
    let config = format!(
        "
global: {{ external_labels: {{ cluster: test }} }}
rule_files: [rules.yml]
alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['{}'] }}] }}] }}
",
        catchment.address("dashboard")
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let (port, log) = (free_port(), folder.path().join("prometheus.log"));
    let args = [
        format!("--config.file={}", folder.path().join("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", folder.path().join("tsdb").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let prometheus = Peer::start(&program, &args, &log);
    until_ready(&format!("http://127.0.0.1:{port}/-/ready"), &log).await;

    let told = notifications(&mut sink).await;
    assert_eq!(told.len(), 1);
    let alert = &told[0]["alerts"][0];
    assert_eq!(told[0]["receiver"], "oncall");
    assert_eq!(alert["labels"], serde_json::json!({"alertname": "Always", "cluster": "test", "severity": "page"}));
    assert_eq!(alert["annotations"]["summary"], "it is 7");
    // Both give an alert the same fingerprint, and the same beginning.
    let listed = catchment.get("/api/v2/alerts").await;
    assert_eq!(listed[0]["fingerprint"], alert["fingerprint"]);
    let theirs: serde_json::Value = crate::harness::client()
        .get(format!("http://127.0.0.1:{port}/api/v1/alerts"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let since = |text: &serde_json::Value| text.as_str().unwrap()[..19].to_owned();
    assert_eq!(since(&theirs["data"]["alerts"][0]["activeAt"]), since(&listed[0]["startsAt"]));
    drop(prometheus);
}
