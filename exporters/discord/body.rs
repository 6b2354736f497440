//! A notification as one of Discord's embeds: title 256, description 4,096, footer 2,048, a field's name 256 and value 1,024, 25 fields,
//! 6,000 characters in all.

use catchment_pipeline::alerts::{Notification, NotifiedAlert};
use serde_json::{Value, json};

use crate::notify::fields::{self, Fields};
use crate::notify::message::{self, Tone};
use crate::notify::text::{fit, fit_or, length, line, markdown, plain};

const TITLE: usize = 256;
const DESCRIPTION: usize = 3_900;
const HEADLINE: usize = 200;
const TEXT: usize = 500;
const LABEL: usize = 100;
const LABELS: usize = 10;
const FOOTER: usize = 200;

#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub username: Option<String>,
    pub avatar_url: Option<String>,
    pub title: Option<Fields>,
}

impl Look {
    pub fn message(&self, notification: &Notification) -> Value {
        let title = fields::title(self.title.as_ref(), notification);
        let mut embed = json!({
            "title": fit_or(&line(&title), TITLE, markdown, "Alert"),
            "description": description(notification),
            "color": Tone::of(notification).color(),
        });
        if let Some(url) = message::page(notification) {
            embed["url"] = Value::from(url);
        }
        if notification.at != 0 {
            embed["timestamp"] = Value::from(catchment_pipeline::alerts::time::format(notification.at));
        }
        // A second delivery of one notification can be told by its id.
        let footer = [&notification.receiver, &notification.id].map(|text| line(text).trim().to_owned());
        let footer = footer.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" · ");
        if !footer.is_empty() {
            embed["footer"] = json!({ "text": fit_or(&footer, FOOTER, crate::notify::text::plain, "-") });
        }
        let mut message = json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } });
        for (key, value) in [("username", &self.username), ("avatar_url", &self.avatar_url)] {
            if let Some(value) = value {
                message[key] = Value::from(value.as_str());
            }
        }
        message
    }
}

fn description(notification: &Notification) -> String {
    let (mut text, mut shown) = (String::new(), 0);
    for alert in &notification.alerts {
        let one = one(notification, alert);
        // Room for the line that says how many are left out.
        if length(&text) + length(&one) + 60 > DESCRIPTION {
            break;
        }
        text.push_str(&one);
        shown += 1;
    }
    match message::more(notification, shown) {
        0 if text.is_empty() => text.push_str("no alerts are listed"),
        0 => {}
        more => text.push_str(&format!("and {more} more")),
    }
    text.trim_end().to_owned()
}

fn one(notification: &Notification, alert: &NotifiedAlert) -> String {
    let mark = message::mark(alert);
    let mut text = format!("{mark} **{}**\n", fit_or(&message::headline(alert), HEADLINE, markdown, "alert"));
    if let Some(description) = message::description(alert) {
        text.push_str(&in_lines(&fit(&description, TEXT, markdown)));
        text.push('\n');
    }
    // In code spans nothing is escaped.
    text.push_str(&message::label_spans(notification, alert, (LABELS, LABEL), plain));
    for (name, url) in message::links(alert).into_iter().filter(|(_, url)| url.len() <= 500) {
        text.push_str(&format!(" [{name}]({url})"));
    }
    text.push_str("\n\n");
    text
}

/// What begins a heading, a list or a quotation at the beginning of a line does not.
fn in_lines(text: &str) -> String {
    let lines = text.lines().map(|line| match line.trim_start().starts_with(['#', '>', '-', '+']) {
        true => format!("\\{}", line.trim_start()),
        false => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
