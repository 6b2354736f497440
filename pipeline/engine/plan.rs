//! What the engine is asked to run: components that were checked, and how they are wired.

use std::sync::Arc;

use crate::batch::Signal;
use crate::component::{ExporterPlan, ProcessorPlan, ReceiverPlan};

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

#[derive(Clone)]
pub struct PipelinePlan {
    pub id: String,
    pub signal: Signal,
    pub receivers: Vec<String>,
    pub processors: Vec<String>,
    pub exporters: Vec<String>,
}

/// Every id a pipeline names is in the lists; a component that no pipeline names does not run.
#[derive(Clone, Default)]
pub struct Plan {
    pub receivers: Vec<Planned<dyn ReceiverPlan>>,
    pub processors: Vec<Planned<dyn ProcessorPlan>>,
    pub exporters: Vec<Planned<dyn ExporterPlan>>,
    pub pipelines: Vec<PipelinePlan>,
}
