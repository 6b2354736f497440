//! After <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>, `chat.postMessage` and Block Kit's reference.

use std::time::Duration;

use serde_json::Value;

use crate::http::{Seen, Server, keys, text};
use crate::{batch, channel, given, permanent, plan_or_mistakes, tell, transient};

fn judge(seen: &Seen) -> Result<(), String> {
    let message = &seen.json;
    let known = [
        "text!",
        "attachments",
        "blocks",
        "channel",
        "username",
        "icon_emoji",
        "icon_url",
        "unfurl_links",
        "unfurl_media",
        "thread_ts",
        "reply_broadcast",
        "metadata",
        "mrkdwn",
    ];
    keys(message, &known)?;
    text(message, "text", 3_000)?;
    mrkdwn(message["text"].as_str().unwrap_or_default())?;
    let mut all = message["text"].as_str().unwrap_or_default().len();
    for attachment in message["attachments"].as_array().into_iter().flatten() {
        keys(attachment, &["color", "fallback", "blocks!"])?;
        let color = attachment["color"].as_str().unwrap_or_default();
        if color.len() != 7 || !color.starts_with('#') || u32::from_str_radix(&color[1..], 16).is_err() {
            return Err(format!("color {color}"));
        }
        let blocks = attachment["blocks"].as_array().ok_or("blocks")?;
        if !(1..=50).contains(&blocks.len()) {
            return Err(format!("{} blocks", blocks.len()));
        }
        for block in blocks {
            all += self::block(block)?;
        }
    }
    if all > 13_000 * 4 || message.to_string().chars().count() > 20_000 {
        return Err("msg_too_long".to_owned());
    }
    match message["metadata"].is_null() {
        true => Ok(()),
        false => keys(&message["metadata"], &["event_type!", "event_payload!"]),
    }
}

fn block(block: &Value) -> Result<usize, String> {
    let markdown = |value: &Value| -> Result<usize, String> {
        keys(value, &["type!", "text!"])?;
        text(value, "text", 3_000)?;
        if value["type"] != "mrkdwn" {
            return Err(format!("type {}", value["type"]));
        }
        mrkdwn(value["text"].as_str().unwrap_or_default())?;
        Ok(value["text"].as_str().unwrap_or_default().len())
    };
    match block["type"].as_str() {
        Some("section") => {
            keys(block, &["type!", "text!"])?;
            markdown(&block["text"])
        }
        Some("context") => {
            keys(block, &["type!", "elements!"])?;
            let elements = block["elements"].as_array().ok_or("elements")?;
            if !(1..=10).contains(&elements.len()) {
                return Err("elements".to_owned());
            }
            elements.iter().map(markdown).sum()
        }
        other => Err(format!("block {other:?}")),
    }
}

/// `&` begins one of three escapes, `<` a link to the web: nothing mentions anybody.
fn mrkdwn(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('&') {
        if !["&amp;", "&lt;", "&gt;"].iter().any(|escape| text[at..].starts_with(escape)) {
            return Err(format!("a bare & in {text:?}"));
        }
    }
    let mut rest = text;
    while let Some(at) = rest.find(['<', '>']) {
        let link = rest[at..].strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let Some((link, after)) = link else { return Err(format!("a bare < or > in {text:?}")) };
        let (url, shown) = link.split_once('|').ok_or_else(|| format!("no link: {link:?}"))?;
        if !(url.starts_with("https://") || url.starts_with("http://"))
            || shown.is_empty()
            || link.contains(['<', '\n'])
            || shown.contains('|')
        {
            return Err(format!("no link: {link:?}"));
        }
        rest = after;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_is_sent() {
    let server = Server::start(judge, 200, "ok").await;
    let yaml = format!(
        "{{ api_url: '{}', allow_private: true, min_interval: 0s, channel: '#ops', username: Catchment, icon_emoji: ':bell:' }}",
        server.url("/services/T0/B0/secret")
    );
    let slack = channel("slack", &yaml).await;
    tell(&slack, &given::notification("n1")).await.unwrap();
    tell(&slack, &given::resolved("n2")).await.unwrap();
    server.satisfied();
    let bodies = server.bodies();
    let text = bodies[0]["text"].as_str().unwrap();
    assert_eq!(text, "<https://catchment.example/alerts|[FIRING:2] DiskFull (critical)>");
    let section = bodies[0]["attachments"][0]["blocks"][0]["text"]["text"].as_str().unwrap();
    for part in [
        "*Disk of &lt;web&gt; &amp; co is full*",
        "97 % used",
        "`host=web-1`",
        "<https://runbooks.example/disk?a=1&amp;b=2|Runbook>",
    ] {
        assert!(section.contains(part), "{part} in {section}");
    }
    assert!(bodies[1]["text"].as_str().unwrap().contains("|[RESOLVED] DiskFull"));
    assert_ne!(bodies[0]["attachments"][0]["color"], bodies[1]["attachments"][0]["color"]);
}

#[test]
fn whatever_labels_hold_slack_takes_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start(judge, 200, "ok"));
    let yaml = format!("{{ api_url: '{}', allow_private: true, min_interval: 0s }}", server.url("/services/x"));
    let slack = runtime.block_on(channel("slack", &yaml));
    given::many(300, |notification| {
        let told = runtime.block_on(tell(&slack, &notification));
        server.satisfied();
        told.unwrap();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slack_says() {
    let server = Server::start(judge, 200, "ok").await;
    let secret = server.url("/services/T0/B0/topsecret");
    let slack = channel("slack", &format!("{{ api_url: '{secret}', allow_private: true, min_interval: 0s }}")).await;
    for (status, said) in
        [(400, "invalid_payload"), (403, "action_prohibited"), (404, "no_service"), (410, "channel_is_archived")]
    {
        server.says(status, &[], &format!("{said} /services/T0/B0/topsecret"));
        let reason = permanent(tell(&slack, &given::notification("n")).await);
        assert!(reason.contains(said) && !reason.contains("topsecret"), "{reason}");
    }
    server.says(500, &[], "rollup_error");
    assert_eq!(transient(tell(&slack, &given::notification("n")).await).0, None);
    server.says(429, &[("retry-after", "30")], "rate_limited");
    assert_eq!(transient(tell(&slack, &given::notification("n")).await).0, Some(Duration::from_secs(30)));
    // It is not asked again before that.
    let seen = server.seen.lock().unwrap().len();
    let (wait, _) = transient(tell(&slack, &given::notification("n")).await);
    assert!(wait.unwrap() > Duration::from_secs(20));
    assert_eq!(server.seen.lock().unwrap().len(), seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_makes_threads() {
    let server = Server::start(judge, 200, r#"{"ok":true,"channel":"C1","ts":"100.1"}"#).await;
    let yaml = format!(
        "{{ app_token: xoxb-hidden, app_url: '{}', channel: C1, threads: true, allow_private: true, min_interval: 0s }}",
        server.url("/api/chat.postMessage")
    );
    let slack = channel("slack", &yaml).await;
    tell(&slack, &given::notification("n1")).await.unwrap();
    tell(&slack, &given::notification("n2")).await.unwrap();
    tell(&slack, &given::resolved("n3")).await.unwrap();
    tell(&slack, &given::notification("n4")).await.unwrap();
    server.satisfied();
    let seen = server.bodies();
    let threads: Vec<_> =
        seen.iter().map(|body| (body["thread_ts"].as_str(), body["reply_broadcast"].as_bool())).collect();
    assert_eq!(threads, [(None, None), (Some("100.1"), Some(true)), (Some("100.1"), Some(false)), (None, None)]);
    assert_eq!(seen[0]["metadata"]["event_payload"]["id"], "n1");
    assert_eq!(server.seen.lock().unwrap()[0].headers["authorization"], "Bearer xoxb-hidden");
    server.says(200, &[], r#"{"ok":false,"error":"channel_not_found"}"#);
    assert!(permanent(tell(&slack, &given::notification("n")).await).contains("channel_not_found"));
    server.says(200, &[], r#"{"ok":false,"error":"ratelimited"}"#);
    transient(tell(&slack, &given::notification("n")).await);
}

/// One message failed in the middle of a batch: those before it are not said again.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_on_where_it_stopped() {
    let server = Server::start(judge, 200, "ok").await;
    let yaml = format!("{{ api_url: '{}', allow_private: true, min_interval: 0s }}", server.url("/x"));
    let slack = channel("slack", &yaml).await;
    let all = batch(&["a", "b", "c", "d"].map(|id| {
        let mut notification = given::notification(id);
        notification.receiver = id.to_owned();
        notification.channels = if id == "d" { vec!["other".to_owned()] } else { Vec::new() };
        notification
    }));
    server.says(200, &[], "ok");
    server.says(400, &[], "invalid_payload");
    server.says(503, &[], "");
    transient(slack.export(&all, 7).await);
    assert!(permanent(slack.export(&all, 7).await).contains("notification b "));
    let told: Vec<String> =
        server.bodies().iter().map(|body| body.to_string().split(" · to ").nth(1).unwrap()[..1].to_owned()).collect();
    assert_eq!(told, ["a", "b", "c", "c"]);
}

#[test]
fn settings() {
    for (yaml, expect) in [
        ("{}", "\"api_url\" is required"),
        ("{ api_url: 'http://hooks.example/1', app_token: t }", "which of them"),
        ("{ app_token: t }", "\"channel\" is required"),
        ("{ api_url: 'ftp://a' }", "is not an http:// or https:// address"),
        ("{ api_url: 'http://169.254.169.254/hook' }", "allow_private: true"),
        ("{ api_url: 'http://localhost:1/hook' }", "allow_private: true"),
        ("{ api_url: 'http://0x7f.1/hook' }", "allow_private: true"),
        ("{ api_url: 'https://a', threads: true }", "webhook"),
        ("{ api_url: 'https://a', chanel: x }", "did you mean \"channel\"?"),
        ("{ api_url: 'https://a', title: '{{ .Nothing }}' }", "not a field"),
        ("{ api_url: 'https://a', api_url_file: /x }", "exclude each other"),
    ] {
        let (_, mistakes) = plan_or_mistakes("slack", yaml);
        assert!(mistakes.iter().any(|mistake| mistake.contains(expect)), "{yaml}: {mistakes:#?}");
    }
}
