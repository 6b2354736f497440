//! Telemetry of which every figure is known: ten minutes of hosts and services, as OTLP/JSON.
//!
//! | who | what |
//! |---|---|
//! | host `h1` | a point every 10 s; two CPUs 25% user, 10% system, 5% wait; restarted at 5:00, so that counters begin anew |
//! | host `h2` | a point every 60 s, as the Collector's default has it; half of its one CPU busy |
//! | `front` | explicit buckets: 10 requests/s, durations even over 0 to 0.2 s; from 3:20 on, 0.5 failures/s besides |
//! | `pay` | exponential buckets: 4 requests/s, durations even over 0 to 0.2 s |
//! | `old` | as `front`, without failures, named and measured (ms) as semantic conventions had it before |
//! | `mail` | spans only: 2 a second of 30 ms, every tenth failed |
//! | `front`, `pay` | spans besides, which must not be counted again; `front` calls `pay` |

use serde_json::{Value, json};

/// Seconds since 1970, a multiple of 10 minutes.
pub const FROM: u64 = 1_790_000_400;
pub const SECONDS: u64 = 600;
pub const RESTART: u64 = 300;
pub const FAILURES: u64 = 200;
pub const MIB: f64 = 1_048_576.0;
pub const GIB: f64 = 1_073_741_824.0;

fn nanos(at: u64) -> String {
    format!("{}000000000", FROM + at)
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<Value> {
    let one = |(key, value): &(&str, &str)| match value.parse::<i64>() {
        Ok(int) => json!({"key": key, "value": {"intValue": int.to_string()}}),
        Err(_) => json!({"key": key, "value": {"stringValue": value}}),
    };
    pairs.iter().map(one).collect()
}

fn resource(pairs: &[(&str, &str)], metrics: Vec<Value>) -> Value {
    json!({"resource": {"attributes": attributes(pairs)}, "scopeMetrics": [{"scope": {"name": "known"}, "metrics": metrics}]})
}

/// Metrics of one host under way.
struct Host {
    step: u64,
    restart: Option<u64>,
    metrics: Vec<Value>,
}

impl Host {
    fn times(&self) -> impl Iterator<Item = u64> + use<> {
        (0..=SECONDS).step_by(self.step as usize)
    }

    /// A counter that has grown by `rate` a second since the start of the host, an hour before or at the restart.
    fn counter(&mut self, name: &str, unit: &str, rate: f64, labels: &[(&str, &str)]) {
        let grown = |at: u64| match self.restart {
            Some(restart) if at >= restart => (at - restart + self.step) as f64 * rate,
            _ => (at + 3600) as f64 * rate,
        };
        let points = self
            .times()
            .map(|at| json!({"attributes": attributes(labels), "timeUnixNano": nanos(at), "asDouble": grown(at)}));
        let points = points.collect::<Vec<_>>();
        self.metrics.push(json!({"name": name, "unit": unit, "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": points}}));
    }

    fn level(&mut self, name: &str, unit: &str, value: f64, labels: &[(&str, &str)]) {
        let points = self
            .times()
            .map(|at| json!({"attributes": attributes(labels), "timeUnixNano": nanos(at), "asDouble": value}));
        let points = points.collect::<Vec<_>>();
        self.metrics.push(json!({"name": name, "unit": unit, "gauge": {"dataPoints": points}}));
    }
}

fn cpus(host: &mut Host, cpus: &[&str], states: &[(&str, f64)]) {
    for cpu in cpus {
        for (state, share) in states {
            host.counter("system.cpu.time", "s", *share, &[("cpu", cpu), ("state", state)]);
        }
    }
    host.level("system.cpu.logical.count", "{cpu}", cpus.len() as f64, &[]);
}

fn h1() -> Vec<Value> {
    let mut host = Host { step: 10, restart: Some(RESTART), metrics: Vec::new() };
    cpus(&mut host, &["cpu0", "cpu1"], &[("user", 0.25), ("system", 0.1), ("wait", 0.05), ("idle", 0.6)]);
    for (average, load) in [("1m", 3.0), ("5m", 2.0), ("15m", 1.0)] {
        host.level(&format!("system.cpu.load_average.{average}"), "{thread}", load, &[]);
    }
    for (state, gib) in [("used", 4.0), ("free", 1.0), ("cached", 2.5), ("buffered", 0.5), ("slab_reclaimable", 0.25)] {
        host.level("system.memory.usage", "By", gib * GIB, &[("state", state)]);
    }
    host.level("system.memory.limit", "By", 8.0 * GIB, &[]);
    for device in ["sda", "sda1", "loop0"] {
        for (direction, share) in [("read", 1.0), ("write", 2.0)] {
            let labels = [("device", device), ("direction", direction)];
            host.counter("system.disk.io", "By", share * MIB, &labels);
            host.counter("system.disk.operations", "{operations}", share * 10.0, &labels);
            host.counter("system.disk.operation_time", "s", share * 0.05, &labels);
        }
        host.counter("system.disk.io_time", "s", 0.2, &[("device", device)]);
    }
    for (state, gib) in [("used", 60.0), ("free", 30.0), ("reserved", 10.0)] {
        let labels = [("device", "/dev/sda1"), ("mode", "rw"), ("mountpoint", "/"), ("type", "ext4"), ("state", state)];
        host.level("system.filesystem.usage", "By", gib * GIB, &labels);
        if state != "reserved" {
            host.level("system.filesystem.inodes.usage", "{inodes}", if state == "used" { 1.0 } else { 3.0 }, &labels);
        }
    }
    for device in ["eth0", "lo"] {
        for direction in ["receive", "transmit"] {
            let labels = [("device", device), ("direction", direction)];
            host.counter("system.network.io", "By", 1000.0, &labels);
            for (name, rate) in [("packets", 10.0), ("errors", 0.0), ("dropped", 0.5)] {
                host.counter(&format!("system.network.{name}"), "{packets}", rate, &labels);
            }
        }
    }
    host.level("system.network.connections", "{connections}", 7.0, &[("protocol", "tcp"), ("state", "ESTABLISHED")]);
    host.level("system.network.connections", "{connections}", 0.0, &[("protocol", "tcp"), ("state", "CLOSING")]);
    host.counter("system.paging.operations", "{operations}", 1.0, &[("direction", "page_in"), ("type", "major")]);
    host.counter("system.paging.faults", "{faults}", 5.0, &[("type", "minor")]);
    host.level("system.processes.count", "{processes}", 120.0, &[("status", "sleeping")]);
    host.counter("system.processes.created", "{processes}", 3.0, &[]);
    host.counter("system.uptime", "s", 1.0, &[]);
    host.metrics
}

fn h2() -> Vec<Value> {
    let mut host = Host { step: 60, restart: None, metrics: Vec::new() };
    cpus(&mut host, &["cpu0"], &[("user", 0.5), ("idle", 0.5)]);
    host.level("system.cpu.load_average.1m", "{thread}", 0.5, &[]);
    for (state, gib) in [("used", 1.0), ("free", 3.0), ("cached", 0.0), ("buffered", 0.0)] {
        host.level("system.memory.usage", "By", gib * GIB, &[("state", state)]);
    }
    host.counter("system.network.io", "By", 500.0, &[("device", "eth0"), ("direction", "receive")]);
    host.metrics
}

/// A process of `h1` that uses a share of a core, half of it in the kernel.
fn process(name: &str, pid: &str, cores: f64, gib: f64) -> Value {
    let mut host = Host { step: 10, restart: Some(RESTART), metrics: Vec::new() };
    for state in ["user", "system"] {
        host.counter("process.cpu.time", "s", cores / 2.0, &[("state", state)]);
    }
    host.counter("process.cpu.time", "s", 1.0, &[("state", "wait")]);
    host.level("process.memory.usage", "By", gib * GIB, &[]);
    for direction in ["read", "write"] {
        host.counter("process.disk.io", "By", MIB, &[("direction", direction)]);
    }
    let of = [("host.name", "h1"), ("process.pid", pid), ("process.executable.name", name), ("process.owner", "root")];
    resource(&of, host.metrics)
}

const BOUNDS: [f64; 6] = [0.005, 0.05, 0.1, 0.25, 0.5, 1.0];

/// Counts by bucket of `n` durations even over 0 to 0.2 s.
fn even(n: f64) -> Vec<String> {
    let below = |bound: f64| ((bound / 0.2).min(1.0) * n).round() as u64;
    let mut counts = vec![below(BOUNDS[0])];
    counts.extend(BOUNDS.windows(2).map(|pair| below(pair[1]) - below(pair[0])));
    counts.push(0);
    counts.iter().map(u64::to_string).collect()
}

/// A cumulative explicit histogram, of `rate` requests a second since `since`.
fn explicit(name: &str, factor: f64, rate: f64, since: u64, labels: &[(&str, &str)]) -> Value {
    let bounds = BOUNDS.iter().map(|bound| bound * factor).collect::<Vec<_>>();
    let point = |at: u64| {
        let n = (at - since) as f64 * rate;
        json!({"attributes": attributes(labels), "startTimeUnixNano": nanos(since), "timeUnixNano": nanos(at), "count": format!("{n:.0}"),
            "sum": n * 0.1 * factor, "bucketCounts": even(n), "explicitBounds": bounds})
    };
    let points = (since + 10..=SECONDS).step_by(10).map(point).collect::<Vec<_>>();
    let unit = if factor == 1.0 { "s" } else { "ms" };
    json!({"name": name, "unit": unit, "histogram": {"aggregationTemporality": 2, "dataPoints": points}})
}

/// At this scale neighbouring bounds of exponential buckets lie by this factor apart.
const SCALE: i32 = 3;
pub const BASE: f64 = 1.090_507_732_665_257_7;

/// 4 requests a second, counted in exponential buckets; its counts are whole by being many.
fn exponential(labels: &[(&str, &str)]) -> Value {
    // From 0.2 s down over twenty buckets; what lies below is in the lowest.
    let (lowest, highest) = (-38, -19);
    let upper = |index: i32| BASE.powi(index + 1);
    let point = |at: u64| {
        let n = at as f64 * 4.0;
        let below = |bound: f64| ((bound / 0.2).min(1.0) * n).round() as i64;
        let count = |index: i32| below(upper(index)) - if index == lowest { 0 } else { below(upper(index - 1)) };
        let counts = (lowest..=highest).map(|index| count(index).to_string()).collect::<Vec<_>>();
        json!({"attributes": attributes(labels), "startTimeUnixNano": nanos(0), "timeUnixNano": nanos(at), "count": format!("{n:.0}"),
            "sum": n * 0.1, "scale": SCALE, "zeroCount": "0", "positive": {"offset": lowest, "bucketCounts": counts}})
    };
    let points = (10..=SECONDS).step_by(10).map(point).collect::<Vec<_>>();
    json!({"name": "http.server.request.duration", "unit": "s",
        "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": points}})
}

fn served(method: &'static str, route: &'static str, status: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![("http.request.method", method), ("http.route", route), ("http.response.status_code", status)]
}

pub fn metrics() -> Value {
    let name = "http.server.request.duration";
    let failed = [served("GET", "/", "500"), vec![("error.type", "500")]].concat();
    let old = [("http.method", "GET"), ("http.route", "/old"), ("http.status_code", "200")];
    let front =
        vec![explicit(name, 1.0, 10.0, 0, &served("GET", "/", "200")), explicit(name, 1.0, 0.5, FAILURES, &failed)];
    json!({"resourceMetrics": [
        resource(&[("host.name", "h1")], h1()),
        resource(&[("host.name", "h2")], h2()),
        process("busy", "7", 0.5, 2.0),
        process("idle", "8", 0.01, 0.5),
        resource(&[("service.name", "front")], front),
        resource(&[("service.name", "pay")], vec![exponential(&served("POST", "/charges", "201"))]),
        resource(&[("service.name", "old")], vec![explicit("http.server.duration", 1000.0, 10.0, 0, &old)]),
    ]})
}

/// A span of `millis`.
struct Span<'a> {
    id: u64,
    parent: Option<u64>,
    name: &'a str,
    kind: u8,
    at: u64,
    millis: u64,
    failed: bool,
}

impl Span<'_> {
    /// Spans whose ids differ in the last digit only are of one trace.
    fn json(&self) -> Value {
        let Span { id, name, kind, at, millis, .. } = self;
        json!({"traceId": format!("{:032x}", id / 16 + 1), "spanId": format!("{id:016x}"),
            "parentSpanId": self.parent.map(|id| format!("{id:016x}")).unwrap_or_default(), "name": name, "kind": kind,
            "startTimeUnixNano": nanos(*at), "endTimeUnixNano": format!("{}{millis:03}000000", FROM + at),
            "status": if self.failed { json!({"code": 2, "message": "refused"}) } else { json!({}) }})
    }
}

fn id(at: u64, n: u64) -> u64 {
    (at + 1) * 16 + n
}

pub fn traces() -> Value {
    let of = |service: &str, spans: Vec<Span>| {
        let spans = spans.iter().map(Span::json).collect::<Vec<_>>();
        json!({"resource": {"attributes": attributes(&[("service.name", service)])},
            "scopeSpans": [{"scope": {"name": "known"}, "spans": spans}]})
    };
    let mail = (0..SECONDS).flat_map(|at| {
        (0..2).map(move |n| {
            let failed = (2 * at + n) % 10 == 0;
            Span { id: id(at, n), parent: None, name: "process orders", kind: 5, at, millis: 30, failed }
        })
    });
    let front = (0..SECONDS).flat_map(|at| {
        let served = Span { id: id(at, 5), parent: None, name: "GET /", kind: 2, at, millis: 90, failed: false };
        [served, Span { id: id(at, 6), parent: Some(id(at, 5)), name: "POST", kind: 3, at, millis: 80, failed: false }]
    });
    let pay = (0..SECONDS).map(|at| {
        let parent = Some(id(at, 6));
        Span { id: id(at, 7), parent, name: "POST /charges", kind: 2, at, millis: 70, failed: false }
    });
    json!({"resourceSpans": [of("mail", mail.collect()), of("front", front.collect()), of("pay", pay.collect())]})
}

pub fn logs() -> Value {
    let record = |at: u64| json!({"timeUnixNano": nanos(at), "severityNumber": 17, "severityText": "ERROR", "body": {"stringValue": "no answer"}});
    json!({"resourceLogs": [{"resource": {"attributes": attributes(&[("service.name", "pay")])},
        "scopeLogs": [{"scope": {"name": "known"}, "logRecords": (0..60).map(|n| record(n * 10)).collect::<Vec<_>>()}]}]})
}
