//! A notification as Slack's blocks, in its limits: `text` 3,000 characters, a section's text 3,000, 50 blocks, and some 12,000 in all.

use catchment_pipeline::alerts::{Notification, NotifiedAlert};
use serde_json::{Value, json};

use crate::notify::fields::{self, Fields};
use crate::notify::message::{self, Tone};
use crate::notify::text::{fit, fit_or, length, line, mrkdwn};

/// Of all text in one message; more than 13,000 is refused.
const ALL: usize = 10_000;
const TITLE: usize = 500;
const HEADLINE: usize = 300;
const DESCRIPTION: usize = 900;
const LABEL: usize = 120;
const LABELS: usize = 12;
const ALERTS: usize = 20;
const SECTION: usize = 3_000;

#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub channel: Option<String>,
    pub username: Option<String>,
    pub icon_emoji: Option<String>,
    pub icon_url: Option<String>,
    pub title: Option<Fields>,
}

impl Look {
    pub fn message(&self, notification: &Notification) -> Value {
        let title = fields::title(self.title.as_ref(), notification);
        let title = fit_or(&line(&title), TITLE, mrkdwn, "Alert");
        // `|` ends the address of a link and begins its text.
        let headline = match message::page(notification) {
            Some(url) => format!("<{}|{}>", fit(&url, 2_000, mrkdwn), title.replace('|', "¦")),
            None => title.clone(),
        };
        let color = format!("#{:06x}", Tone::of(notification).color());
        let attachment = json!({ "color": color, "fallback": title, "blocks": blocks(notification) });
        let mut message =
            json!({ "text": headline, "attachments": [attachment], "unfurl_links": false, "unfurl_media": false });
        let own = [
            ("channel", &self.channel),
            ("username", &self.username),
            ("icon_emoji", &self.icon_emoji),
            ("icon_url", &self.icon_url),
        ];
        for (key, value) in own {
            if let Some(value) = value {
                message[key] = Value::from(value.as_str());
            }
        }
        message
    }
}

/// What a program that reads the channel knows a message by.
pub(super) fn metadata(notification: &Notification) -> Value {
    json!({ "event_type": "catchment_notification", "event_payload": { "id": notification.id } })
}

fn blocks(notification: &Notification) -> Vec<Value> {
    let (mut blocks, mut used) = (Vec::new(), 0);
    for alert in notification.alerts.iter().take(ALERTS) {
        let text = section(notification, alert);
        used += length(&text);
        if used > ALL && !blocks.is_empty() {
            break;
        }
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    let more = message::more(notification, blocks.len());
    let mut context = Vec::new();
    if more > 0 {
        context.push(format!("and {more} more"));
    }
    if let Some(at) = (notification.at != 0).then(|| message::time(notification.at)) {
        context.push(at);
    }
    let receiver = fit(&line(&notification.receiver), 100, mrkdwn);
    if !receiver.trim().is_empty() {
        context.push(format!("to {receiver}"));
    }
    if context.is_empty() && blocks.is_empty() {
        context.push("no alerts are listed".to_owned());
    }
    if !context.is_empty() {
        let text = context.join(" · ");
        blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": text }] }));
    }
    blocks
}

fn section(notification: &Notification, alert: &NotifiedAlert) -> String {
    let mark = message::mark(alert);
    let mut text = format!("{mark} *{}*", fit_or(&message::headline(alert), HEADLINE, mrkdwn, "alert"));
    if let Some(description) = message::description(alert) {
        text.push('\n');
        text.push_str(&fit(&description, DESCRIPTION, mrkdwn));
    }
    text.push('\n');
    text.push_str(&message::label_spans(notification, alert, (LABELS, LABEL), mrkdwn));
    for (name, url) in message::links(alert) {
        let link = format!(" <{}|{name}>", url.replace('&', "&amp;"));
        if length(&text) + length(&link) <= SECTION {
            text.push_str(&link);
        }
    }
    text
}
