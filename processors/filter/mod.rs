//! `filter`: drops what a condition holds for, with the Collector's keys; where it has OTTL, conditions here are SQL.
//!
//! ```yaml
//! filter:
//!   error_mode: ignore            # of a condition that fails for a row: ignore (logged; the row stays), silent, propagate (refused)
//!   metric_conditions: ["metric_name = 'k8s.pod.phase' AND value_int = 4"]
//!   log_conditions: ["body ~ 'password'", "severity_number < 13"]
//!   trace_conditions:
//!     - "attributes['http.request.method'] IS NULL"
//!     - "spanevent.name = 'grpc.timeout'"             # drops the event, not the span
//!   # or by what a condition is about, as the Collector had it before 0.146
//!   metrics: { resource: [...], metric: [...], datapoint: [...] }
//!   logs: { resource: [...], log_record: [...] }
//!   traces: { resource: [...], span: [...], spanevent: [...] }
//!   # or by name: metrics, logs and spans each have include and exclude
//!   metrics: { exclude: { match_type: regexp, metric_names: ['^system\.disk\.'] } }
//! ```
//!
//! Any condition that is true drops the item; NULL does not. A condition is held against every kind of point that has its columns: one about `value`
//! leaves histograms alone. Under `metrics::metric` it drops the metric with all its points in the batch when it is true of one of
//! them. A batch of which nothing is dropped goes on as it came, OTLP bytes included. Counted as `filtered`.

mod drop;
mod read;

use std::sync::Arc;
use std::time::SystemTime;

use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{
    Context, Processor, ProcessorPlan, ProcessorSpec, Refused, Spec, Stability, Stage, Tally,
};
use drop::Dropping;
use read::Rules;

use crate::sql::{Complaints, Failures, pass_on};

pub static SPEC: ProcessorSpec = Spec {
    kind: "filter",
    aliases: &[],
    summary: "Drops points, log records, spans and span events for which a SQL condition holds, or by name",
    signals: &Signal::TELEMETRY,
    stability: Stability::Beta,
    plan: |section| Box::new(Plan(Arc::new(read::read(section)))),
};

struct Plan(Arc<Rules>);

impl ProcessorPlan for Plan {
    fn build(&self, context: Context) -> anyhow::Result<Stage> {
        let (rules, tally, complaints) = (self.0.clone(), context.tally, Complaints::new(context.id));
        Ok(Stage::Transform(Box::new(Filter { rules, tally, complaints })))
    }
}

struct Filter {
    rules: Arc<Rules>,
    tally: Arc<Tally>,
    complaints: Complaints,
}

impl Processor for Filter {
    fn process(&mut self, batch: Batch, _: SystemTime, out: &mut Vec<Batch>) -> Result<(), Refused> {
        if !self.rules.concern(batch.signal()) {
            out.push(batch);
            return Ok(());
        }
        let mut failures = Failures::default();
        let dropped = Dropping { rules: &self.rules, failures: &mut failures }.rows(batch.rows());
        let left =
            dropped.map_err(|error| Refused::Rejected { reason: format!("{}: {error}", self.complaints.id()) })?;
        self.complaints.say("a condition failed for rows, which stay", &failures);
        pass_on(batch, left, &self.tally, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
