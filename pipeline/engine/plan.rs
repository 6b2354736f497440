//! What the engine is asked to run: components that were checked, and how they are wired.

use std::sync::Arc;

use crate::component::{ConnectorPlan, ExporterPlan, ProcessorPlan, ReceiverPlan};
use crate::config::{self, Pipeline};

/// A component of a checked configuration.
pub struct Planned<P: ?Sized> {
    /// `otlp/front`.
    pub id: String,
    /// `otlp`.
    pub kind: &'static str,
    /// Equal when the configuration of the component is.
    pub fingerprint: u64,
    pub plan: Arc<P>,
}

impl<P: ?Sized> Clone for Planned<P> {
    fn clone(&self) -> Self {
        Planned { id: self.id.clone(), kind: self.kind, fingerprint: self.fingerprint, plan: self.plan.clone() }
    }
}

/// Every id a pipeline names is in the lists; a component that no pipeline names does not run.
#[derive(Clone, Default)]
pub struct Plan {
    pub receivers: Vec<Planned<dyn ReceiverPlan>>,
    pub processors: Vec<Planned<dyn ProcessorPlan>>,
    pub connectors: Vec<Planned<dyn ConnectorPlan>>,
    pub exporters: Vec<Planned<dyn ExporterPlan>>,
    pub pipelines: Vec<Pipeline>,
}

impl Plan {
    /// Takes the graph out of a checked configuration; what else it says stays.
    pub fn take(config: &mut config::Plan) -> Plan {
        Plan {
            receivers: planned(&mut config.receivers),
            processors: planned(&mut config.processors),
            connectors: planned(&mut config.connectors),
            exporters: planned(&mut config.exporters),
            pipelines: config.pipelines.clone(),
        }
    }
}

pub(super) fn find<'a, P: ?Sized>(list: &'a [Planned<P>], id: &str) -> Option<&'a Planned<P>> {
    list.iter().find(|planned| planned.id == id)
}

fn planned<P: ?Sized>(components: &mut Vec<config::Planned<P>>) -> Vec<Planned<P>> {
    let planned = components.drain(..).map(|component| Planned {
        id: component.id,
        kind: component.spec.kind,
        fingerprint: component.fingerprint,
        plan: Arc::from(component.plan),
    });
    planned.collect()
}
