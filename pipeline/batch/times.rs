//! Which times a batch's items have, and which of them somebody takes.
//!
//! The time of a metric point is its `time_unix_nano`, that of a span its start, that of a log record its time or else
//! the time it was observed (logs.proto). Nanoseconds since 1970 in UTC. 0 is "not set", as OTLP has it: the protocol
//! requires the time of a point and of a span, so one without is refused where times matter at all; a log record
//! without either was observed when it came here, and is given that time.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampNanosecondArray};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, TimestampNanosecondType};
use arrow::temporal_conversions::timestamp_ns_to_datetime;

use super::{Rows, Table};

/// The smallest and the largest time of some items; of none, the smallest is above the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub earliest: u64,
    pub latest: u64,
}

impl Default for Times {
    fn default() -> Self {
        Times { earliest: u64::MAX, latest: 0 }
    }
}

impl Times {
    #[inline]
    pub(crate) fn note(&mut self, time: u64) {
        self.earliest = self.earliest.min(time);
        self.latest = self.latest.max(time);
    }

    pub(crate) fn of(rows: &Rows) -> Times {
        let mut times = Times::default();
        for (table, rows) in rows.tables() {
            if let Some(of) = ItemTimes::of(table, rows) {
                (0..rows.num_rows()).for_each(|row| times.note(of.get(row)));
            }
        }
        times
    }
}

/// How far from now the times of items may lie. The default sets no limit, but that there is a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLimits {
    /// Before now, at most.
    pub late: Option<Duration>,
    /// Ahead of now, at most: for clocks that are a little fast.
    pub future: Option<Duration>,
}

impl TimeLimits {
    /// What both take.
    #[must_use]
    pub fn and(self, other: TimeLimits) -> TimeLimits {
        let both = |a: Option<Duration>, b: Option<Duration>| a.map_or(b, |a| Some(b.map_or(a, |b| a.min(b))));
        TimeLimits { late: both(self.late, other.late), future: both(self.future, other.future) }
    }

    pub(crate) fn window(self, now: SystemTime) -> Window {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Window {
            limits: self,
            now: nanos(now),
            from: self.late.map_or(1, |late| nanos(now.saturating_sub(late)).max(1)),
            to: self.future.map_or(u64::MAX, |future| nanos(now.saturating_add(future))),
        }
    }
}

/// The times taken at one moment, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    limits: TimeLimits,
    now: u64,
    from: u64,
    to: u64,
}

impl Window {
    pub fn holds(&self, times: Times) -> bool {
        times.earliest >= self.from && times.latest <= self.to
    }

    /// The rows within, log records without a time having been given one, and what was left out.
    pub fn cut(&self, rows: &Rows) -> (Rows, Outside) {
        let mut outside = Outside { limits: self.limits, ..Outside::default() };
        let tables = rows.tables().map(|(table, rows)| (table, self.cut_table(table, rows, &mut outside)));
        (Rows::new(tables.collect::<Vec<_>>()), outside)
    }

    fn cut_table(&self, table: Table, rows: &RecordBatch, outside: &mut Outside) -> RecordBatch {
        let Some(times) = ItemTimes::of(table, rows) else { return rows.clone() };
        let taken = BooleanBuffer::collect_bool(rows.num_rows(), |row| {
            let time = times.get(row);
            let count = match time {
                0 if matches!(table, Table::Logs | Table::Alerts) => return true,
                0 => &mut outside.no_time,
                _ if time < self.from => &mut outside.too_old,
                _ if time > self.to => &mut outside.too_far_in_future,
                _ => return true,
            };
            *count += 1;
            outside.first.get_or_insert_with(|| First { metric: metric_name(rows, row), time });
            false
        });
        let stamped = if matches!(table, Table::Logs | Table::Alerts) { times.stamped(rows, self.now) } else { None };
        let rows = stamped.unwrap_or_else(|| rows.clone());
        filter_record_batch(&rows, &BooleanArray::new(taken, None)).unwrap_or(rows)
    }
}

/// What a [`Window`] left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outside {
    limits: TimeLimits,
    pub too_old: usize,
    pub too_far_in_future: usize,
    pub no_time: usize,
    first: Option<First>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct First {
    metric: Option<String>,
    time: u64,
}

impl Outside {
    pub fn items(&self) -> usize {
        self.too_old + self.too_far_in_future + self.no_time
    }
}

/// For the sender.
impl std::fmt::Display for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if let (1.., Some(late)) = (self.too_old, self.limits.late) {
            parts.push(format!("{} older than {}", self.too_old, short(late)));
        }
        if let (1.., Some(future)) = (self.too_far_in_future, self.limits.future) {
            parts.push(format!("{} more than {} ahead of now", self.too_far_in_future, short(future)));
        }
        if self.no_time > 0 {
            parts.push(format!("{} without a time", self.no_time));
        }
        f.write_str(&parts.join(", "))?;
        let Some(first) = &self.first else { return Ok(()) };
        match &first.metric {
            Some(metric) => write!(f, "; the first is of metric `{metric}`")?,
            None => f.write_str("; the first is")?,
        }
        match i64::try_from(first.time).ok().and_then(timestamp_ns_to_datetime) {
            Some(_) if first.time == 0 => f.write_str(" without a time"),
            Some(time) => write!(f, " at {}Z", time.format("%Y-%m-%dT%H:%M:%S")),
            None => write!(f, " at {} ns", first.time),
        }
    }
}

/// `14d`, `10m`, `90s`.
fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    for (unit, name) in [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")] {
        if seconds > 0 && duration.subsec_nanos() == 0 && seconds.is_multiple_of(unit) {
            return format!("{}{name}", seconds / unit);
        }
    }
    format!("{duration:?}")
}

/// The columns that are the items' times, the second where the first is 0.
struct ItemTimes<'a>(&'a [i64], Option<&'a [i64]>);

impl<'a> ItemTimes<'a> {
    fn of(table: Table, rows: &'a RecordBatch) -> Option<ItemTimes<'a>> {
        let column = |name| {
            let column = rows.column_by_name(name)?.as_primitive_opt::<TimestampNanosecondType>()?;
            Some(&column.values()[..])
        };
        Some(match table {
            Table::Logs | Table::Alerts => ItemTimes(column("time_unix_nano")?, column("observed_time_unix_nano")),
            Table::Spans => ItemTimes(column("start_time_unix_nano")?, None),
            _ => ItemTimes(column("time_unix_nano")?, None),
        })
    }

    #[inline]
    fn get(&self, row: usize) -> u64 {
        let at = |times: &[i64]| times.get(row).map_or(0, |time| *time as u64);
        match at(self.0) {
            0 => self.1.map_or(0, at),
            time => time,
        }
    }

    /// Log records with `now` as the time at which those were observed that have no time. `None`: all have one.
    fn stamped(&self, rows: &RecordBatch, now: u64) -> Option<RecordBatch> {
        let observed = self.1.filter(|_| (0..rows.num_rows()).any(|row| self.get(row) == 0))?;
        let stamp = |row| if self.get(row) == 0 { now as i64 } else { observed.get(row).copied().unwrap_or(0) };
        let observed = ScalarBuffer::from((0..rows.num_rows()).map(stamp).collect::<Vec<_>>());
        let index = rows.schema_ref().index_of("observed_time_unix_nano").ok()?;
        let mut columns = rows.columns().to_vec();
        columns[index] = Arc::new(TimestampNanosecondArray::new(observed, None).with_timezone("UTC")) as ArrayRef;
        RecordBatch::try_new(rows.schema(), columns).ok()
    }
}

fn metric_name(rows: &RecordBatch, row: usize) -> Option<String> {
    let names = rows.column_by_name("metric_name")?.as_dictionary_opt::<Int32Type>()?;
    let name = names.values().as_string_opt::<i32>()?.value(names.key(row)?);
    // What a sender says is not repeated at any length.
    Some(name.chars().take(200).collect())
}
