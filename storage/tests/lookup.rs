//! Series found by their labels in memory change no answer.

use std::collections::BTreeMap;

use arrow::compute::concat_batches;
use catchment_pipeline::batch::{Rows, Table};
use proptest::prelude::*;
use tempfile::tempdir;

use super::data::{DAY, Points, SECOND, gauge};
use super::{append, ask, lake, narrowing_changes_no_answer, options, whole};
use crate::Lake;

fn fleet(start: i64) -> Rows {
    let mut parts = Vec::new();
    for host in ["a", "b", "it's", ""] {
        let resource = match host {
            "" => r#"{"service.name":"shop"}"#.to_owned(),
            host => format!(r#"{{"host.name":"{host}","service.name":"shop","team":"t-{host}"}}"#),
        };
        for metric in ["m", "n"] {
            let labels = [r#"{"cpu":"0","x":1}"#, r#"{"cpu":"1"}"#, "{}"];
            let points = labels
                .iter()
                .zip(1u8..)
                .map(|(labels, n)| ((*labels).to_owned(), start + i64::from(n) * SECOND, f64::from(n)));
            parts.push(gauge(&Points { metric, resource: &resource, points: points.collect() }));
        }
    }
    Rows::new([(Table::Metrics, concat_batches(&parts[0].schema(), &parts).unwrap())])
}

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("host_name = 'a'".to_owned()),
        Just("host_name <> 'a'".to_owned()),
        Just("host_name IS NULL".to_owned()),
        Just("host_name IN ('it''s', 'none')".to_owned()),
        Just("host_name LIKE '%t%'".to_owned()),
        Just("metric_name = 'm'".to_owned()),
        Just("attributes->>'cpu' = '0'".to_owned()),
        Just("attributes->>'cpu' IS NULL".to_owned()),
        Just("(attributes->>'x')::int = 1".to_owned()),
        Just("resource_attributes->>'team' = 't-b'".to_owned()),
        Just("value > 1".to_owned()),
        Just("value = 1 OR host_name = 'b'".to_owned()),
        Just("ts < '2026-11-23T00:00:03Z'".to_owned()),
        Just("series_id > 0".to_owned()),
        Just("CASE WHEN host_name = 'a' THEN value = 1 ELSE metric_name = 'n' END".to_owned()),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) AND ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(({a}) OR ({b}))")),
            inner.prop_map(|a| format!("NOT ({a})")),
        ]
    })
}

#[test]
fn labels_looked_up_change_no_answer() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, fleet(DAY), 1);
    lake.flush().unwrap();
    append(&lake, fleet(DAY + 10 * SECOND), 2);
    narrowing_changes_no_answer(&lake, condition(), 80);
}

#[test]
fn few_series_are_asked_for_by_number() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, fleet(DAY), 1);
    lake.flush().unwrap();
    let plan = |lake: &Lake, sql: &str| ask(lake, &format!("EXPLAIN {sql}")).join("\n");
    let of_view = plan(&lake, "SELECT ts, value FROM m WHERE cpu = '0' AND host_name = 'a'");
    assert!(of_view.contains("series_id@2 = ") && of_view.contains("resource_id@3 = "), "{of_view}");
    assert!(!plan(&lake, "SELECT ts FROM m").contains("series_id@2 ="));
    // No series has it: nothing is read.
    assert!(!plan(&lake, "SELECT ts FROM m WHERE host_name = 'none'").contains(".parquet"));
    drop(lake);
    let again = super::lake(&folder);
    assert!(plan(&again, "SELECT ts FROM m WHERE cpu = '0' AND host_name = 'a'").contains("series_id@2 = "));
}

/// Rows of a series from before have NULL in the column, those from then on its value.
#[test]
fn attributes_promoted_later() {
    let folder = tempdir().unwrap();
    {
        let lake = lake(&folder);
        append(&lake, fleet(DAY), 1);
        lake.flush().unwrap();
    }
    let promoted = BTreeMap::from([("team".to_owned(), "string".to_owned())]);
    let lake = Lake::open(crate::Options { promoted, ..options(&folder) }).unwrap();
    append(&lake, fleet(DAY + 10 * SECOND), 2);
    for condition in ["team = 't-a'", "team IS NULL", "team <> 't-a'", "team = 't-b' AND attributes->>'cpu' = '1'"] {
        let narrow = ask(&lake, &format!("SELECT count(*), sum(value) FROM metrics WHERE {condition}"));
        assert_eq!(narrow, ask(&lake, &whole(condition)), "{condition}");
    }
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics WHERE team = 't-a'"), ["6"]);
}
