//! `disk`: what block devices and their partitions were asked to do.

use catchment_pipeline::config::Section;
use procfs::prelude::*;

use super::{Output, Scrape};
use crate::host_metrics::filter::Filter;
use crate::host_metrics::host::Host;
use crate::host_metrics::instrument::{Declaration, Id, Metric};

/// The kernel counts in sectors of this size, whatever the device's own.
const SECTOR: u64 = 512;

const IO: Metric = Metric::counter("system.disk.io", "By", "Bytes read and written").by(&["device", "direction"]);
const OPERATIONS: Metric = Metric::counter("system.disk.operations", "{operations}", "Reads and writes completed")
    .by(&["device", "direction"]);
const IO_TIME: Metric = Metric::counter("system.disk.io_time", "s", "Time the device was busy").by(&["device"]);
const OPERATION_TIME: Metric = Metric::counter("system.disk.operation_time", "s", "Time spent by all reads and writes")
    .by(&["device", "direction"]);
const WEIGHTED: Metric =
    Metric::counter("system.disk.weighted_io_time", "s", "Time the device was busy times its queue's length")
        .by(&["device"]);
const PENDING: Metric =
    Metric::up_down("system.disk.pending_operations", "{operations}", "Reads and writes in progress").by(&["device"]);
const MERGED: Metric = Metric::counter("system.disk.merged", "{operations}", "Reads and writes joined into another")
    .by(&["device", "direction"]);

#[derive(Clone, Debug)]
pub struct Disk {
    io: Id,
    operations: Id,
    io_time: Id,
    operation_time: Id,
    weighted: Id,
    pending: Id,
    merged: Id,
    filter: Filter,
}

pub fn plan(section: &mut Section, metrics: &mut Declaration) -> Disk {
    Disk {
        io: metrics.metric(IO),
        operations: metrics.metric(OPERATIONS),
        io_time: metrics.metric(IO_TIME),
        operation_time: metrics.metric(OPERATION_TIME),
        weighted: metrics.metric(WEIGHTED),
        pending: metrics.metric(PENDING),
        merged: metrics.metric(MERGED),
        filter: Filter::read(section, "include", "exclude", "devices"),
    }
}

impl Scrape for Disk {
    fn scrape(&mut self, host: &mut Host, out: &mut Output) -> anyhow::Result<()> {
        let stats = procfs::DiskStats::from_read(host.text("proc/diskstats")?.as_bytes())?;
        let seconds = |milliseconds: u64| milliseconds as f64 / 1e3;
        for disk in stats.0.iter().filter(|disk| self.filter.passes(&disk.name)) {
            let (read, write, device) =
                ([disk.name.as_str(), "read"], [disk.name.as_str(), "write"], [disk.name.as_str()]);
            out.add(self.io, disk.sectors_read.saturating_mul(SECTOR), &read);
            out.add(self.io, disk.sectors_written.saturating_mul(SECTOR), &write);
            out.add(self.operations, disk.reads, &read);
            out.add(self.operations, disk.writes, &write);
            out.add(self.io_time, seconds(disk.time_in_progress), &device);
            out.add(self.operation_time, seconds(disk.time_reading), &read);
            out.add(self.operation_time, seconds(disk.time_writing), &write);
            out.add(self.weighted, seconds(disk.weighted_time_in_progress), &device);
            out.add(self.pending, disk.in_progress, &device);
            out.add(self.merged, disk.merged, &read);
            out.add(self.merged, disk.writes_merged, &write);
        }
        Ok(())
    }
}
