//! How much memory there is, how much the process has, and how much it admits at its doors.

use std::sync::Arc;
use std::time::Duration;

use catchment_pipeline::component::MemoryGauge;

const MIB: u64 = 1 << 20;
/// `memory_limiter` looks every second at the most; this is often enough for it.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
const GIVE_BACK_TICKS: u64 = 4;

/// Bytes of requests that may be in flight: a sixteenth of the memory there is, from 8 to 64 MiB. A request's rows
/// take a multiple of its bytes while they are on their way, so this is small beside the memory it protects.
pub fn admission_limit() -> u64 {
    (available() / 16).clamp(8 * MIB, 64 * MIB)
}

/// The machine's memory, or what the control group leaves of it.
fn available() -> u64 {
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    });
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group = groups.into_iter().find_map(|path| read(path)?.trim().parse::<u64>().ok());
    machine.into_iter().chain(group).min().unwrap_or(1 << 30)
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Keeps the gauge up to date.
pub async fn sample(gauge: Arc<MemoryGauge>) {
    let mut ticks = tokio::time::interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    for tick in 0_u64.. {
        ticks.tick().await;
        if tick % GIVE_BACK_TICKS == 0 {
            give_back();
        }
        if let Some(bytes) = resident() {
            gauge.set_resident(bytes);
        }
    }
}

/// mimalloc gives freed memory back to the system a second later, but only when a large block comes or goes: a process at rest would keep
/// what its last busy minute took. Nothing is written into the block, so that it costs next to nothing.
fn give_back() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(8 << 20)));
}

fn resident() -> Option<u64> {
    let pages = read("/proc/self/statm")?.split(' ').nth(1)?.parse::<u64>().ok()?;
    Some(pages * procfs::page_size())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn sees_its_own_memory_and_the_machines() {
        assert!((super::MIB..super::available()).contains(&super::resident().unwrap()));
    }
}
