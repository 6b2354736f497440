//! How much memory there is for this process: the least of what its cgroups allow and what the machine has.

use std::fs::read_to_string;
use std::path::Path;

/// Bytes; `None` where neither is known.
pub fn memory() -> Option<u64> {
    let own = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| of_machine(&text));
    let limits = limit_files(&own).into_iter().filter_map(|path| read_to_string(path).ok());
    limits.filter_map(|text| of_cgroup(&text)).chain(machine).min()
}

/// The limits of the cgroup named in `/proc/self/cgroup`, and of those around it: all of them hold.
fn limit_files(own: &str) -> Vec<String> {
    let mut files =
        vec!["/sys/fs/cgroup/memory.max".to_owned(), "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned()];
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let around = Path::new(path).ancestors().map(|at| at.display().to_string()).filter(|at| at.len() > 1);
        files.extend(around.take(64).map(|at| format!("{root}{at}/{file}")));
    }
    files
}

/// `max`, and the huge number that cgroup v1 has for it, are no limit.
fn of_cgroup(text: &str) -> Option<u64> {
    text.trim().parse::<u64>().ok().filter(|bytes| *bytes < 1 << 60)
}

fn of_machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_kernel() {
        assert_eq!(of_cgroup("max\n"), None);
        assert_eq!(of_cgroup("9223372036854771712\n"), None);
        assert_eq!(of_cgroup("536870912\n"), Some(512 << 20));
        assert_eq!(of_machine("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 << 20));
        assert_eq!(of_machine("nothing"), None);
    }

    #[test]
    fn every_cgroup_around_counts() {
        let files = limit_files("0::/system.slice/catchment.service\n");
        assert_eq!(
            files[2..],
            ["/sys/fs/cgroup/system.slice/catchment.service/memory.max", "/sys/fs/cgroup/system.slice/memory.max"]
        );
        let files = limit_files("4:cpu,cpuacct:/x\n3:memory:/docker/abc\n");
        assert_eq!(files[2], "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes");
        assert_eq!(files.len(), 4);
    }
}
