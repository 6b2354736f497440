//! What is written, and the conditions by which it is erased and kept.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use catchment_pipeline::batch::{Rows, Table};
use catchment_pipeline::log::Position;

use super::super::data::{RESOURCE, rows, text, times};
use crate::maintain::Condition;
use crate::schema::LakeTable;

/// A row: its microsecond, which no other of its table has, and the series that it is of, if it is a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) table: Table,
    pub(super) ts: i64,
    pub(super) series: Option<i64>,
}

impl Line {
    /// What tells it, and what lists its series, from all others there.
    pub(super) fn keys(self) -> impl Iterator<Item = (LakeTable, i64)> {
        let series = self.series.map(|series| (LakeTable::Series, series));
        [(LakeTable::Rows(self.table), self.ts)].into_iter().chain(series)
    }
}

/// Of the log; acknowledged.
pub(super) struct Record {
    pub(super) at: Position,
    pub(super) lines: Vec<Line>,
}

impl Record {
    pub(super) fn rows(&self) -> Rows {
        let tables = self.lines.chunk_by(|a, b| a.table == b.table).map(|lines| (lines[0].table, some_rows(lines)));
        Rows::new(tables.collect::<Vec<_>>())
    }
}

fn some_rows(lines: &[Line]) -> RecordBatch {
    let (table, n) = (lines[0].table, lines.len());
    let at = lines.iter().map(|line| line.ts).collect::<Vec<_>>();
    let nanos = || times(at.iter().map(|micros| micros * 1000).collect());
    let series = lines.iter().map(|line| line.series.unwrap_or_default()).collect::<Vec<_>>();
    let metric = |time: ArrayRef| -> Vec<(&str, ArrayRef)> {
        let attributes = series.iter().map(|id| format!(r#"{{"cpu":"{id}"}}"#)).collect::<Vec<_>>();
        vec![
            ("series_id", Arc::new(Int64Array::from(series.clone()))),
            ("metric_name", text(&vec![if table == Table::Metrics { "cpu" } else { "latency" }; n])),
            ("attributes", text(&attributes)),
            ("time_unix_nano", time),
        ]
    };
    let mut given: Vec<(&str, ArrayRef)> = vec![("resource_attributes", text(&vec![RESOURCE; n]))];
    match table {
        Table::Metrics => {
            given.extend(metric(nanos()));
            given.push(("metric_type", text(&vec!["gauge"; n])));
            given.push(("value_double", Arc::new(Float64Array::from_iter_values(at.iter().map(|at| *at as f64)))));
        }
        Table::Spans => given.extend([("name", text(&vec!["GET /"; n])), ("start_time_unix_nano", nanos())]),
        Table::Logs => {
            let bodies = at.iter().map(|at| Some(at.to_string())).collect::<StringArray>();
            given.extend([("time_unix_nano", nanos()), ("body", Arc::new(bodies) as ArrayRef)]);
        }
        _ => given.extend(metric(nanos())),
    }
    rows(table, n, &given)
}

pub(super) fn times_of(rows: &RecordBatch) -> Vec<i64> {
    rows.column_by_name("ts").unwrap().as_primitive::<TimestampMicrosecondType>().values().to_vec()
}

pub(super) fn integers(rows: &RecordBatch, name: &str) -> Vec<i64> {
    rows.column_by_name(name).unwrap().as_primitive::<Int64Type>().values().to_vec()
}

/// What SQL would be asked for, without the SQL: planning it takes longer than everything else here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// `series_id % 5 = ...`
    Series(i64),
    /// Of rows: `ts % 3 = ...`
    Time(i64),
}

impl Choice {
    pub(super) fn holds(self, ts: i64, series: Option<i64>) -> bool {
        match self {
            Choice::Series(rest) => series.is_some_and(|series| series % 5 == rest),
            Choice::Time(rest) => ts % 3 == rest,
        }
    }
}

impl Condition for Choice {
    fn asks(&self, table: LakeTable) -> bool {
        match self {
            Choice::Series(_) => !matches!(table, LakeTable::Rows(Table::Logs | Table::Spans)),
            Choice::Time(_) => matches!(table, LakeTable::Rows(_)),
        }
    }

    fn is_of_series(&self) -> bool {
        matches!(self, Choice::Series(_))
    }

    fn hits(&self, _: LakeTable, rows: &RecordBatch) -> anyhow::Result<BooleanArray> {
        Ok(match self {
            Choice::Series(_) => {
                let ids = integers(rows, "series_id").into_iter();
                ids.map(|id| Some(self.holds(0, Some(id)))).collect()
            }
            Choice::Time(_) => times_of(rows).into_iter().map(|ts| Some(self.holds(ts, None))).collect(),
        })
    }
}
