//! `forward`: what pipelines end in it goes on, as it is, in the pipelines that it begins.

use std::time::SystemTime;

use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{ConnectorPlan, ConnectorSpec, Context, Out, Relay, Spec, Stability};

pub static SPEC: ConnectorSpec = Spec {
    kind: "forward",
    aliases: &[],
    summary: "Joins pipelines of one signal: what ends in it goes on in those that it begins",
    signals: &Signal::TELEMETRY,
    stability: Stability::Beta,
    plan: |_| Box::new(Forward),
};

struct Forward;

impl ConnectorPlan for Forward {
    fn puts_out(&self, signal: Signal) -> &'static [Signal] {
        signal.alone()
    }

    fn build(&self, _: Context) -> anyhow::Result<Box<dyn Relay>> {
        Ok(Box::new(Forward))
    }
}

impl Relay for Forward {
    fn process(&mut self, batch: Batch, _: SystemTime, out: &mut Out) {
        out.push(batch);
    }
}
