//! `cpu`: time in each state, how many CPUs there are, how fast they run.

use std::collections::HashSet;

use catchment_pipeline::config::Section;

use super::{Output, Scrape};
use crate::host_metrics::host::{CPU_STATES, Host};
use crate::host_metrics::instrument::{Declaration, Id, Metric};

const TIME: Metric =
    Metric::counter("system.cpu.time", "s", "Time the CPUs spent in each state").by(&["cpu", "state"]).opt_in(&["cpu"]);
const UTILIZATION: Metric =
    Metric::gauge("system.cpu.utilization", "1", "Share of CPU time in each state since the last scrape, 0 to 1")
        .by(&["cpu", "state"])
        .opt_in(&["cpu"])
        .optional();
const LOGICAL: Metric = Metric::up_down("system.cpu.logical.count", "{cpu}", "Logical CPUs");
const PHYSICAL: Metric = Metric::up_down("system.cpu.physical.count", "{cpu}", "Physical cores").optional();
const FREQUENCY: Metric =
    Metric::gauge("system.cpu.frequency", "Hz", "Current frequency of each CPU").by(&["cpu"]).optional();

#[derive(Clone, Debug)]
pub struct Cpu {
    time: Id,
    utilization: Id,
    logical: Id,
    physical: Id,
    frequency: Id,
    previous: Vec<(u32, [u64; 8])>,
}

pub fn plan(_: &mut Section, metrics: &mut Declaration) -> Cpu {
    Cpu {
        time: metrics.metric(TIME),
        utilization: metrics.metric(UTILIZATION),
        logical: metrics.metric(LOGICAL),
        physical: metrics.metric(PHYSICAL),
        frequency: metrics.metric(FREQUENCY),
        previous: Vec::new(),
    }
}

impl Scrape for Cpu {
    fn scrape(&mut self, host: &mut Host, out: &mut Output) -> anyhow::Result<()> {
        let cpus = host.kernel()?.cpus;
        for (number, ticks) in &cpus {
            let cpu = format!("cpu{number}");
            for (state, ticks) in CPU_STATES.iter().zip(ticks) {
                out.add(self.time, *ticks as f64 / host.ticks_per_second, &[&cpu, state]);
            }
        }
        if out.on(self.utilization) {
            self.utilization(&cpus, out);
            self.previous.clone_from(&cpus);
        }
        out.add(self.logical, cpus.len(), &[]);
        if out.on(self.physical) {
            out.add(self.physical, cores(host, &cpus), &[]);
        }
        if out.on(self.frequency) {
            let text = host.text("proc/cpuinfo")?;
            let mut cpu = String::new();
            for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
                match key.trim() {
                    "processor" => cpu = format!("cpu{}", value.trim()),
                    "cpu MHz" => out.add(self.frequency, value.trim().parse::<f64>()? * 1e6, &[&cpu]),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

impl Cpu {
    fn utilization(&self, cpus: &[(u32, [u64; 8])], out: &mut Output) {
        for (number, ticks) in cpus {
            let Some((_, before)) = self.previous.iter().find(|(other, _)| other == number) else { continue };
            let cpu = format!("cpu{number}");
            // The kernel corrects idle and wait downwards now and then.
            let spent = ticks.iter().zip(before).map(|(now, before)| now.saturating_sub(*before)).collect::<Vec<_>>();
            let total = spent.iter().sum::<u64>().max(1);
            for (state, spent) in CPU_STATES.iter().zip(spent) {
                out.add(self.utilization, spent as f64 / total as f64, &[&cpu, state]);
            }
        }
    }
}

/// Distinct sets of sibling threads; every CPU is its own where the kernel does not say.
fn cores(host: &mut Host, cpus: &[(u32, [u64; 8])]) -> usize {
    let mut cores = HashSet::new();
    for (number, _) in cpus {
        let topology = format!("sys/devices/system/cpu/cpu{number}/topology");
        let siblings = host.text(&format!("{topology}/core_cpus_list")).map(str::to_owned);
        let siblings = siblings.or_else(|_| host.text(&format!("{topology}/thread_siblings_list")).map(str::to_owned));
        cores.insert(siblings.unwrap_or_else(|_| number.to_string()));
    }
    cores.len()
}
