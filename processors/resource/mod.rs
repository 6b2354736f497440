//! `resource`: actions on resource attributes, once per distinct resource of a batch.

use std::sync::Arc;
use std::time::SystemTime;

use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{
    Context, Processor, ProcessorPlan, ProcessorSpec, Refused, Spec, Stability, Stage,
};
use catchment_pipeline::config::Section;

use crate::actions::{self, Action};

pub static SPEC: ProcessorSpec = Spec {
    kind: "resource",
    aliases: &[],
    summary: "Inserts, updates, deletes, hashes, extracts and converts resource attributes",
    signals: &Signal::TELEMETRY,
    stability: Stability::Beta,
    plan: |section| Box::new(read(section)),
};

struct Plan(Arc<[Action]>);

fn read(section: &mut Section) -> Plan {
    Plan(actions::read(section, "attributes").into())
}

impl ProcessorPlan for Plan {
    fn build(&self, _: Context) -> anyhow::Result<Stage> {
        Ok(Stage::Transform(Box::new(Resource(self.0.clone()))))
    }
}

struct Resource(Arc<[Action]>);

impl Processor for Resource {
    fn process(&mut self, batch: Batch, _: SystemTime, out: &mut Vec<Batch>) -> Result<(), Refused> {
        let mut changed = false;
        let edited = batch.rows().map_dictionary("resource_attributes", |_, json| {
            let edited = actions::apply(&self.0, json);
            changed |= edited.is_some();
            edited
        });
        let rows = edited.map_err(|error| Refused::Rejected { reason: format!("resource: {error}") })?;
        // What did not change goes on as it came, OTLP bytes included.
        out.push(if changed { Batch::from_rows(batch.signal(), rows) } else { batch });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
