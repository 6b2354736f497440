//! What a host and a pod report: names, units and attributes of the semantic conventions.

use super::values::{Process, Random, Value};

/// OTLP's number points: a gauge, a sum that goes up and down, or a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    UpDown,
    Counter,
}

#[derive(Clone, Debug)]
pub struct Series {
    pub metric: &'static str,
    pub unit: &'static str,
    pub kind: Kind,
    /// Canonical JSON.
    pub attributes: String,
    pub process: Process,
}

const GIB: i64 = 1 << 30;
const PAGE: i64 = 4096;

struct List<'a> {
    random: &'a mut Random,
    series: Vec<Series>,
}

impl List<'_> {
    fn add(
        &mut self,
        metric: &'static str,
        unit: &'static str,
        kind: Kind,
        attributes: &[(&str, &str)],
        process: Process,
    ) {
        let pairs = attributes.iter().map(|(key, value)| format!("\"{key}\":\"{value}\"")).collect::<Vec<_>>();
        self.series.push(Series { metric, unit, kind, attributes: format!("{{{}}}", pairs.join(",")), process });
    }

    /// `rate` a second, of a target that is busier or less so than others.
    fn count(&mut self, rate: f64, unit: i64, idle: f64) -> Process {
        let rate = rate * (0.3 + 1.4 * self.random.unit());
        let uptime = 86_400.0 * (1.0 + 20.0 * self.random.unit());
        Process::Count { rate, unit, idle, total: (rate * uptime * (1.0 - idle) / unit as f64) as i64 * unit }
    }

    fn seconds(&mut self, share: f64, cores: f64) -> Process {
        let share = share * (0.3 + 1.4 * self.random.unit());
        Process::Seconds { share, cores, ticks: (share * 8_640_000.0 * (1.0 + 20.0 * self.random.unit())) as i64 }
    }

    fn walk(&mut self, mean: i64, unit: i64, stride: f64, still: f64) -> Process {
        let value = (mean as f64 * (0.5 + self.random.unit())) as i64 / unit * unit;
        Process::Walk { value, low: 0, high: mean * 2 / unit * unit, unit, stride, still }
    }
}

const STILL: Process = Process::Constant(Value::Int(0));

/// 146 series.
pub fn host(random: &mut Random) -> Vec<Series> {
    let mut list = List { random, series: Vec::new() };
    // In the order of the scraper, share of a core.
    let states = [
        ("idle", 0.7),
        ("interrupt", 0.0),
        ("nice", 0.0),
        ("softirq", 0.002),
        ("steal", 0.0),
        ("system", 0.06),
        ("user", 0.2),
        ("wait", 0.004),
    ];
    for cpu in 0..8 {
        for (state, share) in states {
            let process = match share {
                0.0 => Process::Constant(Value::Double(0.0)),
                _ => list.seconds(share, 1.0),
            };
            let cpu = format!("cpu{cpu}");
            list.add("system.cpu.time", "s", Kind::Counter, &[("cpu", &cpu), ("state", state)], process);
        }
    }
    for (metric, smooth) in [
        ("system.cpu.load_average.1m", 0.22),
        ("system.cpu.load_average.5m", 0.05),
        ("system.cpu.load_average.15m", 0.016),
    ] {
        let process = Process::Load { mean: 2.4, smooth, decimals: 2, value: 2.4 };
        list.add(metric, "{thread}", Kind::Gauge, &[], process);
    }
    let memory = 64 * GIB;
    let states = [
        ("used", 30, 300.0),
        ("free", 6, 300.0),
        ("buffered", 1, 2.0),
        ("cached", 25, 150.0),
        ("slab_reclaimable", 1, 20.0),
        ("slab_unreclaimable", 1, 4.0),
    ];
    for (state, gib, stride) in states {
        let process = list.walk(gib * GIB, PAGE, stride, 0.02);
        list.add("system.memory.usage", "By", Kind::UpDown, &[("state", state)], process);
    }
    for (state, ..) in states {
        let process = Process::Share { back: states.len(), of: memory as f64 };
        list.add("system.memory.utilization", "1", Kind::Gauge, &[("state", state)], process);
    }
    list.add("system.memory.limit", "By", Kind::UpDown, &[], Process::Constant(Value::Int(memory)));
    disks(&mut list);
    filesystems(&mut list);
    network(&mut list);
    for (kind, rate) in [("major", 0.05), ("minor", 900.0)] {
        let process = list.count(rate, 1, 0.0);
        list.add("system.paging.faults", "{fault}", Kind::Counter, &[("type", kind)], process);
    }
    for state in ["free", "used"] {
        list.add(
            "system.paging.usage",
            "By",
            Kind::UpDown,
            &[("state", state)],
            Process::Constant(Value::Int(2 * GIB)),
        );
    }
    for (status, mean, still) in [("blocked", 1, 0.9), ("idle", 120, 0.6), ("running", 4, 0.3), ("sleeping", 260, 0.4)]
    {
        let process = list.walk(mean, 1, 1.5, still);
        list.add("system.processes.count", "{process}", Kind::UpDown, &[("status", status)], process);
    }
    let process = list.count(6.0, 1, 0.0);
    list.add("system.processes.created", "{process}", Kind::Counter, &[], process);
    let process = Process::Count { rate: 0.0, unit: 1, idle: 1.0, total: 0 };
    list.add("system.uptime", "s", Kind::Gauge, &[], process);
    list.series
}

/// One disk works, the other mostly waits: 22 series.
fn disks(list: &mut List) {
    for (device, busy) in [("nvme0n1", 1.0), ("nvme1n1", 0.01)] {
        let idle = if busy < 0.5 { 0.95 } else { 0.0 };
        for (direction, bytes, operations) in [("read", 2e6, 40.0), ("write", 6e6, 120.0)] {
            let labels = [("device", device), ("direction", direction)];
            let process = list.count(bytes * busy, PAGE, idle);
            list.add("system.disk.io", "By", Kind::Counter, &labels, process);
            let process = list.count(operations * busy, 1, idle);
            list.add("system.disk.operations", "{operation}", Kind::Counter, &labels, process);
            let process = list.count(operations * busy / 5.0, 1, idle);
            list.add("system.disk.merged", "{operation}", Kind::Counter, &labels, process);
            let process = list.seconds(0.03 * busy, 4.0);
            list.add("system.disk.operation_time", "s", Kind::Counter, &labels, process);
        }
        let process = list.seconds(0.02 * busy, 1.0);
        list.add("system.disk.io_time", "s", Kind::Counter, &[("device", device)], process);
        let process = list.seconds(0.05 * busy, 8.0);
        list.add("system.disk.weighted_io_time", "s", Kind::Counter, &[("device", device)], process);
        let process = if busy < 0.5 { STILL } else { list.walk(2, 1, 1.0, 0.6) };
        list.add("system.disk.pending_operations", "{operation}", Kind::UpDown, &[("device", device)], process);
    }
}

/// 12 series.
fn filesystems(list: &mut List) {
    for (device, mountpoint, gib, stride) in
        [("/dev/nvme0n1p1", "/", 40, 20.0), ("/dev/nvme1n1", "/var/lib/data", 400, 2.0)]
    {
        let labels = [("device", device), ("mode", "rw"), ("mountpoint", mountpoint)];
        let with = |state| [labels[0], labels[1], labels[2], ("state", state), ("type", "ext4")];
        let still = if stride < 10.0 { 0.95 } else { 0.2 };
        for state in ["free", "used"] {
            let process = list.walk(gib * GIB, PAGE, stride, still);
            list.add("system.filesystem.usage", "By", Kind::UpDown, &with(state), process);
        }
        let process = Process::Constant(Value::Int(gib * GIB / 20));
        list.add("system.filesystem.usage", "By", Kind::UpDown, &with("reserved"), process);
        let process = Process::Share { back: 2, of: (2 * gib * GIB) as f64 };
        list.add(
            "system.filesystem.utilization",
            "1",
            Kind::Gauge,
            &[labels[0], labels[1], labels[2], ("type", "ext4")],
            process,
        );
        for state in ["free", "used"] {
            let process = list.walk(2_000_000, 1, 3.0, still);
            list.add("system.filesystem.inodes.usage", "{inode}", Kind::UpDown, &with(state), process);
        }
    }
}

/// 22 series.
fn network(list: &mut List) {
    for (device, busy) in [("eth0", 1.0), ("lo", 0.05)] {
        for direction in ["receive", "transmit"] {
            let labels = [("device", device), ("direction", direction)];
            let process = list.count(4e6 * busy, 1, 0.0);
            list.add("system.network.io", "By", Kind::Counter, &labels, process);
            let process = list.count(5000.0 * busy, 1, 0.0);
            list.add("system.network.packets", "{packet}", Kind::Counter, &labels, process);
            list.add("system.network.errors", "{error}", Kind::Counter, &labels, STILL);
            let process = list.count(0.01, 1, 0.99);
            list.add("system.network.dropped", "{packet}", Kind::Counter, &labels, process);
        }
    }
    for (state, mean, still) in [
        ("CLOSE_WAIT", 2, 0.9),
        ("ESTABLISHED", 180, 0.1),
        ("FIN_WAIT_2", 1, 0.9),
        ("LISTEN", 24, 1.0),
        ("SYN_SENT", 1, 0.8),
        ("TIME_WAIT", 90, 0.1),
    ] {
        let process = list.walk(mean, 1, 3.0, still);
        list.add(
            "system.network.connections",
            "{connection}",
            Kind::UpDown,
            &[("protocol", "tcp"), ("state", state)],
            process,
        );
    }
}

/// 18 series.
pub fn pod(random: &mut Random) -> Vec<Series> {
    let mut list = List { random, series: Vec::new() };
    let process = Process::Load { mean: 0.3, smooth: 0.4, decimals: 9, value: 0.3 };
    list.add("container.cpu.usage", "{cpu}", Kind::Gauge, &[], process);
    // The kubelet says nanoseconds.
    list.add("container.cpu.time", "s", Kind::Counter, &[], Process::Seconds { share: 0.3, cores: 2.0, ticks: 0 });
    for (metric, mebi, stride) in [("container.memory.usage", 700, 80.0), ("container.memory.working_set", 500, 60.0)] {
        let process = list.walk(mebi << 20, PAGE, stride, 0.1);
        list.add(metric, "By", Kind::UpDown, &[], process);
    }
    let process = list.walk(90 << 20, PAGE, 1.0, 0.9);
    list.add("container.filesystem.usage", "By", Kind::UpDown, &[], process);
    for direction in ["receive", "transmit"] {
        let process = list.count(300_000.0, 1, 0.0);
        list.add("container.network.io", "By", Kind::Counter, &[("network.io.direction", direction)], process);
    }
    let process = list.walk(6, 1, 2.0, 0.2);
    list.add(
        "http.server.active_requests",
        "{request}",
        Kind::UpDown,
        &[("http.request.method", "GET"), ("url.scheme", "http")],
        process,
    );
    for (method, status, rate, idle) in
        [("GET", "200", 40.0, 0.0), ("GET", "404", 0.3, 0.2), ("GET", "500", 0.004, 0.95), ("POST", "201", 8.0, 0.0)]
    {
        let process = list.count(rate, 1, idle);
        let labels = [
            ("http.request.method", method),
            ("http.response.status_code", status),
            ("http.route", "/api/v1/orders/{id}"),
        ];
        list.add("http.server.requests", "{request}", Kind::Counter, &labels, process);
    }
    for (pool, mean) in [("CodeHeap 'profiled nmethods'", 24), ("G1 Eden Space", 160), ("G1 Old Gen", 220)] {
        let process = list.walk(mean << 20, 8, (mean << 15) as f64, 0.0);
        list.add(
            "jvm.memory.used",
            "By",
            Kind::UpDown,
            &[("jvm.memory.pool.name", pool), ("jvm.memory.type", "heap")],
            process,
        );
    }
    let process = list.walk(48, 1, 1.0, 0.7);
    list.add(
        "jvm.thread.count",
        "{thread}",
        Kind::UpDown,
        &[("jvm.thread.daemon", "true"), ("jvm.thread.state", "runnable")],
        process,
    );
    list.add("k8s.container.restarts", "{restart}", Kind::Gauge, &[], STILL);
    list.add("shop.orders.refused", "{order}", Kind::Gauge, &[("reason", "stock")], Process::Sparse { chance: 0.05 });
    for series in &mut list.series {
        series.process.reset();
    }
    list.series
}

/// Senders say of every metric what it is.
pub fn description(metric: &str) -> &'static str {
    match metric {
        "system.cpu.time" => "Total seconds each logical CPU spent on each mode.",
        "system.memory.usage" => "Bytes of memory in use.",
        "system.memory.utilization" => "Percentage of memory bytes in use.",
        "system.disk.io" => "Disk bytes transferred.",
        "system.disk.operations" => "Disk operations count.",
        "system.filesystem.usage" => "Filesystem bytes used.",
        "system.network.io" => "The number of bytes transmitted and received.",
        "system.network.connections" => "The number of connections.",
        "container.memory.usage" => "Memory usage of the container.",
        "http.server.requests" => "Requests that were answered.",
        "jvm.memory.used" => "Measure of memory used.",
        _ => "",
    }
}
