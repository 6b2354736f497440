//! `load`: the kernel's load averages.

use anyhow::Context as _;
use catchment_pipeline::config::Section;

use super::{Output, Scrape};
use crate::host_metrics::host::Host;
use crate::host_metrics::instrument::{Declaration, Id, Metric};

const ONE: Metric = Metric::gauge("system.cpu.load_average.1m", "{thread}", "Load average over 1 minute");
const FIVE: Metric = Metric::gauge("system.cpu.load_average.5m", "{thread}", "Load average over 5 minutes");
const FIFTEEN: Metric = Metric::gauge("system.cpu.load_average.15m", "{thread}", "Load average over 15 minutes");

#[derive(Clone, Debug)]
pub struct Load {
    averages: [Id; 3],
    /// Divides by the number of logical CPUs.
    cpu_average: bool,
}

pub fn plan(section: &mut Section, metrics: &mut Declaration) -> Load {
    let averages = [metrics.metric(ONE), metrics.metric(FIVE), metrics.metric(FIFTEEN)];
    Load { averages, cpu_average: section.or("cpu_average", false) }
}

impl Scrape for Load {
    fn scrape(&mut self, host: &mut Host, out: &mut Output) -> anyhow::Result<()> {
        let cpus = if self.cpu_average { host.kernel()?.cpus.len().max(1) } else { 1 };
        let mut fields = host.text("proc/loadavg")?.split_ascii_whitespace();
        for average in self.averages {
            let load = fields.next().context("proc/loadavg is short")?.parse::<f64>()?;
            out.add(average, load / cpus as f64, &[]);
        }
        Ok(())
    }
}
