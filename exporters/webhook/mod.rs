//! `webhook`: notifications to a URL of one's own, with Alertmanager's body (version 4) and keys (`webhook_configs`), so that what takes its
//! webhooks takes ours.
//!
//! ```yaml
//! exporters:
//!   webhook:
//!     url: https://example.com/hook           # or url_file
//!     signing_secret: ${env:WEBHOOK_SECRET}   # or signing_secret_file
//!     max_alerts: 100                         # 0, the default: all
//!     http_config: { basic_auth: { username: u, password_file: /run/secrets/hook } }
//! ```
//!
//! The id of a notification is the same for each attempt: it is in the body (`id`), in `Idempotency-Key`, and in `webhook-id`. With
//! a secret `webhook-timestamp` and `webhook-signature` come with it, as <https://www.standardwebhooks.com> has them: `v1,` and the base64 of
//! HMAC-SHA256 over `id.timestamp.body`. A secret that begins with `whsec_` is base64 after that, any other is its own bytes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catchment_pipeline::alerts::Notification;
use catchment_pipeline::component::{
    Context, ExportError, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, Stability,
};
use catchment_pipeline::config::Section;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;

use crate::notify::http::{Http, HttpPlan, permanent, transient};
use crate::notify::secret::Source;
use crate::notify::{Channel, Notifier, SIGNALS};

pub const SPEC: ExporterSpec = ExporterSpec {
    kind: "webhook",
    aliases: &[],
    summary: "notifications to a URL, with Alertmanager's body, signed",
    signals: SIGNALS,
    stability: Stability::Alpha,
    plan,
};

#[derive(Clone, Debug)]
struct Plan {
    settings: ExporterSettings,
    http: HttpPlan,
    url: Option<Source>,
    secret: Option<Source>,
    max_alerts: usize,
    send_resolved: bool,
}

fn plan(section: &mut Section) -> Box<dyn ExporterPlan> {
    Box::new(read(section))
}

fn read(section: &mut Section) -> Plan {
    let http = HttpPlan::read(section);
    let url = Source::required(section, "url");
    http.check_source(section, "url", &url);
    let secret = Source::read(section, "signing_secret");
    if let Some(Source::Here(text)) = &secret
        && let Err(what) = key(&text.0)
    {
        section.mistake("signing_secret", what, "write whsec_ and base64, or any other text of 16 bytes or more");
    }
    Plan {
        settings: ExporterSettings::read(section, Duration::from_secs(30)),
        http,
        url,
        secret,
        max_alerts: section.or("max_alerts", 0),
        send_resolved: section.or("send_resolved", true),
    }
}

#[async_trait]
impl ExporterPlan for Plan {
    fn settings(&self) -> ExporterSettings {
        self.settings.clone()
    }

    async fn build(&self, context: Context) -> anyhow::Result<Arc<dyn Exporter>> {
        let Some(url) = self.url.clone() else { anyhow::bail!("webhook has no url") };
        let http = self.http.clone().build()?;
        let webhook = Webhook { http, url, secret: self.secret.clone(), max_alerts: self.max_alerts };
        Ok(Arc::new(Notifier::new(context.id, self.send_resolved, webhook)))
    }
}

struct Webhook {
    http: Http,
    url: Source,
    secret: Option<Source>,
    max_alerts: usize,
}

#[async_trait]
impl Channel for Webhook {
    async fn tell(&self, notification: &Notification) -> Result<(), ExportError> {
        let url = self.http.url(&self.url.text().await.map_err(transient)?)?;
        let body = body(notification, self.max_alerts)?;
        let id = header_text(&notification.id);
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        put("idempotency-key", id.clone());
        put("webhook-id", id.clone());
        if let Some(secret) = &self.secret {
            let key = key(&secret.text().await.map_err(transient)?)
                .map_err(|what| permanent(format!("signing_secret {what}")))?;
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            put("webhook-timestamp", now.to_string());
            put("webhook-signature", signature(&key, &id, now, &body));
        }
        self.http.post(url, headers, body).await?.checked().map(|_| ())
    }
}

/// Alertmanager's JSON, and our keys beside.
fn body(notification: &Notification, max_alerts: usize) -> Result<Vec<u8>, ExportError> {
    let mut notification = notification.clone();
    notification.version = Notification::VERSION.to_owned();
    if max_alerts > 0 && notification.alerts.len() > max_alerts {
        notification.truncated_alerts += (notification.alerts.len() - max_alerts) as u64;
        notification.alerts.truncate(max_alerts);
    }
    serde_json::to_vec(&notification).map_err(|error| permanent(error.to_string()))
}

/// An id of ours is; one from elsewhere may not be.
fn header_text(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(256).collect()
}

fn key(secret: &str) -> Result<hmac::Key, String> {
    let bytes = match secret.trim().strip_prefix("whsec_") {
        Some(text) => STANDARD.decode(text).map_err(|_| "is not base64 after whsec_".to_owned())?,
        None => secret.trim().as_bytes().to_vec(),
    };
    match bytes.len() {
        16.. => Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
        _ => Err("is shorter than 16 bytes".to_owned()),
    }
}

fn signature(key: &hmac::Key, id: &str, now: u64, body: &[u8]) -> String {
    let mut signed = hmac::Context::with_key(key);
    signed.update(format!("{id}.{now}.").as_bytes());
    signed.update(body);
    format!("v1,{}", STANDARD.encode(signed.sign()))
}
