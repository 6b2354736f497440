//! `attributes`: actions on the attributes of points, log records and spans, for all of them or for those that
//! `include` and `exclude` pick. Attributes of span events, links and exemplars are left alone, as in the Collector.
//!
//! Taking an attribute away from metric points can make two series one: nothing is aggregated here.

use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::{BooleanArray, UInt64Array};
use arrow::compute::{concat_batches, filter_record_batch, not, take_record_batch};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use catchment_pipeline::batch::{Batch, Rows, Signal, Table};
use catchment_pipeline::component::{
    Context, Processor, ProcessorPlan, ProcessorSpec, Refused, Spec, Stability, Stage,
};
use catchment_pipeline::config::Section;

use crate::actions::{self, Action};
use crate::matching::Properties;

pub static SPEC: ProcessorSpec = Spec {
    kind: "attributes",
    aliases: &[],
    summary: "Inserts, updates, deletes, hashes, extracts and converts attributes of points, logs and spans",
    signals: &Signal::TELEMETRY,
    stability: Stability::Beta,
    plan: |section| Box::new(Plan(Arc::new(read(section)))),
};

struct Rules {
    actions: Vec<Action>,
    include: Option<Properties>,
    exclude: Option<Properties>,
}

fn read(section: &mut Section) -> Rules {
    let actions = actions::read(section, "actions");
    let include = section.section("include").and_then(Properties::read);
    let exclude = section.section("exclude").and_then(Properties::read);
    Rules { actions, include, exclude }
}

struct Plan(Arc<Rules>);

impl ProcessorPlan for Plan {
    fn build(&self, _: Context) -> anyhow::Result<Stage> {
        Ok(Stage::Transform(Box::new(Editor(self.0.clone()))))
    }
}

struct Editor(Arc<Rules>);

impl Processor for Editor {
    fn process(&mut self, batch: Batch, _: SystemTime, out: &mut Vec<Batch>) -> Result<(), Refused> {
        let rows = self.0.edit(batch.rows());
        let rows = rows.map_err(|error| Refused::Rejected { reason: format!("attributes: {error}") })?;
        // What did not change goes on as it came, OTLP bytes included.
        out.push(rows.map_or(batch.clone(), |rows| Batch::from_rows(batch.signal(), rows)));
        Ok(())
    }
}

impl Rules {
    /// `None`: nothing changed.
    fn edit(&self, rows: &Rows) -> Result<Option<Rows>, ArrowError> {
        if self.include.is_none() && self.exclude.is_none() {
            return self.act(rows);
        }
        let mut changed = false;
        let mut tables = Vec::new();
        for (table, rows) in rows.tables() {
            let edited = self.edit_picked(table, rows)?;
            changed |= edited.is_some();
            tables.push((table, edited.unwrap_or_else(|| rows.clone())));
        }
        Ok(changed.then(|| Rows::new(tables)))
    }

    fn act(&self, rows: &Rows) -> Result<Option<Rows>, ArrowError> {
        let mut changed = false;
        let edited = rows.map_dictionary("attributes", |_, json| {
            let edited = actions::apply(&self.actions, json);
            changed |= edited.is_some();
            edited
        })?;
        Ok(changed.then_some(edited))
    }

    /// Edits the rows that are picked, and leaves every row where it was.
    fn edit_picked(&self, table: Table, rows: &RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
        let mut picked = vec![true; rows.num_rows()];
        if let Some(include) = &self.include {
            include.narrow(table, rows, &mut picked, true);
        }
        if let Some(exclude) = &self.exclude {
            exclude.narrow(table, rows, &mut picked, false);
        }
        let places = UInt64Array::from(places(&picked));
        let mask = BooleanArray::from(picked);
        let Some(edited) = self.act(&Rows::new([(table, filter_record_batch(rows, &mask)?)]))? else { return Ok(None) };
        let Some(edited) = edited.table(table) else { return Ok(None) };
        if edited.num_rows() == rows.num_rows() {
            return Ok(Some(edited.clone()));
        }
        let others = filter_record_batch(rows, &not(&mask)?)?;
        take_record_batch(&concat_batches(&rows.schema(), [edited, &others])?, &places).map(Some)
    }
}

/// Where each row is once the picked ones come first.
fn places(picked: &[bool]) -> Vec<u64> {
    let mut first = 0;
    let mut rest = picked.iter().filter(|picked| **picked).count() as u64;
    let place = |picked: &bool| {
        let next = if *picked { &mut first } else { &mut rest };
        *next += 1;
        *next - 1
    };
    picked.iter().map(place).collect()
}

#[cfg(test)]
mod tests;
