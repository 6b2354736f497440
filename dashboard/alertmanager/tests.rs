#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Against a stand-in for the connector, which does at once what it is told. Real peers are in `tests/alerting` of the binary.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use catchment_pipeline::alerts::{
    Alert, AlertView, Alerting, GroupView, Input, Labels, Matcher, RuleGroupView, RuleView, View, time,
};
use catchment_pipeline::component::Refused;
use serde_json::{Value, json};

use super::now;
use crate::tests::{Running, json_of, settings, snapshot, start};

#[derive(Default)]
pub struct StandIn(Mutex<View>, pub Mutex<Vec<Input>>);

#[async_trait]
impl Alerting for StandIn {
    async fn submit(&self, inputs: Vec<Input>) -> Result<(), Refused> {
        let mut view = self.0.lock().unwrap();
        for input in &inputs {
            match input {
                Input::Silence(silence) => {
                    view.silences.retain(|other| other.id != silence.id);
                    view.silences.push(silence.clone());
                }
                Input::Expire { silence } => {
                    view.silences
                        .iter_mut()
                        .filter(|other| other.id == *silence)
                        .for_each(|other| other.ends_at = now());
                }
                Input::Acknowledge { matchers, by, .. } => {
                    let held = view.alerts.iter_mut().filter(|view| Matcher::all(matchers, &view.alert.labels));
                    held.for_each(|view| view.acknowledged_by = Some(by.clone()));
                }
                Input::Alerts(alerts) if alerts.iter().any(|alert| alert.name() == "Busy") => {
                    let reason = "the log is full".to_owned();
                    return Err(Refused::Busy { retry_after: std::time::Duration::from_secs(3), reason });
                }
                _ => {}
            }
        }
        self.1.lock().unwrap().extend(inputs);
        Ok(())
    }

    fn view(&self) -> Arc<View> {
        Arc::new(self.0.lock().unwrap().clone())
    }
}

pub const AT: i64 = 1_772_409_600_000_000_000;

fn alert(name: &str, severity: &str) -> AlertView {
    let alert =
        Alert { labels: Labels::new([("alertname", name), ("severity", severity)]), starts_at: AT, ..Alert::default() };
    AlertView { alert, updated_at: AT, receivers: vec!["ops".to_owned()], ..AlertView::default() }
}

impl StandIn {
    /// Four alerts: active, silenced, inhibited, pending; and a rule.
    pub fn new() -> Arc<StandIn> {
        let mut alerts = ["A", "B", "C", "D"].map(|name| alert(name, "page")).to_vec();
        alerts[1].silenced_by = vec!["s".to_owned()];
        alerts[2].inhibited_by = vec!["0123456789abcdef".to_owned()];
        alerts[2].receivers = vec!["team".to_owned()];
        alerts[3].pending = true;
        (alerts[3].group, alerts[3].rule, alerts[3].value) = ("g".to_owned(), "D".to_owned(), Some(0.93));
        let rule = |name: &str, recording| RuleView {
            name: name.to_owned(),
            expr: "SELECT 1".to_owned(),
            hold: 300_000_000_000,
            health: "ok",
            state: "pending",
            recording,
            ..RuleView::default()
        };
        let rules = RuleGroupView {
            name: "g".to_owned(),
            interval: 15_000_000_000,
            rules: vec![rule("D", false), rule("r", true)],
            ..RuleGroupView::default()
        };
        let groups = vec![
            GroupView { labels: Labels::default(), receiver: "ops".to_owned(), alerts: vec![0, 1] },
            GroupView { labels: Labels::default(), receiver: "team".to_owned(), alerts: vec![2] },
        ];
        let receivers = vec!["ops".to_owned(), "team".to_owned()];
        let view = View {
            at: AT,
            alerts,
            groups,
            receivers,
            rules: vec![rules],
            config: "route: {}\n".to_owned(),
            ..View::default()
        };
        Arc::new(StandIn(Mutex::new(view), Mutex::default()))
    }
}

pub async fn server() -> (Running, Arc<StandIn>) {
    let stand_in = StandIn::new();
    let server = start(settings(), None, snapshot()).await;
    server.desk.open("alerting", stand_in.clone());
    (server, stand_in)
}

impl Running {
    async fn fetch(&self, path: &str) -> (u16, Value) {
        let response = self.get(path).send().await.unwrap();
        (response.status().as_u16(), json_of(response).await)
    }

    async fn say(&self, path: &str, body: &Value) -> (u16, String) {
        let response = self.client.post(format!("{}{path}", self.url)).json(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

async fn names(server: &Running, parameters: &str) -> String {
    let (status, alerts) = server.fetch(&format!("/api/v2/alerts{parameters}")).await;
    assert_eq!(status, 200, "{alerts}");
    let mut names: Vec<_> = alerts
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names.concat()
}

#[tokio::test]
async fn alerts_are_filtered_as_alertmanager_does() {
    let (server, _) = server().await;
    for (parameters, expect) in [
        ("", "ABC"),
        ("?active=false", "BC"),
        ("?silenced=false", "AC"),
        ("?inhibited=false&silenced=false", "A"),
        ("?unprocessed=false", "ABC"),
        ("?filter=alertname%3DA", "A"),
        ("?filter=severity%3D%22page%22&filter=alertname%3D~%22A%7CB%22", "AB"),
        ("?receiver=te.m", "C"),
        ("?receiver=te", ""),
        ("?no_such=1", "ABC"),
    ] {
        assert_eq!(names(&server, parameters).await, expect, "{parameters}");
    }
    for wrong in ["?active=perhaps", "?filter=x", "?receiver=("] {
        let (status, body) = server.fetch(&format!("/api/v2/alerts{wrong}")).await;
        assert!(status == 400 && body.is_string(), "{wrong}: {status} {body}");
    }
    let (_, alerts) = server.fetch("/api/v2/alerts?filter=alertname%3DB").await;
    let mut expect = json!([{
        "annotations": {}, "endsAt": "2026-03-02T00:05:00Z", "fingerprint": "", "generatorURL": "",
        "labels": {"alertname": "B", "severity": "page"}, "receivers": [{"name": "ops"}], "startsAt": "2026-03-02T00:00:00Z",
        "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": ["s"], "state": "suppressed"}, "updatedAt": "2026-03-02T00:00:00Z",
    }]);
    expect[0]["fingerprint"] = alerts[0]["fingerprint"].clone();
    assert_eq!(alerts, expect);
    let (_, groups) = server.fetch("/api/v2/alerts/groups?muted=false").await;
    assert_eq!(groups.as_array().unwrap().len(), 1, "{groups}");
    assert_eq!((&groups[0]["receiver"]["name"], groups[0]["alerts"].as_array().unwrap().len()), (&json!("ops"), 2));
}

#[tokio::test]
async fn valid_alerts_are_taken_and_the_others_said() {
    let (server, stand_in) = server().await;
    let good = json!({"labels": {"alertname": "X", "empty": ""}, "annotations": null, "startsAt": "2026-03-02T00:00:00Z", "generatorURL": "http://x"});
    assert_eq!(server.say("/api/v2/alerts", &json!([good])).await, (200, String::new()));
    let expect = Alert {
        labels: Labels::new([("alertname", "X")]),
        starts_at: AT,
        generator_url: "http://x".to_owned(),
        ..Alert::default()
    };
    assert_eq!(stand_in.1.lock().unwrap()[0], Input::Alerts(vec![expect.clone()]));
    let late = json!({"labels": {"a": "b"}, "startsAt": "2026-03-02T00:00:00Z", "endsAt": "2026-03-01T00:00:00Z"});
    let (status, what) = server
        .say("/api/v2/alerts", &json!([{"labels": {}}, good, late, {"labels": {"a": "b"}, "startsAt": "noon"}]))
        .await;
    assert_eq!(status, 400);
    for part in ["at least one label", "before end time", "noon"] {
        assert!(what.contains(part), "{what}");
    }
    assert_eq!(stand_in.1.lock().unwrap()[1], Input::Alerts(vec![expect]));
    let busy = server
        .client
        .post(format!("{}/api/v2/alerts", server.url))
        .json(&json!([{"labels": {"alertname": "Busy"}}]))
        .send()
        .await
        .unwrap();
    assert_eq!((busy.status().as_u16(), busy.headers()["retry-after"].to_str().unwrap()), (503, "3"));
    let (status, _) = server.say("/api/v2/alerts", &json!({"labels": {}})).await;
    assert_eq!(status, 400);
    let huge = json!([{"labels": {"a": "b".repeat(5 << 20)}}]);
    assert_eq!(server.say("/api/v2/alerts", &huge).await.0, 413);
    let long = json!([{"labels": {"a": "b".repeat(70_000)}}]);
    assert_eq!(server.say("/api/v2/alerts", &long).await.0, 400);
    let form = server.client.post(format!("{}/api/v2/alerts", server.url)).body("[]").send().await.unwrap();
    assert_eq!(form.status(), 415);
    let foreign = server
        .client
        .post(format!("{}/api/v2/alerts", server.url))
        .header("origin", "http://evil.example")
        .json(&json!([]));
    assert_eq!(foreign.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn silences_live_and_end() {
    let (server, _) = server().await;
    let at = |seconds: i64| time::format(now() + seconds * 1_000_000_000);
    let body = |id: &str, value: &str, from: &str, to: i64| json!({"id": id, "matchers": [{"name": "alertname", "value": value, "isRegex": false}], "startsAt": from, "endsAt": at(to), "createdBy": "ann", "comment": "c"});
    let put = async |body: &Value| {
        let (status, text) = server.say("/api/v2/silences", body).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["silenceID"].as_str().unwrap().to_owned()
    };
    let id = put(&body("", "A", &at(0), 3_600)).await;
    let (status, silence) = server.fetch(&format!("/api/v2/silence/{id}")).await;
    assert_eq!(
        (status, &silence["status"]["state"], &silence["matchers"][0]["isEqual"]),
        (200, &json!("active"), &json!(true))
    );
    // A later end keeps the id; another matcher is another silence, and the old one ends.
    let from = silence["startsAt"].as_str().unwrap();
    assert_eq!(put(&body(&id, "A", from, 7_200)).await, id);
    let other = put(&body(&id, "B", from, 7_200)).await;
    assert_ne!(other, id);
    let (_, all) = server.fetch("/api/v2/silences").await;
    let states: Vec<_> =
        all.as_array().unwrap().iter().map(|silence| silence["status"]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["active", "expired"]);
    let (_, active) = server.fetch("/api/v2/silences?expired=false&filter=alertname%3DB").await;
    assert_eq!(active.as_array().unwrap().len(), 1);
    let (_, none) = server.fetch("/api/v2/silences?filter=alertname%3DC").await;
    assert_eq!(none, json!([]));

    let delete = async |id: &str| {
        server.client.delete(format!("{}/api/v2/silence/{id}", server.url)).send().await.unwrap().status().as_u16()
    };
    assert_eq!((delete(&other).await, delete(&other).await, delete("none").await), (200, 500, 404));
    assert_eq!(server.fetch("/api/v2/silence/none").await, (404, json!("silence not found")));
    for (wrong, says) in [
        (body("none", "A", &at(0), 10), "not found"),
        (body("", "A", &at(20), 10), "start time must be before"),
        (body("", "A", &at(-20), -10), "in the past"),
        (body("", "", &at(0), 10), "must not match the empty string"),
        (json!({"matchers": []}), "not understood"),
    ] {
        let (status, text) = server.say("/api/v2/silences", &wrong).await;
        assert!((status == 400 || status == 404) && text.contains(says), "{wrong}: {status} {text}");
    }
}

#[tokio::test]
async fn somebody_cares() {
    let (server, stand_in) = server().await;
    let body = |value: &str, by: &str| json!({"matchers": [{"name": "alertname", "value": value, "isRegex": true}], "by": by, "comment": "on it"});
    let (status, text) = server.say("/api/v1/alerts/acknowledge", &body("A|D", "ann")).await;
    assert_eq!(status, 200);
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap()["acknowledged"].as_array().unwrap().len(),
        1,
        "D is pending"
    );
    assert!(matches!(&stand_in.1.lock().unwrap()[0], Input::Acknowledge { by, .. } if by == "ann"));
    assert_eq!(server.say("/api/v1/alerts/acknowledge", &body("A", " ")).await.0, 400);
    assert_eq!(server.say("/api/v1/alerts/acknowledge", &body(".*", "ann")).await.0, 400);
}

#[tokio::test]
async fn rules_are_prometheus() {
    let (server, _) = server().await;
    let (_, rules) = server.fetch("/api/v1/rules?type=alert").await;
    let rule = &rules["data"]["groups"][0]["rules"][0];
    assert_eq!(
        (&rules["status"], &rule["type"], &rule["duration"], &rule["state"]),
        (&json!("success"), &json!("alerting"), &json!(300.0), &json!("pending"))
    );
    assert_eq!(rule["alerts"][0]["value"], "9.3e-1");
    let (_, rules) = server.fetch("/api/v1/rules?rule_name[]=r").await;
    assert_eq!(rules["data"]["groups"][0]["rules"].as_array().unwrap().len(), 1);
    let (_, alerts) = server.fetch("/api/v1/alerts").await;
    assert_eq!(alerts["data"]["alerts"][0]["state"], "pending");
    let (_, status) = server.fetch("/api/v2/status").await;
    assert_eq!(
        (&status["config"]["original"], &status["cluster"]["status"]),
        (&json!("route: {}\n"), &json!("disabled"))
    );
    assert_eq!(
        server.fetch("/api/v2/receivers").await.1,
        json!([{"name": "ops", "labels": {"name": "ops"}}, {"name": "team", "labels": {"name": "team"}}])
    );
}

#[tokio::test]
async fn without_a_connector_it_says_so() {
    let server = start(settings(), None, snapshot()).await;
    for path in ["/api/v2/alerts", "/api/v2/silences", "/api/v2/status", "/api/v1/rules"] {
        let (status, body) = server.fetch(path).await;
        assert!(status == 404 && body.as_str().unwrap().contains("no `alerting` connector"), "{path}: {body}");
    }
    assert_eq!(server.get("/-/healthy").send().await.unwrap().status(), 200);
    assert_eq!(server.get("/-/ready").send().await.unwrap().status(), 200);
}
