//! What a notification says to people, before any markup: the words that every channel has in common. Titles are Alertmanager's default.

use std::time::Duration;

use catchment_pipeline::alerts::{Alert, Labels, Notification, NotifiedAlert, Status};
use chrono::{DateTime, Utc};
use reqwest::Url;

use super::text;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
    Critical,
}

impl Level {
    /// The words that people have for it.
    pub fn parse(word: &str) -> Option<Level> {
        Some(match word.trim().to_ascii_lowercase().as_str() {
            "critical" | "crit" | "page" | "fatal" | "emergency" | "emerg" | "disaster" | "p1" | "p0" | "sev1"
            | "sev0" => Level::Critical,
            "error" | "err" | "high" | "major" | "p2" | "sev2" => Level::Error,
            "warning" | "warn" | "medium" | "minor" | "average" | "p3" | "sev3" => Level::Warning,
            "info" | "informational" | "information" | "notice" | "low" | "none" | "ok" | "debug" | "p4" | "p5"
            | "sev4" => Level::Info,
            _ => return None,
        })
    }

    /// Of what fires; of everything when nothing does.
    pub fn of(notification: &Notification) -> Option<Level> {
        let level = |alert: &NotifiedAlert| Level::parse(alert.labels.get("severity")?);
        let all = || notification.alerts.iter().filter_map(level).max();
        let common = || Level::parse(notification.common_labels.get("severity")?);
        notification.firing().filter_map(level).max().or_else(all).or_else(common)
    }
}

/// What it comes to, in one word and one color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Firing(Option<Level>),
    Resolved,
    Acknowledged,
}

impl Tone {
    pub fn of(notification: &Notification) -> Tone {
        match (&notification.acknowledged_by, notification.status) {
            (_, Status::Resolved) => Tone::Resolved,
            (Some(_), Status::Firing) => Tone::Acknowledged,
            (None, Status::Firing) => Tone::Firing(Level::of(notification)),
        }
    }

    pub fn color(self) -> u32 {
        match self {
            Tone::Resolved => 0x2e_9e_5b,
            Tone::Acknowledged => 0x6b_72_80,
            Tone::Firing(Some(Level::Info)) => 0x2f_6f_de,
            Tone::Firing(Some(Level::Warning)) => 0xd9_8a_00,
            Tone::Firing(Some(Level::Error)) => 0xd9_53_1e,
            Tone::Firing(Some(Level::Critical) | None) => 0xc9_2a_2a,
        }
    }
}

/// `[FIRING:2] DiskFull host-a (prod critical)`: the group's labels, and what else is common to its alerts. On one line, of any length.
pub(crate) fn title(notification: &Notification) -> String {
    let mut title = match notification.status {
        Status::Firing => format!("[FIRING:{}]", notification.firing().count() as u64 + notification.truncated_alerts),
        Status::Resolved => "[RESOLVED]".to_owned(),
    };
    if let Some(by) = &notification.acknowledged_by {
        title = format!("[ACKNOWLEDGED by {}]", or(by, "someone"));
    }
    if notification.digest_of > 0 {
        title = format!("{title} {} groups in one message", notification.digest_of);
    }
    let (group, common) = (&notification.group_labels, &notification.common_labels);
    let values = |labels: &Labels, without: &Labels| {
        // The name first, as people say it.
        let name = labels.iter().filter(|(name, _)| *name == Alert::NAME);
        let others = labels.iter().filter(|(name, _)| *name != Alert::NAME);
        let values = name.chain(others).filter(|(name, _)| without.get(name).is_none()).map(|(_, value)| value);
        values.collect::<Vec<_>>().join(" ")
    };
    let (of_group, others) = (values(group, &Labels::default()), values(common, group));
    if !of_group.is_empty() {
        title = format!("{title} {of_group}");
    }
    if !others.is_empty() {
        title = format!("{title} ({others})");
    }
    if notification.escalation > 0 {
        title = format!("{title}, escalated to step {}", notification.escalation);
    }
    text::line(&title).into_owned()
}

/// What an alert is about, on one line.
pub(crate) fn headline(alert: &NotifiedAlert) -> String {
    let annotated = ["summary", "title", "message"].iter().find_map(|name| alert.annotations.get(name));
    let name = alert.labels.get(Alert::NAME);
    let headline = annotated.or(name).map_or_else(|| alert.labels.to_string(), str::to_owned);
    or(text::line(&headline).trim(), "alert").to_owned()
}

/// More about it, in lines.
pub(crate) fn description(alert: &NotifiedAlert) -> Option<String> {
    let headline = headline(alert);
    let found = ["description", "message"].iter().find_map(|name| alert.annotations.get(name));
    found.map(|found| text::lines(found.trim()).into_owned()).filter(|found| !found.is_empty() && *found != headline)
}

/// The labels that say which one it is, with those first that its group does not share.
pub(crate) fn labels<'a>(notification: &'a Notification, alert: &'a NotifiedAlert) -> Vec<(&'a str, &'a str)> {
    let own = |name: &str| notification.common_labels.get(name).is_none();
    let mut labels: Vec<_> = alert.labels.iter().filter(|(name, _)| *name != Alert::NAME).collect();
    labels.sort_by_key(|(name, _)| !own(name));
    labels
}

/// A dot before an alert, where there is no other color for it.
pub(crate) fn mark(alert: &NotifiedAlert) -> &'static str {
    match alert.status {
        Status::Firing => "🔴",
        Status::Resolved => "🟢",
    }
}

/// At most `most` labels as code spans of `length`, and since when. No backtick ends a span.
pub(crate) fn label_spans(
    notification: &Notification,
    alert: &NotifiedAlert,
    (most, length): (usize, usize),
    escape: text::Escape,
) -> String {
    let labels = labels(notification, alert);
    let one = |(name, value): &(&str, &str)| {
        let pair = format!("{name}={value}").replace('`', "'");
        format!("`{}`", text::fit_or(&text::line(&pair), length, escape, "="))
    };
    let mut spans: Vec<_> = labels.iter().take(most).map(one).collect();
    if labels.len() > most {
        spans.push(format!("and {} more labels", labels.len() - most));
    }
    spans.extend(Some(span(alert)).filter(|span| !span.is_empty()));
    spans.join(" ")
}

/// Where to read on, by name. Nothing but the web's addresses: a label may have made them.
pub(crate) fn links(alert: &NotifiedAlert) -> Vec<(&'static str, String)> {
    let annotated = |names: &[&str]| names.iter().find_map(|name| web(alert.annotations.get(name)?));
    let found = [
        ("Runbook", annotated(&["runbook_url", "runbook"])),
        ("Dashboard", annotated(&["dashboard_url", "dashboard"])),
        ("Query", web(&alert.generator_url)),
    ];
    found.into_iter().filter_map(|(name, url)| url.map(|url| (name, url))).collect()
}

const LONGEST_LINK: usize = 2_000;

/// An http(s) address as the web writes it, with nothing in it that ends a link in any markup.
pub(crate) fn web(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let mut safe = String::new();
    for c in url.as_str().chars() {
        match c {
            '|' => safe.push_str("%7C"),
            '(' => safe.push_str("%28"),
            ')' => safe.push_str("%29"),
            '<' => safe.push_str("%3C"),
            '>' => safe.push_str("%3E"),
            '"' => safe.push_str("%22"),
            '\'' => safe.push_str("%27"),
            '`' => safe.push_str("%60"),
            '*' => safe.push_str("%2A"),
            '\\' => safe.push_str("%5C"),
            c => safe.push(c),
        }
    }
    (safe.len() <= LONGEST_LINK).then_some(safe)
}

/// `2026-01-31 12:00:00 UTC`.
pub(crate) fn time(nanos: i64) -> String {
    DateTime::<Utc>::from_timestamp_nanos(nanos).format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `since 2026-01-31 12:00:00 UTC`, or for how long it was.
pub(crate) fn span(alert: &NotifiedAlert) -> String {
    match (alert.status, alert.starts_at, alert.ends_at) {
        (_, 0, _) => String::new(),
        (Status::Resolved, from, to) if to > from => {
            let took = Duration::from_nanos(to.saturating_sub(from).unsigned_abs());
            format!("after {}, began {}", took_text(took), time(from))
        }
        (_, from, _) => format!("since {}", time(from)),
    }
}

fn took_text(took: Duration) -> String {
    let seconds = took.as_secs();
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let shown = parts.iter().skip_while(|(n, _)| *n == 0).take(2).filter(|(n, _)| *n > 0);
    let text = shown.map(|(n, unit)| format!("{n}{unit}")).collect::<Vec<_>>().join(" ");
    or(&text, "less than a second").to_owned()
}

/// How many alerts there are beyond those that are shown.
pub(crate) fn more(notification: &Notification, shown: usize) -> u64 {
    notification.alerts.len().saturating_sub(shown) as u64 + notification.truncated_alerts
}

/// Where the page is, if there is one.
pub(crate) fn page(notification: &Notification) -> Option<String> {
    web(&notification.external_url)
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.trim().is_empty() { otherwise } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_alertmanagers() {
        let labels = Labels::new([("alertname", "DiskFull"), ("host", "a"), ("severity", "critical")]);
        let alert = NotifiedAlert { labels: labels.clone(), ..NotifiedAlert::default() };
        let mut notification = Notification {
            group_labels: Labels::new([("alertname", "DiskFull")]),
            common_labels: labels,
            alerts: vec![alert.clone(), alert],
            ..Notification::default()
        };
        assert_eq!(title(&notification), "[FIRING:2] DiskFull (a critical)");
        assert_eq!(Tone::of(&notification), Tone::Firing(Some(Level::Critical)));
        notification.status = Status::Resolved;
        assert_eq!(title(&notification), "[RESOLVED] DiskFull (a critical)");
        notification.common_labels = Labels::default();
        assert_eq!(title(&notification), "[RESOLVED] DiskFull");
    }

    #[test]
    fn only_the_webs_addresses_are_links() {
        assert_eq!(web("https://a/b|c>d (e)").as_deref(), Some("https://a/b%7Cc%3Ed%20%28e%29"));
        for text in ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "/relative", ""] {
            assert_eq!(web(text), None, "{text}");
        }
    }

    #[test]
    fn times_for_people() {
        let s = 1_000_000_000;
        let alert =
            |status, starts_at, ends_at| NotifiedAlert { status, starts_at, ends_at, ..NotifiedAlert::default() };
        assert_eq!(span(&alert(Status::Firing, s, 0)), "since 1970-01-01 00:00:01 UTC");
        assert_eq!(span(&alert(Status::Resolved, s, 3662 * s)), "after 1h 1m, began 1970-01-01 00:00:01 UTC");
    }
}
