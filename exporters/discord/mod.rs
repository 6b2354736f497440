//! `discord`: messages through a webhook, in the keys of Alertmanager's `discord_configs`.
//!
//! ```yaml
//! exporters:
//!   discord:
//!     webhook_url: ${env:DISCORD_WEBHOOK}   # or webhook_url_file
//!     username: Catchment
//! ```
//!
//! Discord's limits: a title of 256 characters, a description of 4,096, 6,000 in all. How often it may be told it says itself
//! (`X-RateLimit-Remaining`, `X-RateLimit-Reset-After`, `retry_after`), and that is kept to. Nobody is mentioned, whatever a label says.

mod body;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use catchment_pipeline::alerts::Notification;
use catchment_pipeline::component::{
    Context, ExportError, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, Stability,
};
use catchment_pipeline::config::Section;
use http::StatusCode;
use http::header::HeaderMap;

use crate::notify::fields::Fields;
use crate::notify::http::{Answer, Http, HttpPlan, transient};
use crate::notify::pace::Pace;
use crate::notify::secret::Source;
use crate::notify::text::length;
use crate::notify::{Channel, Notifier, SIGNALS};

pub const SPEC: ExporterSpec = ExporterSpec {
    kind: "discord",
    aliases: &[],
    summary: "notifications to Discord, by webhook",
    signals: SIGNALS,
    stability: Stability::Alpha,
    plan,
};

#[derive(Clone, Debug)]
struct Plan {
    settings: ExporterSettings,
    http: HttpPlan,
    url: Option<Source>,
    look: body::Look,
    send_resolved: bool,
}

fn plan(section: &mut Section) -> Box<dyn ExporterPlan> {
    Box::new(read(section))
}

fn read(section: &mut Section) -> Plan {
    let http = HttpPlan::read(section);
    let url = Source::required(section, "webhook_url");
    http.check_source(section, "webhook_url", &url);
    let look = body::Look {
        username: section.get("username"),
        avatar_url: section.get("avatar_url"),
        title: Fields::read(section, "title"),
    };
    if let Some(name) = &look.username {
        let lower = name.to_lowercase();
        if !(1..=80).contains(&length(name.trim())) || ["clyde", "discord"].iter().any(|word| lower.contains(word)) {
            let what = "Discord takes names of 1 to 80 characters without \"discord\" or \"clyde\" in them";
            section.mistake("username", what, "write another name, or leave it out");
        }
    }
    Plan {
        settings: ExporterSettings::read(section, Duration::from_secs(30)),
        http,
        url,
        look,
        send_resolved: section.or("send_resolved", true),
    }
}

#[async_trait]
impl ExporterPlan for Plan {
    fn settings(&self) -> ExporterSettings {
        self.settings.clone()
    }

    async fn build(&self, context: Context) -> anyhow::Result<Arc<dyn Exporter>> {
        let Some(url) = self.url.clone() else { anyhow::bail!("discord has no webhook_url") };
        let discord =
            Discord { http: self.http.clone().build()?, url, look: self.look.clone(), pace: Pace::new(Duration::ZERO) };
        Ok(Arc::new(Notifier::new(context.id, self.send_resolved, discord)))
    }
}

struct Discord {
    http: Http,
    url: Source,
    look: body::Look,
    pace: Pace,
}

#[async_trait]
impl Channel for Discord {
    async fn tell(&self, notification: &Notification) -> Result<(), ExportError> {
        let mut url = self.http.url(&self.url.text().await.map_err(transient)?)?;
        // So that the answer says whether the message was made.
        url.query_pairs_mut().append_pair("wait", "true");
        self.pace.turn().await?;
        let body = self.look.message(notification).to_string().into_bytes();
        let answer = self.http.post(url, HeaderMap::new(), body).await?;
        let wait = patience(&answer);
        if let Some(wait) = wait {
            self.pace.hold(wait);
        }
        answer.checked().map(|_| ()).map_err(|error| match error {
            ExportError::Transient { reason, retry_after } => {
                ExportError::Transient { reason, retry_after: wait.or(retry_after) }
            }
            error => error,
        })
    }
}

/// How long it asks to wait: with a 429 in the body, else when nothing remains.
fn patience(answer: &Answer) -> Option<Duration> {
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        let said = answer.json()["retry_after"].as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        return said.or_else(|| answer.seconds("retry-after")).or_else(|| answer.seconds("x-ratelimit-reset-after"));
    }
    let remaining = answer.headers.get("x-ratelimit-remaining")?.to_str().ok()?;
    (remaining.trim() == "0").then(|| answer.seconds("x-ratelimit-reset-after"))?
}
