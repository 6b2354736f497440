//! The mail that people look at: tables and inline styles, which is what mail programs draw; dark where the reader's is, and narrow on a
//! telephone. No image, font or script from anywhere. Below the 102 KB at which Gmail cuts.

use catchment_pipeline::alerts::{Notification, NotifiedAlert, Status};

use crate::notify::message::{self, Level, Tone};
use crate::notify::text::{self, fit_or, line};

const ALERTS: usize = 40;
const BYTES: usize = 80_000;

/// Colors of a dark reader; the rest is inline, for programs that drop this.
const STYLE: &str = "\
:root{color-scheme:light dark;supported-color-schemes:light dark}\
@media (max-width:620px){.w{width:100%!important}.p{padding-left:16px!important;padding-right:16px!important}.o{padding:0!important}.r{border-radius:0!important}}\
@media (prefers-color-scheme:dark){\
.bg{background:#111418!important}.card{background:#1b2026!important;border-color:#2c333b!important}\
.ink{color:#e8ebee!important}.soft{color:#9aa4ae!important}.chip{background:#262d35!important;color:#cfd6dd!important}\
.line{border-color:#2c333b!important}.link{color:#7db2ff!important}}";

const FONT: &str = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const MONO: &str = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace";

pub(super) fn page(notification: &Notification, title: &str) -> String {
    let tone = Tone::of(notification);
    let color = format!("#{:06x}", tone.color());
    let mut cards = String::new();
    let mut shown = 0;
    for alert in notification.alerts.iter().take(ALERTS) {
        let card = card(notification, alert);
        if cards.len() + card.len() > BYTES {
            break;
        }
        cards.push_str(&card);
        shown += 1;
    }
    let more = message::more(notification, shown);
    if more > 0 {
        cards.push_str(&format!(
            "<tr><td class=\"p soft\" style=\"padding:14px 24px 0;color:#5f6b76;{FONT};font-size:14px\">and {more} more: the attached \
             alerts.csv has what this message was given</td></tr>"
        ));
    }
    let title = fit_or(title, 400, text::html, "Alert");
    let summary = summary(notification);
    let footer = footer(notification);
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"supported-color-schemes\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head>\
         <body class=\"bg\" style=\"margin:0;padding:0;background:#f2f4f6\">\
         <table role=\"presentation\" class=\"bg\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" style=\"background:#f2f4f6\"><tr>\
         <td class=\"o\" align=\"center\" style=\"padding:24px 12px\">\
         <table role=\"presentation\" class=\"w card r\" width=\"600\" cellpadding=\"0\" cellspacing=\"0\" style=\"width:600px;max-width:100%;\
         background:#ffffff;border:1px solid #dfe4e8;border-radius:10px;border-collapse:separate;overflow:hidden\">\
         <tr><td style=\"background:{color};height:6px;line-height:6px;font-size:0\">&nbsp;</td></tr>\
         <tr><td class=\"p\" style=\"padding:22px 24px 4px;{FONT}\">{pill}\
         <div class=\"ink\" style=\"margin-top:12px;color:#16202a;font-size:20px;line-height:1.35;font-weight:600;word-break:break-word\">{heading}</div>\
         {summary}</td></tr>{cards}{footer}</table></td></tr></table></body></html>",
        pill = pill(notification, tone, &color),
        heading = heading(notification, &title),
    )
}

/// Without the state in brackets, which stands beside it.
fn heading<'a>(notification: &Notification, title: &'a str) -> &'a str {
    let rest = title.strip_prefix('[').and_then(|title| title.split_once("] ")).map(|(_, rest)| rest);
    match rest {
        Some(rest) if message::title(notification).starts_with('[') => rest,
        _ => title,
    }
}

fn pill(notification: &Notification, tone: Tone, color: &str) -> String {
    let (firing, resolved) = (notification.firing().count(), notification.resolved().count());
    let word = match tone {
        Tone::Resolved => "Resolved".to_owned(),
        Tone::Acknowledged => "Acknowledged".to_owned(),
        Tone::Firing(level) => match level {
            Some(Level::Critical) => "Critical".to_owned(),
            Some(Level::Error) => "Error".to_owned(),
            Some(Level::Warning) => "Warning".to_owned(),
            Some(Level::Info) => "Info".to_owned(),
            None => "Firing".to_owned(),
        },
    };
    let counts = [(firing as u64 + notification.truncated_alerts, "firing"), (resolved as u64, "resolved")];
    let counts = counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    format!(
        "<span style=\"display:inline-block;background:{color};color:#ffffff;font-size:12px;font-weight:600;line-height:1;padding:6px 10px;\
         border-radius:999px\">{word}</span>\
         <span class=\"soft\" style=\"color:#5f6b76;font-size:13px;padding-left:10px\">{counts}</span>"
    )
}

fn summary(notification: &Notification) -> String {
    let mut lines = Vec::new();
    if let Some(by) = &notification.acknowledged_by {
        lines.push(format!("acknowledged by {}", fit_or(&line(by), 100, text::html, "someone")));
    }
    if notification.digest_of > 0 {
        lines.push(format!("{} groups in one message, since there were so many", notification.digest_of));
    }
    if notification.escalation > 0 {
        lines.push(format!("nobody has acknowledged it: step {} of the ladder", notification.escalation));
    }
    let chips: String = notification.common_labels.iter().take(20).map(|(name, value)| chip(name, value)).collect();
    let chips =
        if chips.is_empty() { chips } else { format!("<div style=\"margin-top:12px;line-height:2\">{chips}</div>") };
    let lines: String = lines
        .iter()
        .map(|line| format!("<div class=\"soft\" style=\"margin-top:8px;color:#5f6b76;font-size:14px\">{line}</div>"))
        .collect();
    format!("{lines}{chips}")
}

fn chip(name: &str, value: &str) -> String {
    let (name, value) = (fit_or(&line(name), 80, text::html, "-"), fit_or(&line(value), 160, text::html, "-"));
    format!(
        "<span class=\"chip\" style=\"display:inline-block;background:#eef1f4;color:#34414d;{MONO};font-size:12px;line-height:1.4;padding:2px 7px;\
         border-radius:5px;margin:0 6px 0 0;word-break:break-all\">{name}=<b>{value}</b></span> "
    )
}

fn card(notification: &Notification, alert: &NotifiedAlert) -> String {
    let (color, state) = match alert.status {
        Status::Firing => (Tone::Firing(alert.labels.get("severity").and_then(Level::parse)).color(), "firing"),
        Status::Resolved => (Tone::Resolved.color(), "resolved"),
    };
    let headline = fit_or(&message::headline(alert), 300, text::html, "alert");
    let description = message::description(alert).map_or_else(String::new, |description| {
        let text = fit_or(&description, 1_500, text::html, "-").replace('\n', "<br>");
        format!("<div class=\"ink\" style=\"margin-top:6px;color:#34414d;font-size:14px;line-height:1.5;word-break:break-word\">{text}</div>")
    });
    let own = message::labels(notification, alert)
        .into_iter()
        .filter(|(name, _)| notification.common_labels.get(name).is_none());
    let chips: String = own.take(20).map(|(name, value)| chip(name, value)).collect();
    let chips =
        if chips.is_empty() { chips } else { format!("<div style=\"margin-top:8px;line-height:2\">{chips}</div>") };
    let links =
        message::links(alert).into_iter().map(|(name, url)| link(name, &url)).collect::<Vec<_>>().join(" &nbsp; ");
    let links =
        if links.is_empty() { links } else { format!("<div style=\"margin-top:8px;font-size:14px\">{links}</div>") };
    format!(
        "<tr><td class=\"p\" style=\"padding:14px 24px 0;{FONT}\"><table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" \
         class=\"line\" style=\"border-top:1px solid #e6eaed\"><tr><td style=\"padding-top:14px\">\
         <div class=\"ink\" style=\"color:#16202a;font-size:15px;font-weight:600;line-height:1.4;word-break:break-word\">\
         <span style=\"display:inline-block;width:9px;height:9px;border-radius:9px;background:#{color:06x};margin-right:8px;font-size:0;line-height:0;vertical-align:middle\">&nbsp;</span>{headline}</div>\
         <div class=\"soft\" style=\"margin-top:3px;color:#5f6b76;font-size:13px\">{state} {span}</div>\
         {description}{chips}{links}</td></tr></table></td></tr>",
        span = message::span(alert),
    )
}

fn link(name: &str, url: &str) -> String {
    let url = text::fit(url, usize::MAX, text::html);
    format!("<a class=\"link\" href=\"{url}\" style=\"color:#1f62c9;text-decoration:none;font-weight:600\">{name}</a>")
}

fn footer(notification: &Notification) -> String {
    let open = message::page(notification).map_or_else(String::new, |url| {
        let url = text::fit(&url, usize::MAX, text::html);
        format!(
            "<a href=\"{url}\" style=\"display:inline-block;background:#1f62c9;color:#ffffff;font-size:14px;font-weight:600;text-decoration:none;\
             padding:10px 18px;border-radius:7px;margin-bottom:16px\">Open in Catchment</a><br>"
        )
    });
    let mut words = Vec::new();
    if !notification.receiver.trim().is_empty() {
        words.push(format!("sent to {}", fit_or(&line(&notification.receiver), 100, text::html, "-")));
    }
    if notification.at != 0 {
        words.push(message::time(notification.at));
    }
    format!(
        "<tr><td class=\"p\" style=\"padding:22px 24px 24px;{FONT}\">{open}\
         <span class=\"soft\" style=\"color:#7b8794;font-size:12px\">{}</span></td></tr>",
        words.join(" · ")
    )
}
