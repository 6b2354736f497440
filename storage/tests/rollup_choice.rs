//! What is read from rollups is what rows say. Rollups are made here by SQL over the rows, so that the choice is tested by
//! itself.

use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema};
use catchment_pipeline::batch::{Rows, Table};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tempfile::{TempDir, tempdir};

use super::data::{DAY, Points, SECOND, gauge};
use super::{append, ask, lake, try_ask_with, wait};
use crate::schema::{LakeTable, Rolled, Source, Step, layout, promoted};
use crate::{Lake, QueryLimits};

const MINUTE: i64 = 60;

fn by_rows() -> QueryLimits {
    QueryLimits { rollups: false, ..QueryLimits::default() }
}

/// Adds a file to a rollup that covers these seconds of the day.
fn roll(folder: &TempDir, lake: &Lake, step: Step, covers: &Range<i64>) {
    let promoted = promoted(&Default::default()).unwrap();
    let table = LakeTable::Rollup(Rolled::Metrics, step);
    let layout = layout(table, &promoted);
    let columns = layout.columns.iter().map(|column| {
        let name = column.field.name().as_str();
        let expr = match (name, &column.source) {
            ("ts", _) => format!("date_bin(INTERVAL '{} seconds', ts)", step.micros() / 1_000_000),
            ("points", _) => "count(*)".to_owned(),
            ("last_ts", _) => "max(ts)".to_owned(),
            ("count", _) => "count(value)".to_owned(),
            // As of no values at all, where there are none.
            ("sum", _) => "coalesce(sum(value), 0.0)".to_owned(),
            ("min" | "max", _) => format!("{name}(value)"),
            (_, Source::Made) => "NULL".to_owned(),
            _ => format!("min(\"{name}\")"),
        };
        format!("{expr} AS \"{name}\"")
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    let time = |second: i64| format!("to_timestamp({})", DAY / SECOND + second);
    let sql = format!(
        "SELECT {columns} FROM metrics WHERE ts >= {} AND ts < {} GROUP BY series_id, 1",
        time(covers.start),
        time(covers.end)
    );
    let rows = wait(async { lake.query(&sql, by_rows()).await.unwrap().collect().await }).unwrap();
    let in_file = |kind: &DataType| match kind {
        DataType::Dictionary(..) => DataType::Utf8,
        kind => kind.clone(),
    };
    let fields = layout.hot.fields().iter().map(|f| Field::new(f.name(), in_file(f.data_type()), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let rows = rows.iter().map(|rows| {
        let columns = rows.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap());
        RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
    });
    let rows = concat_batches(&schema, &rows.collect::<Vec<_>>()).unwrap();
    let table = folder.path().join(table.name());
    fs::create_dir_all(table.join("date=2026-11-23")).unwrap();
    let path = format!("date=2026-11-23/{}.parquet", uuid::Uuid::now_v7());
    let mut writer = ArrowWriter::try_new(File::create(table.join(&path)).unwrap(), schema, None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    commit(&table, &path, covers);
}

fn commit(table: &Path, path: &str, covers: &Range<i64>) {
    let micros = |second: i64| DAY / 1000 + second * 1_000_000;
    let add = json!({"add": {
        "path": path,
        "partitionValues": {"date": "2026-11-23"},
        "size": fs::metadata(table.join(path)).unwrap().len(),
        "modificationTime": 0,
        "dataChange": true,
        "tags": {"catchment.covers": json!([[micros(covers.start), micros(covers.end)]]).to_string()},
    }});
    let log = table.join("_delta_log");
    let version = fs::read_dir(&log)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "json"));
    fs::write(log.join(format!("{:020}.json", version.count())), format!("{add}\n")).unwrap();
}

/// Host, label, second of the day, value: in quarters, so that sums are exact in whatever order.
type Point = (u8, u8, i64, u8);

fn points(points: &[Point]) -> Rows {
    let parts = points.iter().map(|(host, label, second, value)| {
        let resource = format!(r#"{{"host.name":"h{host}"}}"#);
        let at = (format!(r#"{{"l":"{label}"}}"#), DAY + second * SECOND, 0.0);
        let rows = gauge(&Points { metric: "m", resource: &resource, points: vec![at] });
        let (mut columns, schema) = (rows.columns().to_vec(), rows.schema());
        let (double, int) = match value % 8 {
            0 => (None, None),
            1 if *value > 128 => (Some(f64::NAN), None),
            2 => (None, Some(i64::from(*value))),
            4 if *value > 128 => (Some(f64::INFINITY), None),
            _ => (Some(f64::from(*value) / 4.0), None),
        };
        columns[schema.index_of("value_double").unwrap()] = Arc::new(Float64Array::from(vec![double])) as ArrayRef;
        columns[schema.index_of("value_int").unwrap()] = Arc::new(Int64Array::from(vec![int]));
        RecordBatch::try_new(schema, columns).unwrap()
    });
    let parts = parts.collect::<Vec<_>>();
    Rows::new([(Table::Metrics, concat_batches(&parts[0].schema(), &parts).unwrap())])
}

fn query() -> impl Strategy<Value = String> {
    let group = prop_oneof![
        Just("date_bin(INTERVAL '5 minutes', ts)"),
        Just("date_bin(INTERVAL '10 minutes', ts)"),
        Just("date_bin(INTERVAL '1 hour', ts)"),
        Just("date_bin(INTERVAL '2 hours', ts, TIMESTAMP '2026-11-23T01:00:00')"),
        Just("date_bin(INTERVAL '5 minutes', ts, TIMESTAMP '2026-11-23T00:01:00')"),
        Just("date_bin(INTERVAL '7 minutes', ts)"),
        Just("date_trunc('hour', ts)"),
        Just("date_trunc('minute', ts)"),
        Just("ts"),
        Just("host_name"),
        Just("upper(host_name) || (attributes->>'l')"),
        Just("date"),
        Just("value > 5"),
    ];
    let computed = prop_oneof![
        Just("count(*)"),
        Just("count(value)"),
        Just("sum(value)"),
        Just("avg(value)"),
        Just("min(value)"),
        Just("max(value)"),
        Just("max(value) - min(value)"),
        Just("count(DISTINCT value)"),
        Just("sum(value) FILTER (WHERE host_name = 'h0')"),
        Just("avg(value * 2)"),
    ];
    let time = (0i64..4 * 60, 0i64..60, any::<bool>()).prop_map(|(minute, second, whole)| {
        format!("to_timestamp({})", DAY / SECOND + minute * MINUTE + if whole { 0 } else { second })
    });
    let condition = prop_oneof![
        time.clone().prop_map(|time| format!("ts >= {time}")),
        time.clone().prop_map(|time| format!("ts < {time}")),
        time.clone().prop_map(|time| format!("ts <= {time}")),
        (time.clone(), time.clone()).prop_map(|(a, b)| format!("ts BETWEEN {a} AND {b}")),
        (time.clone(), time).prop_map(|(a, b)| format!("(ts < {a} OR ts > {b})")),
        Just("host_name = 'h1'".to_owned()),
        Just("attributes->>'l' <> '0'".to_owned()),
        Just("date_trunc('hour', ts) > '2026-11-23T00:30:00'".to_owned()),
        Just("value > 3".to_owned()),
        Just("random() < 2".to_owned()),
    ];
    let from = prop_oneof![
        Just("metrics"),
        Just("m"),
        Just("(SELECT *, host_name AS h FROM m) AS x"),
        Just("(SELECT * FROM m WHERE host_name <> 'h0') AS x"),
        Just("(SELECT * FROM m LIMIT 1000000) AS x"),
    ];
    let groups = prop::collection::btree_set(group, 0..3);
    let computed = prop::collection::vec(computed, 1..4);
    (groups, computed, prop::collection::vec(condition, 0..3), from).prop_map(|(groups, computed, conditions, from)| {
        let all = groups.iter().copied().chain(computed).enumerate().map(|(n, expr)| format!("{expr} AS c{n}"));
        let places = (1..=groups.len()).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let (grouped, sorted) = match places.is_empty() {
            true => (String::new(), String::new()),
            false => (format!(" GROUP BY {places}"), format!(" ORDER BY {places}")),
        };
        let conditions = conditions.iter().map(String::as_str).chain(["true"]).collect::<Vec<_>>().join(" AND ");
        let all = all.collect::<Vec<_>>().join(", ");
        format!("SELECT {all} FROM {from} WHERE {conditions}{grouped}{sorted}")
    })
}

/// Step, and from where to where, in steps.
fn covered() -> impl Strategy<Value = (Step, Range<i64>)> {
    let range = |most: i64| (0..most, 1..6i64).prop_map(|(start, length)| start..start + length);
    prop_oneof![
        range(42).prop_map(|range| (Step::FiveMinutes, range.start * 300..range.end * 300)),
        range(4).prop_map(|range| (Step::Hour, range.start * 3600..range.end * 3600)),
    ]
}

/// Disjoint ones, as the writer makes them.
fn disjoint(covers: Vec<(Step, Range<i64>)>) -> Vec<(Step, Range<i64>)> {
    let mut kept = Vec::<(Step, Range<i64>)>::new();
    for (step, range) in covers {
        if !kept.iter().any(|(other, taken)| *other == step && taken.start < range.end && range.start < taken.end) {
            kept.push((step, range));
        }
    }
    kept
}

#[test]
fn rollups_change_no_answer() {
    let value = prop_oneof![4 => 0u8..129, 1 => any::<u8>()];
    let point = || prop::collection::vec((0u8..3, 0u8..2, 0i64..4 * 3600, value.clone()), 1..60);
    let plans = std::cell::Cell::new((0, 0));
    let mut runner = TestRunner::new(Config { cases: 10, ..Config::default() });
    let all = (
        point(),
        prop::collection::vec(covered(), 1..6),
        point(),
        prop::collection::vec(query(), 20),
        any::<(bool, bool)>(),
    );
    runner
        .run(&all, |(mut stored, covers, mut hot, queries, (late, plain))| {
            if plain {
                stored.iter_mut().chain(&mut hot).for_each(|point| point.3 %= 129);
            }
            let folder = tempdir().unwrap();
            {
                let lake = lake(&folder);
                append(&lake, points(&stored), 1);
                lake.flush().unwrap();
                for (step, range) in disjoint(covers) {
                    roll(&folder, &lake, step, &range);
                }
            }
            let lake = lake(&folder);
            if late {
                append(&lake, points(&hot[..1 + hot.len() / 20]), 2);
            }
            // DataFusion's least and greatest by group depend on the order of rows where NaN is among them, and know no infinity.
            let odd = |points: &[Point]| points.iter().any(|point| point.3 > 128 && matches!(point.3 % 8, 1 | 4));
            let ordered = !odd(&stored) && !odd(&hot);
            for sql in queries.into_iter().filter(|sql| ordered || !(sql.contains("min(") || sql.contains("max("))) {
                let rolled = try_ask_with(&lake, &sql, QueryLimits::default());
                let rows = try_ask_with(&lake, &sql, by_rows());
                let plan = ask(&lake, &format!("EXPLAIN {sql}")).join("\n");
                let (chosen, of) = plans.get();
                plans.set((chosen + u32::from(plan.contains("metrics_5m") || plan.contains("metrics_1h")), of + 1));
                prop_assert_eq!(rolled.map_err(|e| e.message), rows.map_err(|e| e.message), "{}\n{}", sql, plan);
            }
            Ok(())
        })
        .unwrap();
    let (chosen, of) = plans.get();
    assert!(chosen > 0, "some of {of} queries should have read a rollup");
}

#[test]
fn the_coarsest_that_fits_is_chosen_and_named() {
    let folder = tempdir().unwrap();
    {
        let lake = lake(&folder);
        let all = (0..4 * 60).map(|minute| (0, 0, minute * 60 + 7, 205)).collect::<Vec<_>>();
        append(&lake, points(&all), 1);
        lake.flush().unwrap();
        roll(&folder, &lake, Step::FiveMinutes, &(0..4 * 3600));
        roll(&folder, &lake, Step::Hour, &(0..4 * 3600));
    }
    let lake = lake(&folder);
    let plan = |sql: &str| ask(&lake, &format!("EXPLAIN {sql}")).join("\n");
    let reads = |sql: &str| {
        let plan = plan(sql);
        ["metrics/", "metrics_5m/", "metrics_1h/"].map(|table| plan.contains(table))
    };
    let panel = "SELECT date_bin(INTERVAL '1 hour', ts) AS t, host_name, avg(value) FROM m";
    let hours = "WHERE ts >= '2026-11-23T01:00:00Z' AND ts < '2026-11-23T03:00:00Z' GROUP BY 1, 2";
    assert_eq!(reads(&format!("{panel} {hours}")), [false, false, true]);
    let to_the_minute = "WHERE ts >= '2026-11-23T00:31:00Z' AND ts < '2026-11-23T03:00:00Z' GROUP BY 1, 2";
    assert_eq!(reads(&format!("{panel} {to_the_minute}")), [true, true, true]);
    assert_eq!(
        ask(&lake, &format!("SELECT count(*), sum(avg) FROM ({panel} {to_the_minute}) AS x(t, h, avg)")),
        ["3 153.75"]
    );
    let finer = panel.replace("1 hour", "5 minutes");
    assert_eq!(reads(&format!("{finer} {hours}")), [false, true, false]);
    assert_eq!(reads(&format!("{} {hours}", panel.replace("1 hour", "1 minute"))), [true, false, false]);
    assert_eq!(
        reads("SELECT host_name, max(value) FROM m WHERE ts < '2026-11-23T04:00:00Z' GROUP BY 1"),
        [false, false, true]
    );
    // Rows that came since are read as rows, and what they touch with them.
    append(&lake, points(&[(0, 0, 3600 + 60, 100)]), 2);
    assert_eq!(reads(&format!("{panel} {hours}")), [true, true, true]);
    let max = format!("SELECT max(value), count(*) FROM m {}", hours.replace(" GROUP BY 1, 2", ""));
    assert_eq!(ask(&lake, &max), ["51.25 121"]);
}
