//! The settings as Alertmanager writes them, so that `amtool config routes` understands what this instance says of itself.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::interval::WEEKDAYS;
use super::{GroupBy, InhibitRule, Interval, Route, Settings};

pub fn write(settings: &Settings) -> String {
    let names = settings.receiver_names();
    let receivers: Vec<_> = names.into_iter().map(|name| json!({"name": name})).collect();
    let mut all = json!({
        "global": {"resolve_timeout": duration(settings.resolve_timeout)},
        "route": settings.routes.first().map(|root| route(settings, root)),
        "receivers": receivers,
    });
    if !settings.inhibit_rules.is_empty() {
        all["inhibit_rules"] = settings.inhibit_rules.iter().map(inhibit).collect();
    }
    if !settings.intervals.is_empty() {
        let named = |(name, all): (&String, &Vec<Interval>)| json!({"name": name, "time_intervals": all.iter().map(interval).collect::<Vec<_>>()});
        all["time_intervals"] = settings.intervals.iter().map(named).collect();
    }
    let mut out = String::new();
    block(&mut out, &all, 0);
    for (route, step) in settings.routes.iter().flat_map(|route| route.ladder.iter().map(move |step| (route, step))) {
        let _ = writeln!(out, "# {}: escalate to {} after {}", route.id, step.receiver, duration(step.after));
    }
    for (name, receiver) in &settings.receivers {
        if let Some(limit) = receiver.limit {
            let _ = writeln!(out, "# {name}: at most {} messages in {}", limit.messages, duration(limit.per));
        }
    }
    out
}

fn route(settings: &Settings, route: &Route) -> Value {
    let group_by: Vec<_> = match &route.group_by {
        GroupBy::All => vec!["..."],
        GroupBy::Labels(names) => names.iter().map(String::as_str).collect(),
    };
    let mut value = json!({
        "receiver": route.receiver,
        "group_by": group_by,
        "group_wait": duration(route.group_wait),
        "group_interval": duration(route.group_interval),
        "repeat_interval": duration(route.repeat_interval),
        "continue": route.goes_on,
    });
    let mut list = |key: &str, items: Vec<Value>| {
        if !items.is_empty() {
            value[key] = items.into();
        }
    };
    list("matchers", route.matchers.iter().map(|matcher| matcher.to_string().into()).collect());
    list("mute_time_intervals", route.mute.iter().map(|name| name.as_str().into()).collect());
    list("active_time_intervals", route.active.iter().map(|name| name.as_str().into()).collect());
    let children = route.children.iter().filter_map(|child| settings.routes.get(*child));
    list("routes", children.map(|child| self::route(settings, child)).collect());
    value
}

fn inhibit(rule: &InhibitRule) -> Value {
    let text =
        |matchers: &[catchment_pipeline::alerts::Matcher]| matchers.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({"source_matchers": text(&rule.source), "target_matchers": text(&rule.target), "equal": rule.equal})
}

fn interval(interval: &Interval) -> Value {
    let time = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
    let times: Vec<_> =
        interval.times.iter().map(|(from, to)| json!({"start_time": time(*from), "end_time": time(*to)})).collect();
    let weekday = |day: i32| usize::try_from(day).ok().and_then(|day| WEEKDAYS.get(day)).copied().unwrap_or_default();
    let weekdays =
        interval.weekdays.iter().map(|range| format!("{}:{}", weekday(*range.start()), weekday(*range.end())).into());
    let numbers = |ranges: &[std::ops::RangeInclusive<i32>]| {
        ranges.iter().map(|range| format!("{}:{}", range.start(), range.end()).into()).collect::<Vec<Value>>()
    };
    let mut value = json!({"location": interval.zone.name()});
    for (key, items) in [
        ("times", times),
        ("weekdays", weekdays.collect()),
        ("days_of_month", numbers(&interval.days_of_month)),
        ("months", numbers(&interval.months)),
        ("years", numbers(&interval.years)),
    ] {
        if !items.is_empty() {
            value[key] = items.into();
        }
    }
    value
}

/// As Prometheus writes durations: whole units from weeks down to milliseconds.
fn duration(nanos: i64) -> String {
    let (mut left, mut text) = (nanos / 1_000_000, String::new());
    for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if left >= millis {
            let _ = write!(text, "{}{unit}", left / millis);
            left %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Block style for mappings and lists; texts as JSON, which YAML reads as they are.
fn block(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let _ = write!(out, "{indent}{key}:");
                inner(out, value, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                let _ = write!(out, "{indent}-");
                inner(out, item, depth);
            }
        }
        plain => {
            let _ = writeln!(out, "{indent}{plain}");
        }
    }
}

fn inner(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            out.push('\n');
            block(out, value, depth + 1);
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            out.push('\n');
            block(out, value, depth + 1);
        }
        plain => {
            let _ = writeln!(out, " {plain}");
        }
    }
}
