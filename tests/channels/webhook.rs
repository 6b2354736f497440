//! The body after <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>, the signature after
//! <https://www.standardwebhooks.com>.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::http::{Seen, Server, keys, time};
use crate::{channel, given, permanent, plan_or_mistakes, tell, transient};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Alertmanager's keys, and ours beside.
fn judge(seen: &Seen) -> Result<(), String> {
    let body = &seen.json;
    let known = [
        "version!",
        "groupKey!",
        "truncatedAlerts!",
        "status!",
        "receiver!",
        "groupLabels!",
        "commonLabels!",
        "commonAnnotations!",
        "externalURL!",
        "alerts!",
        "id!",
        "at",
        "channels",
        "escalation",
        "acknowledgedBy",
        "digestOf",
    ];
    keys(body, &known)?;
    if body["version"] != "4" || !body["truncatedAlerts"].is_u64() {
        return Err("version or truncatedAlerts".to_owned());
    }
    let states = ["firing", "resolved"];
    let state = |value: &serde_json::Value| states.contains(&value["status"].as_str().unwrap_or_default());
    if !state(body) {
        return Err("status".to_owned());
    }
    for alert in body["alerts"].as_array().ok_or("alerts")? {
        keys(alert, &["status!", "labels!", "annotations!", "startsAt!", "endsAt!", "generatorURL!", "fingerprint!"])?;
        time(alert, "startsAt")?;
        time(alert, "endsAt")?;
        let texts = |value: &serde_json::Value| {
            value.as_object().is_some_and(|map| map.values().all(serde_json::Value::is_string))
        };
        if !state(alert) || !texts(&alert["labels"]) || !texts(&alert["annotations"]) {
            return Err("an alert".to_owned());
        }
    }
    let header = |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok());
    let id = header("webhook-id").ok_or("webhook-id")?;
    if header("idempotency-key") != Some(id) {
        return Err("idempotency-key".to_owned());
    }
    let Some(signature) = header("webhook-signature") else { return Ok(()) };
    let timestamp = header("webhook-timestamp").ok_or("webhook-timestamp")?;
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    let signed = [format!("{id}.{timestamp}.").as_bytes(), &seen.bytes].concat();
    let theirs = STANDARD.decode(signature.strip_prefix("v1,").ok_or("v1,")?).map_err(|error| error.to_string())?;
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed, &theirs).map_err(|_| "the signature".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_posted() {
    let server = Server::start(judge, 200, "").await;
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "s3cret\n").unwrap();
    let yaml = format!(
        "{{ url: '{}', allow_private: true, signing_secret: {SECRET}, max_alerts: 1, headers: {{ X-Team: ops }},
            http_config: {{ basic_auth: {{ username: u, password_file: '{}' }} }} }}",
        server.url("/hook"),
        password.display()
    );
    let webhook = channel("webhook", &yaml).await;
    tell(&webhook, &given::notification("n1")).await.unwrap();
    server.satisfied();
    let body = &server.bodies()[0];
    assert_eq!((&body["truncatedAlerts"], body["alerts"].as_array().unwrap().len()), (&1.into(), 1));
    assert_eq!(body["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
    let seen = server.seen.lock().unwrap();
    let header = |name: &str| seen[0].headers[name].to_str().unwrap().to_owned();
    assert!(seen[0].headers.contains_key("webhook-signature"));
    assert_eq!((header("webhook-id"), header("x-team")), ("n1".to_owned(), "ops".to_owned()));
    assert_eq!(header("authorization"), format!("Basic {}", STANDARD.encode("u:s3cret")));
}

#[test]
fn whatever_labels_hold_a_receiver_takes_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start(judge, 200, ""));
    let yaml = format!("{{ url: '{}', allow_private: true, signing_secret: {SECRET} }}", server.url("/hook"));
    let webhook = runtime.block_on(channel("webhook", &yaml));
    given::many(100, |notification| {
        let told = runtime.block_on(tell(&webhook, &notification));
        server.satisfied();
        told.unwrap();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_what_they_mean() {
    let server = Server::start(judge, 200, "").await;
    let yaml = format!("{{ url: '{}', allow_private: true }}", server.url("/hook/tokentokentoken?key=hunter2"));
    let webhook = channel("webhook", &yaml).await;
    let n = given::notification("n");
    for status in [408, 429, 500, 502, 503, 504] {
        server.says(status, &[("retry-after", "7")], "busy");
        assert_eq!(transient(tell(&webhook, &n).await).0, Some(Duration::from_secs(7)), "{status}");
    }
    for status in [400, 401, 403, 404, 410, 413, 422] {
        server.says(status, &[], "no /hook/tokentokentoken?key=hunter2, hunter2");
        let reason = permanent(tell(&webhook, &n).await);
        assert!(!reason.contains("tokentoken") && !reason.contains("hunter2"), "{reason}");
    }
    server.says(307, &[("location", "http://169.254.169.254/")], "");
    assert!(permanent(tell(&webhook, &n).await).contains("redirects are not followed"));
    server.satisfied();
}

/// A name that leads inside is no way in; nor is what is wrong with it said with the address.
#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_not_reached() {
    let server = Server::start(judge, 200, "").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    // A name that resolves to this machine; its own would do too.
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", name.trim()] {
        let url = format!("http://{host}:{}/hook?key=hunter2", server.address.port());
        std::fs::write(&file, &url).unwrap();
        let webhook = channel("webhook", &format!("{{ url_file: '{}' }}", file.display())).await;
        let told = tell(&webhook, &given::notification("n")).await;
        let told = format!("{told:?}");
        assert!(told.starts_with("Err") && !told.contains("hunter2"), "{host}: {told}");
        if host != name.trim() {
            assert!(told.contains("allow_private: true"), "{host}: {told}");
        }
    }
    assert!(server.seen.lock().unwrap().is_empty(), "it was reached");
}

#[test]
fn settings() {
    for (yaml, expect) in [
        ("{}", "\"url\" is required"),
        ("{ url: 'https://a', signing_secret: short }", "shorter than 16 bytes"),
        ("{ url: 'https://a', http_config: { basic_auth: { username: a }, bearer_token: b } }", "more than one way"),
        ("{ url: 'https://a', http_config: { basic_auth: {} } }", "\"username\" is required"),
        ("{ url: 'https://a', max_alert: 1 }", "did you mean \"max_alerts\"?"),
        ("{ url: '' }", "is empty"),
    ] {
        let (_, mistakes) = plan_or_mistakes("webhook", yaml);
        assert!(mistakes.iter().any(|mistake| mistake.contains(expect)), "{yaml}: {mistakes:#?}");
    }
    // What is wrong is said without the secret.
    let (_, mistakes) = plan_or_mistakes("webhook", "{ url: 'ftp://user:hunter2@a/hunter2' }");
    assert!(mistakes.len() == 1 && !mistakes[0].contains("hunter2"), "{mistakes:?}");
}
