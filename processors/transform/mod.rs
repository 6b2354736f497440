//! `transform`: SQL that changes rows on their way: attributes set and removed, columns computed, renamed, cast and left out, rows left out.
//!
//! ```yaml
//! transform:
//!   error_mode: ignore            # of an expression that fails for a row: ignore (logged; the row stays as it is), silent, propagate (refused)
//!   metrics:
//!   - SET value = value / 1000, unit = 's' WHERE metric_name = 'http.duration' AND unit = 'ms'
//!   - SET attributes['env'] = COALESCE(attributes['env'], 'none'), attributes['deprecated'] = NULL
//!   logs:
//!   - DELETE WHERE body LIKE '%heartbeat%'
//!   traces:
//!   - SELECT * EXCLUDE (links), lower(name) AS name, attributes['peer'] AS "server.address" WHERE kind <> 1
//! ```
//!
//! Statements run one after the other; within one, all expressions see the row as it was. A statement without a table is about every table
//! of the signal that has its columns. NULL removes an attribute, and makes of any other column what it is when nothing is sent.
//! Identities are computed anew. Taking an attribute away from metric points can make two series one: nothing is aggregated
//! here. Counted as `filtered`: rows that `DELETE` or the `WHERE` of a `SELECT` leave out. The Collector's keys
//! (`metric_statements`, ...) are taken for the same lists. See decision 0008.

mod read;

use std::sync::Arc;
use std::time::SystemTime;

use catchment_pipeline::batch::{Batch, Rows, Signal};
use catchment_pipeline::component::{
    Context, Processor, ProcessorPlan, ProcessorSpec, Refused, Spec, Stability, Stage, Tally,
};
use read::Rules;

use crate::sql::{self, Complaints, ErrorMode, Failures, Outcome, pass_on};

pub static SPEC: ProcessorSpec = Spec {
    kind: "transform",
    aliases: &[],
    summary: "Changes points, log records and spans by SQL: SELECT, SET and DELETE",
    signals: &Signal::TELEMETRY,
    stability: Stability::Beta,
    plan: |section| Box::new(Plan(Arc::new(read::read(section)))),
};

struct Plan(Arc<Rules>);

impl ProcessorPlan for Plan {
    fn build(&self, context: Context) -> anyhow::Result<Stage> {
        let (rules, tally, complaints) = (self.0.clone(), context.tally, Complaints::new(context.id));
        Ok(Stage::Transform(Box::new(Transform { rules, tally, complaints })))
    }
}

struct Transform {
    rules: Arc<Rules>,
    tally: Arc<Tally>,
    complaints: Complaints,
}

impl Processor for Transform {
    fn process(&mut self, batch: Batch, _: SystemTime, out: &mut Vec<Batch>) -> Result<(), Refused> {
        let mut failures = Failures::default();
        let steps = self.rules.of(batch.signal());
        if steps.is_empty() {
            out.push(batch);
            return Ok(());
        }
        let changed = run(steps, batch.rows(), &mut failures);
        let left =
            changed.map_err(|error| Refused::Rejected { reason: format!("{}: {error}", self.complaints.id()) })?;
        self.complaints.say("a statement failed for rows, which stay as they are", &failures);
        pass_on(batch, left, &self.tally, out);
        Ok(())
    }
}

/// `None`: nothing changed.
fn run(steps: &[read::Step], rows: &Rows, failures: &mut Failures) -> Result<Option<Rows>, String> {
    let mut tables = rows.tables().map(|(table, rows)| (table, rows.clone())).collect::<Vec<_>>();
    let mut changed = false;
    for step in steps {
        for statement in &step.statements {
            let Some((_, rows)) = tables.iter_mut().find(|(table, _)| *table == statement.table) else { continue };
            if rows.num_rows() == 0 {
                continue;
            }
            let mut unsaid = Failures::default();
            let failures = if step.mode == ErrorMode::Silent { &mut unsaid } else { &mut *failures };
            match statement.run(rows, step.mode, failures).map_err(|error| sql::message(&error))? {
                Outcome::Unchanged => {}
                Outcome::Rows(new) => (*rows, changed) = (new, true),
            }
        }
    }
    Ok(changed.then(|| Rows::new(tables)))
}

#[cfg(test)]
mod tests;
