//! A lake that is a list of rows, and answers a few queries by their first word.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringViewArray, TimestampNanosecondArray};
use async_trait::async_trait;
use catchment_pipeline::log::Position;
use catchment_storage::{Changed, LakeStats, MetricInfo, QueryLimits, SeriesFilter, SeriesInfo, Tables, Window};
use futures::StreamExt;
use futures::stream;
use http::StatusCode;
use tokio::sync::watch;

use super::Point;
use crate::data::{Data, Rows, Select};
use crate::problem::Problem;

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Milliseconds.
    pub t: i64,
    pub label: &'static str,
    pub value: f64,
}

#[derive(Default)]
pub struct State {
    pub rows: Vec<(Position, Row)>,
    pub position: Position,
    /// Each one's window, and whether it was about the newest only.
    pub asked: Vec<(Window, bool)>,
    pub fails: Option<Problem>,
    /// What a query takes.
    pub takes: Duration,
    /// Of what is older, nothing is known.
    pub known_after: Position,
}

pub struct FakeLake {
    state: Mutex<State>,
    changes: watch::Sender<Position>,
    /// Queries that were asked.
    pub begun: watch::Sender<usize>,
    /// Queries that were dropped before they were answered.
    pub cancelled: watch::Sender<usize>,
}

struct Running<'a>(Option<&'a watch::Sender<usize>>);

impl Running<'_> {
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|cancelled| cancelled.send_modify(|cancelled| *cancelled += 1));
    }
}

impl Default for FakeLake {
    fn default() -> FakeLake {
        FakeLake {
            state: Mutex::default(),
            changes: watch::Sender::new(0),
            begun: watch::Sender::new(0),
            cancelled: watch::Sender::new(0),
        }
    }
}

impl FakeLake {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn append(&self, rows: &[(i64, &'static str, f64)]) {
        let mut state = self.state();
        state.position += 1;
        let at = state.position;
        state.rows.extend(rows.iter().map(|(t, label, value)| (at, Row { t: *t, label, value: *value })));
        drop(state);
        self.changes.send_replace(at);
    }

    pub fn evaluations(&self) -> usize {
        self.state().asked.len()
    }

    /// What the query's answer is to whoever asks now, in no particular order.
    pub fn answer(&self, word: &str, window: &Window, at: Position) -> Vec<Point> {
        let (from, to) = ((window.from / 1000) - window.lookback.as_millis() as i64, window.to / 1000);
        let step = window.step.as_millis() as i64;
        let state = self.state();
        let rows = state.rows.iter().filter(|(position, row)| *position <= at && (from..to).contains(&row.t));
        let mut rows = rows.map(|(_, row)| row.clone()).collect::<Vec<_>>();
        let sums = |rows: Vec<(i64, &'static str, f64)>| {
            let mut sums = BTreeMap::<(i64, &str), f64>::new();
            rows.into_iter().for_each(|(t, label, value)| *sums.entry((t - t % step, label)).or_default() += value);
            sums.into_iter().map(|((t, label), sum)| (t, label.to_owned(), Some(sum))).collect()
        };
        match word {
            "raw" => rows.into_iter().map(|row| (row.t, row.label.to_owned(), Some(row.value))).collect(),
            "sum" => sums(rows.into_iter().map(|row| (row.t, row.label, row.value)).collect()),
            // As `counter_delta` over the points of a series; the first has nothing before it.
            "delta" => {
                rows.sort_by(|a, b| (a.label, a.t).cmp(&(b.label, b.t)).then(a.value.total_cmp(&b.value)));
                let pairs = rows.windows(2).filter(|pair| pair[0].label == pair[1].label);
                sums(pairs.map(|pair| (pair[1].t, pair[1].label, pair[1].value - pair[0].value)).collect())
            }
            "count" => {
                let mut counts = BTreeMap::<&str, f64>::new();
                rows.iter().for_each(|row| *counts.entry(row.label).or_default() += 1.0);
                counts.into_iter().map(|(label, count)| (0, label.to_owned(), Some(count))).collect()
            }
            "labels" => {
                let labels = state.rows.iter().map(|(_, row)| row.label).collect::<BTreeSet<_>>();
                labels.into_iter().map(|label| (0, label.to_owned(), Some(1.0))).collect()
            }
            other => panic!("what is {other}?"),
        }
    }
}

pub fn batch(points: &[Point]) -> RecordBatch {
    let time = TimestampNanosecondArray::from_iter_values(points.iter().map(|point| point.0 * 1_000_000));
    let label = points.iter().map(|point| Some(point.1.as_str())).collect::<StringViewArray>();
    let value = points.iter().map(|point| point.2).collect::<Float64Array>();
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("t", Arc::new(time.with_timezone("UTC")), true),
        ("label", Arc::new(label), true),
        ("value", Arc::new(value), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

#[async_trait]
impl Data for FakeLake {
    fn limits(&self) -> QueryLimits {
        QueryLimits::default()
    }

    async fn select(&self, select: &Select<'_>, _: QueryLimits) -> Result<Rows, Problem> {
        let (position, takes, fails) = {
            let mut state = self.state();
            state.asked.push((select.window, select.newest.is_some()));
            (state.position, state.takes, state.fails.clone())
        };
        self.begun.send_modify(|begun| *begun += 1);
        let running = Running(Some(&self.cancelled));
        tokio::time::sleep(takes).await;
        running.ended();
        if let Some(problem) = fails {
            return Err(problem);
        }
        let word = select.template.text().split(' ').next().unwrap_or_default();
        if word == "missing" && self.state().rows.is_empty() {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "no_data_yet", "not yet"));
        }
        let word = if word == "missing" { "raw" } else { word };
        let mut points = self.answer(word, &select.window, position);
        // Not in the order in which they are wanted, and in several batches.
        points.reverse();
        if let Some(newest) = &select.newest {
            assert_eq!(newest.time, "t");
            points.sort_by_key(|point| std::cmp::Reverse(point.0));
            points.truncate(newest.rows);
        }
        let schema = batch(&[]).schema();
        let batches = points.chunks(3).map(|points| Ok(batch(points))).collect::<Vec<_>>();
        let reads = Tables::named("metrics").unwrap();
        Ok(Rows { schema, position, reads, stream: stream::iter(batches).boxed() })
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.changes.subscribe()
    }

    fn changed_since(&self, position: Position, tables: Tables, window: Range<i64>) -> Changed {
        assert_eq!(tables, Tables::named("metrics").unwrap());
        let state = self.state();
        if position < state.known_after {
            return Changed::Unknown;
        }
        if position > state.position {
            return Changed::Ahead;
        }
        let newer = state.rows.iter().filter(|(at, _)| *at > position).map(|(_, row)| row.t * 1000);
        newer.filter(|t| window.contains(t)).min().map_or(Changed::Nothing, Changed::Since)
    }

    fn log_id(&self) -> &str {
        "log"
    }

    async fn query(&self, _: &str, _: QueryLimits) -> Result<Rows, Problem> {
        unreachable!()
    }

    fn metrics(&self) -> Vec<MetricInfo> {
        Vec::new()
    }

    async fn series(&self, _: &SeriesFilter, _: usize) -> Result<Vec<SeriesInfo>, Problem> {
        unreachable!()
    }

    async fn label_values(&self, _: Option<&str>, _: &str, _: usize) -> Result<Vec<String>, Problem> {
        unreachable!()
    }

    fn stats(&self) -> LakeStats {
        LakeStats::default()
    }
}
