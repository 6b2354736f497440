//! Every series with what stays the same along it (name, resource, attributes), in memory: what conditions on labels
//! are held against, and what `latest` shows.
//!
//! Text is kept once and numbered, so that a series takes some 80 bytes besides attribute sets that no other has. Past
//! [`MAX_TEXT`] bytes of text no more series are taken in, and whoever asks is told that not all are here.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringViewBuilder, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;

use crate::schema::{Layout, Promoted, Source};

const MAX_TEXT: usize = 256 << 20;
const NULL: u32 = u32::MAX;
/// Of `series` rows: when the series was first seen, and what does not tell one series from another.
const VARYING: [&str; 2] = ["ts", "description"];

#[derive(Debug)]
enum Cells {
    Text(Vec<u32>),
    Int(Vec<Option<i64>>),
    Double(Vec<Option<f64>>),
    Bool(Vec<Option<bool>>),
}

#[derive(Debug)]
struct Column {
    name: String,
    /// The attribute's key, when the column is a promoted one.
    promoted: Option<String>,
    cells: Cells,
}

/// A column per column of `series`, a row per series, in the order in which they came.
#[derive(Debug)]
pub(crate) struct SeriesRows {
    columns: Vec<Column>,
    texts: Texts,
    ids: Vec<i64>,
    by_metric: HashMap<u32, Vec<u32>>,
    /// Rows of a series were stored before an attribute of its resource was promoted: in those the column is NULL.
    unsure: Vec<bool>,
    complete: bool,
}

#[derive(Debug, Default)]
struct Texts {
    numbers: HashMap<Arc<str>, u32>,
    all: Vec<Arc<str>>,
    bytes: usize,
}

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let (text, number) = (Arc::<str>::from(text), self.all.len() as u32);
        self.bytes += text.len();
        self.all.push(text.clone());
        self.numbers.insert(text, number);
        number
    }
}

impl SeriesRows {
    pub(crate) fn new(layout: &Layout, promoted: &[Promoted]) -> SeriesRows {
        let columns = layout.columns.iter().filter(|column| !VARYING.contains(&column.field.name().as_str()));
        let columns = columns.map(|column| Column {
            name: column.field.name().clone(),
            promoted: match column.source {
                Source::Promoted(n) => promoted.get(n).map(|promoted| promoted.key.clone()),
                _ => None,
            },
            cells: match column.field.data_type() {
                DataType::Int64 => Cells::Int(Vec::new()),
                DataType::Float64 => Cells::Double(Vec::new()),
                DataType::Boolean => Cells::Bool(Vec::new()),
                _ => Cells::Text(Vec::new()),
            },
        });
        SeriesRows {
            columns: columns.collect(),
            texts: Texts::default(),
            ids: Vec::new(),
            by_metric: HashMap::new(),
            unsure: Vec::new(),
            complete: true,
        }
    }

    /// Takes in rows of `series`, none of which was taken in before. `stored`: by an earlier run.
    pub(crate) fn push(&mut self, rows: &RecordBatch, stored: bool) -> Result<(), ArrowError> {
        self.complete &= self.texts.bytes <= MAX_TEXT && self.ids.len() + rows.num_rows() < NULL as usize;
        if !self.complete {
            return Ok(());
        }
        let first = self.ids.len();
        for column in &mut self.columns {
            let array = match (rows.column_by_name(&column.name), &column.cells) {
                (Some(array), Cells::Text(_)) => cast(array, &DataType::Utf8)?,
                (Some(array), _) => array.clone(),
                (None, Cells::Text(_)) => new_null_array(&DataType::Utf8, rows.num_rows()),
                (None, Cells::Int(_)) => new_null_array(&DataType::Int64, rows.num_rows()),
                (None, Cells::Double(_)) => new_null_array(&DataType::Float64, rows.num_rows()),
                (None, Cells::Bool(_)) => new_null_array(&DataType::Boolean, rows.num_rows()),
            };
            match &mut column.cells {
                Cells::Text(cells) => {
                    let texts = &mut self.texts;
                    let strings = array.as_string::<i32>();
                    cells.extend(strings.iter().map(|text| text.map_or(NULL, |text| texts.number(text))));
                }
                Cells::Int(cells) => cells.extend(array.as_primitive::<Int64Type>()),
                Cells::Double(cells) => cells.extend(array.as_primitive::<Float64Type>()),
                Cells::Bool(cells) => cells.extend(array.as_boolean()),
            }
        }
        let ids = rows.column_by_name("series_id").and_then(|ids| ids.as_primitive_opt::<Int64Type>());
        let ids = ids.ok_or_else(|| ArrowError::SchemaError("series without `series_id`".to_owned()))?;
        self.ids.extend(ids.values());
        if let Some(Cells::Text(metrics)) = self.cells("metric_name") {
            let metrics = metrics[first..].to_vec();
            for (row, metric) in (first as u32..).zip(metrics) {
                self.by_metric.entry(metric).or_default().push(row);
            }
        }
        let unsure = (first..self.ids.len()).map(|row| stored && self.was_promoted_later(row));
        let unsure = unsure.collect::<Vec<_>>();
        self.unsure.extend(unsure);
        Ok(())
    }

    fn was_promoted_later(&self, row: usize) -> bool {
        let Some(Cells::Text(resources)) = self.cells("resource_attributes") else { return true };
        let Some(resource) = self.texts.all.get(resources[row] as usize) else { return false };
        let mut missing = self.columns.iter().filter(|column| column.is_null(row));
        missing.any(|column| column.promoted.as_deref().is_some_and(|key| resource.contains(key)))
    }

    fn cells(&self, name: &str) -> Option<&Cells> {
        self.columns.iter().find(|column| column.name == name).map(|column| &column.cells)
    }

    /// Every series that was seen is here.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn id(&self, row: u32) -> i64 {
        self.ids[row as usize]
    }

    /// See [`SeriesRows::unsure`].
    pub(crate) fn is_unsure(&self, row: u32) -> bool {
        self.unsure[row as usize]
    }

    /// The rows of these metrics.
    pub(crate) fn of_metrics<'a>(&self, metrics: impl Iterator<Item = &'a String>) -> Vec<u32> {
        let rows = metrics.filter_map(|metric| self.by_metric.get(self.texts.numbers.get(metric.as_str())?));
        rows.flatten().copied().collect()
    }

    pub(crate) fn any_unsure(&self) -> bool {
        self.unsure.iter().any(|unsure| *unsure)
    }

    pub(crate) fn is_promoted(&self, column: &str) -> bool {
        self.columns.iter().any(|own| own.name == column && own.promoted.is_some())
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        self.cells(column).is_some()
    }

    /// A column in these rows, in SQL's types.
    pub(crate) fn array(&self, column: &str, rows: &[u32]) -> Option<ArrayRef> {
        let rows = rows.iter().map(|row| *row as usize);
        Some(match self.cells(column)? {
            Cells::Int(cells) => Arc::new(rows.map(|row| cells[row]).collect::<Int64Array>()),
            Cells::Double(cells) => Arc::new(rows.map(|row| cells[row]).collect::<Float64Array>()),
            Cells::Bool(cells) => Arc::new(rows.map(|row| cells[row]).collect::<BooleanArray>()),
            Cells::Text(cells) => {
                let mut texts = StringViewBuilder::with_capacity(rows.len());
                for row in rows {
                    texts.append_option(self.texts.all.get(cells[row] as usize));
                }
                Arc::new(texts.finish())
            }
        })
    }
}

impl Column {
    fn is_null(&self, row: usize) -> bool {
        match &self.cells {
            Cells::Text(cells) => cells[row] == NULL,
            Cells::Int(cells) => cells[row].is_none(),
            Cells::Double(cells) => cells[row].is_none(),
            Cells::Bool(cells) => cells[row].is_none(),
        }
    }
}
