//! Views of a table's columns, by name. `None` when a column is missing or of another type, which a table of ours does not
//! come to.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{ArrowPrimitiveType, Field, Float64Type, Int32Type, Int64Type, TimestampNanosecondType};
use catchment_pipeline::batch::Table;
use catchment_pipeline::batch::build::{ExpBuckets, Number, Series, Side, Stats};

use super::exp::{Buckets, Exp};
use super::hist::Hist;

pub trait Columns {
    fn rows(&self) -> &RecordBatch;

    fn values<T: ArrowPrimitiveType>(&self, name: &str) -> Option<&[T::Native]> {
        Some(&self.rows().column_by_name(name)?.as_primitive_opt::<T>()?.values()[..])
    }
    fn int64(&self, name: &str) -> Option<&[i64]> {
        self.values::<Int64Type>(name)
    }
    fn int32(&self, name: &str) -> Option<&[i32]> {
        self.values::<Int32Type>(name)
    }
    fn float64(&self, name: &str) -> Option<&[f64]> {
        self.values::<Float64Type>(name)
    }
    fn times(&self, name: &str) -> Option<&[i64]> {
        self.values::<TimestampNanosecondType>(name)
    }
    fn ints(&self, name: &str) -> Option<&Int64Array> {
        self.rows().column_by_name(name)?.as_primitive_opt()
    }
    fn doubles(&self, name: &str) -> Option<&Float64Array> {
        self.rows().column_by_name(name)?.as_primitive_opt()
    }
    fn bools(&self, name: &str) -> Option<&BooleanArray> {
        self.rows().column_by_name(name)?.as_boolean_opt()
    }
    fn texts(&self, name: &str) -> Option<&StringArray> {
        self.rows().column_by_name(name)?.as_string_opt()
    }
    fn ids(&self, name: &str) -> Option<&FixedSizeBinaryArray> {
        self.rows().column_by_name(name)?.as_fixed_size_binary_opt()
    }
    fn list(&self, name: &str) -> Option<&ListArray> {
        self.rows().column_by_name(name)?.as_list_opt()
    }
    fn dict(&self, name: &str) -> Option<Dict<'_>> {
        let dictionary = self.rows().column_by_name(name)?.as_dictionary_opt::<Int32Type>()?;
        Some(Dict { keys: dictionary.keys().values(), values: dictionary.values().as_string_opt()? })
    }
}

impl Columns for RecordBatch {
    fn rows(&self) -> &RecordBatch {
        self
    }
}

#[derive(Clone, Copy)]
pub struct Dict<'a> {
    pub keys: &'a [i32],
    pub values: &'a StringArray,
}

impl<'a> Dict<'a> {
    #[inline]
    pub fn get(&self, row: usize) -> &'a str {
        self.values.value(self.keys[row] as usize)
    }

    /// Something of each row's value, computed once per value.
    pub fn each<T: Clone>(self, mut f: impl FnMut(&'a str) -> T) -> impl Iterator<Item = T> {
        let mut known: Vec<Option<T>> = vec![None; self.values.len()];
        let values = self.values;
        self.keys.iter().map(move |key| {
            let slot = &mut known[*key as usize];
            slot.get_or_insert_with(|| f(values.value(*key as usize))).clone()
        })
    }
}

/// What the points of all kinds have.
pub struct Points<'a> {
    pub series_id: &'a [i64],
    pub start: &'a [i64],
    pub time: &'a [i64],
    pub flags: &'a [i64],
    pub name: Dict<'a>,
    pub resource: Dict<'a>,
    pub attributes: Dict<'a>,
    resource_schema_url: Dict<'a>,
    scope_name: Dict<'a>,
    scope_version: Dict<'a>,
    scope_attributes: Dict<'a>,
    scope_schema_url: Dict<'a>,
    description: Dict<'a>,
    unit: Dict<'a>,
}

impl<'a> Points<'a> {
    pub fn new(rows: &'a RecordBatch) -> Option<Points<'a>> {
        Some(Points {
            series_id: rows.int64("series_id")?,
            start: rows.times("start_time_unix_nano")?,
            time: rows.times("time_unix_nano")?,
            flags: rows.int64("flags")?,
            name: rows.dict("metric_name")?,
            resource: rows.dict("resource_attributes")?,
            attributes: rows.dict("attributes")?,
            resource_schema_url: rows.dict("resource_schema_url")?,
            scope_name: rows.dict("scope_name")?,
            scope_version: rows.dict("scope_version")?,
            scope_attributes: rows.dict("scope_attributes")?,
            scope_schema_url: rows.dict("scope_schema_url")?,
            description: rows.dict("description")?,
            unit: rows.dict("unit")?,
        })
    }

    /// OTLP's flag of a point that says only that there is no value.
    pub fn has_no_value(&self, row: usize) -> bool {
        self.flags[row] & 1 != 0
    }

    pub fn series(&self, row: usize) -> Series<'a> {
        Series {
            resource_attributes: self.resource.get(row),
            resource_schema_url: self.resource_schema_url.get(row),
            scope_name: self.scope_name.get(row),
            scope_version: self.scope_version.get(row),
            scope_attributes: self.scope_attributes.get(row),
            scope_schema_url: self.scope_schema_url.get(row),
            name: self.name.get(row),
            description: self.description.get(row),
            unit: self.unit.get(row),
            attributes: self.attributes.get(row),
        }
    }
}

pub struct Numbers<'a> {
    pub points: Points<'a>,
    pub metric_type: Dict<'a>,
    pub temporality: &'a [i32],
    pub monotonic: &'a BooleanArray,
    pub int: &'a Int64Array,
    pub double: &'a Float64Array,
}

impl<'a> Numbers<'a> {
    pub fn new(rows: &'a RecordBatch) -> Option<Numbers<'a>> {
        Some(Numbers {
            points: Points::new(rows)?,
            metric_type: rows.dict("metric_type")?,
            temporality: rows.int32("aggregation_temporality")?,
            monotonic: rows.bools("is_monotonic")?,
            int: rows.ints("value_int")?,
            double: rows.doubles("value_double")?,
        })
    }

    /// Whether each row is a sum's.
    pub fn sums(&self) -> Vec<bool> {
        self.metric_type.each(|name| name == "sum").collect()
    }

    #[inline]
    pub fn value(&self, row: usize) -> Option<Number> {
        if self.double.is_valid(row) {
            Some(Number::Double(self.double.value(row)))
        } else if self.int.is_valid(row) {
            Some(Number::Int(self.int.value(row)))
        } else {
            None
        }
    }
}

struct StatColumns<'a> {
    count: &'a [i64],
    sum: &'a Float64Array,
    min: &'a Float64Array,
    max: &'a Float64Array,
}

fn present(array: &Float64Array, row: usize) -> Option<f64> {
    array.is_valid(row).then(|| array.value(row))
}

impl<'a> StatColumns<'a> {
    fn new(rows: &'a RecordBatch) -> Option<StatColumns<'a>> {
        let (sum, min, max) = (rows.doubles("sum")?, rows.doubles("min")?, rows.doubles("max")?);
        Some(StatColumns { count: rows.int64("count")?, sum, min, max })
    }

    fn get(&self, row: usize) -> Stats {
        let count = self.count[row] as u64;
        Stats { count, sum: present(self.sum, row), min: present(self.min, row), max: present(self.max, row) }
    }
}

fn counts(list: &ListArray, row: usize) -> Vec<u64> {
    let item = list.value(row);
    item.as_primitive_opt::<Int64Type>()
        .map(|counts| counts.values().iter().map(|count| *count as u64).collect())
        .unwrap_or_default()
}

/// Points of one of the two tables of histograms.
pub struct Distributions<'a> {
    pub points: Points<'a>,
    pub temporality: &'a [i32],
    stats: StatColumns<'a>,
    buckets: BucketColumns<'a>,
}

enum BucketColumns<'a> {
    Explicit { counts: &'a ListArray, bounds: &'a ListArray },
    Exponential(ExpColumns<'a>),
}

struct ExpColumns<'a> {
    scale: &'a [i32],
    zero_count: &'a [i64],
    zero_threshold: &'a [f64],
    positive: (&'a Int32Array, &'a ListArray),
    negative: (&'a Int32Array, &'a ListArray),
}

impl<'a> Distributions<'a> {
    pub fn new(table: Table, rows: &'a RecordBatch) -> Option<Distributions<'a>> {
        let buckets = match table {
            Table::Histograms => {
                BucketColumns::Explicit { counts: rows.list("bucket_counts")?, bounds: rows.list("explicit_bounds")? }
            }
            Table::ExpHistograms => {
                let offset = |name| rows.column_by_name(name)?.as_primitive_opt::<Int32Type>();
                BucketColumns::Exponential(ExpColumns {
                    scale: rows.int32("scale")?,
                    zero_count: rows.int64("zero_count")?,
                    zero_threshold: rows.float64("zero_threshold")?,
                    positive: (offset("positive_offset")?, rows.list("positive_bucket_counts")?),
                    negative: (offset("negative_offset")?, rows.list("negative_bucket_counts")?),
                })
            }
            _ => return None,
        };
        let temporality = rows.int32("aggregation_temporality")?;
        Some(Distributions { points: Points::new(rows)?, temporality, stats: StatColumns::new(rows)?, buckets })
    }

    pub fn get(&self, row: usize) -> Distribution {
        let stats = self.stats.get(row);
        match &self.buckets {
            BucketColumns::Explicit { counts: column, bounds } => {
                let item = bounds.value(row);
                let bounds = item.as_primitive_opt::<Float64Type>().map(|bounds| bounds.values().to_vec());
                Distribution::Explicit(Hist::new(stats, counts(column, row), bounds.unwrap_or_default()))
            }
            BucketColumns::Exponential(columns) => {
                let side = |(offset, list): (&Int32Array, &ListArray)| {
                    let offset = if offset.is_valid(row) { offset.value(row) } else { 0 };
                    Buckets::new(offset, counts(list, row))
                };
                Distribution::Exponential(Exp {
                    stats,
                    scale: columns.scale[row],
                    zero_count: columns.zero_count[row] as u64,
                    zero_threshold: columns.zero_threshold[row],
                    positive: side(columns.positive),
                    negative: side(columns.negative),
                })
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    Explicit(Hist),
    Exponential(Exp),
}

/// The columns in which the points of a table of histograms differ from one another's, all of one sort.
pub fn distribution_columns(rows: &[Distribution]) -> Vec<(&'static str, ArrayRef)> {
    let stat = |of: fn(&Stats) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| of(row.stats())).collect::<Float64Array>())
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("count", Arc::new(rows.iter().map(|row| Some(row.stats().count as i64)).collect::<Int64Array>())),
        ("sum", stat(|stats| stats.sum)),
        ("min", stat(|stats| stats.min)),
        ("max", stat(|stats| stats.max)),
    ];
    if let Some(Distribution::Explicit(_)) = rows.first() {
        let hist = |row: &Distribution| match row {
            Distribution::Explicit(hist) => hist.clone(),
            Distribution::Exponential(_) => Hist::default(),
        };
        let rows = rows.iter().map(hist).collect::<Vec<_>>();
        let counts = rows.iter().map(|row| row.counts.iter().map(|count| *count as i64).collect::<Vec<_>>());
        columns.push(("bucket_counts", int_lists(counts)));
        let lengths = rows.iter().map(|row| row.bounds.len());
        let bounds = Float64Array::from_iter_values(rows.iter().flat_map(|row| row.bounds.iter().copied()));
        columns.push(("explicit_bounds", lists(lengths, Arc::new(bounds))));
        return columns;
    }
    let buckets = rows.iter().map(|row| match row {
        Distribution::Exponential(exp) => exp.buckets(),
        Distribution::Explicit(_) => ExpBuckets::default(),
    });
    let buckets = buckets.collect::<Vec<_>>();
    columns.push(("scale", Arc::new(Int32Array::from_iter_values(buckets.iter().map(|row| row.scale)))));
    let zeros = buckets.iter().map(|row| row.zero_count as i64);
    columns.push(("zero_count", Arc::new(Int64Array::from_iter_values(zeros))));
    let thresholds = buckets.iter().map(|row| row.zero_threshold);
    columns.push(("zero_threshold", Arc::new(Float64Array::from_iter_values(thresholds))));
    for (offset, counts, side) in [
        ("positive_offset", "positive_bucket_counts", (|row| row.positive) as for<'a> fn(&ExpBuckets<'a>) -> Side<'a>),
        ("negative_offset", "negative_bucket_counts", |row| row.negative),
    ] {
        let sides = buckets.iter().map(side).collect::<Vec<_>>();
        let offsets = sides.iter().map(|(offset, counts)| (!counts.is_empty()).then_some(*offset));
        columns.push((offset, Arc::new(offsets.collect::<Int32Array>())));
        let items = sides.iter().map(|(_, counts)| counts.iter().map(|count| *count as i64).collect::<Vec<_>>());
        columns.push((counts, int_lists(items)));
    }
    columns
}

fn int_lists(rows: impl Iterator<Item = Vec<i64>> + Clone) -> ArrayRef {
    let items = Int64Array::from_iter_values(rows.clone().flatten());
    lists(rows.map(|row| row.len()), Arc::new(items))
}

fn lists(lengths: impl Iterator<Item = usize>, items: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new("item", items.data_type().clone(), false));
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), items, None))
}
