//! `process`: each process as a resource of its own.
//!
//! Cost: a process is one read of `stat` and one of `io` a scrape; what names it (command line, owner, executable)
//! is read when it appears, when its name changes, and again every [`REFRESH`] scrapes. Other files are read only
//! for metrics that are enabled.
//!
//! `process.disk.io` is what reached the disk (`read_bytes`, `write_bytes`). Attributes that a process does not have
//! are left out, and an owner without a name is its number.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use procfs::prelude::*;
use procfs::process::Stat;

use super::{Output, Scrape};
use crate::host_metrics::filter::Filter;
use crate::host_metrics::host::{Host, gone, keyed};
use crate::host_metrics::instrument::{Declaration, Id, Metric, int, text};

/// Scrapes after which a process's identity is read again.
const REFRESH: u32 = 60;
/// The kernel keeps this many bytes of a name.
const COMM: usize = 15;

const CPU_TIME: Metric =
    Metric::counter("process.cpu.time", "s", "CPU time of the process in each state").by(&["state"]);
const CPU_UTILIZATION: Metric =
    Metric::gauge("process.cpu.utilization", "1", "Share of all CPUs' time since the last scrape, 0 to 1")
        .by(&["state"])
        .optional();
const MEMORY: Metric = Metric::up_down("process.memory.usage", "By", "Physical memory in use");
const VIRTUAL: Metric = Metric::up_down("process.memory.virtual", "By", "Virtual memory");
const MEMORY_UTILIZATION: Metric =
    Metric::gauge("process.memory.utilization", "1", "Percentage of the machine's memory in use, 0 to 100").optional();
const DISK_IO: Metric =
    Metric::counter("process.disk.io", "By", "Bytes read from and written to disk").by(&["direction"]);
const DISK_OPERATIONS: Metric =
    Metric::counter("process.disk.operations", "{operations}", "Read and write calls").by(&["direction"]).optional();
const FAULTS: Metric = Metric::counter("process.paging.faults", "{faults}", "Page faults").by(&["type"]).optional();
const THREADS: Metric = Metric::up_down("process.threads", "{threads}", "Threads").optional();
const DESCRIPTORS: Metric =
    Metric::up_down("process.open_file_descriptors", "{count}", "Open file descriptors").optional();
const SWITCHES: Metric =
    Metric::counter("process.context_switches", "{count}", "Context switches of all threads").by(&["type"]).optional();
const SIGNALS: Metric =
    Metric::up_down("process.signals_pending", "{signals}", "Signals waiting for the process's user").optional();
const UPTIME: Metric = Metric::gauge("process.uptime", "s", "Time since the process started").optional();
/// Windows has these; here the key is accepted and gives nothing.
const HANDLES: Metric = Metric::up_down("process.handles", "{count}", "Open handles (Windows)").optional();

#[derive(Clone, Debug)]
pub struct Process {
    metrics: Metrics,
    attributes: Attributes,
    filter: Filter,
    mute: Mute,
    /// Processes younger than this are left out.
    delay: Duration,
    known: HashMap<i32, Known>,
    users: HashMap<u32, String>,
}

#[derive(Clone, Debug)]
struct Metrics {
    cpu_time: Id,
    cpu_utilization: Id,
    memory: Id,
    virtual_memory: Id,
    memory_utilization: Id,
    disk_io: Id,
    disk_operations: Id,
    faults: Id,
    threads: Id,
    descriptors: Id,
    switches: Id,
    signals: Id,
    uptime: Id,
}

/// Which resource attributes are wanted.
#[derive(Clone, Debug)]
struct Attributes {
    pid: bool,
    parent: bool,
    executable_name: bool,
    executable_path: bool,
    command: bool,
    command_line: bool,
    owner: bool,
    cgroup: bool,
    linux_cgroup: bool,
}

#[derive(Clone, Debug)]
struct Mute {
    all: bool,
    name: bool,
    exe: bool,
    io: bool,
    user: bool,
    cgroup: bool,
}

/// A process as it was last seen.
#[derive(Clone, Debug)]
struct Known {
    /// Ticks since the host started; with the pid it is the process's identity.
    start: u64,
    comm: String,
    parent: i32,
    age: u32,
    seen: bool,
    /// `None`: the filter leaves it out.
    attributes: Option<Vec<KeyValue>>,
    /// CPU times by state, in seconds.
    cpu: Option<([f64; 3], Instant)>,
}

pub fn plan(section: &mut Section, metrics: &mut Declaration) -> Process {
    let ids = Metrics {
        cpu_time: metrics.metric(CPU_TIME),
        cpu_utilization: metrics.metric(CPU_UTILIZATION),
        memory: metrics.metric(MEMORY),
        virtual_memory: metrics.metric(VIRTUAL),
        memory_utilization: metrics.metric(MEMORY_UTILIZATION),
        disk_io: metrics.metric(DISK_IO),
        disk_operations: metrics.metric(DISK_OPERATIONS),
        faults: metrics.metric(FAULTS),
        threads: metrics.metric(THREADS),
        descriptors: metrics.metric(DESCRIPTORS),
        switches: metrics.metric(SWITCHES),
        signals: metrics.metric(SIGNALS),
        uptime: metrics.metric(UPTIME),
    };
    metrics.metric(HANDLES);
    Process {
        metrics: ids,
        attributes: attributes(section.section("resource_attributes")),
        filter: Filter::read(section, "include", "exclude", "names"),
        mute: Mute {
            all: section.or("mute_process_all_errors", false),
            name: section.or("mute_process_name_error", false),
            exe: section.or("mute_process_exe_error", false),
            io: section.or("mute_process_io_error", false),
            user: section.or("mute_process_user_error", false),
            cgroup: section.or("mute_process_cgroup_error", false),
        },
        delay: section.or("scrape_process_delay", Duration::ZERO),
        known: HashMap::new(),
        users: HashMap::new(),
    }
}

fn attributes(mut section: Option<Section>) -> Attributes {
    let mut read = |name: &str, default| {
        let inner = section.as_mut().and_then(|section| section.section(name));
        inner.map_or(default, |mut inner| inner.or("enabled", default))
    };
    Attributes {
        pid: read("process.pid", true),
        parent: read("process.parent_pid", true),
        executable_name: read("process.executable.name", true),
        executable_path: read("process.executable.path", true),
        command: read("process.command", true),
        command_line: read("process.command_line", true),
        owner: read("process.owner", true),
        cgroup: read("process.cgroup", false),
        linux_cgroup: read("process.linux.cgroup", false),
    }
}

impl Scrape for Process {
    fn scrape(&mut self, host: &mut Host, out: &mut Output) -> anyhow::Result<()> {
        let memory = match out.on(self.metrics.memory_utilization) {
            true => keyed(host.text("proc/meminfo")?, "MemTotal").unwrap_or(0) * 1024,
            false => 0,
        };
        let cpus = if out.on(self.metrics.cpu_utilization) { host.kernel()?.cpus.len() } else { 1 };
        let machine = Machine { memory, cpus };
        self.known.values_mut().for_each(|known| known.seen = false);
        for pid in host.pids()? {
            let stat = host.bytes(&format!("proc/{pid}/stat"));
            let stat = match stat.map(Stat::from_read) {
                Ok(Ok(stat)) => stat,
                Ok(Err(error)) => {
                    host.complain("process", "stat", || format!("proc/{pid}/stat: {error}"));
                    continue;
                }
                Err(error) => {
                    self.complain(host, self.mute.name, "stat", &error, "mute_process_name_error");
                    continue;
                }
            };
            let start = host.boot + (stat.starttime as f64 / host.ticks_per_second * 1e9) as u64;
            if out.time.saturating_sub(start) < self.delay.as_nanos() as u64 {
                continue;
            }
            self.identify(pid, &stat, host);
            let Some(attributes) = self.known.get(&pid).and_then(|known| known.attributes.clone()) else { continue };
            self.record(pid, &stat, &machine, host, out);
            let uptime = out.time.saturating_sub(start) as f64 / 1e9;
            out.add(self.metrics.uptime, uptime, &[]);
            out.emit(start, attributes);
        }
        self.known.retain(|_, known| known.seen);
        Ok(())
    }
}

struct Machine {
    memory: u64,
    cpus: usize,
}

impl Process {
    /// Brings `known` up to date.
    fn identify(&mut self, pid: i32, stat: &Stat, host: &mut Host) {
        if let Some(known) = self.known.get_mut(&pid)
            && known.start == stat.starttime
            && known.comm == stat.comm
            && known.parent == stat.ppid
            && known.age < REFRESH
        {
            known.seen = true;
            known.age += 1;
            return;
        }
        let cpu = self.known.get(&pid).filter(|known| known.start == stat.starttime).and_then(|known| known.cpu);
        let attributes = self.attributes(pid, stat, host);
        let (start, comm, parent) = (stat.starttime, stat.comm.clone(), stat.ppid);
        // Processes that appear together should not all be read again together.
        let age = pid.unsigned_abs() % (REFRESH / 2);
        self.known.insert(pid, Known { start, comm, parent, age, seen: true, attributes, cpu });
    }

    fn attributes(&mut self, pid: i32, stat: &Stat, host: &mut Host) -> Option<Vec<KeyValue>> {
        let wanted = self.attributes.clone();
        let mut command = Vec::new();
        if wanted.command || wanted.command_line || stat.comm.len() >= COMM {
            let line = host.bytes(&format!("proc/{pid}/cmdline")).unwrap_or_default();
            let line = line.strip_suffix(b"\0").unwrap_or(line);
            if !line.is_empty() {
                command =
                    line.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
            }
        }
        let name = name(&stat.comm, command.first().map(String::as_str));
        if !self.filter.passes(&name) {
            return None;
        }
        let mut list = Vec::with_capacity(8);
        if wanted.pid {
            list.push(int("process.pid", pid.into()));
        }
        if wanted.parent {
            list.push(int("process.parent_pid", stat.ppid.into()));
        }
        if wanted.executable_name {
            list.push(text("process.executable.name", name));
        }
        if wanted.executable_path {
            match std::fs::read_link(host.path(format!("proc/{pid}/exe"))) {
                Ok(path) => list.push(text("process.executable.path", path.to_string_lossy())),
                Err(error) => self.complain(host, self.mute.exe, "exe", &error, "mute_process_exe_error"),
            }
        }
        if wanted.command
            && let Some(program) = command.first()
        {
            list.push(text("process.command", program.as_str()));
        }
        if wanted.command_line && !command.is_empty() {
            list.push(text("process.command_line", command.join(" ")));
        }
        if wanted.owner
            && let Some(owner) = self.owner(pid, host)
        {
            list.push(text("process.owner", owner));
        }
        if wanted.cgroup || wanted.linux_cgroup {
            match host
                .bytes(&format!("proc/{pid}/cgroup"))
                .map(|bytes| String::from_utf8_lossy(bytes).trim_end().to_owned())
            {
                Ok(cgroup) => {
                    let names = [("process.cgroup", wanted.cgroup), ("process.linux.cgroup", wanted.linux_cgroup)];
                    list.extend(
                        names.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| text(name, cgroup.as_str())),
                    );
                }
                Err(error) => self.complain(host, self.mute.cgroup, "cgroup", &error, "mute_process_cgroup_error"),
            }
        }
        Some(list)
    }

    /// The user's name in the host's `/etc/passwd`, or else its number.
    fn owner(&mut self, pid: i32, host: &mut Host) -> Option<String> {
        let uid = match host.bytes(&format!("proc/{pid}/status")) {
            Ok(status) => keyed(&String::from_utf8_lossy(status), "Uid").and_then(|uid| u32::try_from(uid).ok())?,
            Err(error) => {
                self.complain(host, self.mute.user, "status", &error, "mute_process_user_error");
                return None;
            }
        };
        if !self.users.contains_key(&uid) {
            self.users = host.text("etc/passwd").map(users).unwrap_or_default();
            // A user without a name is not looked for again.
            self.users.entry(uid).or_insert_with(|| uid.to_string());
        }
        self.users.get(&uid).cloned()
    }

    fn record(&mut self, pid: i32, stat: &Stat, machine: &Machine, host: &mut Host, out: &mut Output) {
        let m = self.metrics.clone();
        let seconds = |ticks: u64| ticks as f64 / host.ticks_per_second;
        let times = [seconds(stat.utime), seconds(stat.stime), seconds(stat.delayacct_blkio_ticks.unwrap_or(0))];
        const STATES: [&str; 3] = ["user", "system", "wait"];
        for (state, time) in STATES.iter().zip(times) {
            out.add(m.cpu_time, time, &[state]);
        }
        if out.on(m.cpu_utilization)
            && let Some(known) = self.known.get_mut(&pid)
        {
            let now = Instant::now();
            if let Some((before, then)) = known.cpu.replace((times, now)) {
                let available = now.duration_since(then).as_secs_f64() * machine.cpus.max(1) as f64;
                for (state, (time, before)) in STATES.iter().zip(times.into_iter().zip(before)) {
                    let share = if available > 0.0 { (time - before).max(0.0) / available } else { 0.0 };
                    out.add(m.cpu_utilization, share, &[state]);
                }
            }
        }
        let resident = stat.rss.saturating_mul(host.page_size);
        out.add(m.memory, resident, &[]);
        out.add(m.virtual_memory, stat.vsize, &[]);
        out.add(m.memory_utilization, resident as f64 * 100.0 / machine.memory.max(1) as f64, &[]);
        out.add(m.threads, stat.num_threads, &[]);
        out.add(m.faults, stat.majflt, &["major"]);
        out.add(m.faults, stat.minflt, &["minor"]);
        if out.any(&[m.disk_io, m.disk_operations]) {
            self.record_io(pid, host, out);
        }
        if out.any(&[m.descriptors, m.switches, m.signals]) {
            self.record_rest(pid, host, out);
        }
    }

    fn record_io(&self, pid: i32, host: &mut Host, out: &mut Output) {
        let m = &self.metrics;
        match host.bytes(&format!("proc/{pid}/io")) {
            Ok(bytes) => {
                let io = String::from_utf8_lossy(bytes);
                let count = |key| keyed(&io, key).unwrap_or(0);
                out.add(m.disk_io, count("read_bytes"), &["read"]);
                out.add(m.disk_io, count("write_bytes"), &["write"]);
                out.add(m.disk_operations, count("syscr"), &["read"]);
                out.add(m.disk_operations, count("syscw"), &["write"]);
            }
            Err(error) => self.complain(host, self.mute.io, "io", &error, "mute_process_io_error"),
        }
    }

    fn record_rest(&self, pid: i32, host: &mut Host, out: &mut Output) {
        let m = &self.metrics;
        if out.on(m.descriptors) {
            match std::fs::read_dir(host.path(format!("proc/{pid}/fd"))) {
                Ok(entries) => out.add(m.descriptors, entries.count(), &[]),
                Err(error) => self.complain(host, false, "fd", &error, "mute_process_all_errors"),
            }
        }
        if out.on(m.signals)
            && let Ok(status) = host.text(&format!("proc/{pid}/status"))
        {
            // `SigQ: 3/128319`
            let line = status.lines().find_map(|line| line.strip_prefix("SigQ:")?.trim().split_once('/'));
            if let Some(count) = line.and_then(|(count, _)| count.parse::<u64>().ok()) {
                out.add(m.signals, count, &[]);
            }
        }
        if out.on(m.switches)
            && let Ok(threads) = std::fs::read_dir(host.path(format!("proc/{pid}/task")))
        {
            let (mut voluntary, mut involuntary) = (0, 0);
            for thread in threads.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
                // A thread that ended meanwhile takes its switches with it.
                let Ok(status) = host.text(&format!("proc/{pid}/task/{thread}/status")) else { continue };
                voluntary += keyed(status, "voluntary_ctxt_switches").unwrap_or(0);
                involuntary += keyed(status, "nonvoluntary_ctxt_switches").unwrap_or(0);
            }
            out.add(m.switches, voluntary, &["voluntary"]);
            out.add(m.switches, involuntary, &["involuntary"]);
        }
    }

    /// Once per cause, not per process; a process that went away is nothing to say.
    fn complain(&self, host: &mut Host, muted: bool, file: &str, error: &io::Error, key: &str) {
        if !(muted || self.mute.all || gone(error)) {
            host.complain("process", file, || {
                format!("/proc/<pid>/{file} of some processes cannot be read ({error}): run with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or set {key}: true")
            });
        }
    }
}

/// The kernel cuts names off; the command's own file name continues them.
fn name(comm: &str, program: Option<&str>) -> String {
    let file = program.and_then(|program| program.rsplit('/').next());
    match file {
        Some(file) if comm.len() >= COMM && file.starts_with(comm) => file.to_owned(),
        _ => comm.to_owned(),
    }
}

fn users(passwd: &str) -> HashMap<u32, String> {
    let user = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
    };
    passwd.lines().filter_map(user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_cut_off_is_continued() {
        assert_eq!(name("postgres", Some("/usr/bin/postgres-main")), "postgres");
        assert_eq!(name("a-very-long-nam", Some("/opt/a-very-long-name")), "a-very-long-name");
        assert_eq!(name("a-very-long-nam", Some("/opt/other")), "a-very-long-nam");
        assert_eq!(name("kworker/0:1-eve", None), "kworker/0:1-eve");
    }

    #[test]
    fn users_are_read_from_passwd() {
        let users = users("root:x:0:0:root:/root:/bin/bash\nnot a user\nme:x:1000:1000::/home/me:/bin/sh\n");
        assert_eq!(users, HashMap::from([(0, "root".to_owned()), (1000, "me".to_owned())]));
    }
}
