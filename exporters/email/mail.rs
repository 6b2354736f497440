//! A notification as a message of RFC 5322.

use std::collections::BTreeMap;
use std::io;
use std::time::SystemTime;

use catchment_pipeline::alerts::{Notification, Status};
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::date::Date;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};

use super::address::Mailbox;
use super::{csv, html};
use crate::notify::fields::{self, Fields};
use crate::notify::message::{self, Level};
use crate::notify::text::{fit_or, line, plain};

const SUBJECT: usize = 250;
const HEADER: usize = 500;
/// In the text part.
const ALERTS: usize = 100;
const TEXT: usize = 60_000;

#[derive(Clone, Debug, Default)]
pub(super) struct Recipients {
    pub to: Vec<Fields>,
    pub cc: Vec<Fields>,
    pub bcc: Vec<Fields>,
}

pub(super) struct Filled {
    to: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    bcc: Vec<Mailbox>,
}

impl Recipients {
    /// Those of this notification: a field that says no address is nobody.
    pub fn of(&self, notification: &Notification) -> Filled {
        let filled = |all: &[Fields]| -> Vec<Mailbox> {
            let texts = all.iter().map(|fields| (fields, fields.fill(notification)));
            // A field may give several.
            let one = |(fields, (text, missing)): (&Fields, (String, Option<String>))| -> Vec<Mailbox> {
                let found: Vec<_> = match (missing, fields.constant()) {
                    (Some(_), _) => Vec::new(),
                    (None, Some(_)) => vec![Mailbox::parse(&text)],
                    (None, None) => text.split(',').take(100).map(Mailbox::parse).collect(),
                };
                for what in found.iter().filter_map(|found| found.as_ref().err()) {
                    tracing::warn!(id = notification.id, "a recipient is left out: {what}");
                }
                found.into_iter().flatten().collect()
            };
            texts.flat_map(one).collect()
        };
        Filled { to: filled(&self.to), cc: filled(&self.cc), bcc: filled(&self.bcc) }
    }
}

impl Filled {
    pub fn all(&self) -> impl Iterator<Item = &Mailbox> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }
}

pub(super) struct Look<'a> {
    pub from: &'a Mailbox,
    pub subject: Option<&'a Fields>,
    pub headers: &'a BTreeMap<String, Fields>,
}

impl Look<'_> {
    pub fn message(&self, notification: &Notification, to: &Filled) -> io::Result<Vec<u8>> {
        let subject = fields::title(self.subject, notification);
        let subject = fit_or(&line(&subject), SUBJECT, plain, "Alert");
        let (id, group) = (self.id("n", &notification.id), self.id("g", &notification.group_key));
        let list = |all: &[Mailbox]| Address::new_list(all.iter().map(owned).collect());
        let mut message = MessageBuilder::new()
            .message_id(MessageId::new(id))
            // No mail has this id: what refers to one id is one thread all the same.
            .in_reply_to(MessageId::new(group.clone()))
            .references(MessageId::new(group))
            .date(Date::new(seconds(notification.at)))
            .from(self.from.header())
            .subject(subject.as_str())
            .header("Auto-Submitted", Text::new("auto-generated"))
            .header("X-Catchment-Notification", Text::new(fit_or(&line(&notification.id), HEADER, plain, "-")));
        if !to.to.is_empty() {
            message = message.to(list(&to.to));
        } else if to.cc.is_empty() {
            // A message that names nobody is taken for spam.
            message = message.to(self.from.header());
        }
        if !to.cc.is_empty() {
            message = message.cc(list(&to.cc));
        }
        if urgent(notification) {
            message = message.header("X-Priority", Text::new("1")).header("Importance", Text::new("high"));
        }
        for (name, fields) in self.headers {
            let value = fit_or(&line(&fields.fill(notification).0), HEADER, plain, "-");
            message = message.header(name.clone(), Text::new(value));
        }
        let both = MimePart::new(
            "multipart/alternative",
            BodyPart::Multipart(vec![
                MimePart::new("text/plain", text(notification, &subject)),
                MimePart::new("text/html", html::page(notification, &subject)),
            ]),
        );
        let table = MimePart::new("text/csv", csv::csv(notification)).attachment("alerts.csv");
        message.body(MimePart::new("multipart/mixed", BodyPart::Multipart(vec![both, table]))).write_to_vec()
    }

    /// Of any text, an id in the form that mail has.
    fn id(&self, sort: &str, text: &str) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let hex: String = digest.as_ref().iter().take(20).map(|byte| format!("{byte:02x}")).collect();
        format!("{sort}.{hex}@{}", self.from.domain())
    }
}

fn owned(mailbox: &Mailbox) -> Address<'static> {
    Address::new_address(mailbox.name.clone(), mailbox.email.clone())
}

fn urgent(notification: &Notification) -> bool {
    notification.status == Status::Firing && Level::of(notification) == Some(Level::Critical)
}

fn seconds(nanos: i64) -> i64 {
    if nanos > 0 {
        return nanos / 1_000_000_000;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or_default()
}

/// For who reads no HTML.
fn text(notification: &Notification, title: &str) -> String {
    let mut out = format!("{title}\n{}\n\n", "=".repeat(title.chars().count().min(72)));
    let mut shown = 0;
    for alert in notification.alerts.iter().take(ALERTS) {
        let state = if alert.status == Status::Firing { "FIRING" } else { "RESOLVED" };
        let mut one = format!("{state} {}\n", fit_or(&message::headline(alert), 300, plain, "alert"));
        if let Some(description) = message::description(alert) {
            one.push_str(&format!("{}\n", fit_or(&description, 1_500, plain, "-")));
        }
        let span = message::span(alert);
        if !span.is_empty() {
            one.push_str(&format!("  {span}\n"));
        }
        for (name, value) in message::labels(notification, alert).into_iter().take(40) {
            let pair = format!("{name} = {value}");
            one.push_str(&format!("  {}\n", fit_or(&line(&pair), 300, plain, "-")));
        }
        for (name, url) in message::links(alert) {
            one.push_str(&format!("  {name}: {url}\n"));
        }
        one.push('\n');
        if out.len() + one.len() > TEXT {
            break;
        }
        out.push_str(&one);
        shown += 1;
    }
    let more = message::more(notification, shown);
    if more > 0 {
        out.push_str(&format!("and {more} more\n\n"));
    }
    if let Some(url) = message::page(notification) {
        out.push_str(&format!("{url}\n"));
    }
    out
}
