//! What is over a limit, folded: one point a batch for each resource, scope, metric and value of the label.

use std::collections::HashMap;

use arrow::array::{Array, ArrowPrimitiveType, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampNanosecondType};
use catchment_pipeline::batch::attributes::{Attributes, Value};
use catchment_pipeline::batch::build::{CUMULATIVE, Interval, Kind, Number, PointsBuilder, Series};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Texts;
use super::known::take;

pub struct Fold {
    most: usize,
    /// Of this batch, in the order in which they came.
    points: Vec<Point>,
    index: HashMap<u64, usize>,
    totals: HashMap<u64, Total>,
    /// Cumulative series that are added up, each with what it said last.
    added: HashMap<i64, Added>,
}

struct Point {
    texts: [String; 10],
    at: Interval,
    kind: Kind,
    value: Number,
}

/// The running total of an overflow series.
struct Total {
    start: i64,
    value: Number,
}

struct Added {
    total: u64,
    /// Not monotonic.
    is_level: bool,
    time: i64,
    value: Number,
    seen: i64,
}

/// As [`Series::texts`] has them, but for the attributes.
const TEXTS: [&str; 9] = [
    "resource_attributes",
    "resource_schema_url",
    "scope_name",
    "scope_version",
    "scope_attributes",
    "scope_schema_url",
    "metric_name",
    "description",
    "unit",
];

impl Fold {
    pub fn new(most: usize) -> Fold {
        Fold { most, points: Vec::new(), index: HashMap::new(), totals: HashMap::new(), added: HashMap::new() }
    }

    /// A number point; `label` is told apart in the overflow series.
    pub fn add(&mut self, rows: &RecordBatch, row: usize, series: i64, label: Option<(&str, &str)>, now: i64) {
        let Some(row) = Row::read(rows, row) else { return };
        let kind_code: u64 = match row.kind {
            Kind::Gauge => 0,
            Kind::Sum(temporality, monotonic) => 2 + (temporality.unsigned_abs() as u64) * 2 + u64::from(monotonic),
        };
        let key = key(&row.texts, label, &kind_code.to_le_bytes());
        let is_total = matches!(row.kind, Kind::Sum(CUMULATIVE, _));
        let total = if is_total { self.total(key, series, &row, now) } else { None };
        let value = match (is_total, total) {
            (true, Some((_, value))) => value,
            (true, None) => return,
            (false, _) => row.value,
        };
        let at = Interval { start: total.map_or(row.at.start, |(start, _)| start), time: row.at.time };
        match self.index.get(&key).and_then(|index| self.points.get_mut(*index)) {
            None => {
                self.index.insert(key, self.points.len());
                self.points.push(Point { texts: overflow(row.texts, label), at, kind: row.kind, value });
            }
            Some(point) => point.join(at, value),
        }
    }

    /// The running total with what this point adds; `None`: it is not added up, and nothing of it is.
    fn total(&mut self, key: u64, series: i64, row: &Row<'_>, now: i64) -> Option<(i64, Number)> {
        let Kind::Sum(_, monotonic) = row.kind else { return None };
        if !self.added.contains_key(&series) && self.added.len() >= self.most {
            return self.totals.get(&key).map(|total| (total.start, total.value));
        }
        let total = self.totals.entry(key).or_insert(Total { start: row.at.time, value: zero(row.value) });
        let step = match self.added.get(&series) {
            // Out of order: it was counted with what followed.
            Some(before) if row.at.time <= before.time => None,
            Some(before) if monotonic && less(row.value, before.value) => Some(row.value),
            Some(before) => Some(minus(row.value, before.value)),
            None if !monotonic || (row.at.start >= total.start && row.at.start != 0) => Some(row.value),
            None => Some(zero(row.value)),
        };
        if let Some(step) = step {
            total.value = plus(total.value, step);
            let added = Added { total: key, is_level: !monotonic, time: row.at.time, value: row.value, seen: now };
            self.added.insert(series, added);
        }
        Some((total.start, total.value))
    }

    /// The series has room of its own now.
    pub fn forget(&mut self, series: i64) {
        if self.added.is_empty() {
            return;
        }
        if let Some(added) = self.added.remove(&series)
            && added.is_level
            && let Some(total) = self.totals.get_mut(&added.total)
        {
            total.value = minus(total.value, added.value);
        }
    }

    pub fn take(&mut self, points: &mut PointsBuilder) {
        for point in self.points.drain(..) {
            let series = Series::of(point.texts.each_ref().map(String::as_str));
            points.number(&series, point.at, point.kind, point.value, &[]);
        }
        self.index.clear();
    }

    pub fn sweep(&mut self, now: i64, expiry: i64) {
        let totals = &mut self.totals;
        self.added.retain(|_, added| {
            let alive = now.saturating_sub(added.seen) <= expiry;
            // A level that is gone counts no more; what a counter counted stays.
            if !alive
                && added.is_level
                && let Some(total) = totals.get_mut(&added.total)
            {
                total.value = minus(total.value, added.value);
            }
            alive
        });
        let used = self.added.values().map(|added| added.total).collect::<std::collections::HashSet<_>>();
        self.totals.retain(|key, _| used.contains(key));
    }

    pub fn save(&self, state: &mut Vec<u8>) {
        state.extend((self.totals.len() as u64).to_le_bytes());
        for (key, total) in &self.totals {
            state.extend(key.to_le_bytes());
            state.extend(total.start.to_le_bytes());
            save_number(total.value, state);
        }
        state.extend((self.added.len() as u64).to_le_bytes());
        for (series, added) in &self.added {
            state.extend(series.to_le_bytes());
            state.extend(added.total.to_le_bytes());
            state.push(u8::from(added.is_level));
            state.extend(added.time.to_le_bytes());
            state.extend(added.seen.to_le_bytes());
            save_number(added.value, state);
        }
    }

    /// Leaves what follows it.
    pub fn restore(&mut self, state: &mut &[u8]) -> anyhow::Result<()> {
        for _ in 0..u64::from_le_bytes(take(state)?) {
            let key = u64::from_le_bytes(take(state)?);
            let start = i64::from_le_bytes(take(state)?);
            self.totals.insert(key, Total { start, value: restore_number(state)? });
        }
        for _ in 0..u64::from_le_bytes(take(state)?) {
            let series = i64::from_le_bytes(take(state)?);
            let total = u64::from_le_bytes(take(state)?);
            let [is_level] = take(state)?;
            let time = i64::from_le_bytes(take(state)?);
            let seen = i64::from_le_bytes(take(state)?);
            let added = Added { total, is_level: is_level == 1, time, seen, value: restore_number(state)? };
            if self.added.len() < self.most {
                self.added.insert(series, added);
            }
        }
        Ok(())
    }
}

impl Point {
    fn join(&mut self, at: Interval, value: Number) {
        self.value = match self.kind {
            Kind::Gauge if at.time >= self.at.time => value,
            Kind::Gauge => self.value,
            // It is the total by now.
            Kind::Sum(CUMULATIVE, _) => value,
            Kind::Sum(..) => plus(self.value, value),
        };
        self.at = both(self.at, at);
    }
}

struct Row<'a> {
    /// Of its series; attributes are left out.
    texts: [&'a str; 10],
    at: Interval,
    kind: Kind,
    value: Number,
}

impl<'a> Row<'a> {
    /// `None`: it has no value.
    fn read(rows: &'a RecordBatch, row: usize) -> Option<Row<'a>> {
        let mut texts = [""; 10];
        for (text, name) in texts.iter_mut().zip(TEXTS) {
            *text = Texts::of(rows, name).map_or("", |texts| texts.text(row));
        }
        let at = Interval {
            start: number::<TimestampNanosecondType>(rows, "start_time_unix_nano", row)?,
            time: number::<TimestampNanosecondType>(rows, "time_unix_nano", row)?,
        };
        let int = number::<Int64Type>(rows, "value_int", row).map(Number::Int);
        let value = int.or_else(|| number::<Float64Type>(rows, "value_double", row).map(Number::Double))?;
        let kind = match Texts::of(rows, "metric_type")?.text(row) {
            "sum" => {
                let monotonic = rows.column_by_name("is_monotonic")?.as_boolean_opt()?.value(row);
                Kind::Sum(number::<Int32Type>(rows, "aggregation_temporality", row)?, monotonic)
            }
            _ => Kind::Gauge,
        };
        Some(Row { texts, at, kind, value })
    }
}

fn number<T: ArrowPrimitiveType>(rows: &RecordBatch, name: &str, row: usize) -> Option<T::Native> {
    let column = rows.column_by_name(name)?.as_primitive_opt::<T>()?;
    column.is_valid(row).then(|| column.value(row))
}

/// Of the overflow series that a point goes into: what it says but for its attributes, the value of the label, and its kind.
pub fn key(texts: &[&str; 10], label: Option<(&str, &str)>, kind: &[u8]) -> u64 {
    let [texts @ .., _] = texts;
    let label_hash = label.map_or(0, |(_, value)| xxh3_64_with_seed(value.as_bytes(), 1));
    let key = texts.iter().fold(label_hash, |key, text| xxh3_64_with_seed(text.as_bytes(), key));
    xxh3_64_with_seed(kind, key)
}

/// What an overflow series says: the SDK specification's attribute in place of a point's own.
pub fn overflow(texts: [&str; 10], label: Option<(&str, &str)>) -> [String; 10] {
    let mut texts = texts.map(str::to_owned);
    let [.., attributes] = &mut texts;
    let mut set = Attributes::default();
    set.insert("otel.metric.overflow", Value::Bool(true));
    if let Some((key, value)) = label {
        set.insert(key, Value::String(value.to_owned()));
    }
    *attributes = set.to_json();
    texts
}

/// A start of zero says nothing.
pub fn both(one: Interval, other: Interval) -> Interval {
    let start = if other.start == 0 { one.start } else { one.start.min(other.start) };
    Interval { start, time: one.time.max(other.time) }
}

fn as_double(number: Number) -> f64 {
    match number {
        Number::Int(int) => int as f64,
        Number::Double(double) => double,
    }
}

fn zero(like: Number) -> Number {
    match like {
        Number::Int(_) => Number::Int(0),
        Number::Double(_) => Number::Double(0.0),
    }
}

/// Whole numbers stay whole while they fit.
fn plus(a: Number, b: Number) -> Number {
    let whole = match (a, b) {
        (Number::Int(a), Number::Int(b)) => a.checked_add(b),
        _ => None,
    };
    whole.map_or_else(|| Number::Double(as_double(a) + as_double(b)), Number::Int)
}

fn minus(a: Number, b: Number) -> Number {
    match b {
        Number::Int(int) if int != i64::MIN => plus(a, Number::Int(-int)),
        other => plus(a, Number::Double(-as_double(other))),
    }
}

fn less(a: Number, b: Number) -> bool {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a < b,
        _ => as_double(a) < as_double(b),
    }
}

fn save_number(number: Number, state: &mut Vec<u8>) {
    let (kind, bits) = match number {
        Number::Int(int) => (0, int.to_le_bytes()),
        Number::Double(double) => (1, double.to_le_bytes()),
    };
    state.push(kind);
    state.extend(bits);
}

fn restore_number(state: &mut &[u8]) -> anyhow::Result<Number> {
    let [kind] = take(state)?;
    let bits = take(state)?;
    Ok(if kind == 0 { Number::Int(i64::from_le_bytes(bits)) } else { Number::Double(f64::from_le_bytes(bits)) })
}
