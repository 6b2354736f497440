//! Rows of series in order of time, rolled up into rows of one step each; several steps at once.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::LOOK_BACK;
use crate::convert::{int64, ts};
use crate::files::Key;
use crate::schema::Step;

/// What is kept of points of one kind.
pub(crate) trait Kind {
    /// The columns of some rows.
    type Columns<'a>;
    /// What a row says.
    type Point: Clone;
    /// What several say.
    type Sum;

    fn columns(rows: &RecordBatch) -> Option<Self::Columns<'_>>;
    fn point(columns: &Self::Columns<'_>, row: usize) -> Self::Point;
    /// Of one point; `previous`: the one before it, see [`Before`].
    fn sum(point: &Self::Point, previous: Option<&Self::Point>) -> Self::Sum;
    /// `false`: they cannot be said together, and the sum is as it was.
    fn add(sum: &mut Self::Sum, point: &Self::Point, previous: Option<&Self::Point>) -> bool;
    /// It says something.
    fn counts(point: &Self::Point) -> bool;
    /// Of two points of the same time, which counts as the one before: no two that differ are equal.
    fn order(a: &Self::Point, b: &Self::Point) -> Ordering;
    /// `None`: the column says the same in every point of a series.
    fn array(column: &str, sums: &[Self::Sum]) -> anyhow::Result<Option<ArrayRef>>;
}

/// What the next point of a series adds to: the last one that [`Kind::counts`], if it is not older than [`LOOK_BACK`]. Of several of one
/// time each adds to the one before it in [`Kind::order`].
pub(crate) struct Before<P> {
    last: Option<(i64, P)>,
}

impl<P> Before<P> {
    pub(crate) fn nothing() -> Before<P> {
        Before { last: None }
    }

    pub(crate) fn of(&self, time: i64) -> Option<&P> {
        self.last.as_ref().filter(|(last, _)| time.saturating_sub(*last) <= LOOK_BACK).map(|(_, point)| point)
    }

    /// Points come in their order.
    pub(crate) fn note<K: Kind<Point = P>>(&mut self, time: i64, point: P) {
        if K::counts(&point) {
            self.last = Some((time, point));
        }
    }
}

struct Bucket<S> {
    start: i64,
    points: i64,
    last_ts: i64,
    sum: S,
    /// A row of the series: which batch, which row.
    place: (usize, usize),
}

/// A step, the schema of its table, and what is not ended.
type Open<K> = (Step, SchemaRef, Option<Bucket<<K as Kind>::Sum>>);

pub(crate) struct Series<K: Kind> {
    window: Range<i64>,
    steps: Vec<Open<K>>,
    /// The last point of each series before the window, and its time.
    before: HashMap<i64, (i64, K::Point)>,
    series: Option<i64>,
    previous: Before<K::Point>,
    /// Points of one series and time, until it is clear that there are no more.
    tied: Vec<K::Point>,
    time: i64,
    /// The last row, for what begins in one group of rows and ends in another.
    last: Option<RecordBatch>,
}

impl<K: Kind> Series<K> {
    pub(crate) fn new(window: Range<i64>, steps: impl Iterator<Item = (Step, SchemaRef)>) -> Series<K> {
        let steps = steps.map(|(step, schema)| (step, schema, None)).collect();
        Series {
            window,
            steps,
            before: HashMap::new(),
            series: None,
            previous: Before::nothing(),
            tied: Vec::new(),
            time: 0,
            last: None,
        }
    }

    /// Rows before the window, in any order.
    pub(crate) fn look_back(&mut self, rows: &RecordBatch) -> anyhow::Result<()> {
        let (columns, ids, times) = read::<K>(rows)?;
        for row in (0..times.len()).filter(|row| times[*row] < self.window.start) {
            let (time, point) = (times[row], K::point(&columns, row));
            if !K::counts(&point) {
                continue;
            }
            match self.before.entry(ids.value(row)) {
                Entry::Vacant(entry) => {
                    entry.insert((time, point));
                }
                Entry::Occupied(mut entry) => {
                    let (last, known) = entry.get();
                    if last.cmp(&time).then_with(|| K::order(known, &point)).is_lt() {
                        entry.insert((time, point));
                    }
                }
            }
        }
        Ok(())
    }

    /// More rows in the table's order. Gives, for each step, the rows that ended.
    pub(crate) fn add(&mut self, rows: &[RecordBatch], order: &[Key]) -> anyhow::Result<Vec<RecordBatch>> {
        let last = self.last.take();
        let kept = usize::from(last.is_some());
        let batches = last.iter().chain(rows).collect::<Vec<_>>();
        let columns = batches.iter().map(|rows| read::<K>(rows)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut ended = self.steps.iter().map(|_| Vec::new()).collect::<Vec<_>>();
        // Where the series of what is not ended is found.
        let mut place = (0, 0);
        for key in order {
            let next = (key.place.chunk as usize + kept, key.place.row as usize);
            let (columns, ids, times) = &columns[next.0];
            let (time, id) = (times[next.1], ids.value(next.1));
            if !self.window.contains(&time) {
                continue;
            }
            if self.series != Some(id) || self.time != time {
                self.untie(place, &mut ended);
            }
            if self.series != Some(id) {
                self.series = Some(id);
                self.previous = Before { last: self.before.remove(&id) };
                for ((_, _, open), ended) in self.steps.iter_mut().zip(&mut ended) {
                    ended.extend(open.take());
                }
            }
            self.time = time;
            self.tied.push(K::point(columns, next.1));
            place = next;
        }
        let done = self.steps.iter().zip(ended).map(|((_, schema, _), ended)| batch::<K>(schema, &batches, ended));
        let done = done.collect::<anyhow::Result<Vec<_>>>()?;
        self.steps.iter_mut().filter_map(|(_, _, open)| open.as_mut()).for_each(|open| open.place = (0, 0));
        self.last = batches.get(place.0).filter(|rows| rows.num_rows() > 0).map(|rows| rows.slice(place.1, 1));
        Ok(done)
    }

    /// Adds points of one time, in their order; `place`: of the last of them.
    fn untie(&mut self, place: (usize, usize), ended: &mut [Vec<Bucket<K::Sum>>]) {
        self.tied.sort_by(K::order);
        let time = self.time;
        for point in self.tied.drain(..) {
            let previous = self.previous.of(time);
            for ((step, _, open), ended) in self.steps.iter_mut().zip(&mut *ended) {
                let start = time - time.rem_euclid(step.micros());
                if let Some(open) = open.as_mut().filter(|open| open.start == start)
                    && K::add(&mut open.sum, &point, previous)
                {
                    open.points += 1;
                    (open.last_ts, open.place) = (time, place);
                } else {
                    let sum = K::sum(&point, previous);
                    ended.extend(open.replace(Bucket { start, points: 1, last_ts: time, sum, place }));
                }
            }
            self.previous.note::<K>(time, point);
        }
    }

    /// What is still open at the end.
    pub(crate) fn end(mut self) -> anyhow::Result<Vec<RecordBatch>> {
        let mut ended = self.steps.iter().map(|_| Vec::new()).collect::<Vec<_>>();
        self.untie((0, 0), &mut ended);
        let last = self.last.iter().collect::<Vec<_>>();
        let steps = self.steps.iter_mut().zip(ended);
        steps
            .map(|((_, schema, open), mut ended)| {
                ended.extend(open.take());
                batch::<K>(schema, &last, ended)
            })
            .collect()
    }
}

/// What of some rows says what they added, of which series, and when.
pub(crate) fn read<K: Kind>(rows: &RecordBatch) -> anyhow::Result<(K::Columns<'_>, &Int64Array, &[i64])> {
    let ids = int64(rows, "series_id").context("points without `series_id`")?;
    Ok((K::columns(rows).context("points without their values")?, ids, ts(rows)?.values()))
}

/// Rows of a rollup's table; what a series says of itself is taken from `rows`.
fn batch<K: Kind>(
    schema: &SchemaRef,
    rows: &[&RecordBatch],
    buckets: Vec<Bucket<K::Sum>>,
) -> anyhow::Result<RecordBatch> {
    if buckets.is_empty() {
        return Ok(RecordBatch::new_empty(schema.clone()));
    }
    let times = |times: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")) as ArrayRef;
    let starts = times(buckets.iter().map(|bucket| bucket.start).collect());
    let last_ts = times(buckets.iter().map(|bucket| bucket.last_ts).collect());
    let points = Arc::new(buckets.iter().map(|bucket| Some(bucket.points)).collect::<Int64Array>());
    let places = buckets.iter().map(|bucket| bucket.place).collect::<Vec<_>>();
    let sums = buckets.into_iter().map(|bucket| bucket.sum).collect::<Vec<_>>();
    let column = |name: &str| -> anyhow::Result<ArrayRef> {
        Ok(match name {
            "ts" => starts.clone(),
            "points" => points.clone(),
            "last_ts" => last_ts.clone(),
            _ => match K::array(name, &sums)? {
                Some(array) => array,
                None => {
                    let own = rows
                        .iter()
                        .map(|rows| rows.column_by_name(name).map(AsRef::as_ref))
                        .collect::<Option<Vec<_>>>();
                    interleave(&own.with_context(|| format!("points without `{name}`"))?, &places)?
                }
            },
        })
    };
    let columns = schema.fields().iter().map(|field| column(field.name())).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
