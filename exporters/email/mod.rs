//! `email`: notifications as mail, in the keys of Alertmanager's `email_configs`.
//!
//! ```yaml
//! exporters:
//!   email:
//!     smarthost: smtp.example.com:587
//!     from: Catchment <alerts@example.com>
//!     to: [ops@example.com, "{{ .CommonLabels.owner }}@example.com"]   # also cc, bcc
//!     auth_username: alerts
//!     auth_password: ${env:SMTP_PASSWORD}     # or auth_password_file; auth_token for XOAUTH2
//!     require_tls: true                       # STARTTLS; the default unless the smarthost is this machine
//!     force_implicit_tls: false               # TLS from the first byte; the default with port 465
//! ```
//!
//! HTML and text, and the alerts as CSV. `Message-ID` comes from the notification's id, the same for every attempt; mail about a group refers to
//! one id, so that mail clients show it as one thread. Recipients that the server does not take are left out and warned of; the
//! notification is lost when none is left.

mod address;
mod csv;
mod html;
mod mail;
mod smtp;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use catchment_pipeline::alerts::Notification;
use catchment_pipeline::component::tls::{ClientTls, Reloading};
use catchment_pipeline::component::{
    Context, ExportError, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, Stability,
};
use catchment_pipeline::config::Section;
use rustls::ClientConfig;

use self::address::Mailbox;
use self::mail::Recipients;
use self::smtp::{Auth, Security, Server};
use crate::notify::fields::Fields;
use crate::notify::http::permanent;
use crate::notify::secret::Source;
use crate::notify::{Channel, Notifier, SIGNALS, tls};

pub const SPEC: ExporterSpec = ExporterSpec {
    kind: "email",
    aliases: &[],
    summary: "notifications as mail: HTML, text, and CSV",
    signals: SIGNALS,
    stability: Stability::Alpha,
    plan,
};

/// Written by us, or by how mail works.
const OWN_HEADERS: [&str; 13] = [
    "from",
    "to",
    "cc",
    "bcc",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "auto-submitted",
    "sender",
];

#[derive(Clone, Debug)]
struct Plan {
    settings: ExporterSettings,
    server: Server,
    tls: ClientTls,
    from: Option<Mailbox>,
    to: Recipients,
    subject: Option<Fields>,
    headers: BTreeMap<String, Fields>,
    send_resolved: bool,
}

fn plan(section: &mut Section) -> Box<dyn ExporterPlan> {
    Box::new(read(section))
}

fn read(section: &mut Section) -> Plan {
    let from = section.required::<String>("from").and_then(|text| {
        let found = Mailbox::parse(&text);
        if let Err(what) = &found {
            section.mistake("from", what, "write alerts@example.com, or Name <alerts@example.com>");
        }
        found.ok()
    });
    let recipients = |section: &mut Section, key: &str| -> Vec<Fields> {
        let texts: Vec<String> = section.or(key, Vec::new());
        let mut fields = Vec::new();
        for text in &texts {
            let Some(field) = Fields::parse_or_mistake(section, key, text) else { continue };
            if let Some(Err(what)) = field.constant().map(Mailbox::parse) {
                section.mistake(key, what, "write ops@example.com, or Name <ops@example.com>");
            }
            fields.push(field);
        }
        fields
    };
    let to =
        Recipients { to: recipients(section, "to"), cc: recipients(section, "cc"), bcc: recipients(section, "bcc") };
    if !["to", "cc", "bcc"].iter().any(|key| section.has(key)) {
        section.mistake("", "\"to\" is required", "add to: [ops@example.com]");
    }
    let (subject, headers) = headers(section);
    let own = section.has("tls_config");
    let tls = match (ClientTls::read(section), tls::read(section)) {
        (tls, None) => tls,
        (_, Some(config)) if own && !section.has("tls") => config,
        (_, Some(config)) => {
            section.mistake("tls_config", "stands beside tls, which says the same", "keep one of them");
            config
        }
    };
    let settings = ExporterSettings::read(section, Duration::from_secs(60));
    let server = server(section, settings.timeout);
    let send_resolved = section.or("send_resolved", true);
    Plan { settings, server, tls, from, to, subject, headers, send_resolved }
}

fn headers(section: &mut Section) -> (Option<Fields>, BTreeMap<String, Fields>) {
    let mut subject = Fields::read(section, "subject");
    let mut headers = BTreeMap::new();
    for (name, text) in section.or("headers", BTreeMap::<String, String>::new()) {
        let Some(fields) = Fields::parse_or_mistake(section, "headers", &text) else { continue };
        let lower = name.to_ascii_lowercase();
        if lower == "subject" {
            subject = Some(fields);
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            section.mistake(
                "headers",
                format!("{name} is written by the channel itself"),
                "use from, to, cc, bcc, or leave it out",
            );
        } else if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
            || name.len() > 70
        {
            section.mistake("headers", format!("{name:?} is not the name of a header"), "write X-Name: value");
        } else {
            headers.insert(name, fields);
        }
    }
    (subject, headers)
}

fn server(section: &mut Section, timeout: Duration) -> Server {
    let smarthost: String = section.required("smarthost").unwrap_or_default();
    let parsed = smarthost
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host.trim_matches(['[', ']']), port.parse::<u16>().ok()?)));
    let (host, port) = match parsed {
        Some((host, port)) if !host.is_empty() && port != 0 => (host.to_owned(), port),
        _ => {
            if !smarthost.is_empty() {
                section.mistake("smarthost", format!("{smarthost:?} is not host:port"), "write smtp.example.com:587");
            }
            (String::new(), 587)
        }
    };
    let inside = crate::notify::address::is_inside(&host);
    let allow_private = section.or("allow_private", false);
    if inside && !allow_private {
        section.mistake(
            "smarthost",
            crate::notify::address::refusal(&host),
            "write allow_private: true if it is meant",
        );
    }
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let require_tls = section.or("require_tls", !here);
    let security = match (section.or("force_implicit_tls", port == 465), require_tls) {
        (true, _) => Security::Implicit,
        (false, true) => Security::StartTls,
        (false, false) => Security::None,
    };
    let hello = section.or("hello", "localhost".to_owned());
    if hello.is_empty() || !hello.bytes().all(|byte| byte.is_ascii_graphic()) {
        section.mistake("hello", format!("{hello:?} is not the name of a host"), "write the name of this host");
    }
    let user: Option<String> = section.get("auth_username").filter(|user: &String| !user.is_empty());
    let (password, token) = (Source::read(section, "auth_password"), Source::read(section, "auth_token"));
    section.accepted("auth_identity", "who sends is who authenticates");
    let auth = match (user, password, token) {
        (Some(user), Some(password), None) => Some(Auth { user, secret: password, oauth: false }),
        (Some(user), None, Some(token)) => Some(Auth { user, secret: token, oauth: true }),
        (None, None, None) => None,
        _ => {
            let what = "auth_username goes with auth_password or with auth_token";
            section.mistake("", what, "write both of one pair, or neither");
            None
        }
    };
    if auth.is_some() && security == Security::None && !here {
        section.warning("auth_password", "goes over the network in the clear", "write require_tls: true");
    }
    Server { host, port, hello, security, auth, allow_private, timeout }
}

#[async_trait]
impl ExporterPlan for Plan {
    fn settings(&self) -> ExporterSettings {
        self.settings.clone()
    }

    async fn build(&self, context: Context) -> anyhow::Result<Arc<dyn Exporter>> {
        let Some(from) = self.from.clone() else { anyhow::bail!("email has no from") };
        let tls = self.tls.build(&[]).context("tls")?;
        Ok(Arc::new(Notifier::new(context.id, self.send_resolved, Email { plan: self.clone(), from, tls })))
    }
}

struct Email {
    plan: Plan,
    from: Mailbox,
    tls: Reloading<ClientConfig>,
}

#[async_trait]
impl Channel for Email {
    async fn tell(&self, notification: &Notification) -> Result<(), ExportError> {
        let to = self.plan.to.of(notification);
        if to.all().next().is_none() {
            return Err(permanent("no recipient: none of to, cc and bcc gives an address for this notification"));
        }
        let look = mail::Look { from: &self.from, subject: self.plan.subject.as_ref(), headers: &self.plan.headers };
        let message = look.message(notification, &to).map_err(|error| permanent(error.to_string()))?;
        let recipients: Vec<&str> = to.all().map(|mailbox| mailbox.email.as_str()).collect();
        self.plan.server.send(self.tls.current(), &self.from.email, &recipients, &message).await
    }
}
