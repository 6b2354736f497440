//! `paging`: swap, and pages brought in and out.
//!
//! Operations and faults are the kernel's own counts. The Collector reports them times 4096, under the same units.

use anyhow::Context as _;
use catchment_pipeline::config::Section;

use super::{Output, Scrape};
use crate::host_metrics::host::{Host, keyed};
use crate::host_metrics::instrument::{Declaration, Id, Metric};

const USAGE: Metric = Metric::up_down("system.paging.usage", "By", "Swap space in each state").by(&["device", "state"]);
const UTILIZATION: Metric =
    Metric::gauge("system.paging.utilization", "1", "Share of swap space in each state, 0 to 1")
        .by(&["device", "state"])
        .optional();
const OPERATIONS: Metric =
    Metric::counter("system.paging.operations", "{operations}", "Pages swapped (major) and KiB paged (minor)")
        .by(&["direction", "type"]);
const FAULTS: Metric = Metric::counter("system.paging.faults", "{faults}", "Page faults").by(&["type"]);

#[derive(Clone, Debug)]
pub struct Paging {
    usage: Id,
    utilization: Id,
    operations: Id,
    faults: Id,
}

pub fn plan(_: &mut Section, metrics: &mut Declaration) -> Paging {
    Paging {
        usage: metrics.metric(USAGE),
        utilization: metrics.metric(UTILIZATION),
        operations: metrics.metric(OPERATIONS),
        faults: metrics.metric(FAULTS),
    }
}

impl Scrape for Paging {
    fn scrape(&mut self, host: &mut Host, out: &mut Output) -> anyhow::Result<()> {
        if out.any(&[self.usage, self.utilization]) {
            for line in host.text("proc/swaps")?.lines().skip(1) {
                let &[device, _, size, used, ..] = line.split_whitespace().collect::<Vec<_>>().as_slice() else {
                    continue;
                };
                let (size, used) = (size.parse::<u64>()? * 1024, used.parse::<u64>()? * 1024);
                for (state, bytes) in [("used", used), ("free", size.saturating_sub(used))] {
                    out.add(self.usage, bytes, &[device, state]);
                    out.add(self.utilization, bytes as f64 / size.max(1) as f64, &[device, state]);
                }
            }
        }
        if out.any(&[self.operations, self.faults]) {
            let text = host.text("proc/vmstat")?;
            let count = |key| keyed(text, key).with_context(|| format!("proc/vmstat has no {key}"));
            // A kernel built without swap has no counters of it.
            out.add(self.operations, count("pswpin").unwrap_or(0), &["page_in", "major"]);
            out.add(self.operations, count("pswpout").unwrap_or(0), &["page_out", "major"]);
            out.add(self.operations, count("pgpgin")?, &["page_in", "minor"]);
            out.add(self.operations, count("pgpgout")?, &["page_out", "minor"]);
            let major = count("pgmajfault")?;
            out.add(self.faults, major, &["major"]);
            out.add(self.faults, count("pgfault")?.saturating_sub(major), &["minor"]);
        }
        Ok(())
    }
}
