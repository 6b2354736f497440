//! `alertmanager`: alerts as they fire and end, to Alertmanagers (API v2), as Prometheus sends them; what they do with them is theirs to decide.
//!
//! ```yaml
//! exporters:
//!   alertmanager:
//!     urls: [http://am-0:9093, http://am-1:9093]   # every one of a cluster: they do not tell each other of alerts
//!     allow_private: true
//!     resolve_after: 4m                            # open alerts end by themselves when they are not sent again
//! ```
//!
//! It reads what became of alerts, not notifications: routes, groups and silences of this process do not apply to it. It is enough that one
//! Alertmanager takes a batch; those that did not are warned of, and hear of what fires when it is said again.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use catchment_pipeline::alerts::{Alert, AlertEvent, Change, Event, Fingerprint, time};
use catchment_pipeline::batch::Batch;
use catchment_pipeline::component::{
    Context, ExportError, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, Occasionally, Stability,
};
use catchment_pipeline::config::Section;
use catchment_pipeline::log::Position;
use futures::future::join_all;
use http::header::HeaderMap;
use reqwest::Url;
use serde_json::{Value, json};

use crate::notify::SIGNALS;
use crate::notify::http::{Http, HttpPlan};
use crate::notify::message;

pub const SPEC: ExporterSpec = ExporterSpec {
    kind: "alertmanager",
    aliases: &[],
    summary: "alerts to Alertmanagers, as Prometheus sends them",
    signals: SIGNALS,
    stability: Stability::Alpha,
    plan,
};

/// Alerts in one request, as many as Prometheus sends.
const IN_ONE: usize = 256;

#[derive(Clone, Debug)]
struct Plan {
    settings: ExporterSettings,
    http: HttpPlan,
    urls: Vec<String>,
    resolve_after: Duration,
}

fn plan(section: &mut Section) -> Box<dyn ExporterPlan> {
    Box::new(read(section))
}

fn read(section: &mut Section) -> Plan {
    let http = HttpPlan::read(section);
    let mut urls: Vec<String> = section.or("urls", Vec::new());
    let one: Option<String> = section.get("url");
    for text in &urls {
        http.check(section, "urls", text);
    }
    if let Some(text) = &one {
        http.check(section, "url", text);
    }
    urls.extend(one);
    if urls.is_empty() && !section.has("urls") && !section.has("url") {
        section.mistake("", "\"urls\" is required", "add urls: [http://localhost:9093]");
    } else if urls.is_empty() {
        section.mistake("urls", "names no Alertmanager", "write urls: [http://localhost:9093]");
    }
    let resolve_after = section.or("resolve_after", Duration::from_secs(240));
    if resolve_after < Duration::from_secs(60) {
        let what = "what fires is said again once a minute: alerts would end in between";
        section.mistake("resolve_after", what, "write 4m or more");
    }
    let settings = ExporterSettings::read(section, Duration::from_secs(10));
    Plan { settings, http, urls, resolve_after }
}

#[async_trait]
impl ExporterPlan for Plan {
    fn settings(&self) -> ExporterSettings {
        self.settings.clone()
    }

    async fn build(&self, context: Context) -> anyhow::Result<Arc<dyn Exporter>> {
        let urls = self.urls.iter().map(|text| {
            let mut url =
                self.http.url(text).map_err(|what| anyhow::anyhow!("an address of an Alertmanager {what}"))?;
            let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
            url.set_path(&path);
            Ok(url)
        });
        let urls = urls.collect::<anyhow::Result<Vec<_>>>()?;
        let http = self.http.clone().build()?;
        Ok(Arc::new(Alertmanager { id: context.id, http, urls, resolve_after: self.resolve_after }))
    }
}

struct Alertmanager {
    id: String,
    http: Http,
    urls: Vec<Url>,
    resolve_after: Duration,
}

#[async_trait]
impl Exporter for Alertmanager {
    async fn export(&self, batch: &Batch, _at: Position) -> Result<(), ExportError> {
        let alerts = newest(batch);
        let (mut refused, mut reason) = (0, String::new());
        for part in alerts.chunks(IN_ONE) {
            let body = Value::from(part.iter().map(|event| posted(event, self.end())).collect::<Vec<_>>());
            let body = body.to_string().into_bytes();
            match self.to_all(&body).await {
                Ok(()) => {}
                Err(ExportError::Permanent { reason: why }) => {
                    refused += part.len() as u64;
                    reason = why;
                }
                // What went out already is sent again: saying it twice changes nothing there.
                Err(error) => return Err(error),
            }
        }
        match refused {
            0 => Ok(()),
            rejected => Err(ExportError::Partial { rejected, reason }),
        }
    }
}

impl Alertmanager {
    /// When an open alert ends by itself, in nanoseconds.
    fn end(&self) -> i64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from((now + self.resolve_after).as_nanos()).unwrap_or(i64::MAX)
    }

    async fn to_all(&self, body: &[u8]) -> Result<(), ExportError> {
        let to = |url: &Url| self.http.post(url.clone(), HeaderMap::new(), body.to_vec());
        let answers = join_all(self.urls.iter().map(async |url| to(url).await?.checked())).await;
        let taken = answers.iter().any(Result::is_ok);
        let mut worst = None;
        for (number, error) in answers.into_iter().enumerate().filter_map(|(n, answer)| Some((n + 1, answer.err()?))) {
            if taken {
                missed(&self.id, number, &error);
            }
            // One that may still take it counts for more than one that never will.
            if worst.is_none() || matches!(error, ExportError::Transient { .. }) {
                worst = Some(error);
            }
        }
        match worst {
            Some(error) if !taken => Err(error),
            _ => Ok(()),
        }
    }
}

/// It may be away for days.
fn missed(channel: &str, number: usize, error: &ExportError) {
    static SAID: LazyLock<Occasionally> = LazyLock::new(|| Occasionally::new(Duration::from_secs(60)));
    if let Some(times) = SAID.due(Instant::now()) {
        tracing::warn!(channel, number, times, reason = %error, "one Alertmanager of several did not take alerts");
    }
}

/// The last that is said of each alert; what does not fire yet is nobody's business.
fn newest(batch: &Batch) -> Vec<AlertEvent> {
    let mut newest: BTreeMap<Fingerprint, (usize, AlertEvent)> = BTreeMap::new();
    let events = Event::read(batch).into_iter().filter_map(|event| match event {
        Event::Alert(event) if matches!(event.change, Change::Firing | Change::StillFiring | Change::Resolved) => {
            Some(event)
        }
        _ => None,
    });
    for (order, event) in events.enumerate() {
        newest.insert(event.alert.fingerprint(), (order, event));
    }
    let mut newest: Vec<_> = newest.into_values().collect();
    newest.sort_by_key(|(order, _)| *order);
    newest.into_iter().map(|(_, event)| event).collect()
}

fn posted(event: &AlertEvent, end: i64) -> Value {
    let Alert { labels, annotations, starts_at, ends_at, generator_url } = &event.alert;
    let ends_at = match event.change {
        Change::Resolved if *ends_at != 0 => *ends_at,
        // An end that is not known: as early as it may be, and past.
        Change::Resolved => *starts_at,
        _ => end,
    };
    let mut alert = json!({ "labels": labels, "annotations": annotations, "endsAt": time::format(ends_at) });
    if *starts_at != 0 {
        alert["startsAt"] = Value::from(time::format(*starts_at));
    }
    if let Some(url) = message::web(generator_url) {
        alert["generatorURL"] = Value::from(url);
    }
    alert
}
