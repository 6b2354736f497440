//! Delta's statistics of a file, from what Parquet's footer says.

use arrow::datatypes::{DataType, Schema};
use chrono::DateTime;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use serde_json::{Map, Value, json};

use super::writer::leaf;

/// Columns with statistics, as Delta has it by default.
const STATISTICS: usize = 32;

/// Delta's statistics from the file's own.
pub(super) fn statistics(metadata: &ParquetMetaData, schema: &Schema, rows: usize) -> Value {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for field in schema.fields().iter().take(STATISTICS) {
        let Some(leaf) = leaf(schema, field.name()).filter(|_| !field.data_type().is_nested()) else { continue };
        let groups = metadata.row_groups().iter().map(|group| group.column(leaf as usize).statistics());
        let Some(groups) = groups.collect::<Option<Vec<_>>>() else { continue };
        if let Some(count) = groups.iter().map(|group| group.null_count_opt()).sum::<Option<u64>>() {
            nulls.insert(field.name().clone(), count.into());
        }
        let bounds = groups.iter().map(|group| bounds(group, field.data_type())).collect::<Option<Vec<_>>>();
        let bounds = bounds.into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let Some((low, high)) = bounds else { continue };
        if let Some((low, high)) = low.json().zip(high.json()) {
            min.insert(field.name().clone(), low);
            max.insert(field.name().clone(), high);
        }
    }
    json!({"numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls})
}

/// Not doubles: readers differ in where NaN stands.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Int(i64),
    Time(i64),
    Text(String),
}

impl Bound {
    /// `None`: JSON or Delta cannot say it.
    fn json(self) -> Option<Value> {
        Some(match self {
            Bound::Int(value) => value.into(),
            Bound::Time(micros) => {
                DateTime::from_timestamp_micros(micros)?.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into()
            }
            Bound::Text(value) => value.into(),
        })
    }
}

/// Attribute sets and bodies are long and never asked for by range.
const LONGEST_BOUND: usize = 256;

fn bounds(statistics: &Statistics, kind: &DataType) -> Option<(Bound, Bound)> {
    Some(match statistics {
        Statistics::Int64(values) if matches!(kind, DataType::Timestamp(..)) => {
            (Bound::Time(*values.min_opt()?), Bound::Time(*values.max_opt()?))
        }
        Statistics::Int64(values) => (Bound::Int(*values.min_opt()?), Bound::Int(*values.max_opt()?)),
        Statistics::Int32(values) => (Bound::Int((*values.min_opt()?).into()), Bound::Int((*values.max_opt()?).into())),
        Statistics::ByteArray(values) => {
            let text = |value: &[u8]| {
                (value.len() <= LONGEST_BOUND).then(|| std::str::from_utf8(value).ok().map(str::to_owned)).flatten()
            };
            (Bound::Text(text(values.min_bytes_opt()?)?), Bound::Text(text(values.max_bytes_opt()?)?))
        }
        _ => return None,
    })
}
