//! The lake's own functions as SQL sees them, over hot rows and files.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use catchment_pipeline::batch::{Rows, Table};
use tempfile::tempdir;

use super::data::{DAY, SECOND, rows, text, times};
use super::{ask, both, lake, try_ask};
use crate::QueryErrorKind;

fn list(table: Table, column: &str, rows: Vec<ArrayRef>) -> ArrayRef {
    let schema = table.schema();
    let DataType::List(item) = schema.field_with_name(column).unwrap().data_type().clone() else { panic!("{column}") };
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.len()));
    let rows = rows.iter().map(AsRef::as_ref).collect::<Vec<_>>();
    Arc::new(ListArray::new(item, offsets, arrow::compute::concat(&rows).unwrap(), None))
}

fn ints(table: Table, column: &str, rows: &[&[i64]]) -> ArrayRef {
    list(table, column, rows.iter().map(|row| Arc::new(Int64Array::from(row.to_vec())) as ArrayRef).collect())
}

/// One series of `latency`, a point a second.
fn explicit(counts: &[&[i64]], temporality: i32) -> Rows {
    let (n, table) = (counts.len(), Table::Histograms);
    let bounds = (0..n).map(|_| Arc::new(Float64Array::from(vec![1.0, 2.0, 4.0])) as ArrayRef).collect();
    Rows::new([(
        table,
        rows(
            table,
            n,
            &[
                ("metric_name", text(&vec!["latency"; n])),
                ("time_unix_nano", times((0..n as i64).map(|i| DAY + i * SECOND).collect())),
                ("aggregation_temporality", Arc::new(Int32Array::from(vec![temporality; n]))),
                ("bucket_counts", ints(table, "bucket_counts", counts)),
                ("explicit_bounds", list(table, "explicit_bounds", bounds)),
            ],
        ),
    )])
}

#[test]
fn quantiles_of_explicit_histograms() {
    both(explicit(&[&[5, 5, 10, 5], &[5, 5, 10, 5]], 1), |lake| {
        let sql = "SELECT histogram_quantile(0.5, bucket_counts, explicit_bounds) FROM latency";
        assert_eq!(ask(lake, sql), ["2.5"]);
        let grouped = "SELECT date_bin(INTERVAL '1 second', ts) AS t, histogram_quantile(0.3, bucket_counts, explicit_bounds) \
                       FROM histograms GROUP BY 1 ORDER BY 1";
        assert_eq!(ask(lake, grouped), ["2026-11-23T00:00:00Z 1.5", "2026-11-23T00:00:01Z 1.5"]);
        assert_eq!(ask(lake, &format!("{sql} WHERE false")), ["-"]);
        assert_eq!(ask(lake, "SELECT histogram_quantile(2, bucket_counts, explicit_bounds) FROM latency"), ["inf"]);
        assert_eq!(ask(lake, "SELECT histogram_quantile(0.5, [1, 1], [8]) AS q"), ["8.0"]);
    });
}

#[test]
fn rates_of_cumulative_histograms() {
    let previous = "lag(bucket_counts) OVER (PARTITION BY series_id ORDER BY ts)";
    let delta = format!("counter_delta(bucket_counts, {previous}, aggregation_temporality)");
    both(explicit(&[&[1, 1, 1, 1], &[1, 3, 1, 1], &[], &[0, 1, 0, 0], &[0, 1, 5, 0]], 2), |lake| {
        let sql = format!("SELECT {delta} FROM latency ORDER BY ts");
        assert_eq!(ask(lake, &sql), ["-", "[0, 2, 0, 0]", "[]", "-", "[0, 0, 5, 0]"]);
        let sql = format!(
            "SELECT histogram_quantile(0.5, new, explicit_bounds) \
             FROM (SELECT explicit_bounds, {delta} AS new FROM latency)"
        );
        // 2 in (1, 2], 5 in (2, 4]: the middle of 7 is 1.5 into the upper one.
        assert_eq!(ask(lake, &sql), ["2.6"]);
    });
    both(explicit(&[&[1, 1, 1, 1], &[1, 3, 1, 1]], 1), |lake| {
        assert_eq!(ask(lake, &format!("SELECT {delta} FROM latency ORDER BY ts")), ["[1, 1, 1, 1]", "[1, 3, 1, 1]"]);
    });
    both(explicit(&[&[5, 1, 1, 1], &[1, 3, 1, 1]], 2), |lake| {
        assert_eq!(ask(lake, &format!("SELECT {delta} FROM latency ORDER BY ts")), ["-", "[1, 3, 1, 1]"]);
    });
}

/// Scale, count of zeros, offset and counts above zero.
type Point<'a> = (i32, i64, i32, &'a [i64]);

fn exponential(points: &[Point]) -> Rows {
    let (n, table) = (points.len(), Table::ExpHistograms);
    let int = |get: fn(&Point) -> i32| -> ArrayRef {
        Arc::new(points.iter().map(|point| Some(get(point))).collect::<Int32Array>())
    };
    let counts = points.iter().map(|point| point.3).collect::<Vec<_>>();
    Rows::new([(
        table,
        rows(
            table,
            n,
            &[
                ("metric_name", text(&vec!["latency"; n])),
                ("time_unix_nano", times((0..n as i64).map(|i| DAY + i * SECOND).collect())),
                ("aggregation_temporality", Arc::new(Int32Array::from(vec![2; n]))),
                ("scale", int(|point| point.0)),
                ("zero_count", Arc::new(points.iter().map(|point| Some(point.1)).collect::<Int64Array>())),
                ("positive_offset", int(|point| point.2)),
                ("positive_bucket_counts", ints(table, "positive_bucket_counts", &counts)),
            ],
        ),
    )])
}

#[test]
fn quantiles_and_rates_of_exponential_histograms() {
    // (1, 2] once, at scale 1 as (1, sqrt 2]; then at scale 0, one more there and two in (2, 4].
    both(exponential(&[(1, 0, 0, &[1]), (0, 1, 0, &[2, 2])]), |lake| {
        let columns = "scale, zero_count, zero_threshold, positive_offset, positive_bucket_counts, negative_offset, negative_bucket_counts";
        let by_columns = format!("SELECT exp_histogram_quantile(1, {columns}) FROM latency");
        assert_eq!(ask(lake, &by_columns), ["4.0"]);
        assert_eq!(ask(lake, "SELECT exp_histogram_quantile(0, buckets) FROM exp_histograms"), ["0.0"]);
        let new = "SELECT counter_delta(buckets, lag(buckets) OVER (PARTITION BY series_id ORDER BY ts), \
                   aggregation_temporality) AS new, ts FROM latency";
        let sql =
            format!("SELECT new['scale'], new['zero_count'], new['positive_bucket_counts'] FROM ({new}) ORDER BY ts");
        assert_eq!(ask(lake, &sql), ["- - -", "0 1 [1, 2]"]);
        let sql = format!("SELECT exp_histogram_quantile(0.5, new), exp_histogram_quantile(0.25, new) FROM ({new})");
        assert_eq!(ask(lake, &sql), ["2.0 0.0"]);
    });
}

#[test]
fn rates_of_numbers() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    let rows = |values: &str| {
        let sql =
            format!("SELECT counter_delta(v, lag(v) OVER (ORDER BY n)) FROM (VALUES {values}) AS x(n, v) ORDER BY n");
        ask(&lake, &sql)
    };
    assert_eq!(rows("(1, 5), (2, 7), (3, NULL), (4, 9), (5, 2), (6, 2)"), ["-", "2", "-", "-", "2", "0"]);
    assert_eq!(rows("(1, 5.5), (2, 7.0), (3, 1.5)"), ["-", "1.5", "1.5"]);
    assert_eq!(
        ask(&lake, "SELECT counter_delta(5, NULL), counter_delta(5, NULL, 1), counter_delta(5, 2.5)"),
        ["- 5 2.5"]
    );
    assert_eq!(
        ask(&lake, "SELECT counter_delta(5, 9, 1), counter_delta(5, 9, 2), counter_delta(9, 5, NULL)"),
        ["5 5 4"]
    );
    let extremes = "SELECT counter_delta(9223372036854775807, -9223372036854775807)";
    assert_eq!(ask(&lake, extremes), ["9223372036854775807"]);
}

#[test]
fn wrong_arguments_are_told_how() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    for sql in [
        "SELECT counter_delta(1)",
        "SELECT counter_delta('a', 'b')",
        "SELECT counter_delta(1, [2])",
        "SELECT counter_delta(1, 2, 'delta')",
        "SELECT histogram_quantile(0.5, 1, 2)",
        "SELECT histogram_quantile(0.5, ['a'], [1])",
        "SELECT exp_histogram_quantile(0.5, 1)",
    ] {
        let error = try_ask(&lake, sql).unwrap_err();
        assert_eq!(error.kind, QueryErrorKind::BadSql, "{sql}: {error}");
        assert!(error.message.contains("it is called as"), "{sql}: {error}");
    }
}
