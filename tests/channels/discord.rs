//! After <https://discord.com/developers/docs/resources/webhook#execute-webhook>, its embed limits and rate limits.

use std::time::Duration;

use serde_json::Value;

use crate::http::{Seen, Server, keys, text, time, url};
use crate::{channel, given, permanent, plan_or_mistakes, tell, transient};

fn judge(seen: &Seen) -> Result<(), String> {
    let message = &seen.json;
    keys(message, &["content", "username", "avatar_url", "embeds!", "allowed_mentions!"])?;
    if message["allowed_mentions"]["parse"] != serde_json::json!([]) {
        return Err("somebody may be mentioned".to_owned());
    }
    text(message, "username", 80)?;
    text(message, "content", 2_000)?;
    let embeds = message["embeds"].as_array().ok_or("embeds")?;
    if !(1..=10).contains(&embeds.len()) {
        return Err("embeds".to_owned());
    }
    let mut all = 0;
    let mut count = |value: &Value| all += value.as_str().unwrap_or_default().trim().encode_utf16().count();
    for embed in embeds {
        keys(embed, &["title!", "description!", "url", "timestamp", "color", "footer", "fields"])?;
        text(embed, "title", 256)?;
        text(embed, "description", 4_096)?;
        url(embed, "url")?;
        time(embed, "timestamp")?;
        if embed["color"].as_u64().is_none_or(|color| color > 0xff_ff_ff) {
            return Err("color".to_owned());
        }
        if !embed["footer"].is_null() {
            keys(&embed["footer"], &["text!"])?;
            text(&embed["footer"], "text", 2_048)?;
        }
        [&embed["title"], &embed["description"], &embed["footer"]["text"]].into_iter().for_each(&mut count);
    }
    if all > 6_000 { Err(format!("{all} characters in all")) } else { Ok(()) }
}

async fn discord(server: &Server) -> std::sync::Arc<dyn catchment_pipeline::component::Exporter> {
    let hook = server.url("/api/webhooks/1/verysecrettoken");
    channel("discord", &format!("{{ webhook_url: '{hook}', allow_private: true, username: Catchment }}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_is_sent() {
    let server = Server::start(judge, 200, r#"{"id":"1"}"#).await;
    let discord = discord(&server).await;
    tell(&discord, &given::notification("n1")).await.unwrap();
    server.satisfied();
    let body = &server.bodies()[0];
    assert_eq!(body["embeds"][0]["title"], "\\[FIRING:2\\] DiskFull (critical)");
    let description = body["embeds"][0]["description"].as_str().unwrap();
    for part in [
        "**Disk of \\<web> & co is full**",
        "\n\\# not a heading",
        "`host=web-1`",
        "[Runbook](https://runbooks.example/disk?a=1&b=2)",
    ] {
        assert!(description.contains(part), "{part} in {description}");
    }
    assert_eq!(body["embeds"][0]["footer"]["text"], "ops · n1");
    assert_eq!(server.seen.lock().unwrap()[0].query, "wait=true");
}

#[test]
fn whatever_labels_hold_discord_takes_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start(judge, 204, ""));
    let discord = runtime.block_on(discord(&server));
    given::many(300, |notification| {
        let told = runtime.block_on(tell(&discord, &notification));
        server.satisfied();
        told.unwrap();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn its_limits_are_kept_to() {
    let server = Server::start(judge, 204, "").await;
    let discord = discord(&server).await;
    server.says(404, &[], r#"{"message":"Unknown Webhook verysecrettoken","code":10015}"#);
    let reason = permanent(tell(&discord, &given::notification("n")).await);
    assert!(reason.contains("Unknown Webhook") && !reason.contains("verysecrettoken"), "{reason}");

    server.says(204, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset-after", "0.25")], "");
    tell(&discord, &given::notification("n")).await.unwrap();
    let began = std::time::Instant::now();
    tell(&discord, &given::notification("n")).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(240), "nothing remained, and it was told again at once");

    server.says(
        429,
        &[("retry-after", "65")],
        r#"{"message":"You are being rate limited.","retry_after":64.57,"global":false}"#,
    );
    let (wait, _) = transient(tell(&discord, &given::notification("n")).await);
    assert_eq!(wait, Some(Duration::from_secs_f64(64.57)));
    let seen = server.seen.lock().unwrap().len();
    transient(tell(&discord, &given::notification("n")).await);
    assert_eq!(server.seen.lock().unwrap().len(), seen, "asked again too early");
}

#[test]
fn settings() {
    for (yaml, expect) in [
        ("{}", "\"webhook_url\" is required"),
        ("{ webhook_url: 'https://a', username: My Discord }", "without \"discord\""),
        ("{ webhook_url: 'http://[::1]/x' }", "allow_private: true"),
        ("{ webhook_url: 'https://a', avatar_uri: x }", "did you mean \"avatar_url\"?"),
    ] {
        let (_, mistakes) = plan_or_mistakes("discord", yaml);
        assert!(mistakes.iter().any(|mistake| mistake.contains(expect)), "{yaml}: {mistakes:#?}");
    }
}
