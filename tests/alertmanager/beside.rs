//! The same alerts and silences to us and to a real Alertmanager with the same settings: each step must have them tell the same. Times are short and real, and
//! each step waits for what it brings about, not for a time.

use std::path::Path;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::harness::sink::Sink;
use crate::harness::{Catchment, PATIENCE, client};
use crate::peer::{Peer, free_port, until_ready};
use crate::{Told, catchment, notifications, peers, told};

const POLICY: &str = r#"
route:
  receiver: ops
  group_by: [alertname]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
  routes:
    - matchers: ['severity="page"', 'team=~"a|b"']
      receiver: oncall
      group_by: ['...']
      continue: true
    - matchers: ['team!=""']
      receiver: team
inhibit_rules:
  - source_matchers: ['severity="page"']
    target_matchers: ['severity="warn"']
    equal: [host]
"#;

/// Where a webhook of the real one goes.
async fn webhook() -> (String, mpsc::UnboundedReceiver<Value>) {
    let (sender, taken) = mpsc::unbounded_channel();
    let take = async |State(sender): State<mpsc::UnboundedSender<Value>>, Json(body): Json<Value>| {
        let _ = sender.send(body);
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().route("/", post(take)).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, taken)
}

struct Both {
    ours: Catchment,
    sink: Sink,
    theirs: String,
    taken: mpsc::UnboundedReceiver<Value>,
    _peer: Peer,
}

impl Both {
    async fn start(program: &Path, folder: &Path) -> Both {
        let sink = Sink::start().await;
        let indented = POLICY.replace('\n', "\n    ");
        let receivers = "receivers: [{ name: ops }, { name: oncall }, { name: team }]";
        let ours = catchment(&folder.join("lake"), &sink, &format!("{indented}{receivers}"));

        let (url, taken) = webhook().await;
        let receiver = |name: &str| format!("- {{ name: {name}, webhook_configs: [{{ url: '{url}' }}] }}\n");
        let config = format!("{POLICY}\nreceivers:\n{}{}{}", receiver("ops"), receiver("oncall"), receiver("team"));
        std::fs::write(folder.join("alertmanager.yml"), config).unwrap();
        let (port, log) = (free_port(), folder.join("alertmanager.log"));
        let args = [
            format!("--config.file={}", folder.join("alertmanager.yml").display()),
            format!("--storage.path={}", folder.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ];
        let peer = Peer::start(program, &args, &log);
        let theirs = format!("http://127.0.0.1:{port}");
        until_ready(&format!("{theirs}/-/ready"), &log).await;
        Both { ours, sink, theirs, taken, _peer: peer }
    }

    async fn post(&self, path: &str, body: &Value) -> [Value; 2] {
        let mut answers = [Value::Null, Value::Null];
        for (url, answer) in [self.ours.url("dashboard"), self.theirs.clone()].into_iter().zip(&mut answers) {
            let response = client().post(format!("{url}{path}")).json(body).send().await.unwrap();
            let status = response.status();
            let text = response.text().await.unwrap();
            assert!(status.is_success(), "{url}{path}: {status} {text}");
            *answer = serde_json::from_str(&text).unwrap_or_default();
        }
        answers
    }

    /// The next `count` messages of each, in whatever order groups come.
    async fn expect(&mut self, step: &str, count: usize) {
        let (mut ours, mut theirs) = (Vec::<Told>::new(), Vec::<Told>::new());
        while ours.len() < count {
            ours.extend(notifications(&mut self.sink).await.iter().map(told));
        }
        while theirs.len() < count {
            let next = tokio::time::timeout(PATIENCE, self.taken.recv()).await;
            theirs.push(told(
                &next.unwrap_or_else(|_| panic!("{step}: the real one said {theirs:?}, we {ours:?}")).unwrap(),
            ));
        }
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{step}");
    }

    /// What both list of alerts, but for times.
    async fn listed(&self, path: &str) {
        let mut answers = Vec::new();
        for url in [self.ours.url("dashboard"), self.theirs.clone()] {
            let mut answer: Value = client().get(format!("{url}{path}")).send().await.unwrap().json().await.unwrap();
            strip(&mut answer);
            answers.push(answer);
        }
        assert_eq!(answers[0], answers[1], "{path}");
    }
}

/// Times, ids and orders are each one's own; Go leaves out what is empty.
fn strip(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(strip);
            items.sort_by_key(Value::to_string);
        }
        Value::Object(entries) => {
            for own in ["updatedAt", "startsAt", "endsAt", "id", "silencedBy"] {
                entries.remove(own);
            }
            entries.values_mut().for_each(strip);
            entries.retain(|_, value| *value != json!("") && *value != json!({}));
        }
        _ => {}
    }
}

fn alert(name: &str, more: &[(&str, &str)], over: bool) -> Value {
    let mut labels = json!({"alertname": name});
    more.iter().for_each(|(name, value)| labels[*name] = json!(value));
    let mut alert = json!({"labels": labels, "annotations": {"summary": name}});
    if over {
        alert["endsAt"] = json!("2026-01-01T00:00:00Z");
        alert["startsAt"] = json!("2026-01-01T00:00:00Z");
    }
    alert
}

#[tokio::test]
async fn we_tell_what_a_real_alertmanager_tells() {
    let Some((program, _)) = peers::alertmanager() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut both = Both::start(&program, folder.path()).await;
    let page = |host| [("severity", "page"), ("team", "a"), ("host", host)];
    let warn = |host| [("severity", "warn"), ("host", host)];

    both.post(
        "/api/v2/alerts",
        &json!([alert("Disk", &page("x"), false), alert("Disk", &page("y"), false), alert("Disk", &warn("z"), false),]),
    )
    .await;
    both.expect("two by themselves, both to their team together, one to the rest", 4).await;

    both.post("/api/v2/alerts", &json!([alert("Disk", &warn("u"), false)])).await;
    both.expect("one more of a group that was told", 1).await;
    both.listed("/api/v2/alerts").await;
    both.listed("/api/v2/alerts/groups").await;
    both.listed("/api/v2/receivers").await;

    // `x` pages: its warning is inhibited, that of `v` is not.
    both.post("/api/v2/alerts", &json!([alert("Cpu", &warn("x"), false), alert("Cpu", &warn("v"), false)])).await;
    both.expect("without the inhibited one", 1).await;
    both.listed("/api/v2/alerts?inhibited=false").await;
    both.listed("/api/v2/alerts?active=false").await;

    both.post("/api/v2/alerts", &json!([alert("Disk", &page("x"), true)])).await;
    both.expect("resolved, and what it inhibited is told", 3).await;

    let from = now();
    let silence = json!({
        "matchers": [{"name": "host", "value": "u|v", "isRegex": true}], "startsAt": from, "endsAt": "2126-01-01T00:00:00Z",
        "createdBy": "ann", "comment": "known",
    });
    both.post("/api/v2/silences", &silence).await;
    both.listed("/api/v2/silences").await;
    both.listed("/api/v2/alerts?silenced=false").await;
    both.post("/api/v2/alerts", &json!([alert("Disk", &warn("z"), true), alert("Disk", &warn("w"), false)])).await;
    both.expect("what is silenced is left out", 1).await;
    both.post("/api/v2/alerts", &json!([alert("Disk", &warn("w"), true)])).await;
    both.expect("all that may be told of is over", 1).await;
}

fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    catchment_pipeline::alerts::time::format(i64::try_from(now.as_nanos()).unwrap())
}
