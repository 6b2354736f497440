//! What data is: a [`Batch`] of one [`Signal`], held as OTLP bytes, as Arrow [`Rows`], or both.
//!
//! Invariants: OTLP bytes inside a `Batch` were checked whole by [`Batch::from_otlp`], so turning them into
//! rows cannot fail; rows were built by `crate::otlp::decode` or derived from such rows by the methods here.

mod schema;

use std::sync::{Arc, OnceLock};

use arrow::record_batch::RecordBatch;
use bytes::Bytes;

pub use schema::Table;

use crate::otlp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    Metrics,
    Logs,
    Traces,
}

impl Signal {
    pub const ALL: [Signal; 3] = [Signal::Metrics, Signal::Logs, Signal::Traces];

    /// The name pipelines and URLs use: `metrics`, `logs`, `traces`.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
            Signal::Traces => "traces",
        }
    }
}

/// Arrow rows of one signal: at most one record batch per [`Table`], each with that table's schema.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    tables: Vec<(Table, RecordBatch)>,
}

impl Rows {
    /// Empty tables are left out. The record batches must have `table.schema()`; checked in debug builds.
    pub fn new(tables: impl IntoIterator<Item = (Table, RecordBatch)>) -> Rows {
        let tables = tables.into_iter().filter(|(_, rows)| rows.num_rows() > 0).collect::<Vec<_>>();
        debug_assert!(tables.iter().all(|(table, rows)| rows.schema() == table.schema()));
        Rows { tables }
    }

    pub fn tables(&self) -> impl Iterator<Item = (Table, &RecordBatch)> {
        self.tables.iter().map(|(table, rows)| (*table, rows))
    }

    pub fn table(&self, table: Table) -> Option<&RecordBatch> {
        self.tables().find(|(t, _)| *t == table).map(|(_, rows)| rows)
    }

    /// Points, records or spans.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|(_, rows)| rows.num_rows()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}

/// A cheap handle: clones share both forms, and each form is made at most once.
#[derive(Clone, Debug)]
pub struct Batch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    signal: Signal,
    items: usize,
    otlp: OnceLock<Bytes>,
    rows: OnceLock<Rows>,
}

impl Batch {
    /// Takes the bytes of an `Export{Metrics,Logs,Trace}ServiceRequest`, after one checking walk over all of them.
    pub fn from_otlp(signal: Signal, bytes: Bytes) -> Result<Batch, otlp::Malformed> {
        let items = otlp::check(signal, &bytes)?;
        Ok(Batch(Arc::new(Inner { signal, items, otlp: OnceLock::from(bytes), rows: OnceLock::new() })))
    }

    pub fn from_rows(signal: Signal, rows: Rows) -> Batch {
        Batch(Arc::new(Inner { signal, items: rows.len(), otlp: OnceLock::new(), rows: OnceLock::from(rows) }))
    }

    pub fn signal(&self) -> Signal {
        self.0.signal
    }

    /// Metric points, log records or spans.
    pub fn items(&self) -> usize {
        self.0.items
    }

    pub fn is_empty(&self) -> bool {
        self.0.items == 0
    }

    /// The very same batch, not an equal one: nothing was changed between the two handles.
    pub fn is_same(&self, other: &Batch) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// As OTLP protobuf; encoded on first use.
    pub fn otlp(&self) -> &Bytes {
        self.0.otlp.get_or_init(|| otlp::encode(self.0.signal, self.rows()).into())
    }

    /// As Arrow rows; decoded on first use.
    pub fn rows(&self) -> &Rows {
        self.0.rows.get_or_init(|| match self.0.otlp.get() {
            Some(bytes) => otlp::decode(self.0.signal, bytes),
            None => Rows::default(),
        })
    }
}
