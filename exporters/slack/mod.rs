//! `slack`: messages through an incoming webhook (`api_url`) or as a bot (`app_token` and `channel`), in the keys of Alertmanager's `slack_configs`.
//!
//! ```yaml
//! exporters:
//!   slack:
//!     api_url: ${env:SLACK_WEBHOOK}    # or api_url_file; or as a bot:
//!     app_token: ${env:SLACK_TOKEN}    # or app_token_file; needs the scope chat:write
//!     channel: "#alerts"
//!     threads: true                    # as a bot: what follows about a group goes into a thread below its first message
//! ```
//!
//! Slack takes one message a second (`min_interval`), 50 blocks, 3,000 characters a block; past some 12,000 in all it refuses (`body.rs` stays
//! below). Threads are known until the process ends: then a group's next message begins a new one.

mod body;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use catchment_pipeline::alerts::{Notification, Status};
use catchment_pipeline::component::{
    Context, ExportError, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, Stability,
};
use catchment_pipeline::config::Section;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;

use crate::notify::fields::Fields;
use crate::notify::http::{Answer, Http, HttpPlan, permanent, transient};
use crate::notify::pace::Pace;
use crate::notify::secret::Source;
use crate::notify::{Channel, Notifier, SIGNALS};

pub const SPEC: ExporterSpec = ExporterSpec {
    kind: "slack",
    aliases: &[],
    summary: "notifications to Slack, by webhook or as a bot",
    signals: SIGNALS,
    stability: Stability::Alpha,
    plan,
};

const POST_MESSAGE: &str = "https://slack.com/api/chat.postMessage";
/// Groups whose thread is remembered.
const THREADS: usize = 10_000;

#[derive(Clone, Debug)]
struct Plan {
    settings: ExporterSettings,
    http: HttpPlan,
    way: Option<Way>,
    look: body::Look,
    threads: bool,
    min_interval: Duration,
    send_resolved: bool,
}

#[derive(Clone, Debug)]
enum Way {
    Webhook(Source),
    Bot { url: String, token: Source },
}

fn plan(section: &mut Section) -> Box<dyn ExporterPlan> {
    Box::new(read(section))
}

fn read(section: &mut Section) -> Plan {
    let http = HttpPlan::read(section);
    let (webhook, token) = (Source::read(section, "api_url"), Source::read(section, "app_token"));
    let url = section.or("app_url", POST_MESSAGE.to_owned());
    http.check(section, "app_url", &url);
    http.check_source(section, "api_url", &webhook);
    let way = match (webhook, token) {
        (Some(_), Some(_)) => {
            section.mistake("app_token", "stands beside api_url: which of them is meant?", "keep one of them");
            None
        }
        (None, None) => {
            let mend = "add api_url: ${env:SLACK_WEBHOOK}, or app_token and channel";
            section.mistake("", "\"api_url\" is required", mend);
            None
        }
        (Some(webhook), None) => Some(Way::Webhook(webhook)),
        (None, Some(token)) => Some(Way::Bot { url, token }),
    };
    let look = body::Look {
        channel: section.get("channel"),
        username: section.get("username"),
        icon_emoji: section.get("icon_emoji"),
        icon_url: section.get("icon_url"),
        title: Fields::read(section, "title"),
    };
    let bot = matches!(way, Some(Way::Bot { .. }));
    if bot && look.channel.is_none() {
        section.mistake(
            "",
            "a bot must know where to post: \"channel\" is required",
            "add channel: \"#alerts\", or its id",
        );
    }
    let threads = section.or("threads", false);
    if threads && !bot {
        section.mistake(
            "threads",
            "a webhook is not told which message a thread could begin at",
            "use app_token and channel",
        );
    }
    Plan {
        settings: ExporterSettings::read(section, Duration::from_secs(30)),
        http,
        way,
        look,
        threads,
        min_interval: section.or("min_interval", Duration::from_secs(1)),
        send_resolved: section.or("send_resolved", true),
    }
}

#[async_trait]
impl ExporterPlan for Plan {
    fn settings(&self) -> ExporterSettings {
        self.settings.clone()
    }

    async fn build(&self, context: Context) -> anyhow::Result<Arc<dyn Exporter>> {
        let Some(way) = self.way.clone() else { anyhow::bail!("slack has no api_url and no app_token") };
        let slack = Slack {
            http: self.http.clone().build()?,
            way,
            look: self.look.clone(),
            pace: Pace::new(self.min_interval),
            threads: self.threads.then(Mutex::default),
        };
        Ok(Arc::new(Notifier::new(context.id, self.send_resolved, slack)))
    }
}

struct Slack {
    http: Http,
    way: Way,
    look: body::Look,
    pace: Pace,
    /// By group: where its thread begins.
    threads: Option<Mutex<BTreeMap<String, String>>>,
}

#[async_trait]
impl Channel for Slack {
    async fn tell(&self, notification: &Notification) -> Result<(), ExportError> {
        let mut message = self.look.message(notification);
        let (url, mut headers) = (self.url().await?, HeaderMap::new());
        if let Way::Bot { token, .. } = &self.way {
            let token = token.text().await.map_err(transient)?;
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| permanent("app_token cannot be sent in an HTTP header"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
            message["metadata"] = body::metadata(notification);
            self.place_in_thread(notification, &mut message);
        }
        let url = self.http.url(&url)?;
        self.pace.turn().await?;
        let body = message.to_string().into_bytes();
        let answer = match self.http.post(url, headers, body).await?.checked() {
            Err(ExportError::Transient { retry_after: Some(wait), reason }) => {
                self.pace.hold(wait);
                return Err(ExportError::Transient { retry_after: Some(wait), reason });
            }
            answer => answer?,
        };
        match &self.way {
            Way::Webhook(_) => Ok(()),
            Way::Bot { .. } => self.posted(notification, &answer),
        }
    }
}

impl Slack {
    async fn url(&self) -> Result<String, ExportError> {
        match &self.way {
            Way::Webhook(source) => source.text().await.map_err(transient),
            Way::Bot { url, .. } => Ok(url.clone()),
        }
    }

    fn place_in_thread(&self, notification: &Notification, message: &mut Value) {
        let Some(threads) = &self.threads else { return };
        let threads = threads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ts) = threads.get(&notification.group_key) {
            message["thread_ts"] = Value::from(ts.as_str());
            // What fires is to be seen by those who do not follow the thread.
            message["reply_broadcast"] = Value::from(notification.status == Status::Firing);
        }
    }

    /// The API says with 200 what went wrong.
    fn posted(&self, notification: &Notification, answer: &Answer) -> Result<(), ExportError> {
        let said = answer.json();
        if said["ok"] != true {
            let error = said["error"].as_str().unwrap_or("no answer that is known");
            let reason = format!("Slack says: {}", crate::otlp_status::shortened(error));
            let passes = [
                "ratelimited",
                "rate_limited",
                "internal_error",
                "fatal_error",
                "service_unavailable",
                "request_timeout",
                "team_added_to_org",
            ];
            return match passes.contains(&error) || said["error"].is_null() {
                true => Err(ExportError::Transient { retry_after: answer.retry_after(), reason }),
                false => Err(permanent(reason)),
            };
        }
        if let Some(threads) = &self.threads {
            let mut threads = threads.lock().unwrap_or_else(PoisonError::into_inner);
            if notification.status == Status::Resolved {
                threads.remove(&notification.group_key);
            } else if let Some(ts) = said["ts"].as_str() {
                threads.entry(notification.group_key.clone()).or_insert_with(|| ts.to_owned());
                if threads.len() > THREADS {
                    threads.pop_first();
                }
            }
        }
        Ok(())
    }
}
