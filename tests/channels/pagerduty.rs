//! After <https://developer.pagerduty.com/docs/send-alert-event> (Events API v2).

use std::time::Duration;

use crate::http::{Seen, Server, keys, text, time, url};
use crate::{channel, given, permanent, plan_or_mistakes, tell, transient};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn judge(seen: &Seen) -> Result<(), String> {
    let event = &seen.json;
    if seen.bytes.len() > 512_000 {
        return Err(format!("{} bytes", seen.bytes.len()));
    }
    keys(
        event,
        &["routing_key!", "event_action!", "dedup_key!", "payload", "client", "client_url", "links", "images"],
    )?;
    if event["routing_key"].as_str().map(str::len) != Some(32) {
        return Err("routing_key".to_owned());
    }
    text(event, "dedup_key", 255)?;
    text(event, "client", 255)?;
    url(event, "client_url")?;
    match event["event_action"].as_str() {
        Some("trigger") if event["payload"].is_null() => return Err("payload is missing".to_owned()),
        Some("trigger" | "acknowledge" | "resolve") => {}
        other => return Err(format!("event_action {other:?}")),
    }
    let payload = &event["payload"];
    keys(payload, &["summary!", "source!", "severity!", "timestamp", "component", "group", "class", "custom_details"])?;
    text(payload, "summary", 1_024)?;
    for key in ["source", "component", "group", "class"] {
        text(payload, key, 255)?;
    }
    time(payload, "timestamp")?;
    if !["critical", "error", "warning", "info"].contains(&payload["severity"].as_str().unwrap_or_default()) {
        return Err("severity".to_owned());
    }
    if !payload["custom_details"].is_object() {
        return Err("custom_details".to_owned());
    }
    for link in event["links"].as_array().into_iter().flatten() {
        keys(link, &["href!", "text"])?;
        url(link, "href")?;
    }
    Ok(())
}

async fn pagerduty(server: &Server) -> std::sync::Arc<dyn catchment_pipeline::component::Exporter> {
    let url = server.url("/v2/enqueue");
    channel("pagerduty", &format!("{{ routing_key: {KEY}, url: '{url}', allow_private: true }}")).await
}

const TAKEN: &str = r#"{"status":"success","message":"Event processed","dedup_key":"x"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_triggered_acknowledged_and_resolved() {
    let server = Server::start(judge, 202, TAKEN).await;
    let pagerduty = pagerduty(&server).await;
    tell(&pagerduty, &given::notification("n1")).await.unwrap();
    let mut acknowledged = given::notification("n2");
    acknowledged.acknowledged_by = Some("eve".to_owned());
    tell(&pagerduty, &acknowledged).await.unwrap();
    tell(&pagerduty, &given::resolved("n3")).await.unwrap();
    let mut other = given::notification("n4");
    other.group_key = "another".to_owned();
    tell(&pagerduty, &other).await.unwrap();
    server.satisfied();
    let events = server.bodies();
    let actions: Vec<_> = events.iter().map(|event| event["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "acknowledge", "resolve", "trigger"]);
    assert_eq!(events[0]["dedup_key"], events[2]["dedup_key"]);
    assert_ne!(events[0]["dedup_key"], events[3]["dedup_key"]);
    assert_eq!(events[0]["payload"]["severity"], "critical");
    assert_eq!(events[0]["payload"]["summary"], "[FIRING:2] DiskFull (critical)");
    assert_eq!(events[0]["links"][0]["href"], "https://runbooks.example/disk?a=1&b=2");
    assert_eq!(events[0]["payload"]["custom_details"]["num_firing"], 2);
}

#[test]
fn whatever_labels_hold_pagerduty_takes_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start(judge, 202, TAKEN));
    let pagerduty = runtime.block_on(pagerduty(&server));
    given::many(200, |notification| {
        let told = runtime.block_on(tell(&pagerduty, &notification));
        server.satisfied();
        told.unwrap();
    });
    // Far more than an event may have.
    let mut huge = given::notification("huge");
    let mut alert = huge.alerts[0].clone();
    for n in 0..60 {
        alert.labels.set(format!("l{n}"), "é\"\n".repeat(1_000));
    }
    huge.common_labels = alert.labels.clone();
    huge.alerts = vec![alert; 60];
    runtime.block_on(tell(&pagerduty, &huge)).unwrap();
    server.satisfied();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pagerduty_says() {
    let server = Server::start(judge, 202, TAKEN).await;
    let pagerduty = pagerduty(&server).await;
    server.says(400, &[], &format!(r#"{{"status":"invalid event","errors":["'routing_key' {KEY} is invalid"]}}"#));
    let reason = permanent(tell(&pagerduty, &given::notification("n")).await);
    assert!(reason.contains("invalid event") && !reason.contains(KEY), "{reason}");
    for status in [429, 500, 502, 503, 504] {
        server.says(status, &[], "");
        transient(tell(&pagerduty, &given::notification("n")).await);
    }
    server.says(429, &[("retry-after", "12")], "");
    assert_eq!(transient(tell(&pagerduty, &given::notification("n")).await).0, Some(Duration::from_secs(12)));
}

#[test]
fn settings() {
    for (yaml, expect) in [
        ("{}", "\"routing_key\" is required"),
        ("{ routing_key: a, severity: page }", "severity"),
        ("{ service_key: a }", "Events API v1"),
        ("{ routing_key: a, descriptio: x }", "did you mean \"description\"?"),
    ] {
        let (_, mistakes) = plan_or_mistakes("pagerduty", yaml);
        assert!(mistakes.iter().any(|mistake| mistake.contains(expect)), "{yaml}: {mistakes:#?}");
    }
}
