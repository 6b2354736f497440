//! `processes`: how many there are in each state, and how many were ever created.

use catchment_pipeline::config::Section;

use super::{Output, Scrape};
use crate::host_metrics::host::Host;
use crate::host_metrics::instrument::{Declaration, Id, Metric};

const COUNT: Metric =
    Metric::up_down("system.processes.count", "{processes}", "Processes in each state").by(&["status"]);
const CREATED: Metric =
    Metric::counter("system.processes.created", "{processes}", "Processes created since the host started");

#[derive(Clone, Debug)]
pub struct Processes {
    count: Id,
    created: Id,
}

pub fn plan(_: &mut Section, metrics: &mut Declaration) -> Processes {
    Processes { count: metrics.metric(COUNT), created: metrics.metric(CREATED) }
}

/// The kernel's letters. Running and blocked are counted by the kernel itself, threads included.
const STATES: [(u8, &str); 6] =
    [(b'I', "idle"), (b'S', "sleeping"), (b'T', "stopped"), (b't', "stopped"), (b'W', "paging"), (b'Z', "zombies")];

impl Scrape for Processes {
    fn scrape(&mut self, host: &mut Host, out: &mut Output) -> anyhow::Result<()> {
        let kernel = host.kernel()?;
        out.add(self.created, kernel.created, &[]);
        if !out.on(self.count) {
            return Ok(());
        }
        let mut counts = [
            ("blocked", kernel.blocked),
            ("running", kernel.running),
            ("idle", 0),
            ("sleeping", 0),
            ("stopped", 0),
            ("paging", 0),
            ("zombies", 0),
            ("unknown", 0),
        ];
        let (mut seen, mut found) = (0, 0);
        for pid in host.pids()? {
            // A process that went away meanwhile counts for nothing.
            let Ok(stat) = host.bytes(&format!("proc/{pid}/stat")) else { continue };
            seen += 1;
            // The letter follows the name, which may hold anything, parentheses too.
            let letter = stat.iter().rposition(|byte| *byte == b')').and_then(|end| stat.get(end + 2)).copied();
            let state = STATES.iter().find(|(known, _)| Some(*known) == letter).map(|(_, state)| *state);
            let known = matches!(letter, Some(b'R' | b'D'));
            if let Some(slot) = counts.iter_mut().find(|(name, _)| Some(*name) == state) {
                slot.1 += 1;
                found += 1;
            } else if !known {
                counts[7].1 += 1;
            }
        }
        // As the Collector: what neither the kernel nor a letter accounts for.
        counts[7].1 = counts[7].1.max((seen as u64).saturating_sub(found + kernel.running + kernel.blocked));
        for (state, count) in
            counts.into_iter().filter(|(state, count)| *count > 0 || matches!(*state, "running" | "blocked"))
        {
            out.add(self.count, count, &[state]);
        }
        Ok(())
    }
}
