//! Rows to bytes, back to front (`super::wire::Writer`), so every message's length is known when it is written.
//!
//! Rows may have been filtered, sliced or merged: groups are found by comparing values, not dictionary keys.

mod columns;
mod distributions;
mod logs;
mod numbers;
mod origin;
mod points;
mod spans;

use arrow::array::RecordBatch;

use super::wire::Writer;
use crate::batch::{Rows, Signal, Table};
use origin::Origin;

/// A table's items.
trait Items {
    /// Marks the rows that begin a metric (only metric tables have that level).
    fn mark_metrics(&self, _levels: &mut [Level]) {}
    /// Writes `row` as a whole field of the message that holds it.
    fn item(&mut self, row: usize, out: &mut Writer);
    /// Wraps the points since `mark` into the metric that `row` begins.
    fn metric(&mut self, _row: usize, _mark: usize, _out: &mut Writer) {}
}

/// The outermost group that a row begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Resource,
    Scope,
    Metric,
    Item,
}

pub(super) fn encode(signal: Signal, rows: &Rows) -> Vec<u8> {
    // Near what decoded rows came from; it grows if need be.
    let mut out = Writer::with_capacity(rows.len() * 128);
    let tables = rows.tables().collect::<Vec<_>>();
    for (table, rows) in tables.into_iter().rev() {
        if table_to_otlp(table, rows, &mut out).is_none() {
            // Rows cannot be built so; if it happens, the loss must show.
            tracing::error!(
                signal = signal.name(),
                table = table.name(),
                rows = rows.num_rows(),
                "rows without their table's columns were not encoded: they are lost"
            );
        }
    }
    out.finish()
}

fn table_to_otlp(table: Table, rows: &RecordBatch, out: &mut Writer) -> Option<()> {
    match table {
        Table::Metrics => groups(rows, numbers::NumberPoints::new(rows)?, out),
        Table::Histograms => groups(rows, distributions::Histograms::new(rows)?, out),
        Table::ExpHistograms => groups(rows, distributions::ExpHistograms::new(rows)?, out),
        Table::Summaries => groups(rows, distributions::Summaries::new(rows)?, out),
        Table::Logs | Table::Alerts => groups(rows, logs::Logs::new(rows)?, out),
        Table::Spans => groups(rows, spans::Spans::new(rows)?, out),
    }
}

fn groups(rows: &RecordBatch, mut items: impl Items, out: &mut Writer) -> Option<()> {
    let mut origin = Origin::new(rows)?;
    let mut levels = vec![Level::Item; rows.num_rows()];
    items.mark_metrics(&mut levels);
    origin.mark(&mut levels);
    *levels.first_mut()? = Level::Resource;
    let (mut resource, mut scope, mut metric) = (out.mark(), out.mark(), out.mark());
    for (row, &level) in levels.iter().enumerate().rev() {
        items.item(row, out);
        if level <= Level::Metric {
            items.metric(row, metric, out);
            metric = out.mark();
        }
        if level <= Level::Scope {
            origin.scope(row, scope, out);
            (scope, metric) = (out.mark(), out.mark());
        }
        if level == Level::Resource {
            origin.resource(row, resource, out);
            (resource, scope, metric) = (out.mark(), out.mark(), out.mark());
        }
    }
    Some(())
}
