//! What metrics and series there are: kept in memory, rebuilt from the `series` table on opening.
//!
//! At most [`MAX_SERIES`] series are told apart and [`MAX_KEYS`] attribute keys a metric; past that rows are kept as
//! ever, but `series` and the per-metric views stop growing, which is logged once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, UInt32Array, new_null_array};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use catchment_pipeline::batch::Table;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde_json::Value;

use crate::convert::int64;
use crate::latest::{Latest, Point, points};
use crate::schema::{Layout, dict};
use crate::series::SeriesRows;

pub(crate) const MAX_SERIES: usize = 2_000_000;
pub(crate) const MAX_KEYS: usize = 64;

#[derive(Debug)]
pub(crate) struct Catalog {
    metrics: BTreeMap<String, Metric>,
    /// Series and their numbers in `rows`.
    series: HashMap<i64, u32>,
    pub(crate) rows: SeriesRows,
    pub(crate) latest: Latest,
    full: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) table: Table,
    pub(crate) kind: String,
    pub(crate) unit: String,
    pub(crate) description: String,
    pub(crate) series: u64,
    pub(crate) keys: BTreeSet<String>,
}

/// `metric_type` of `series`, where the table does not say it.
fn kind_of(table: Table) -> Option<&'static str> {
    match table {
        Table::Histograms => Some("histogram"),
        Table::ExpHistograms => Some("exponential_histogram"),
        Table::Summaries => Some("summary"),
        _ => None,
    }
}

fn table_of(kind: &str) -> Table {
    match kind {
        "histogram" => Table::Histograms,
        "exponential_histogram" => Table::ExpHistograms,
        "summary" => Table::Summaries,
        _ => Table::Metrics,
    }
}

impl Catalog {
    pub(crate) fn new(rows: SeriesRows, latest: Latest) -> Catalog {
        Catalog { metrics: BTreeMap::new(), series: HashMap::new(), rows, latest, full: false }
    }

    /// Every series there is has its row.
    pub(crate) fn knows_all(&self) -> bool {
        !self.full && self.rows.is_complete()
    }

    /// Series of gauges and sums.
    pub(crate) fn metrics_series(&self) -> usize {
        let metrics = self.metrics.values().filter(|metric| metric.table == Table::Metrics);
        metrics.map(|metric| metric.series as usize).sum()
    }

    /// What files hold; see [`crate::latest::read`].
    pub(crate) fn load_latest(&self, latest: &mut Latest, found: &HashMap<i64, Point>) {
        for (id, point) in found {
            if let Some(number) = self.number(*id) {
                latest.load(number, *point);
            }
        }
        latest.set_loaded();
    }

    fn number(&self, series: i64) -> Option<u32> {
        self.series.get(&series).copied().filter(|number| (*number as usize) < self.rows.len())
    }

    pub(crate) fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.get(name)
    }

    pub(crate) fn metrics(&self) -> impl Iterator<Item = (&String, &Metric)> {
        self.metrics.iter()
    }

    /// Notes series not seen before, and gives their rows for the `series` table. `rows` are lake rows of `table`.
    pub(crate) fn note(
        &mut self,
        table: Table,
        rows: &RecordBatch,
        series: &Layout,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        let Some(ids) = int64(rows, "series_id") else { return Ok(None) };
        let mut new = Vec::new();
        let mut last = None;
        for (row, id) in ids.values().iter().enumerate() {
            if last == Some(*id) {
                continue;
            }
            last = Some(*id);
            if !self.series.contains_key(id) {
                if self.is_full() {
                    break;
                }
                self.series.insert(*id, (self.rows.len() + new.len()) as u32);
                new.push(row as u32);
            }
        }
        let new = self.note_new(table, rows, new, series)?;
        if table == Table::Metrics {
            self.note_latest(rows);
        }
        Ok(new)
    }

    fn note_latest(&mut self, rows: &RecordBatch) {
        let mut last = None;
        for (id, point) in points(rows).into_iter().flatten() {
            let number = match last {
                Some((before, number)) if before == id => number,
                _ => self.number(id),
            };
            last = Some((id, number));
            if let Some(number) = number {
                self.latest.note(number, point);
            }
        }
    }

    fn note_new(
        &mut self,
        table: Table,
        rows: &RecordBatch,
        new: Vec<u32>,
        series: &Layout,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        if new.is_empty() {
            return Ok(None);
        }
        let new = UInt32Array::from(new);
        let columns = series.hot.fields().iter().map(|field| -> Result<ArrayRef, ArrowError> {
            match (field.name().as_str(), kind_of(table)) {
                ("metric_type", Some(kind)) => {
                    cast(&(Arc::new(StringArray::from(vec![kind; new.len()])) as ArrayRef), &dict())
                }
                (name, _) => match rows.column_by_name(name) {
                    Some(column) => take(column, &new, None),
                    None => Ok(new_null_array(field.data_type(), new.len())),
                },
            }
        });
        let rows = RecordBatch::try_new(series.hot.clone(), columns.collect::<Result<Vec<_>, _>>()?)?;
        self.rows.push(&rows, false)?;
        self.describe(&rows)?;
        Ok(Some(rows))
    }

    /// Takes in rows of the `series` table that were written by an earlier run.
    pub(crate) fn load(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let Some(ids) = int64(rows, "series_id") else { return Ok(()) };
        let mut next = self.rows.len() as u32;
        let fresh = ids.values().iter().map(|id| {
            if self.is_full() {
                return false;
            }
            let Entry::Vacant(entry) = self.series.entry(*id) else { return false };
            entry.insert(next);
            next += 1;
            true
        });
        let fresh = fresh.collect::<Vec<_>>();
        let rows = arrow::compute::filter_record_batch(rows, &fresh.into())?;
        self.rows.push(&rows, true)?;
        self.describe(&rows)
    }

    fn is_full(&mut self) -> bool {
        let full = self.series.len() >= MAX_SERIES;
        if full && !self.full {
            self.full = true;
            tracing::warn!("{MAX_SERIES} series seen: further ones are stored, but not listed in `series`");
        }
        full
    }

    fn describe(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let text = |name: &str| -> Result<ArrayRef, ArrowError> {
            let column = rows.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("no `{name}`")))?;
            cast(column, &DataType::Utf8)
        };
        let columns =
            [text("metric_name")?, text("metric_type")?, text("unit")?, text("description")?, text("attributes")?];
        let columns = columns.each_ref().map(|column| column.as_string::<i32>());
        for row in 0..rows.num_rows() {
            let [name, kind, unit, description, attributes] =
                columns.map(|column| if column.is_null(row) { "" } else { column.value(row) });
            if !self.metrics.contains_key(name) {
                let metric = Metric {
                    table: table_of(kind),
                    kind: kind.to_owned(),
                    unit: unit.to_owned(),
                    description: description.to_owned(),
                    series: 0,
                    keys: BTreeSet::new(),
                };
                self.metrics.insert(name.to_owned(), metric);
            }
            let Some(metric) = self.metrics.get_mut(name) else { continue };
            metric.series += 1;
            if let Ok(Value::Object(attributes)) = serde_json::from_str::<Value>(attributes) {
                for (key, _) in attributes {
                    if metric.keys.len() < MAX_KEYS {
                        metric.keys.insert(key);
                    }
                }
            }
        }
        Ok(())
    }
}
