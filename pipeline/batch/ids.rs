//! Identities, stable across versions and machines: anybody can compute them from the columns.
//!
//! With `H` = XXH3-64 of a text's bytes and `mix(h, x)` = XXH3-64 of `x`'s 8 little-endian bytes with seed `h`:
//! `resource_id = H(resource_attributes)`, and `series_id` begins at 0 and mixes in, in this order, `H(metric_name)`,
//! `H(unit)`, `H(type)`, `resource_id`, `H(scope_name)`, `H(scope_version)`, `H(scope_attributes)`, `H(attributes)`. The type is
//! `metric_type` in `metrics`, and elsewhere `histogram`, `exponential_histogram` or `summary`.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int32Type;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Table;

pub(crate) fn mix(hash: u64, part: u64) -> u64 {
    xxh3_64_with_seed(&part.to_le_bytes(), hash)
}

/// Everything of a series but the attributes of its points.
pub(crate) fn metric_identity(name: &[u8], unit: &[u8], kind: &[u8], resource_id: i64, scope: &[u64; 3]) -> u64 {
    let parts = [xxh3_64(name), xxh3_64(unit), xxh3_64(kind), resource_id as u64, scope[0], scope[1], scope[2]];
    parts.into_iter().fold(0, mix)
}

pub(crate) const IDENTIFYING: [&str; 8] = [
    "resource_attributes",
    "scope_name",
    "scope_version",
    "scope_attributes",
    "metric_name",
    "unit",
    "metric_type",
    "attributes",
];

/// The identity columns of `table` computed anew, after an identifying column was edited.
pub(crate) fn refresh(table: Table, rows: &RecordBatch, columns: &mut [ArrayRef]) {
    let schema = rows.schema();
    let hashes = |columns: &[ArrayRef], name: &str| {
        let column = &columns[schema.index_of(name).ok()?];
        let dictionary = column.as_dictionary_opt::<Int32Type>()?;
        let values = dictionary.values().as_string_opt::<i32>()?;
        let values = (0..values.len()).map(|i| xxh3_64(values.value(i).as_bytes())).collect::<Vec<_>>();
        let hash = |key: &i32| values.get(*key as usize).copied().unwrap_or_default();
        Some(dictionary.keys().values().iter().map(hash).collect::<Vec<_>>())
    };
    let set = |columns: &mut [ArrayRef], name: &str, ids: &[u64]| {
        if let Ok(index) = schema.index_of(name) {
            columns[index] = std::sync::Arc::new(ids.iter().map(|id| Some(*id as i64)).collect::<Int64Array>());
        }
    };
    let Some(resource_ids) = hashes(columns, "resource_attributes") else { return };
    set(columns, "resource_id", &resource_ids);
    let kind = match table {
        Table::Logs | Table::Spans | Table::Alerts => return,
        Table::Metrics => hashes(columns, "metric_type"),
        Table::Histograms => Some(vec![xxh3_64(b"histogram"); rows.num_rows()]),
        Table::ExpHistograms => Some(vec![xxh3_64(b"exponential_histogram"); rows.num_rows()]),
        Table::Summaries => Some(vec![xxh3_64(b"summary"); rows.num_rows()]),
    };
    let parts = [
        hashes(columns, "metric_name"),
        hashes(columns, "unit"),
        kind,
        Some(resource_ids),
        hashes(columns, "scope_name"),
        hashes(columns, "scope_version"),
        hashes(columns, "scope_attributes"),
        hashes(columns, "attributes"),
    ];
    let mut ids = vec![0u64; rows.num_rows()];
    for part in parts.into_iter().flatten() {
        ids.iter_mut().zip(part).for_each(|(id, part)| *id = mix(*id, part));
    }
    set(columns, "series_id", &ids);
}
