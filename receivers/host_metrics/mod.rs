//! `host_metrics`: the host's figures, under the names, units and attributes of the Collector's host metrics.
//!
//! All scrapers due at a tick share one timestamp, a whole multiple of their interval, and leave as one batch. A
//! batch that the pipelines refuse is offered again until the next tick, then dropped with a warning: nothing queues.
//!
//! Beyond the Collector's: `collection_interval` inside a scraper, and the resource attributes `host.name` and
//! `os.type` (which there need a resource detection processor), each switched off by `resource_attributes`.
//! Not there: the `nfs` scraper, and metrics behind the Collector's feature gates.
//!
//! Linux only: figures come from `/proc` and `/sys` under `root_path`. One scrape of everything but `process` opens
//! about a dozen files; `process` two a process.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod instrument;
#[cfg(target_os = "linux")]
mod receiver;
mod schedule;
#[cfg(target_os = "linux")]
mod scrapers;
#[cfg(all(test, target_os = "linux"))]
mod tests;

use catchment_pipeline::batch::Signal;
use catchment_pipeline::component::{ReceiverPlan, ReceiverSpec, Stability};
use catchment_pipeline::config::Section;

pub const SPEC: ReceiverSpec = ReceiverSpec {
    kind: "host_metrics",
    aliases: &["hostmetrics"],
    summary: "CPU, memory, disk, network and process figures of this host",
    signals: &[Signal::Metrics],
    stability: Stability::Beta,
    plan,
};

#[cfg(target_os = "linux")]
fn plan(section: &mut Section) -> Box<dyn ReceiverPlan> {
    Box::new(receiver::plan(section))
}

#[cfg(not(target_os = "linux"))]
fn plan(section: &mut Section) -> Box<dyn ReceiverPlan> {
    struct Unsupported;

    #[async_trait::async_trait]
    impl ReceiverPlan for Unsupported {
        async fn build(
            &self,
            _: catchment_pipeline::component::Context,
        ) -> anyhow::Result<Box<dyn catchment_pipeline::component::Receiver>> {
            anyhow::bail!("host_metrics reads Linux's /proc")
        }
    }

    section.mistake("", "host_metrics reads Linux's /proc, which this system has not", "take this receiver out");
    Box::new(Unsupported)
}
