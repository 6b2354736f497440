//! After Alertmanager's OpenAPI document (`postableAlerts`).

use catchment_pipeline::alerts::{Alert, AlertEvent, Change, Event, Labels, time as instant};
use catchment_pipeline::batch::Batch;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::http::{Seen, Server, keys, time, url};
use crate::{NOW, channel, permanent, plan_or_mistakes, transient};

fn judge(seen: &Seen) -> Result<(), String> {
    if seen.path != "/am/api/v2/alerts" {
        return Err(format!("path {}", seen.path));
    }
    let alerts = seen.json.as_array().ok_or("not a list")?;
    if alerts.is_empty() || alerts.len() > 256 {
        return Err(format!("{} alerts", alerts.len()));
    }
    for alert in alerts {
        keys(alert, &["labels!", "annotations", "startsAt", "endsAt!", "generatorURL"])?;
        time(alert, "startsAt")?;
        time(alert, "endsAt")?;
        url(alert, "generatorURL")?;
        let texts = |value: &serde_json::Value| {
            value.as_object().is_some_and(|map| map.values().all(serde_json::Value::is_string))
        };
        if !texts(&alert["labels"]) || !texts(&alert["annotations"]) {
            return Err("labels".to_owned());
        }
        let at = |key: &str| instant::parse(alert[key].as_str().unwrap_or_default()).unwrap_or_default();
        if at("startsAt") > at("endsAt") {
            return Err("it ends before it starts".to_owned());
        }
    }
    Ok(())
}

fn event(host: &str, change: Change) -> Event {
    let labels = Labels::new([("alertname", "DiskFull"), ("host", host)]);
    let ends_at = if change == Change::Resolved { NOW } else { 0 };
    let alert =
        Alert { labels, starts_at: NOW - 1_000, ends_at, generator_url: "javascript:x".to_owned(), ..Alert::default() };
    Event::Alert(AlertEvent { alert, change, value: Some(1.0), group: "g".to_owned(), rule: "DiskFull".to_owned() })
}

fn batch(events: &[Event]) -> Batch {
    Event::batch(events, NOW)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_one_of_a_cluster_is_told() {
    let servers = [Server::start(judge, 200, "").await, Server::start(judge, 200, "").await];
    let urls = servers.each_ref().map(|server| server.url("/am/"));
    let yaml = format!("{{ urls: ['{}', '{}'], allow_private: true }}", urls[0], urls[1]);
    let alertmanager = channel("alertmanager", &yaml).await;
    let events = [
        event("pending", Change::Pending),
        event("a", Change::Firing),
        event("b", Change::Firing),
        event("b", Change::Acknowledged),
        event("a", Change::Resolved),
        event("c", Change::StillFiring),
    ];
    alertmanager.export(&batch(&events), 1).await.unwrap();
    let before = instant::format(NOW);
    for server in &servers {
        server.satisfied();
        let alerts = server.bodies().remove(0);
        let told: Vec<_> =
            alerts.as_array().unwrap().iter().map(|alert| alert["labels"]["host"].as_str().unwrap()).collect();
        assert_eq!(told, ["b", "a", "c"], "the newest of each, and nothing that does not fire");
        assert_eq!(alerts[1]["endsAt"].as_str(), Some(before.as_str()));
        let end = instant::parse(alerts[0]["endsAt"].as_str().unwrap()).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
        let left = (end - now) / 1_000_000_000;
        assert!((180..=240).contains(&left), "{left} s");
        assert!(alerts[0].get("generatorURL").is_none());
    }
    // Nothing for it in a batch: nothing is sent.
    alertmanager.export(&batch(&[event("x", Change::Withdrawn)]), 2).await.unwrap();
    assert_eq!(servers[0].seen.lock().unwrap().len(), 1);

    // One of them is enough; all must fail for another attempt.
    servers[0].says(503, &[], "");
    alertmanager.export(&batch(&[event("a", Change::Firing)]), 3).await.unwrap();
    servers[0].says(503, &[("retry-after", "3")], "");
    servers[1].says(400, &[], "no");
    let (wait, _) = transient(alertmanager.export(&batch(&[event("a", Change::Firing)]), 4).await);
    assert_eq!(wait, Some(std::time::Duration::from_secs(3)));
    servers.iter().for_each(|server| server.says(400, &[], "bad labels"));
    assert!(permanent(alertmanager.export(&batch(&[event("a", Change::Firing)]), 5).await).contains("bad labels"));

    let many: Vec<_> = (0..600).map(|n| event(&n.to_string(), Change::Firing)).collect();
    alertmanager.export(&batch(&many), 6).await.unwrap();
    let sizes: Vec<_> = servers[1].bodies().iter().rev().take(3).map(|body| body.as_array().unwrap().len()).collect();
    assert_eq!(sizes, [88, 256, 256]);
    servers[1].satisfied();
}

struct Real(Child, String);

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The real one; `None`: it is not installed.
fn real(folder: &std::path::Path) -> Option<Real> {
    let (program, _) = crate::peers::alertmanager()?;
    let config = folder.join("alertmanager.yml");
    std::fs::write(&config, "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n").unwrap();
    let mut child = Command::new(program)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", folder.join("data").display()))
        .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address=", "--log.format=json"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let entry: serde_json::Value = serde_json::from_str(&line).ok()?;
        (entry["msg"] == "Listening on").then(|| entry["address"].as_str().unwrap_or_default().to_owned())
    });
    // It must not be held up by what nobody reads.
    std::thread::spawn(move || lines.for_each(drop));
    Some(Real(child, address.expect("Alertmanager did not start")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_one_shows_what_fires_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let Some(real) = real(folder.path()) else { return };
    let yaml = format!("{{ url: 'http://{}', allow_private: true }}", real.1);
    let alertmanager = channel("alertmanager", &yaml).await;
    // For the test's own client; the channels bring theirs.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shown = || async {
        let url = format!("http://{}/api/v2/alerts", real.1);
        let alerts: Vec<serde_json::Value> = reqwest::get(url).await.unwrap().json().await.unwrap();
        let mut shown: Vec<_> =
            alerts.iter().map(|alert| alert["labels"]["host.name"].as_str().unwrap().to_owned()).collect();
        shown.sort();
        shown
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
    let event = |host: &str, change: Change| {
        let labels = Labels::new([("alertname", "DiskFull"), ("host.name", host)]);
        let ends_at = if change == Change::Resolved { now - 1_000_000_000 } else { 0 };
        let annotations = Labels::new([("summary", "<full> \u{1f4be}")]);
        let alert = Alert { labels, annotations, starts_at: now - 60_000_000_000, ends_at, ..Alert::default() };
        Event::Alert(AlertEvent { alert, change, value: None, group: String::new(), rule: String::new() })
    };
    alertmanager.export(&batch(&[event("ä", Change::Firing), event("b", Change::StillFiring)]), 1).await.unwrap();
    assert_eq!(shown().await, ["b", "ä"]);
    alertmanager.export(&batch(&[event("b", Change::Resolved)]), 2).await.unwrap();
    assert_eq!(shown().await, ["ä"]);
}

#[test]
fn settings() {
    for (yaml, expect) in [
        ("{}", "\"urls\" is required"),
        ("{ urls: [] }", "names no Alertmanager"),
        ("{ urls: ['http://localhost:9093'] }", "allow_private: true"),
        ("{ url: 'https://a', resolve_after: 10s }", "in between"),
    ] {
        let (_, mistakes) = plan_or_mistakes("alertmanager", yaml);
        assert!(mistakes.iter().any(|mistake| mistake.contains(expect)), "{yaml}: {mistakes:#?}");
    }
}
