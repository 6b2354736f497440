//! The alerts of a notification as CSV (RFC 4180), for who sorts them in a spreadsheet.

use catchment_pipeline::alerts::{Alert, Notification, Status, time};

use crate::notify::text::{fit, plain};

const ALERTS: usize = 1_000;
const CELL: usize = 2_000;
const BYTES: usize = 1 << 20;

pub(super) fn csv(notification: &Notification) -> String {
    let mut out =
        "status,alertname,severity,starts_at,ends_at,summary,description,labels,fingerprint,generator_url\r\n"
            .to_owned();
    for alert in notification.alerts.iter().take(ALERTS) {
        let label = |name: &str| alert.labels.get(name).unwrap_or_default();
        let note = |name: &str| alert.annotations.get(name).unwrap_or_default();
        let at = |nanos: i64| if nanos == 0 { String::new() } else { time::format(nanos) };
        let cells = [
            if alert.status == Status::Firing { "firing" } else { "resolved" }.to_owned(),
            label(Alert::NAME).to_owned(),
            label("severity").to_owned(),
            at(alert.starts_at),
            at(alert.ends_at),
            note("summary").to_owned(),
            note("description").to_owned(),
            alert.labels.to_string(),
            alert.fingerprint.clone(),
            alert.generator_url.clone(),
        ];
        let row = cells.map(|text| cell(&text)).join(",");
        if out.len() + row.len() > BYTES {
            break;
        }
        out.push_str(&row);
        out.push_str("\r\n");
    }
    out
}

fn cell(text: &str) -> String {
    let mut text = fit(text, CELL, plain);
    text.retain(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    // A spreadsheet would reckon with what begins so.
    if text.starts_with(['=', '+', '-', '@', '\t', '\n']) {
        text.insert(0, '\'');
    }
    match text.contains(['"', ',', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"").replace('\n', "\r\n")),
        false => text,
    }
}
