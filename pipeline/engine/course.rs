//! A pipeline's processors, as they are run: chains of stages that see a batch before it is logged, and between them the
//! relays, which read it from the log.

use std::sync::{Arc, Mutex};

use super::plan::{Plan, Planned, find};
use super::registry::ProcessorMeters;
use super::relay::RelayWiring;
use super::routes::{Chain, Stage};
use crate::component::{Context, Grouping, ProcessorPlan, Stage as Built};
use crate::config::Pipeline;
use crate::log::Pipelines;

pub(super) struct Course {
    pub grouping: Option<Grouping>,
    /// In the order of the pipeline's processors.
    pub meters: Vec<Arc<ProcessorMeters>>,
    /// What receivers send into.
    pub head: Arc<Chain>,
    /// Each with the chain that follows it.
    pub relays: Vec<(Arc<RelayWiring>, Arc<Chain>)>,
}

impl Course {
    /// `running`: the wiring of the relay of this name that runs, if one does.
    pub fn build(
        plan: &Plan,
        pipeline: &Pipeline,
        context: &Context,
        running: impl Fn(&str) -> Option<Arc<RelayWiring>>,
    ) -> anyhow::Result<Course> {
        let chain =
            |name: &str, stages| Arc::new(Chain { pipeline: pipeline.id.clone(), stages, name: name.to_owned() });
        let (mut grouping, mut meters, mut stages, mut relays) = (None, Vec::new(), Vec::new(), Vec::new());
        // From the end, since a chain's name is that of what follows it.
        let mut end = pipeline.id.clone();
        for id in pipeline.processors.iter().rev() {
            let named = |error: anyhow::Error| {
                error.context(format!("cannot start processor `{id}` of pipeline `{}`", pipeline.id))
            };
            let planned: &Planned<dyn ProcessorPlan> =
                find(&plan.processors, id).ok_or_else(|| named(anyhow::anyhow!("it is not configured")))?;
            let name = format!("{}#{id}", pipeline.id);
            let kept = running(&name).filter(|wiring| wiring.fingerprint == planned.fingerprint);
            let own = match &kept {
                Some(wiring) => wiring.meters.clone(),
                None => Arc::new(ProcessorMeters::new(id, planned.kind)),
            };
            let relay = match kept {
                Some(wiring) => Err(wiring),
                None => {
                    let context = Context { id: id.clone(), tally: own.tally.clone(), ..context.clone() };
                    match planned.plan.build(context).map_err(named)? {
                        Built::Group(group) => {
                            grouping = grouping.or(Some(group));
                            continue;
                        }
                        Built::Transform(processor) => {
                            stages.push(Stage { processor: Mutex::new(processor), meters: own.clone() });
                            meters.push(own);
                            continue;
                        }
                        Built::Relay(relay) => Ok(relay),
                    }
                }
            };
            let wiring = relay.map_or_else(
                |wiring| wiring,
                |relay| {
                    let reads = Pipelines::new([name.as_str()]);
                    Arc::new(RelayWiring::new(name.clone(), planned.fingerprint, reads, own.clone(), relay))
                },
            );
            meters.push(own);
            stages.reverse();
            relays.push((wiring, chain(&end, std::mem::take(&mut stages))));
            end = name;
        }
        stages.reverse();
        relays.reverse();
        meters.reverse();
        Ok(Course { grouping, meters, head: chain(&end, stages), relays })
    }
}
