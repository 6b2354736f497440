//! `pagerduty`: events for PagerDuty's Events API v2, in the keys of Alertmanager's `pagerduty_configs`.
//!
//! ```yaml
//! exporters:
//!   pagerduty:
//!     routing_key: ${env:PAGERDUTY_KEY}     # or routing_key_file; the integration key of a service
//!     severity: error                       # where the label `severity` says nothing that is known
//! ```
//!
//! One incident for each group (`dedup_key`): triggered, acknowledged when somebody acknowledges here, resolved with the group. A summary has 1,024
//! characters at most, an event 512 KB. A URL of one's own: `url`.

mod body;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use catchment_pipeline::alerts::Notification;
use catchment_pipeline::component::{
    Context, ExportError, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, Stability,
};
use catchment_pipeline::config::Section;
use http::header::HeaderMap;

use crate::notify::fields::Fields;
use crate::notify::http::{Http, HttpPlan, transient};
use crate::notify::message::Level;
use crate::notify::secret::{Source, redacted};
use crate::notify::{Channel, Notifier, SIGNALS};

pub const SPEC: ExporterSpec = ExporterSpec {
    kind: "pagerduty",
    aliases: &[],
    summary: "incidents in PagerDuty: trigger, acknowledge, resolve",
    signals: SIGNALS,
    stability: Stability::Alpha,
    plan,
};

const ENQUEUE: &str = "https://events.pagerduty.com/v2/enqueue";

#[derive(Clone, Debug)]
struct Plan {
    settings: ExporterSettings,
    http: HttpPlan,
    url: String,
    key: Option<Source>,
    look: body::Look,
    send_resolved: bool,
}

fn plan(section: &mut Section) -> Box<dyn ExporterPlan> {
    Box::new(read(section))
}

fn read(section: &mut Section) -> Plan {
    let http = HttpPlan::read(section);
    let url = section.or("url", ENQUEUE.to_owned());
    http.check(section, "url", &url);
    let levels =
        [("critical", Level::Critical), ("error", Level::Error), ("warning", Level::Warning), ("info", Level::Info)];
    let fields = |section: &mut Section, key: &str| Fields::read(section, key);
    let look = body::Look {
        severity: section.choice("severity", &levels).unwrap_or(Level::Error),
        description: fields(section, "description"),
        source: fields(section, "source"),
        component: fields(section, "component"),
        group: fields(section, "group"),
        class: fields(section, "class"),
        client: section.or("client", "Catchment".to_owned()),
        client_url: section.get("client_url"),
    };
    if section.has("service_key") {
        let mend = "make an integration for \"Events API V2\" in PagerDuty and write its key as routing_key";
        section.mistake("service_key", "is the key of Events API v1, which is not spoken here", mend);
        let _: Option<catchment_pipeline::config::Secret> = section.get("service_key");
    }
    Plan {
        settings: ExporterSettings::read(section, Duration::from_secs(30)),
        http,
        url,
        key: Source::required(section, "routing_key"),
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
        let Some(key) = self.key.clone() else { anyhow::bail!("pagerduty has no routing_key") };
        let pagerduty =
            PagerDuty { http: self.http.clone().build()?, url: self.url.clone(), key, look: self.look.clone() };
        Ok(Arc::new(Notifier::new(context.id, self.send_resolved, pagerduty)))
    }
}

struct PagerDuty {
    http: Http,
    url: String,
    key: Source,
    look: body::Look,
}

#[async_trait]
impl Channel for PagerDuty {
    async fn tell(&self, notification: &Notification) -> Result<(), ExportError> {
        let key = self.key.text().await.map_err(transient)?;
        let url = self.http.url(&self.url)?;
        let body = self.look.event(&key, notification);
        let answer = self.http.post(url, HeaderMap::new(), body).await?;
        answer.checked().map(|_| ()).map_err(|error| without(error, &key))
    }
}

/// The key may come back in what is said about it.
fn without(error: ExportError, key: &str) -> ExportError {
    match error {
        ExportError::Permanent { reason } => ExportError::Permanent { reason: redacted(&reason, [key]) },
        ExportError::Transient { retry_after, reason } => {
            ExportError::Transient { retry_after, reason: redacted(&reason, [key]) }
        }
        error => error,
    }
}
