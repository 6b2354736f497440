//! What people write in FROM, and what the lake knows about its metrics.

use std::collections::BTreeMap;

use catchment_pipeline::batch::{Rows, Table};
use tempfile::tempdir;

use super::data::{DAY, Points, cpu, gauge, mixed};
use super::{append, ask, both, files_of, lake, options, wait};
use crate::{Lake, MetricInfo, Options, SeriesFilter};

#[test]
fn a_metric_is_a_view_of_its_own_name() {
    both(mixed(3, DAY), |lake| {
        let rows = ask(lake, r#"SELECT ts, cpu, value FROM "system.cpu.utilization" ORDER BY ts"#);
        assert_eq!(rows[2], "2026-11-23T00:00:02Z cpu0 2.0");
        let rows = ask(
            lake,
            r#"SELECT "http.route", count, bucket_counts[1] FROM "http.server.request.duration" ORDER BY ts"#,
        );
        assert_eq!(rows, ["/ 1 0", "/ 2 1", "/ 3 2"]);
    });
}

#[test]
fn logs_and_spans_have_their_times_and_ids() {
    both(mixed(2, DAY + 5), |lake| {
        assert_eq!(
            ask(lake, "SELECT time_unix_nano, observed_time_unix_nano, trace_id, body FROM logs ORDER BY body"),
            [
                format!("0 {} {} line 0", DAY + 12, "00".repeat(16)),
                format!("{} {} {} line 1", DAY + 6, DAY + 12, "01".repeat(16))
            ]
        );
        assert_eq!(
            ask(lake, "SELECT DISTINCT date FROM logs"),
            ["2026-11-23"],
            "a record without a time has an observed one"
        );
        assert_eq!(ask(lake, "SELECT duration_ns, parent_span_id FROM spans LIMIT 1"), ["1500 -"]);
    });
}

#[test]
fn attributes_are_json() {
    both(cpu(4, DAY), |lake| {
        let sql =
            "SELECT attributes->>'cpu' AS cpu, sum(value) FROM metrics WHERE attributes->>'cpu' = 'cpu1' GROUP BY 1";
        assert_eq!(ask(lake, sql), ["cpu1 4.0"]);
        assert_eq!(ask(lake, "SELECT service_name, count(*) FROM metrics GROUP BY service_name"), ["shop 4"]);
    });
}

#[test]
fn what_there_is() {
    both(mixed(4, DAY), |lake| {
        let metrics = lake.metrics();
        assert_eq!(metrics.len(), 2);
        assert_eq!(
            metrics[1],
            MetricInfo {
                name: "system.cpu.utilization".to_owned(),
                kind: "gauge".to_owned(),
                unit: "1".to_owned(),
                description: "what it says".to_owned(),
                series: 2,
                attributes: vec!["cpu".to_owned()],
            }
        );
        assert_eq!(metrics[0].kind, "histogram");
        let filter = SeriesFilter { metric: None, matchers: vec![("cpu".to_owned(), "cpu1".to_owned())] };
        let series = wait(lake.series(&filter, 10)).unwrap();
        assert_eq!(series.len(), 1);
        assert_eq!(series[0].attributes, r#"{"cpu":"cpu1"}"#);
        assert_eq!(wait(lake.label_values(Some("system.cpu.utilization"), "cpu", 10)).unwrap(), ["cpu0", "cpu1"]);
        assert_eq!(wait(lake.label_values(None, "service.name", 10)).unwrap(), ["shop"]);
        assert_eq!(wait(lake.label_values(None, "it's; DROP", 10)).unwrap(), [""; 0]);
        assert_eq!(ask(lake, "SELECT count(*) FROM series"), ["3"]);
    });
}

#[test]
fn a_promoted_value_of_another_type_is_null_there_and_whole_in_json() {
    let wrong = r#"{"host.name":"h1","service.name":42}"#;
    let points = vec![("{}".to_owned(), DAY, 1.0)];
    both(Rows::new([(Table::Metrics, gauge(&Points { metric: "m", resource: wrong, points }))]), |lake| {
        let sql = "SELECT service_name, host_name, resource_attributes FROM metrics";
        assert_eq!(ask(lake, sql), [format!("- h1 {wrong}")]);
    });
}

#[test]
fn promoted_columns_can_be_added_later() {
    let folder = tempdir().unwrap();
    {
        let lake = lake(&folder);
        append(&lake, cpu(1, DAY), 1);
        lake.flush().unwrap();
    }
    let promoted = BTreeMap::from([("shard".to_owned(), "int".to_owned())]);
    {
        let lake = Lake::open(Options { promoted: promoted.clone(), ..options(&folder) }).unwrap();
        let points = vec![("{}".to_owned(), DAY, 1.0)];
        let rows = gauge(&Points { metric: "m", resource: r#"{"shard":7}"#, points });
        append(&lake, Rows::new([(Table::Metrics, rows)]), 2);
        assert_eq!(
            ask(&lake, "SELECT shard, metric_name FROM metrics ORDER BY 1"),
            ["7 m", "- system.cpu.utilization"]
        );
        lake.flush().unwrap();
        assert_eq!(
            ask(&lake, "SELECT shard, metric_name FROM metrics ORDER BY 1"),
            ["7 m", "- system.cpu.utilization"]
        );
    }
    let wrong = BTreeMap::from([("shard".to_owned(), "string".to_owned())]);
    let error = Lake::open(Options { promoted: wrong, ..options(&folder) }).err().unwrap();
    assert!(error.to_string().contains("wanted as string, but the lake has it as int"), "{error:#}");
    let lake = Lake::open_read_only(folder.path()).unwrap();
    assert_eq!(ask(&lake, "SELECT sum(shard) FROM metrics"), ["7"]);
}

#[test]
fn tables_can_be_listed_and_described() {
    both(cpu(1, DAY), |lake| {
        let tables =
            ask(lake, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1");
        assert_eq!(
            tables,
            [
                "alerts",
                "exp_histograms",
                "exp_histograms_1h",
                "exp_histograms_5m",
                "histograms",
                "histograms_1h",
                "histograms_5m",
                "latest",
                "logs",
                "metrics",
                "metrics_1h",
                "metrics_5m",
                "series",
                "spans",
                "summaries",
                "system.cpu.utilization"
            ]
        );
        assert!(ask(lake, "SHOW TABLES").len() >= 8);
        assert!(ask(lake, "DESCRIBE metrics").iter().any(|row| row.starts_with("value Float64")));
    });
}

#[test]
fn files_that_cannot_match_are_not_read() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    for day in 0..3 {
        append(&lake, cpu(10, DAY - day * 86_400_000_000_000), day as u64 + 1);
        lake.flush().unwrap();
    }
    let plan = |condition: &str| ask(&lake, &format!("EXPLAIN SELECT value FROM metrics WHERE {condition}")).join("\n");
    let files = |condition: &str| files_of(&plan(condition));
    assert_eq!(files("value > -1"), 3);
    assert_eq!(files("ts >= '2026-11-23T00:00:00Z'"), 1);
    assert_eq!(files("date < '2026-11-22'"), 1);
    assert_eq!(files("metric_name = 'another'"), 0);
    assert_eq!(files("metric_name = 'system.cpu.utilization'"), 3);
}

/// Each layer counts, also where it says the same as the one below; see `sql::projections`.
#[test]
fn equal_projections_upon_each_other() {
    both(cpu(4, DAY), |lake| {
        let nested = |layers: &[&str], inner: &str| {
            let sql =
                layers.iter().rev().fold(inner.to_owned(), |inner, layer| format!("SELECT {layer} FROM ({inner})"));
            ask(lake, &format!("{sql} ORDER BY 1"))
        };
        let one = "SELECT value AS x, value AS y FROM metrics WHERE value = 1";
        assert_eq!(nested(&["x + 1 AS x"; 2], one), ["3.0"]);
        assert_eq!(nested(&["x + 1 AS x"; 6], one), ["7.0"]);
        assert_eq!(nested(&["x + x AS x"; 5], one), ["32.0"]);
        assert_eq!(nested(&["y AS x, x + 1 AS y"; 4], one), ["3.0 3.0"]);
        assert_eq!(nested(&["z AS x", "x + 1 AS z", "x + 1 AS x"], one), ["3.0"]);
        assert_eq!(nested(&["z AS x", "x + 1 AS z", "z AS x", "x + 1 AS z", "x + 1 AS x", "x AS x"], one), ["4.0"]);
        let in_subquery =
            "SELECT (SELECT max(x + 1) AS x FROM (SELECT x + 1 AS x FROM (SELECT x + 1 AS x FROM (SELECT 1 AS x))))";
        assert_eq!(ask(lake, in_subquery), ["4"]);
        let with = "WITH a AS (SELECT 1 AS x), b AS (SELECT x * 2 AS x FROM a), c AS (SELECT x * 2 AS x FROM b) SELECT x * 2 AS x FROM c";
        assert_eq!(ask(lake, with), ["8"]);
    });
}
