//! The channels against servers that enforce what their destinations document: schemas, limits, and how often they may be told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alertmanager;
mod command;
mod discord;
#[path = "../common/door.rs"]
mod door;
mod email;
mod engine;
mod given;
mod http;
mod pagerduty;
#[path = "../common/peers.rs"]
mod peers;
mod slack;
mod webhook;

use std::sync::Arc;

use catchment_pipeline::alerts::{Event, Notification};
use catchment_pipeline::batch::Batch;
use catchment_pipeline::component::{Admission, Context, ExportError, Exporter, ExporterPlan};
use catchment_pipeline::config::Section;

const NOW: i64 = 1_790_000_000_000_000_000;

fn plan(kind: &str, yaml: &str) -> Box<dyn ExporterPlan> {
    let (plan, mistakes) = plan_or_mistakes(kind, yaml);
    assert_eq!(mistakes, Vec::<String>::new());
    plan
}

fn plan_or_mistakes(kind: &str, yaml: &str) -> (Box<dyn ExporterPlan>, Vec<String>) {
    let spec = catchment_exporters::SPECS.iter().find(|spec| spec.kind == kind).unwrap();
    let mut section = Section::parse(yaml);
    let plan = (spec.plan)(&mut section);
    let mistakes = section.mistakes();
    (plan, mistakes)
}

async fn channel(kind: &str, yaml: &str) -> Arc<dyn Exporter> {
    let admission = Arc::new(Admission::new(1 << 20));
    plan(kind, yaml).build(Context { id: kind.to_owned(), admission, ..Context::default() }).await.unwrap()
}

fn batch(notifications: &[Notification]) -> Batch {
    Event::batch(&notifications.iter().cloned().map(Event::Notification).collect::<Vec<_>>(), NOW)
}

async fn tell(channel: &Arc<dyn Exporter>, notification: &Notification) -> Result<(), ExportError> {
    channel.export(&batch(std::slice::from_ref(notification)), 1).await
}

fn permanent(result: Result<(), ExportError>) -> String {
    match result {
        Err(ExportError::Partial { reason, .. }) => reason,
        other => panic!("not lost: {other:?}"),
    }
}

fn transient(result: Result<(), ExportError>) -> (Option<std::time::Duration>, String) {
    match result {
        Err(ExportError::Transient { retry_after, reason }) => (retry_after, reason),
        other => panic!("not to be tried again: {other:?}"),
    }
}

/// Every example of the documentation is a configuration.
#[test]
fn documented_examples_are_taken() {
    let docs = include_str!("../../docs/channels.md");
    let mut seen = std::collections::BTreeSet::new();
    for block in docs.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let mut yaml = String::new();
        for (n, part) in block.split("${env:").enumerate() {
            let rest = if n == 0 { part } else { part.split_once('}').unwrap().1 };
            yaml.push_str(if n == 0 { "" } else { "https://example.com/0123456789abcdef" });
            yaml.push_str(rest);
        }
        let mut all = Section::parse(&yaml);
        for (id, mut section) in all.sections("exporters") {
            let kind = id.split('/').next().unwrap();
            let spec = catchment_exporters::SPECS.iter().find(|spec| spec.kind == kind).unwrap();
            let _plan = (spec.plan)(&mut section);
            seen.insert(spec.kind);
            assert_eq!(section.mistakes(), Vec::<String>::new(), "{id}");
        }
        assert_eq!(all.mistakes(), Vec::<String>::new());
    }
    let channels = catchment_exporters::SPECS.iter().filter(|spec| spec.signals.len() == 1).map(|spec| spec.kind);
    assert_eq!(seen, channels.collect());
}
