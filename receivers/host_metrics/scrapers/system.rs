//! `system`: how long the host has been up.

use anyhow::Context as _;
use catchment_pipeline::config::Section;

use super::{Output, Scrape};
use crate::host_metrics::host::Host;
use crate::host_metrics::instrument::{Declaration, Id, Metric};

const UPTIME: Metric = Metric::gauge("system.uptime", "s", "Time since the host started");

#[derive(Clone, Debug)]
pub struct System {
    uptime: Id,
}

pub fn plan(_: &mut Section, metrics: &mut Declaration) -> System {
    System { uptime: metrics.metric(UPTIME) }
}

impl Scrape for System {
    fn scrape(&mut self, host: &mut Host, out: &mut Output) -> anyhow::Result<()> {
        let uptime = host.text("proc/uptime")?.split_ascii_whitespace().next().context("proc/uptime is empty")?;
        out.add(self.uptime, uptime.parse::<f64>()?, &[]);
        Ok(())
    }
}
