//! What data is: a [`Batch`] of one [`Signal`], held as OTLP bytes, as Arrow [`Rows`], or both.
//!
//! Invariants: OTLP bytes inside a `Batch` were checked whole by [`Batch::from_otlp`], so turning them into
//! rows cannot fail; rows were built by `crate::otlp::decode` or derived from such rows by the methods here.

pub mod attributes;
pub mod build;
pub(crate) mod ids;
mod rows;
mod schema;
pub(crate) mod times;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

pub use rows::Rows;
pub use schema::Table;
pub(crate) use schema::{EVENT, EXEMPLAR, LINK, QUANTILE};
pub use times::{TimeLimits, Times};

use crate::otlp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    Metrics,
    Logs,
    Traces,
    /// What the `alerting` connector puts out ([`crate::alerts::Event`]): log records in OTLP, a table of their own in the lake.
    Alerts,
}

impl Signal {
    /// What OTLP carries.
    pub const TELEMETRY: [Signal; 3] = [Signal::Metrics, Signal::Logs, Signal::Traces];
    pub const ALL: [Signal; 4] = [Signal::Metrics, Signal::Logs, Signal::Traces, Signal::Alerts];

    /// It and no other.
    pub fn alone(self) -> &'static [Signal] {
        match self {
            Signal::Metrics => &[Signal::Metrics],
            Signal::Logs => &[Signal::Logs],
            Signal::Traces => &[Signal::Traces],
            Signal::Alerts => &[Signal::Alerts],
        }
    }

    /// The name pipelines and URLs use: `metrics`, `logs`, `traces`, `alerts`.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
            Signal::Traces => "traces",
            Signal::Alerts => "alerts",
        }
    }
}

/// A cheap handle: clones share both forms, and each form is made at most once.
#[derive(Clone, Debug)]
pub struct Batch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    signal: Signal,
    items: usize,
    /// Of `items`; see `otlp::valid`.
    invalid: usize,
    times: OnceLock<Times>,
    otlp: OnceLock<Bytes>,
    rows: OnceLock<Rows>,
}

impl Batch {
    /// Takes the bytes of an `Export{Metrics,Logs,Trace}ServiceRequest`, after one checking walk over all of them.
    pub fn from_otlp(signal: Signal, bytes: Bytes) -> Result<Batch, otlp::Malformed> {
        let otlp::Checked { items, invalid, times } = otlp::inspect(signal, &bytes)?;
        let (times, otlp) = (OnceLock::from(times), OnceLock::from(bytes));
        Ok(Batch(Arc::new(Inner { signal, items, invalid, times, otlp, rows: OnceLock::new() })))
    }

    /// Bytes that were in a `Batch` before, and went through the log under a checksum: not checked again.
    pub(crate) fn from_checked_otlp(signal: Signal, bytes: Bytes, items: usize) -> Batch {
        let otlp = OnceLock::from(bytes);
        Batch(Arc::new(Inner { signal, items, invalid: 0, times: OnceLock::new(), otlp, rows: OnceLock::new() }))
    }

    pub fn from_rows(signal: Signal, rows: Rows) -> Batch {
        Batch(Arc::new(Inner {
            signal,
            items: rows.len(),
            invalid: 0,
            times: OnceLock::new(),
            otlp: OnceLock::new(),
            rows: OnceLock::from(rows),
        }))
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

    /// Of its items, those that OTLP's data model calls invalid: spans without ids, histograms with too few buckets.
    pub fn invalid_items(&self) -> usize {
        self.0.invalid
    }

    /// The batch, or what is left of it when its invalid items are taken out.
    pub fn without_invalid(self) -> Batch {
        match self.0.invalid {
            0 => self,
            _ => Batch::from_rows(self.signal(), otlp::valid::without_invalid(self.rows())),
        }
    }

    /// From when to when its items are; may be wider than the truth.
    pub fn times(&self) -> Times {
        *self.0.times.get_or_init(|| Times::of(self.rows()))
    }

    /// The batch, or what is left of it when the items outside of `window` are taken out.
    pub(crate) fn within(&self, window: &times::Window) -> (Batch, times::Outside) {
        if window.holds(self.times()) {
            return (self.clone(), times::Outside::default());
        }
        let (rows, outside) = window.cut(self.rows());
        (Batch::from_rows(self.signal(), rows), outside)
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

    /// Bytes of memory held, in both forms.
    pub fn size(&self) -> usize {
        let otlp = self.0.otlp.get().map_or(0, Bytes::len);
        otlp + self.0.rows.get().map_or(0, Rows::size)
    }

    /// All batches, which are of one signal, in one. OTLP requests concatenate, so nothing is decoded when all hold bytes;
    /// rows are joined when all hold rows only. Keep the sum under [`otlp::MAX_BYTES`].
    pub fn concat(batches: &[Batch]) -> Batch {
        let Some(first) = batches.first() else { return Batch::from_rows(Signal::Metrics, Rows::default()) };
        let signal = first.signal();
        debug_assert!(batches.iter().all(|batch| batch.signal() == signal), "batches of one signal");
        if batches.len() == 1 {
            return first.clone();
        }
        if batches.iter().all(|batch| batch.0.otlp.get().is_none()) {
            match Rows::concat(batches.iter().map(Batch::rows)) {
                Ok(rows) => return Batch::from_rows(signal, rows),
                Err(error) => tracing::debug!(%error, "columns do not join; joining as OTLP"),
            }
        }
        let bytes = batches.iter().map(|batch| &batch.otlp()[..]).collect::<Vec<_>>().concat();
        let items = batches.iter().map(Batch::items).sum();
        let invalid = batches.iter().map(|batch| batch.0.invalid).sum();
        let otlp = OnceLock::from(Bytes::from(bytes));
        Batch(Arc::new(Inner { signal, items, invalid, times: OnceLock::new(), otlp, rows: OnceLock::new() }))
    }

    /// Batches of at most `max_items` (at least 1) each, in order; their rows share this batch's columns.
    pub fn split(self, max_items: usize) -> Vec<Batch> {
        let max_items = max_items.max(1);
        if self.items() <= max_items {
            return vec![self];
        }
        let part = |start| Batch::from_rows(self.signal(), self.rows().slice(start, max_items));
        (0..self.rows().len()).step_by(max_items).map(part).collect()
    }
}

#[cfg(test)]
mod tests;
