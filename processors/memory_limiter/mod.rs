//! `memory_limiter`: refuses new data while the process holds more memory than its soft limit.
//!
//! Refused means told to come back (429, UNAVAILABLE): nothing is lost that a client sends again. Limits are MiB
//! of resident memory. The hard limit is what is configured, the soft limit is below it by the spike limit, a
//! fifth of it unless said otherwise. Percentages are of what the cgroup allows, or of the machine's memory.

mod total;

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{
    Context, Processor, ProcessorPlan, ProcessorSpec, Refused, Spec, Stability, Stage,
};
use catchment_pipeline::config::Section;

pub static SPEC: ProcessorSpec = Spec {
    kind: "memory_limiter",
    aliases: &[],
    summary: "Refuses new data, for the sender to retry, while too much memory is used",
    signals: &Signal::TELEMETRY,
    stability: Stability::Beta,
    plan: |section| Box::new(read(section)),
};

#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    /// How often the Collector would look; here, when a refused sender should come back.
    check_interval: Duration,
    limit: Amount,
    /// `None`: a fifth of the limit.
    spike: Option<Amount>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Amount {
    Mib(u64),
    Percent(u64),
}

fn read(section: &mut Section) -> Plan {
    let check_interval = section.or("check_interval", Duration::from_secs(1));
    let mib = section.or("limit_mib", 0);
    let spike_mib = section.or("spike_limit_mib", 0);
    let percent = percentage(section, "limit_percentage");
    let spike_percent = percentage(section, "spike_limit_percentage");
    for key in ["min_gc_interval_when_soft_limited", "min_gc_interval_when_hard_limited"] {
        section.accepted(key, "there is no garbage collector");
    }
    // As in the Collector, MiB win over percentages.
    let (key, limit, spike) = match mib {
        0 => ("spike_limit_percentage", percent, spike_percent),
        _ => ("spike_limit_mib", mib, spike_mib),
    };
    let amount = |number| if mib > 0 { Amount::Mib(number) } else { Amount::Percent(number) };
    if limit == 0 {
        section.mistake("", "there is no limit", "add limit_mib: 512, or limit_percentage: 80");
    } else if spike >= limit {
        section.mistake(key, format!("it must be less than the limit ({limit})"), "a fifth of the limit is usual");
    }
    Plan { check_interval, limit: amount(limit), spike: (spike > 0).then(|| amount(spike)) }
}

fn percentage(section: &mut Section, key: &str) -> u64 {
    let percent = section.or(key, 0u64);
    if percent > 100 {
        section.mistake(key, format!("{percent} is more than all of it"), "write a number from 1 to 100");
    }
    percent
}

impl Plan {
    /// The soft limit in bytes; `total` is what percentages are of.
    fn soft_limit(&self, total: impl FnOnce() -> Option<u64>) -> Option<u64> {
        let total = match self.limit {
            Amount::Mib(_) => 0,
            Amount::Percent(_) => total()?,
        };
        let bytes = |amount| match amount {
            Amount::Mib(mib) => mib << 20,
            Amount::Percent(percent) => total / 100 * percent,
        };
        let hard = bytes(self.limit);
        Some(hard - self.spike.map_or(hard / 5, bytes))
    }
}

impl ProcessorPlan for Plan {
    fn build(&self, context: Context) -> anyhow::Result<Stage> {
        let soft_limit = self.soft_limit(total::memory).with_context(|| {
            format!("{}: cannot tell how much memory there is: set limit_mib instead of limit_percentage", context.id)
        })?;
        let retry_after = self.check_interval.max(Duration::from_secs(1));
        Ok(Stage::Transform(Box::new(Limiter { context, soft_limit, retry_after, limiting: false })))
    }
}

struct Limiter {
    context: Context,
    soft_limit: u64,
    retry_after: Duration,
    limiting: bool,
}

impl Processor for Limiter {
    fn process(&mut self, batch: Batch, _: SystemTime, out: &mut Vec<Batch>) -> Result<(), Refused> {
        let resident = self.context.memory.resident();
        let (used_mib, limit_mib) = (resident >> 20, self.soft_limit >> 20);
        let limiting = resident > self.soft_limit;
        if limiting != self.limiting {
            self.limiting = limiting;
            let processor = &self.context.id;
            match limiting {
                true => {
                    tracing::warn!(processor, used_mib, limit_mib, "memory is above the soft limit: data is refused")
                }
                false => tracing::info!(processor, used_mib, limit_mib, "memory is below the soft limit again"),
            }
        }
        if limiting {
            let reason = format!("{used_mib} MiB of memory are used, and the soft limit is {limit_mib} MiB");
            return Err(Refused::Busy { retry_after: self.retry_after, reason });
        }
        out.push(batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::sync::Arc;

    use catchment_pipeline::batch::Rows;
    use catchment_pipeline::component::{Admission, MemoryGauge};

    use super::*;

    const MIB: u64 = 1 << 20;

    #[track_caller]
    fn check(yaml: &str, total: Option<u64>, soft_mib: Option<u64>) {
        let mut section = Section::parse(yaml);
        let plan = read(&mut section);
        assert_eq!(section.mistakes(), Vec::<String>::new());
        assert_eq!(plan.soft_limit(|| total).map(|bytes| bytes / MIB), soft_mib);
    }

    #[test]
    fn the_collector_s_examples() {
        check("check_interval: 1s\nlimit_mib: 4000\nspike_limit_mib: 800", None, Some(3200));
        let percent = "check_interval: 1s\nlimit_percentage: 80\nspike_limit_percentage: 15";
        check(percent, Some(1000 * MIB), Some(650));
        check(percent, None, None);
        check("limit_mib: 100", None, Some(80));
        check("limit_mib: 100\nlimit_percentage: 50\nspike_limit_percentage: 10", Some(1000 * MIB), Some(80));
        check("limit_percentage: 50", Some(1000 * MIB), Some(400));
    }

    #[test]
    fn mistakes() {
        for (yaml, expect) in [
            ("check_interval: 1s", "there is no limit"),
            ("limit_mib: 10\nspike_limit_mib: 10", "spike_limit_mib: it must be less than the limit (10)"),
            ("limit_percentage: 10\nspike_limit_percentage: 20", "spike_limit_percentage: it must be less"),
            ("limit_percentage: 101", "101 is more than all of it"),
            ("limit_mb: 10", "did you mean \"limit_mib\"?"),
        ] {
            let mut section = Section::parse(yaml);
            read(&mut section);
            assert!(section.mistakes().join("\n").contains(expect), "{yaml}: {:#?}", section.mistakes());
        }
    }

    #[test]
    fn refuses_above_the_soft_limit_and_takes_again_below() {
        let memory = Arc::new(MemoryGauge::default());
        let admission = Arc::new(Admission::new(MIB));
        let context =
            Context { id: "memory_limiter".to_owned(), memory: memory.clone(), admission, ..Context::default() };
        let plan = read(&mut Section::parse("limit_mib: 100\ncheck_interval: 3s"));
        let Stage::Transform(mut limiter) = plan.build(context).unwrap() else { panic!("not a transform") };
        let mut out = Vec::new();
        for (resident_mib, taken) in [(0, true), (80, true), (81, false), (200, false), (79, true)] {
            memory.set_resident(resident_mib * MIB);
            out.clear();
            let batch = Batch::from_rows(Signal::Logs, Rows::default());
            match limiter.process(batch, SystemTime::UNIX_EPOCH, &mut out) {
                Ok(()) => assert!(taken && out.len() == 1, "{resident_mib}"),
                Err(Refused::Busy { retry_after, .. }) => {
                    assert_eq!((taken, retry_after), (false, Duration::from_secs(3)))
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}
