//! What a scan leaves out early makes no difference to the answer.

use catchment_pipeline::batch::{Rows, Table};
use proptest::prelude::*;
use tempfile::tempdir;

use super::data::{DAY, Points, RESOURCE, SECOND, cpu, gauge};
use super::{append, ask, lake, narrowing_changes_no_answer};

/// A day's conditions on time, names and services, in forms people write.
fn condition() -> impl Strategy<Value = String> {
    let time = (0u32..40).prop_map(|second| format!("2026-11-23T00:00:{second:02}"));
    let op = prop_oneof![Just("<"), Just("<="), Just(">"), Just(">="), Just("="), Just("<>")];
    let name = prop_oneof![Just("a"), Just("b"), Just("it''s"), Just("none")];
    let compared = (time.clone(), op).prop_flat_map(|(time, op)| {
        prop_oneof![
            Just(format!("ts {op} '{time}Z'")),
            Just(format!("'{time}' {op} ts")),
            Just(format!("ts {op} TIMESTAMP '{time}.000000500'")),
            Just(format!("ts {op} arrow_cast('{time}', 'Timestamp(Nanosecond, None)') + INTERVAL '7 microseconds'")),
            Just(format!("date_trunc('second', ts) {op} '{time}'")),
        ]
    });
    let leaf = prop_oneof![
        compared,
        (time.clone(), time).prop_map(|(a, b)| format!("ts BETWEEN '{a}' AND '{b}'")),
        name.clone().prop_map(|name| format!("metric_name = '{name}'")),
        name.clone().prop_map(|name| format!("'{name}' = service_name")),
        (name.clone(), name.clone()).prop_map(|(a, b)| format!("metric_name IN ('{a}', '{b}', 'c', 'd', 'e')")),
        (name.clone(), name.clone()).prop_map(|(a, b)| format!("service_name IN ('{a}', '{b}')")),
        name.prop_map(|name| format!("metric_name <> '{name}'")),
        Just("service_name IS NULL".to_owned()),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.prop_map(|a| format!("NOT ({a})")),
        ]
    })
}

#[test]
fn early_filters_change_no_answer() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    let resource = |service: &str| format!(r#"{{"service.name":"{service}"}}"#);
    let mut at = 0;
    for second in 0..30 {
        for (metric, resource) in [("a", resource("a")), ("b", resource("b")), ("it's", "{}".to_owned())] {
            let time = DAY + second * SECOND + 700;
            let points = vec![("{}".to_owned(), time, 1.0), ("{}".to_owned(), time + 7_000, 2.0)];
            let rows = gauge(&Points { metric, resource: &resource, points });
            at += 1;
            append(&lake, Rows::new([(Table::Metrics, rows)]), at);
        }
    }
    narrowing_changes_no_answer(&lake, condition(), 60);
}

#[test]
fn chunks_and_files_outside_the_window_are_not_scanned() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, cpu(10, DAY), 1);
    let plan = |condition: &str| ask(&lake, &format!("EXPLAIN SELECT value FROM metrics WHERE {condition}")).join("\n");
    assert!(plan("ts >= '2026-11-23T00:00:05Z'").contains("StreamingTableExec"));
    assert!(plan("ts >= '2026-11-23T00:00:10Z'").contains("EmptyExec"));
    assert!(!plan("ts < '2026-11-23T00:00:00Z'").contains("StreamingTableExec"));
    // As people ask who do not use a board.
    assert!(plan("ts > TIMESTAMP '2026-11-23T00:00:09.5' - INTERVAL '100 nanoseconds'").contains("EmptyExec"));
    lake.flush().unwrap();
    assert!(plan("ts >= '2026-11-23T00:00:05Z'").contains(".parquet"));
    assert!(!plan("ts > TIMESTAMP '2026-11-23T00:00:09.5' - INTERVAL '100 nanoseconds'").contains(".parquet"));
    append(&lake, cpu(1, DAY + 60 * SECOND), 2);
    let both = plan("ts >= '2026-11-23T00:00:05Z'");
    assert!(both.contains(".parquet") && both.contains("StreamingTableExec"), "{both}");
    let hot_only = plan("ts > '2026-11-23T00:00:30Z'");
    assert!(!hot_only.contains(".parquet") && !hot_only.contains("Union"), "{hot_only}");
}

/// Dictionaries of joined chunks hold more values than a narrow query needs, and NULLs are among the rows.
#[test]
fn few_rows_of_many_values() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    for n in 0..300u32 {
        let points = vec![(format!(r#"{{"n":"{n}"}}"#), DAY + i64::from(n) * SECOND, f64::from(n))];
        let metric = format!("m{n}");
        let resource = if n % 2 == 0 { RESOURCE } else { "{}" };
        append(
            &lake,
            Rows::new([(Table::Metrics, gauge(&Points { metric: &metric, resource, points }))]),
            u64::from(n) + 1,
        );
    }
    let sql =
        "SELECT metric_name, service_name, attributes, date FROM metrics WHERE metric_name IN ('m7', 'm8') ORDER BY 1";
    let rows = [r#"m7 - {"n":"7"} 2026-11-23"#, r#"m8 shop {"n":"8"} 2026-11-23"#];
    assert_eq!(ask(&lake, sql), rows);
    assert_eq!(ask(&lake, "SELECT n, value FROM m250"), ["250 250.0"]);
    lake.flush().unwrap();
    assert_eq!(ask(&lake, sql), rows);
}
