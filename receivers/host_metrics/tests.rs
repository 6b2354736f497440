#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use catchment_pipeline::batch::Batch;
use catchment_pipeline::component::{Accept, Accepted, Outlet, Receiver as _, Refused};
use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, metric::Data, number_data_point::Value};

use super::host::{Kernel, keyed};
use super::receiver::plan;
use super::schedule::Tick;
use prost::Message as _;
use tokio_util::sync::CancellationToken;

/// A small machine, in the formats of proc(5): 2 CPUs, 100 ticks a second (as every Linux shows them), 4 processes.
fn machine() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let file = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    file(
        "proc/stat",
        "cpu  300 20 100 800 40 10 6 4 0 0\ncpu0 100 10 50 400 20 5 3 2 50 5\ncpu2 200 10 50 400 20 5 3 2 0 0\n\
         intr 1 2 3\nctxt 99\nbtime 1700000000\nprocesses 4321\nprocs_running 2\nprocs_blocked 1\n",
    );
    file("proc/loadavg", "0.50 1.00 2.00 1/100 4321\n");
    file("proc/uptime", "1234.56 2000.00\n");
    file(
        "proc/meminfo",
        "MemTotal: 1000 kB\nMemFree: 200 kB\nMemAvailable: 600 kB\nBuffers: 50 kB\nCached: 100 kB\nSwapCached: 0 kB\n\
         Active: 1 kB\nInactive: 1 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nDirty: 7 kB\nWriteback: 0 kB\nMapped: 1 kB\n\
         Shmem: 9 kB\nSlab: 30 kB\nSReclaimable: 10 kB\nSUnreclaim: 20 kB\nCommitted_AS: 1 kB\nVmallocTotal: 1 kB\n\
         VmallocUsed: 0 kB\nVmallocChunk: 0 kB\n",
    );
    file(
        "proc/diskstats",
        " 8 0 sda 10 1 100 2000 20 2 200 4000 3 5000 6000 0 0 0 0\n 7 0 loop0 1 0 8 1 0 0 0 0 0 1 1 0 0 0 0\n",
    );
    file(
        "proc/net/dev",
        "Inter-|   Receive                                                |  Transmit\n \
         face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n \
         eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n    lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n",
    );
    let header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    let line =
        |state| format!("   0: 0100007F:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 1 1 0\n");
    file("proc/net/tcp", &format!("{header}{}{}{}", line("0A"), line("01"), line("01")));
    file("proc/net/tcp6", &format!("{header}{}", line("06")));
    file("proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1000 250 -2\n");
    file("proc/vmstat", "pgpgin 100\npgpgout 200\npswpin 3\npswpout 4\npgfault 1000\npgmajfault 10\n");
    file("proc/sys/kernel/hostname", "the-container\n");
    file("etc/hostname", "the-host\n");
    file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    for (pid, comm, letter, uid) in
        [(1, "init", 'S', 0), (7, "odd) (name", 'R', 0), (8, "gone", 'Z', 1000), (9, "kthread", 'I', 0)]
    {
        file(
            &format!("proc/{pid}/stat"),
            &format!(
                "{pid} ({comm}) {letter} 1 1 1 0 -1 4194560 500 0 5 0 150 50 0 0 20 0 3 0 1000 8192000 100 18446744073709551615 \
                 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 25 0 0 0 0 0 0 0 0 0 0\n"
            ),
        );
        file(
            &format!("proc/{pid}/status"),
            &format!("Name:\t{comm}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nSigQ:\t3/100\n"),
        );
        file(
            &format!("proc/{pid}/io"),
            "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n",
        );
    }
    file("proc/1/cmdline", "/sbin/init\0--system\0");
    root
}

/// Every point: `name{attributes} value`, with the resource's process id where there is one.
type Points = BTreeMap<String, f64>;

fn scrape(root: &Path, yaml: &str) -> (Points, Vec<ResourceMetrics>) {
    let mut section = Section::parse(&format!("root_path: {}\n{yaml}", root.display()));
    let plan = plan(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    let mut scrape = plan.open("host_metrics".into(), Arc::new(SystemTime::now)).unwrap().scrape;
    let due = (0..scrape.scrapers.len()).collect();
    let request = scrape.collect(&Tick { time: UNIX_EPOCH + Duration::from_secs(1_700_001_234), due });
    (points(&request.resource_metrics), request.resource_metrics)
}

fn points(resources: &[ResourceMetrics]) -> Points {
    let mut points = Points::new();
    for resource in resources {
        let attributes = &resource.resource.as_ref().unwrap().attributes;
        let pid = attributes.iter().find(|attribute| attribute.key == "process.pid").map(shown).unwrap_or_default();
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let data = match metric.data.as_ref().unwrap() {
                Data::Gauge(gauge) => &gauge.data_points,
                Data::Sum(sum) => &sum.data_points,
                _ => panic!("{} is neither a gauge nor a sum", metric.name),
            };
            for point in data {
                assert_eq!(point.time_unix_nano, 1_700_001_234_000_000_000, "{}", metric.name);
                let by = point.attributes.iter().map(shown).collect::<Vec<_>>().join(",");
                let value = match point.value.unwrap() {
                    Value::AsInt(value) => value as f64,
                    Value::AsDouble(value) => value,
                };
                let key = format!("{pid}{}{{{by}}}", metric.name);
                assert_eq!(points.insert(key.clone(), value), None, "{key} twice");
            }
        }
    }
    points
}

fn shown(attribute: &KeyValue) -> String {
    match attribute.value.as_ref().and_then(|value| value.value.clone()) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(int)) => format!("{int} "),
        other => panic!("{other:?}"),
    }
}

fn check(points: &Points, expected: &[(&str, f64)]) {
    for (key, value) in expected {
        let got = points.get(*key).unwrap_or_else(|| panic!("no {key} in {points:#?}"));
        assert!((got - value).abs() < 1e-9, "{key}: {got}, not {value}");
    }
}

#[test]
fn the_kernels_figures_become_the_collectors_metrics() {
    let (points, resources) = scrape(
        machine().path(),
        "scrapers: { cpu: , load: , memory: , disk: , network: , paging: , processes: , system: }",
    );
    check(
        &points,
        &[
            // Both CPUs together: `cpu` is opt-in.
            ("system.cpu.time{user}", 3.0),
            ("system.cpu.time{wait}", 0.4),
            ("system.cpu.logical.count{}", 2.0),
            ("system.cpu.load_average.15m{}", 2.0),
            ("system.memory.usage{used}", 400.0 * 1024.0),
            ("system.memory.usage{cached}", 110.0 * 1024.0),
            ("system.disk.io{sda,read}", 51_200.0),
            ("system.disk.io{sda,write}", 102_400.0),
            ("system.disk.operation_time{sda,write}", 4.0),
            ("system.disk.pending_operations{sda}", 3.0),
            ("system.disk.io_time{sda}", 5.0),
            ("system.network.io{eth0,transmit}", 2000.0),
            ("system.network.dropped{eth0,receive}", 2.0),
            ("system.network.connections{tcp,ESTABLISHED}", 2.0),
            ("system.network.connections{tcp,LISTEN}", 1.0),
            ("system.network.connections{tcp,TIME_WAIT}", 1.0),
            ("system.network.connections{tcp,CLOSING}", 0.0),
            ("system.paging.usage{/dev/sda2,free}", 750.0 * 1024.0),
            ("system.paging.operations{page_in,major}", 3.0),
            ("system.paging.faults{minor}", 990.0),
            ("system.processes.created{}", 4321.0),
            ("system.processes.count{running}", 2.0),
            ("system.processes.count{blocked}", 1.0),
            ("system.processes.count{sleeping}", 1.0),
            ("system.processes.count{idle}", 1.0),
            ("system.processes.count{zombies}", 1.0),
            ("system.uptime{}", 1234.56),
        ],
    );
    // With a root_path, the name is the host's and not the container's.
    let resource = resources[0].resource.as_ref().unwrap().attributes.iter().map(shown).collect::<Vec<_>>();
    assert_eq!(resource, ["the-host", "linux"]);
}

#[test]
fn metrics_attributes_and_filters_follow_the_configuration() {
    let yaml = "\
resource_attributes: { os.type: { enabled: false } }
scrapers:
  cpu: { metrics: { system.cpu.time: { attributes: [cpu], aggregation_strategy: max }, system.cpu.logical.count: { enabled: false } } }
  load: { cpu_average: true }
  memory: { metrics: { system.memory.usage: { enabled: false }, system.memory.limit: { enabled: true } } }
  disk: { include: { devices: ['^sd'], match_type: regexp } }
  network: { exclude: { interfaces: [lo], match_type: strict }, metrics: { system.network.connections: { enabled: false } } }
";
    let (points, _) = scrape(machine().path(), yaml);
    check(
        &points,
        &[
            ("system.cpu.time{cpu0}", 4.0),
            ("system.cpu.time{cpu2}", 4.0),
            ("system.cpu.load_average.15m{}", 1.0),
            ("system.memory.limit{}", 1000.0 * 1024.0),
            ("system.network.io{eth0,receive}", 1000.0),
        ],
    );
    let absent = ["logical", "memory.usage", "loop0", "{lo,", "connections"];
    for part in absent {
        assert!(!points.keys().any(|key| key.contains(part)), "{part}");
    }
}

#[test]
fn a_process_is_a_resource() {
    let yaml = "scrapers: { process: { exclude: { names: [gone], match_type: strict }, metrics: { process.signals_pending: { enabled: true }, process.uptime: { enabled: true } } } }";
    let (points, resources) = scrape(machine().path(), yaml);
    check(
        &points,
        &[
            ("1 process.cpu.time{user}", 1.5),
            ("1 process.cpu.time{wait}", 0.25),
            ("1 process.memory.virtual{}", 8_192_000.0),
            ("1 process.disk.io{read}", 4096.0),
            ("1 process.signals_pending{}", 3.0),
            ("1 process.uptime{}", 1224.0),
            ("7 process.cpu.time{system}", 0.5),
        ],
    );
    assert!(!points.keys().any(|key| key.starts_with("8 ")));
    let of = |pid: &str| {
        let attributes = resources.iter().map(|resource| &resource.resource.as_ref().unwrap().attributes);
        let found = attributes
            .into_iter()
            .find(|list| list.iter().any(|a| a.key == "process.pid" && shown(a).trim() == pid))
            .unwrap();
        found.iter().map(|a| format!("{}={}", a.key, shown(a).trim())).collect::<Vec<_>>()
    };
    let host = ["host.name=the-host", "os.type=linux"];
    let init = [
        "process.pid=1",
        "process.parent_pid=1",
        "process.executable.name=init",
        "process.command=/sbin/init",
        "process.command_line=/sbin/init --system",
        "process.owner=root",
    ];
    assert_eq!(of("1"), [&host[..], &init[..]].concat());
    assert!(of("7").contains(&"process.executable.name=odd) (name".to_owned()));
    // A process counts from its own start: 1000 ticks after the host's.
    let Some(Data::Sum(sum)) = &resources[0].scope_metrics[0].metrics[0].data else { panic!("not a sum") };
    assert_eq!(sum.data_points[0].start_time_unix_nano, 1_700_000_010_000_000_000);
}

#[test]
fn mistakes_are_all_named() {
    let yaml = "\
collection_interval: 0s
root_path: here
scrapers:
  cpu: { metrics: { system.cpu.tim: { enabled: true }, system.cpu.time: { attributes: [cores], aggregation_strategy: median } } }
  disk: { include: { devices: ['('], match_type: regexp }, exclude: { devices: [sda] } }
  cpus: {}
";
    let mut section = Section::parse(yaml);
    plan(&mut section);
    let mistakes = section.mistakes().join("\n");
    for part in [
        "collection_interval",
        "root_path",
        "system.cpu.tim",
        "cores",
        "median",
        "regular expression",
        "match_type",
        "cpus",
    ] {
        assert!(mistakes.contains(part), "{part} is not in\n{mistakes}");
    }
}

#[test]
fn kernel_text_is_read_as_documented() {
    let text = "pgfault 7\npgfault_a 8\nMemTotal:  12 kB\n";
    assert_eq!((keyed(text, "pgfault"), keyed(text, "MemTotal"), keyed(text, "pg")), (Some(7), Some(12), None));
    assert_eq!(Kernel::parse("cpu 1 2 3\n"), None);
}

/// Takes what is stamped :04, :10 at the second offer, never :20, and :30; then stops the receiver.
struct Moody {
    offers: Mutex<Vec<u64>>,
    shutdown: CancellationToken,
}

#[async_trait::async_trait]
impl Accept for Moody {
    async fn accept(&self, batch: Batch) -> Result<Accepted, Refused> {
        let request = ExportMetricsServiceRequest::decode(batch.otlp().clone()).unwrap();
        let Some(Data::Gauge(gauge)) = &request.resource_metrics[0].scope_metrics[0].metrics[0].data else {
            panic!("not a gauge")
        };
        let stamp = gauge.data_points[0].time_unix_nano - 1_700_000_000_000_000_000;
        assert_eq!(stamp % 1_000_000_000, 0, "a whole second");
        let mut offers = self.offers.lock().unwrap();
        let first = !offers.contains(&(stamp / 1_000_000_000));
        offers.push(stamp / 1_000_000_000);
        match stamp / 1_000_000_000 {
            20 => Err(Refused::Busy { retry_after: Duration::from_secs(3), reason: "full".into() }),
            10 if first => Err(Refused::Busy { retry_after: Duration::from_secs(1), reason: "full".into() }),
            30 => {
                self.shutdown.cancel();
                Ok(Accepted::default())
            }
            _ => Ok(Accepted::default()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_are_aligned_and_a_refused_scrape_is_offered_until_the_next() {
    let root = machine();
    let mut section = Section::parse(&format!(
        "root_path: {}\ncollection_interval: 10s\nscrapers: {{ system: }}",
        root.path().display()
    ));
    let started = tokio::time::Instant::now();
    let now = move || UNIX_EPOCH + Duration::from_millis(1_700_000_003_400) + started.elapsed();
    let receiver = plan(&mut section).open("host_metrics".into(), Arc::new(now)).unwrap();
    let shutdown = CancellationToken::new();
    let moody = Arc::new(Moody { offers: Mutex::default(), shutdown: shutdown.clone() });
    Box::new(receiver).run(Outlet::new(moody.clone()), shutdown).await.unwrap();
    assert_eq!(*moody.offers.lock().unwrap(), [4, 10, 10, 20, 20, 20, 20, 30]);
}
