//! New metric points: what a stage makes by itself, with the identities that `super::ids` gives them.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_64;

use super::{Batch, EXEMPLAR, Rows, Signal, Table, ids};
use crate::otlp::decode::columns::{
    Dict, Doubles, Ids, Ints, Nullable, Text, float64, int32, int64, list, structs, times,
};

/// OTLP's numbers of a temporality.
pub const DELTA: i32 = 1;
pub const CUMULATIVE: i32 = 2;

/// Who and what: attribute sets are canonical JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series<'a> {
    pub resource_attributes: &'a str,
    pub resource_schema_url: &'a str,
    pub scope_name: &'a str,
    pub scope_version: &'a str,
    pub scope_attributes: &'a str,
    pub scope_schema_url: &'a str,
    pub name: &'a str,
    pub description: &'a str,
    pub unit: &'a str,
    pub attributes: &'a str,
}

impl Default for Series<'_> {
    fn default() -> Self {
        Series {
            resource_attributes: "{}",
            resource_schema_url: "",
            scope_name: "",
            scope_version: "",
            scope_attributes: "{}",
            scope_schema_url: "",
            name: "",
            description: "",
            unit: "",
            attributes: "{}",
        }
    }
}

impl<'a> Series<'a> {
    /// All that it says, in the order of its fields.
    pub fn texts(&self) -> [&'a str; 10] {
        [
            self.resource_attributes,
            self.resource_schema_url,
            self.scope_name,
            self.scope_version,
            self.scope_attributes,
            self.scope_schema_url,
            self.name,
            self.description,
            self.unit,
            self.attributes,
        ]
    }

    /// Of what [`Series::texts`] gave.
    pub fn of(texts: [&'a str; 10]) -> Series<'a> {
        let [
            resource_attributes,
            resource_schema_url,
            scope_name,
            scope_version,
            scope_attributes,
            scope_schema_url,
            name,
            description,
            unit,
            attributes,
        ] = texts;
        Series {
            resource_attributes,
            resource_schema_url,
            scope_name,
            scope_version,
            scope_attributes,
            scope_schema_url,
            name,
            description,
            unit,
            attributes,
        }
    }

    fn id(&self, kind: &[u8]) -> i64 {
        let resource_id = xxh3_64(self.resource_attributes.as_bytes()) as i64;
        let scope = [self.scope_name, self.scope_version, self.scope_attributes].map(|text| xxh3_64(text.as_bytes()));
        let identity = ids::metric_identity(self.name.as_bytes(), self.unit.as_bytes(), kind, resource_id, &scope);
        ids::mix(identity, xxh3_64(self.attributes.as_bytes())) as i64
    }
}

/// Nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    pub start: i64,
    pub time: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    Double(f64),
}

/// Of a sum, its temporality and whether it is monotonic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    Sum(i32, bool),
}

/// What the points of both kinds of histogram say beside their buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    pub count: u64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// Offset and counts of the buckets on one side of zero.
pub type Side<'a> = (i32, &'a [u64]);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExpBuckets<'a> {
    pub scale: i32,
    pub zero_count: u64,
    pub zero_threshold: f64,
    pub positive: Side<'a>,
    pub negative: Side<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub time: i64,
    pub value: Number,
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
}

/// Points while they are added.
#[derive(Default)]
pub struct PointsBuilder {
    numbers: Numbers,
    histograms: Histograms,
    exp_histograms: ExpHistograms,
}

impl PointsBuilder {
    pub fn len(&self) -> usize {
        self.numbers.head.len() + self.histograms.head.len() + self.exp_histograms.head.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn number(&mut self, series: &Series<'_>, at: Interval, kind: Kind, value: Number, exemplars: &[Exemplar]) {
        let (name, temporality, monotonic) = match kind {
            Kind::Gauge => ("gauge", 0, false),
            Kind::Sum(temporality, monotonic) => ("sum", temporality, monotonic),
        };
        self.numbers.head.push(series, name, at);
        self.numbers.metric_type.push(name.as_bytes());
        self.numbers.temporality.push(temporality);
        self.numbers.monotonic.push(monotonic);
        self.numbers.values.push(value);
        self.numbers.exemplars.push(exemplars);
    }

    /// `counts` are one more than `bounds`, or both are empty.
    pub fn histogram(
        &mut self,
        series: &Series<'_>,
        at: Interval,
        temporality: i32,
        stats: Stats,
        (counts, bounds): (&[u64], &[f64]),
        exemplars: &[Exemplar],
    ) {
        let table = &mut self.histograms;
        table.head.push(series, "histogram", at);
        table.temporality.push(temporality);
        table.stats.push(stats);
        table.counts.push(counts.iter().map(|count| *count as i64));
        table.bounds.push(bounds.iter().copied());
        table.exemplars.push(exemplars);
    }

    pub fn exp_histogram(
        &mut self,
        series: &Series<'_>,
        at: Interval,
        temporality: i32,
        stats: Stats,
        buckets: &ExpBuckets<'_>,
        exemplars: &[Exemplar],
    ) {
        let table = &mut self.exp_histograms;
        table.head.push(series, "exponential_histogram", at);
        table.temporality.push(temporality);
        table.stats.push(stats);
        table.scale.push(buckets.scale);
        table.zero_count.push(buckets.zero_count as i64);
        table.zero_threshold.push(buckets.zero_threshold);
        for (side, (offset, counts)) in
            [(&mut table.positive, buckets.positive), (&mut table.negative, buckets.negative)]
        {
            side.0.push((!counts.is_empty()).then_some(offset));
            side.1.push(counts.iter().map(|count| *count as i64));
        }
        table.exemplars.push(exemplars);
    }

    /// The points so far as a batch, and begins anew. Fails when a column passes 2 GiB.
    pub fn finish(&mut self) -> Result<Batch, ArrowError> {
        let PointsBuilder { numbers, histograms, exp_histograms } = std::mem::take(self);
        let tables = [
            (Table::Metrics, numbers.finish()?),
            (Table::Histograms, histograms.finish()?),
            (Table::ExpHistograms, exp_histograms.finish()?),
        ];
        let rows = |(table, columns): (Table, Vec<ArrayRef>)| {
            RecordBatch::try_new(table.schema(), columns).map(|rows| (table, rows))
        };
        let tables = tables.into_iter().map(rows).collect::<Result<Vec<_>, _>>()?;
        Ok(Batch::from_rows(Signal::Metrics, Rows::new(tables)))
    }
}

/// The columns up to `flags`.
#[derive(Default)]
struct Head {
    resource_id: Vec<i64>,
    series_id: Vec<i64>,
    resource_attributes: Dict,
    resource_schema_url: Dict,
    resource_entity_refs: Dict,
    scope_name: Dict,
    scope_version: Dict,
    scope_attributes: Dict,
    scope_schema_url: Dict,
    name: Dict,
    description: Dict,
    unit: Dict,
    metadata: Dict,
    attributes: Dict,
    start: Vec<i64>,
    time: Vec<i64>,
}

impl Head {
    fn len(&self) -> usize {
        self.time.len()
    }

    fn push(&mut self, series: &Series<'_>, kind: &str, at: Interval) {
        self.resource_id.push(xxh3_64(series.resource_attributes.as_bytes()) as i64);
        self.series_id.push(series.id(kind.as_bytes()));
        for (column, text) in [
            (&mut self.resource_attributes, series.resource_attributes),
            (&mut self.resource_schema_url, series.resource_schema_url),
            (&mut self.resource_entity_refs, "[]"),
            (&mut self.scope_name, series.scope_name),
            (&mut self.scope_version, series.scope_version),
            (&mut self.scope_attributes, series.scope_attributes),
            (&mut self.scope_schema_url, series.scope_schema_url),
            (&mut self.name, series.name),
            (&mut self.description, series.description),
            (&mut self.unit, series.unit),
            (&mut self.metadata, "{}"),
            (&mut self.attributes, series.attributes),
        ] {
            column.push(text.as_bytes());
        }
        self.start.push(at.start);
        self.time.push(at.time);
    }

    fn finish(self) -> Result<Vec<ArrayRef>, ArrowError> {
        let zeros = || int64(vec![0; self.time.len()]);
        Ok(vec![
            int64(self.resource_id),
            self.resource_attributes.finish()?,
            zeros(),
            self.resource_schema_url.finish()?,
            self.resource_entity_refs.finish()?,
            self.scope_name.finish()?,
            self.scope_version.finish()?,
            self.scope_attributes.finish()?,
            zeros(),
            self.scope_schema_url.finish()?,
            int64(self.series_id),
            self.name.finish()?,
            self.description.finish()?,
            self.unit.finish()?,
            self.metadata.finish()?,
            self.attributes.finish()?,
            times(self.start),
            times(self.time.clone()),
            zeros(),
        ])
    }
}

#[derive(Default)]
struct Values {
    int: Ints,
    double: Doubles,
}

impl Values {
    fn push(&mut self, value: Number) {
        let (int, double) = match value {
            Number::Int(int) => (Some(int), None),
            Number::Double(double) => (None, Some(double)),
        };
        self.int.push(int);
        self.double.push(double);
    }
}

#[derive(Default)]
struct Exemplars {
    ends: Vec<i32>,
    time: Vec<i64>,
    values: Values,
    span_id: Ids<8>,
    trace_id: Ids<16>,
    attributes: Text,
}

impl Exemplars {
    fn push(&mut self, exemplars: &[Exemplar]) {
        for exemplar in exemplars {
            self.time.push(exemplar.time);
            self.values.push(exemplar.value);
            self.span_id.push(&exemplar.span_id);
            self.trace_id.push(&exemplar.trace_id);
            self.attributes.push(b"{}");
        }
        self.ends.push(self.time.len() as i32);
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        let children = vec![
            times(self.time),
            self.values.int.finish(),
            self.values.double.finish(),
            self.span_id.finish()?,
            self.trace_id.finish()?,
            Arc::new(self.attributes.finish(None)?) as ArrayRef,
        ];
        structs(self.ends, &EXEMPLAR, children)
    }
}

#[derive(Default)]
struct Lists<T> {
    ends: Vec<i32>,
    items: Vec<T>,
}

impl<T> Lists<T> {
    fn push(&mut self, items: impl Iterator<Item = T>) {
        self.items.extend(items);
        // Past 32 bits `list` refuses.
        self.ends.push(self.items.len() as i32);
    }
}

#[derive(Default)]
struct Numbers {
    head: Head,
    metric_type: Dict,
    temporality: Vec<i32>,
    monotonic: Vec<bool>,
    values: Values,
    exemplars: Exemplars,
}

impl Numbers {
    fn finish(self) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut columns = self.head.finish()?;
        columns.push(self.metric_type.finish()?);
        columns.push(int32(self.temporality));
        columns.push(Arc::new(BooleanArray::from(self.monotonic)));
        columns.extend([self.values.int.finish(), self.values.double.finish()]);
        columns.push(self.exemplars.finish()?);
        Ok(columns)
    }
}

#[derive(Default)]
struct StatColumns {
    count: Vec<i64>,
    sum: Doubles,
    min: Doubles,
    max: Doubles,
}

impl StatColumns {
    fn push(&mut self, stats: Stats) {
        self.count.push(stats.count as i64);
        self.sum.push(stats.sum);
        self.min.push(stats.min);
        self.max.push(stats.max);
    }

    fn finish(self) -> [ArrayRef; 4] {
        [int64(self.count), self.sum.finish(), self.min.finish(), self.max.finish()]
    }
}

#[derive(Default)]
struct Histograms {
    head: Head,
    temporality: Vec<i32>,
    stats: StatColumns,
    counts: Lists<i64>,
    bounds: Lists<f64>,
    exemplars: Exemplars,
}

impl Histograms {
    fn finish(self) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut columns = self.head.finish()?;
        columns.push(int32(self.temporality));
        columns.extend(self.stats.finish());
        columns.push(list(self.counts.ends, int64(self.counts.items))?);
        columns.push(list(self.bounds.ends, float64(self.bounds.items))?);
        columns.push(self.exemplars.finish()?);
        Ok(columns)
    }
}

#[derive(Default)]
struct ExpHistograms {
    head: Head,
    temporality: Vec<i32>,
    stats: StatColumns,
    scale: Vec<i32>,
    zero_count: Vec<i64>,
    zero_threshold: Vec<f64>,
    positive: (Nullable<Int32Type>, Lists<i64>),
    negative: (Nullable<Int32Type>, Lists<i64>),
    exemplars: Exemplars,
}

impl ExpHistograms {
    fn finish(self) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut columns = self.head.finish()?;
        columns.push(int32(self.temporality));
        columns.extend(self.stats.finish());
        columns.push(int32(self.scale));
        columns.push(int64(self.zero_count));
        columns.push(float64(self.zero_threshold));
        for (offset, counts) in [self.positive, self.negative] {
            columns.push(offset.finish());
            columns.push(list(counts.ends, int64(counts.items))?);
        }
        columns.push(self.exemplars.finish()?);
        Ok(columns)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Through OTLP and back, where the decoder computes all identities itself.
    #[test]
    fn points_are_what_a_sender_would_have_sent() {
        let series = Series {
            resource_attributes: r#"{"service.name":"shop"}"#,
            resource_schema_url: "https://r",
            scope_name: "s",
            scope_version: "1",
            scope_attributes: r#"{"k":1}"#,
            scope_schema_url: "https://s",
            name: "m",
            description: "d",
            unit: "By",
            attributes: r#"{"a":"b"}"#,
        };
        let at = Interval { start: 5, time: 9 };
        let stats = Stats { count: 3, sum: Some(1.5), min: None, max: Some(1.0) };
        let exemplar = Exemplar { time: 8, value: Number::Double(0.5), trace_id: [1; 16], span_id: [2; 8] };
        let mut points = PointsBuilder::default();
        points.number(&series, at, Kind::Gauge, Number::Double(2.5), &[]);
        points.number(&series, at, Kind::Sum(DELTA, true), Number::Int(7), std::slice::from_ref(&exemplar));
        points.histogram(&series, at, CUMULATIVE, stats, (&[1, 2], &[0.5]), std::slice::from_ref(&exemplar));
        let buckets = ExpBuckets {
            scale: -1,
            zero_count: 1,
            zero_threshold: 0.1,
            positive: (-3, &[1, 0, 1]),
            ..Default::default()
        };
        points.exp_histogram(&Series::default(), at, DELTA, stats, &buckets, &[]);
        assert_eq!(points.len(), 4);
        let made = points.finish().unwrap();
        assert!(points.is_empty());
        let sent = Batch::from_otlp(Signal::Metrics, made.otlp().clone()).unwrap();
        assert_eq!(sent.items(), 4);
        for (table, rows) in made.rows().tables() {
            assert_eq!(Some(rows), sent.rows().table(table), "{table:?}");
        }
    }
}
