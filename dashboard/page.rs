//! The landing page: what runs and where, rendered here, so that it says the same with scripts off.
//!
//! Whatever the page shows of telemetry or configuration goes through [`Text`], which escapes it. `/live` is the part
//! that changes: the page's script fetches it again and again, and it is the same rendering.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use catchment_pipeline::engine::status::{Exporter, Failure, Pipeline, Receiver, Snapshot, State as RunState};
use catchment_storage::LakeStats;
use http::header;

use crate::App;

pub async fn page(State(app): State<Arc<App>>) -> Html<String> {
    let live = render(&(app.sources.status)(), app.sources.lake.as_ref().map(|lake| lake.stats()).as_ref());
    Html(include_str!("page.html").replace("{{version}}", env!("CARGO_PKG_VERSION")).replace("{{live}}", &live))
}

pub async fn live(State(app): State<Arc<App>>) -> Html<String> {
    Html(render(&(app.sources.status)(), app.sources.lake.as_ref().map(|lake| lake.stats()).as_ref()))
}

pub async fn css() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page.css")).into_response()
}

pub async fn js() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page.js")).into_response()
}

fn render(status: &Snapshot, lake: Option<&LakeStats>) -> String {
    let mut out = String::with_capacity(8 << 10);
    out += &tiles(status, lake);
    if status.log.fsync_failures > 0 {
        let failures = Count(status.log.fsync_failures as f64);
        out += &format!("<p class=\"banner bad\">The log could not be written {failures} times: look at its disk.</p>");
    }
    if let Some(reload) = status.reload.as_ref().filter(|reload| !reload.applied) {
        let message = Text(&reload.message);
        out += &format!("<p class=\"banner bad\">The last reload changed nothing: {message}</p>");
    }
    out += &section("Receivers", &receivers(status));
    out += &section("Pipelines", &pipelines(&status.pipelines));
    out += &section("Exporters", &exporters(status));
    if let Some(lake) = lake {
        out += &section("Lake", &tables(status, lake));
    }
    out
}

fn section(title: &str, body: &str) -> String {
    format!("<section><h2>{title}</h2>{body}</section>")
}

fn tiles(status: &Snapshot, lake: Option<&LakeStats>) -> String {
    let accepted: f64 = status.receivers.iter().map(|receiver| receiver.accepted_per_second).sum();
    let behind = status.exporters.iter().map(|exporter| exporter.backlog.oldest_age_seconds).fold(0.0, f64::max);
    let lost = status.exporters.iter().map(|exporter| exporter.lost_items).sum::<u64>() + status.log.lost_items;
    let uptime = status.now_unix_ms.saturating_sub(status.started_unix_ms) as f64 / 1e3;
    let log = &status.log;
    let mut tiles = vec![
        match status.ready {
            true => tile("Status", "ready", &format!("up {}", Age(uptime)), "good"),
            false => tile("Status", "not ready", &format!("up {}", Age(uptime)), "bad"),
        },
        tile("Coming in", &format!("{}/s", Count(accepted)), "items", ""),
        tile("Oldest unsent", &Age(behind).to_string(), "over all exporters", if behind > 60.0 { "warn" } else { "" }),
        tile("Lost", &Count(lost as f64).to_string(), "given up on, since start", if lost > 0 { "bad" } else { "" }),
        tile(
            "Log",
            &Bytes(log.bytes).to_string(),
            &if log.durable { format!("of {}", Bytes(log.limit_bytes)) } else { "in memory only".to_owned() },
            if log.durable { "" } else { "warn" },
        ),
        tile("Memory", &Bytes(status.memory.resident_bytes).to_string(), "resident", ""),
    ];
    if let Some(lake) = lake {
        let rows: u64 = lake.tables.iter().map(|table| table.hot_rows + table.file_rows).sum();
        let bytes: u64 = lake.tables.iter().map(|table| table.file_bytes).sum();
        tiles.push(tile("Lake", &Count(rows as f64).to_string(), &format!("rows, {} of files", Bytes(bytes)), ""));
    }
    format!("<div class=\"tiles\">{}</div>", tiles.concat())
}

fn tile(name: &str, value: &str, note: &str, class: &str) -> String {
    format!("<div class=\"tile {class}\"><span>{name}</span><strong>{value}</strong><small>{note}</small></div>")
}

fn table(head: &[&str], rows: impl IntoIterator<Item = String>) -> String {
    let rows = rows.into_iter().collect::<String>();
    if rows.is_empty() {
        return "<p class=\"none\">none</p>".to_owned();
    }
    // A head that begins with `#` is of a column of numbers.
    let head = head.iter().map(|name| match name.strip_prefix('#') {
        Some(name) => format!("<th class=\"n\">{name}</th>"),
        None => format!("<th>{name}</th>"),
    });
    let head = head.collect::<String>();
    format!("<div class=\"scroll\"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>")
}

fn receivers(status: &Snapshot) -> String {
    let row = |receiver: &Receiver| {
        let listens = (receiver.addresses.iter())
            .map(|at| format!("<span class=\"at\"><i>{}</i> {}</span>", Text(at.protocol), Text(&at.address)))
            .collect::<String>();
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n{}\">{}</td></tr>{}",
            name(&receiver.id, receiver.state),
            if listens.is_empty() { "<i>collects by itself</i>" } else { &listens },
            Text(&receiver.pipelines.join(", ")),
            Rate(receiver.accepted_per_second),
            Count(receiver.accepted_items as f64),
            if receiver.refused_items > 0 { " warn" } else { "" },
            Count(receiver.refused_items as f64),
            failure(status, receiver.last_error.as_ref(), 6),
        )
    };
    table(&["Receiver", "Listens on", "Pipelines", "#Rate", "#Accepted", "#Refused"], status.receivers.iter().map(row))
}

fn pipelines(pipelines: &[Pipeline]) -> String {
    let chips = |ids: &[String]| ids.iter().map(|id| format!("<code>{}</code>", Text(id))).collect::<String>();
    let arrow = "<b>\u{2192}</b>";
    let row = |pipeline: &Pipeline| {
        let middle = match pipeline.processors.is_empty() {
            true => String::new(),
            false => {
                let steps = pipeline.processors.iter().map(|id| chips(std::slice::from_ref(id)));
                format!("{}{arrow}", steps.collect::<Vec<_>>().join(arrow))
            }
        };
        let (from, to) = (chips(&pipeline.receivers), chips(&pipeline.exporters));
        format!(
            "<li><strong>{}</strong><span class=\"flow\">{from}{arrow}{middle}<em>log</em>{arrow}{to}</span></li>",
            Text(&pipeline.id)
        )
    };
    format!("<ul class=\"pipelines\">{}</ul>", pipelines.iter().map(row).collect::<String>())
}

fn exporters(status: &Snapshot) -> String {
    let row = |exporter: &Exporter| {
        let backlog = &exporter.backlog;
        format!(
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n{}\">{}</td></tr>{}",
            name(&exporter.id, exporter.state),
            Text(&exporter.pipelines.join(", ")),
            Rate(exporter.exported_per_second),
            Count(exporter.exported_items as f64),
            backlog_text(backlog.items, backlog.bytes),
            Age(backlog.oldest_age_seconds),
            Count(exporter.retries as f64),
            if exporter.lost_items > 0 { " bad" } else { "" },
            Count(exporter.lost_items as f64),
            failure(status, exporter.last_error.as_ref(), 8),
        )
    };
    table(
        &["Exporter", "Pipelines", "#Rate", "#Exported", "#Backlog", "#Oldest", "#Retries", "#Lost"],
        status.exporters.iter().map(row),
    )
}

fn backlog_text(items: u64, bytes: u64) -> String {
    if items == 0 && bytes == 0 { "0".to_owned() } else { format!("{} <i>{}</i>", Count(items as f64), Bytes(bytes)) }
}

fn tables(status: &Snapshot, lake: &LakeStats) -> String {
    let rows = lake.tables.iter().map(|table| {
        let density = match table.file_rows {
            0 => "<i>\u{2013}</i>".to_owned(),
            rows => format!("{:.2}", table.file_bytes as f64 / rows as f64),
        };
        format!(
            "<tr><td><code>{}</code></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{density}</td></tr>",
            Text(table.name),
            Count(table.hot_rows as f64),
            Count(table.file_rows as f64),
            Count(table.files as f64),
            Bytes(table.file_bytes),
        )
    });
    let mut out = table(&["Table", "#Hot rows", "#Rows in files", "#Files", "#Size", "#Bytes a row"], rows);
    if let Some(error) = &lake.last_flush_error {
        let error = Text(error);
        out += &format!("<p class=\"banner bad\">The last flush failed; rows stay in memory and the log: {error}</p>");
    } else if let (Some(at), Some(took)) = (lake.last_flush, lake.last_flush_duration) {
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_millis(status.now_unix_ms);
        let ago = now.duration_since(at).unwrap_or_default().as_secs_f64();
        out += &format!("<p class=\"note\">Flushed {} ago, in {}.</p>", Age(ago), Age(took.as_secs_f64()));
    }
    out
}

fn name(id: &str, state: RunState) -> String {
    let (class, text) = match state {
        RunState::Running => ("good", "running"),
        RunState::Starting => ("warn", "starting"),
        RunState::Retrying => ("warn", "retrying"),
        RunState::Stopping => ("warn", "stopping"),
        RunState::Stopped => ("", "stopped"),
        RunState::Failed => ("bad", "failed"),
    };
    format!("<code>{}</code> <span class=\"pill {class}\">{text}</span>", Text(id))
}

fn failure(status: &Snapshot, failure: Option<&Failure>, columns: usize) -> String {
    let Some(failure) = failure else { return String::new() };
    format!("<tr class=\"failure\"><td colspan=\"{columns}\">{}</td></tr>", failure_text(status, failure))
}

fn failure_text(status: &Snapshot, failure: &Failure) -> String {
    let ago = status.now_unix_ms.saturating_sub(failure.at_unix_ms) as f64 / 1e3;
    format!("{} ago: {}", Age(ago), Text(&failure.message))
}

/// Text from outside, safe in HTML's text and quoted attributes.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

/// `1234567` as `1.23 M`.
struct Count(f64);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        scaled(f, self.0, 1000.0, &["", " k", " M", " G", " T"])
    }
}

struct Rate(f64);

impl Display for Rate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 > 0.0 && self.0 < 10.0 { write!(f, "{:.1}/s", self.0) } else { write!(f, "{}/s", Count(self.0)) }
    }
}

struct Bytes(u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        scaled(f, self.0 as f64, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB"])
    }
}

fn scaled(f: &mut Formatter<'_>, mut value: f64, step: f64, units: &[&str]) -> fmt::Result {
    let mut unit = 0;
    // 999.6 would be written as 1000.
    while value >= step - 0.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    write!(f, "{value:.digits$}{}", units[unit])
}

/// Seconds, in the largest unit that says something.
struct Age(f64);

impl Display for Age {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        match seconds {
            s if s <= 0.0 => f.write_str("0 s"),
            s if s < 0.9995 => write!(f, "{:.0} ms", (s * 1e3).max(1.0)),
            s if s < 10.0 => write!(f, "{s:.1} s"),
            s if s < 120.0 => write!(f, "{s:.0} s"),
            s if s < 7200.0 => write!(f, "{:.0} min", s / 60.0),
            s if s < 172_800.0 => write!(f, "{:.1} h", s / 3600.0),
            s => write!(f, "{:.1} days", s / 86_400.0),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn text_from_outside_is_escaped() {
        let evil = "<script>alert('x' & \"y\")</script>";
        assert_eq!(Text(evil).to_string(), "&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;");
    }

    #[test]
    fn figures_are_short() {
        let count = |value: f64, expect: &str| assert_eq!(Count(value).to_string(), expect);
        count(0.0, "0");
        count(999.0, "999");
        count(999.7, "1.00 k");
        count(1_234_567.0, "1.23 M");
        count(12_345.0, "12.3 k");
        let bytes = |value: u64, expect: &str| assert_eq!(Bytes(value).to_string(), expect);
        bytes(1023, "1023 B");
        bytes(1536, "1.50 KiB");
        bytes(u64::MAX, "16777216 TiB");
        let age = |value: f64, expect: &str| assert_eq!(Age(value).to_string(), expect);
        age(0.0001, "1 ms");
        age(0.9999, "1.0 s");
        age(90.0, "90 s");
        age(3600.0, "60 min");
    }
}
