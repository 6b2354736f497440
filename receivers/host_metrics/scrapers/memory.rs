//! `memory`: what the kernel does with the machine's memory.

use catchment_pipeline::config::Section;
use procfs::prelude::*;

use super::{Output, Scrape};
use crate::host_metrics::host::Host;
use crate::host_metrics::instrument::{Declaration, Id, Metric};

const USAGE: Metric = Metric::up_down("system.memory.usage", "By", "Memory in each state").by(&["state"]);
const UTILIZATION: Metric =
    Metric::gauge("system.memory.utilization", "1", "Share of memory in each state, 0 to 1").by(&["state"]).optional();
const LIMIT: Metric = Metric::up_down("system.memory.limit", "By", "Memory of the machine").optional();
const PAGE_SIZE: Metric = Metric::gauge("system.memory.page_size", "By", "Size of a memory page").optional();
const AVAILABLE: Metric =
    Metric::up_down("system.linux.memory.available", "By", "Memory that programs can get without swapping").optional();
const DIRTY: Metric =
    Metric::up_down("system.linux.memory.dirty", "By", "Memory waiting to be written to disk").optional();
const SHARED: Metric = Metric::up_down("system.memory.linux.shared", "By", "Shared memory, tmpfs included").optional();
const HUGE_LIMIT: Metric =
    Metric::up_down("system.memory.linux.hugepages.limit", "{page}", "Huge pages there are").optional();
const HUGE_SIZE: Metric =
    Metric::up_down("system.memory.linux.hugepages.page_size", "By", "Size of a huge page").optional();
const HUGE_RESERVED: Metric =
    Metric::up_down("system.memory.linux.hugepages.reserved", "{page}", "Huge pages promised and not yet allocated")
        .optional();
const HUGE_SURPLUS: Metric =
    Metric::up_down("system.memory.linux.hugepages.surplus", "{page}", "Huge pages beyond the persistent pool")
        .optional();
const HUGE_USAGE: Metric = Metric::up_down("system.memory.linux.hugepages.usage", "{page}", "Huge pages in each state")
    .by(&["system.memory.linux.hugepages.state"])
    .optional();
const HUGE_UTILIZATION: Metric =
    Metric::gauge("system.memory.linux.hugepages.utilization", "1", "Share of huge pages in each state, 0 to 1")
        .by(&["system.memory.linux.hugepages.state"])
        .optional();

#[derive(Clone, Debug)]
pub struct Memory {
    usage: Id,
    utilization: Id,
    limit: Id,
    page_size: Id,
    available: Id,
    dirty: Id,
    shared: Id,
    huge_limit: Id,
    huge_size: Id,
    huge_reserved: Id,
    huge_surplus: Id,
    huge_usage: Id,
    huge_utilization: Id,
}

pub fn plan(_: &mut Section, metrics: &mut Declaration) -> Memory {
    Memory {
        usage: metrics.metric(USAGE),
        utilization: metrics.metric(UTILIZATION),
        limit: metrics.metric(LIMIT),
        page_size: metrics.metric(PAGE_SIZE),
        available: metrics.metric(AVAILABLE),
        dirty: metrics.metric(DIRTY),
        shared: metrics.metric(SHARED),
        huge_limit: metrics.metric(HUGE_LIMIT),
        huge_size: metrics.metric(HUGE_SIZE),
        huge_reserved: metrics.metric(HUGE_RESERVED),
        huge_surplus: metrics.metric(HUGE_SURPLUS),
        huge_usage: metrics.metric(HUGE_USAGE),
        huge_utilization: metrics.metric(HUGE_UTILIZATION),
    }
}

impl Scrape for Memory {
    fn scrape(&mut self, host: &mut Host, out: &mut Output) -> anyhow::Result<()> {
        let info = procfs::Meminfo::from_read(host.text("proc/meminfo")?.as_bytes())?;
        let reclaimable = info.s_reclaimable.unwrap_or(0);
        let cached = info.cached + reclaimable;
        // Kernels before 3.14 do not say what is available.
        let available = info.mem_available.unwrap_or(info.mem_free + info.buffers + cached);
        let states = [
            ("used", info.mem_total.saturating_sub(available)),
            ("free", info.mem_free),
            ("buffered", info.buffers),
            ("cached", cached),
            ("slab_reclaimable", reclaimable),
            ("slab_unreclaimable", info.s_unreclaim.unwrap_or(0)),
        ];
        for (state, bytes) in states {
            out.add(self.usage, bytes, &[state]);
            out.add(self.utilization, bytes as f64 / info.mem_total.max(1) as f64, &[state]);
        }
        out.add(self.limit, info.mem_total, &[]);
        out.add(self.page_size, host.page_size, &[]);
        out.add(self.available, available, &[]);
        out.add(self.dirty, info.dirty, &[]);
        out.add(self.shared, info.shmem.unwrap_or(0), &[]);

        let (total, free) = (info.hugepages_total.unwrap_or(0), info.hugepages_free.unwrap_or(0));
        out.add(self.huge_limit, total, &[]);
        out.add(self.huge_size, info.hugepagesize.unwrap_or(0), &[]);
        out.add(self.huge_reserved, info.hugepages_rsvd.unwrap_or(0), &[]);
        out.add(self.huge_surplus, info.hugepages_surp.unwrap_or(0), &[]);
        for (state, pages) in [("free", free), ("used", total.saturating_sub(free))] {
            out.add(self.huge_usage, pages, &[state]);
            if total > 0 {
                out.add(self.huge_utilization, pages as f64 / total as f64, &[state]);
            }
        }
        Ok(())
    }
}
