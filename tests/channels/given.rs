//! Notifications to tell: ordinary ones, and ones that nobody would think of.

use catchment_pipeline::alerts::{Labels, Notification, NotifiedAlert, Status};
use proptest::prelude::*;

use crate::NOW;

pub fn alert(status: Status, host: &str) -> NotifiedAlert {
    let labels = Labels::new([("alertname", "DiskFull"), ("host", host), ("severity", "critical")]);
    NotifiedAlert {
        status,
        fingerprint: labels.fingerprint().to_string(),
        labels,
        annotations: Labels::new([
            ("summary", "Disk of <web> & co is full"),
            ("description", "97 % used\n# not a heading"),
            ("runbook_url", "https://runbooks.example/disk?a=1&b=2"),
        ]),
        starts_at: NOW - 300_000_000_000,
        ends_at: if status == Status::Resolved { NOW } else { 0 },
        generator_url: "https://catchment.example/explore?q=SELECT%201".to_owned(),
    }
}

pub fn notification(id: &str) -> Notification {
    Notification {
        version: "4".to_owned(),
        group_key: "{}/{severity=\"critical\"}:{alertname=\"DiskFull\"}".to_owned(),
        receiver: "ops".to_owned(),
        group_labels: Labels::new([("alertname", "DiskFull")]),
        common_labels: Labels::new([("alertname", "DiskFull"), ("severity", "critical")]),
        common_annotations: Labels::new([("summary", "Disk of <web> & co is full")]),
        external_url: "https://catchment.example/alerts".to_owned(),
        alerts: vec![alert(Status::Firing, "web-1"), alert(Status::Firing, "web-2")],
        id: id.to_owned(),
        at: NOW,
        ..Notification::default()
    }
}

pub fn resolved(id: &str) -> Notification {
    let alerts = vec![alert(Status::Resolved, "web-1"), alert(Status::Resolved, "web-2")];
    Notification { status: Status::Resolved, alerts, ..notification(id) }
}

/// Anything that a label may hold: markup, mentions, control characters, emoji, far too much of it.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => ".{0,20}",
        1 => "\\PC{0,40}",
        1 => prop::sample::select(vec![
            "<!channel> <@U123> <https://evil.example|click>", "@everyone @here <@&1> ||spoiler|| ```", "</td><script>alert(1)</script>",
            "&amp;&lt;&", "\u{0}\u{1}\u{7f}\r\nBcc: a@b\r\n.\r\n", "👩‍👩‍👧‍👦", "=cmd|'/C calc'!A0", "{{ .Status }}", "\u{202e}\u{2028}\u{feff}",
            "[a](javascript:1)", "`*_~>#-", "   ", "\\", "\"'", "https://a.example/|>)(",
        ]).prop_map(str::to_owned),
    ];
    let long = (prop::sample::select(vec!["x", "<", "&", "*", "😀", "é", "`", "\n"]), 0usize..9_000);
    prop_oneof![
        6 => prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat()),
        1 => long.prop_map(|(piece, n)| piece.repeat(n)),
    ]
}

fn labels() -> impl Strategy<Value = Labels> {
    let name = prop_oneof![
        4 => prop::sample::select(vec![
            "alertname", "severity", "host", "summary", "description", "message", "title", "runbook_url", "dashboard_url", "host.name",
        ]).prop_map(str::to_owned),
        1 => "[a-z_]{1,12}",
        1 => nasty(),
    ];
    let value = prop_oneof![5 => nasty(), 1 => Just("critical".to_owned()), 1 => Just("https://a.example/x?<b>|(c)".to_owned())];
    prop::collection::vec((name, value), 0..12).prop_map(|pairs| pairs.into_iter().collect())
}

pub fn anything() -> impl Strategy<Value = Notification> {
    let status = prop_oneof![Just(Status::Firing), Just(Status::Resolved)];
    let alert =
        (status.clone(), labels(), labels(), nasty()).prop_map(|(status, labels, annotations, generator_url)| {
            let fingerprint = labels.fingerprint().to_string();
            let ends_at = if status == Status::Resolved { NOW } else { 0 };
            NotifiedAlert { status, labels, annotations, starts_at: NOW - 1, ends_at, generator_url, fingerprint }
        });
    let alerts = (prop::collection::vec(alert, 0..6), prop_oneof![4 => Just(1usize), 1 => 1usize..60]);
    let text = (nasty(), nasty(), nasty(), nasty());
    (alerts, labels(), labels(), text, status, prop::option::of(nasty()), 0u64..3).prop_map(
        |((alerts, times), group, common, (receiver, group_key, id, external_url), status, acknowledged_by, n)| {
            Notification {
                version: "4".to_owned(),
                alerts: std::iter::repeat_n(alerts, times).flatten().collect(),
                group_labels: group,
                common_labels: common.clone(),
                common_annotations: common,
                receiver,
                group_key,
                id,
                external_url,
                status,
                acknowledged_by,
                truncated_alerts: n,
                digest_of: n,
                escalation: n as u32,
                at: NOW,
                ..Notification::default()
            }
        },
    )
}

/// So many of them, each told.
pub fn many(cases: u32, told: impl FnMut(Notification)) {
    let told = std::cell::RefCell::new(told);
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        ProptestConfig { cases, ..ProptestConfig::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    runner
        .run(&anything(), |notification| {
            (told.borrow_mut())(notification);
            Ok(())
        })
        .unwrap();
}
