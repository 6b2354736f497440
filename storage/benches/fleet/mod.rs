//! A busy fleet: hosts with three pods each, 200 series a host, a scrape every 15 s; and logs and spans of the same pods.
//!
//! All of it follows from a seed. A host's series share a timestamp, whole milliseconds that are up to 4 ms after the
//! scrape's; so all stores keep the same samples, those with milliseconds too. Hosts are rebooted now and then, and services rolled
//! out: every ten minutes about 1.4% of the pods are replaced by others, whose series are new.

#![allow(dead_code)]

#[path = "../../tests/data.rs"]
mod data;
mod events;
mod series;
mod values;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, TimestampNanosecondArray,
};
use arrow::compute::filter_record_batch;
use bytes::Bytes;
use catchment_pipeline::batch::{Batch, Rows, Signal, Table};

pub(crate) use data::{DAY, SECOND};
use data::{rows, text};
use series::{Kind, Series};
use values::{Random, Step, Value};

/// Nanoseconds.
pub const INTERVAL: i64 = 15 * SECOND;
const PODS: usize = 3;
/// Scrapes between the moments at which pods and hosts are replaced.
const ROLLOUT: u64 = 40;
const REPLACED: f64 = 0.014;
const REBOOTED: f64 = 0.004;
const SERVICES: [&str; 6] = ["cart", "catalog", "checkout", "frontend", "payment", "search"];

/// A host or a pod: series of one resource.
struct Target {
    /// Canonical JSON.
    resource: String,
    scope: &'static str,
    /// When its counters began, in nanoseconds.
    started: i64,
    series: Vec<Series>,
}

struct Host {
    name: String,
    /// About 1; what its counters and gauges follow.
    load: f64,
    base: f64,
    /// Itself, then its pods.
    targets: Vec<Target>,
}

pub struct Fleet {
    hosts: Vec<Host>,
    random: Random,
    /// Of the next scrape.
    at: i64,
    scrapes: u64,
    pods: u64,
    /// All series' rows, but for times and values; `None` after series came or went.
    template: Option<RecordBatch>,
}

impl Fleet {
    /// The first scrape is at `start`, nanoseconds.
    pub fn new(seed: u64, hosts: usize, start: i64) -> Fleet {
        let mut fleet =
            Fleet { hosts: Vec::new(), random: Random::new(seed), at: start, scrapes: 0, pods: 0, template: None };
        for n in 0..hosts {
            let name = format!("node-{n:03}.eu-west-1.example.internal");
            let resource = format!(
                r#"{{"cloud.availability_zone":"eu-west-1{}","deployment.environment.name":"production","host.arch":"amd64","host.name":"{name}","k8s.cluster.name":"shop-eu","k8s.node.name":"{name}","os.type":"linux","service.name":"node"}}"#,
                ["a", "b", "c"][n % 3]
            );
            let series = series::host(&mut fleet.random);
            let target = Target { resource, scope: "hostmetrics", started: start - 3_600 * SECOND, series };
            let base = 0.3 + 1.2 * fleet.random.unit();
            let mut host = Host { name, load: base, base, targets: vec![target] };
            for pod in 0..PODS {
                host.targets.push(fleet.pod(&host.name, n * PODS + pod, start - 600 * SECOND));
            }
            fleet.hosts.push(host);
        }
        fleet
    }

    fn pod(&mut self, host: &str, place: usize, started: i64) -> Target {
        self.pods += 1;
        let service = SERVICES[place % SERVICES.len()];
        let id = self.random.bits();
        let pod = format!("{service}-{:08x}-{:05x}", id as u32, self.pods);
        let resource = format!(
            r#"{{"container.image.tag":"v1.{}","deployment.environment.name":"production","host.name":"{host}","k8s.cluster.name":"shop-eu","k8s.container.name":"{service}","k8s.namespace.name":"shop","k8s.node.name":"{host}","k8s.pod.name":"{pod}","service.instance.id":"{id:016x}","service.name":"{service}","service.namespace":"shop"}}"#,
            self.scrapes / ROLLOUT
        );
        Target { resource, scope: "kubeletstats", started, series: series::pod(&mut self.random) }
    }

    /// Nanoseconds.
    pub fn now(&self) -> i64 {
        self.at
    }

    /// The number points of the next scrape.
    pub fn scrape(&mut self) -> Rows {
        if self.scrapes > 0 && self.scrapes.is_multiple_of(ROLLOUT) {
            self.roll_out();
        }
        let hour = (self.at.rem_euclid(86_400 * SECOND)) as f64 / (3600 * SECOND) as f64;
        let daily = 1.0 + 0.5 * ((hour - 14.0) / 24.0 * std::f64::consts::TAU).cos();
        let mut columns = Columns::default();
        let random = &mut self.random;
        for host in &mut self.hosts {
            host.load += (host.base * daily - host.load) * 0.05 + 0.03 * random.normal();
            host.load = host.load.clamp(0.02, 4.0);
            let ts = self.at + random.below(5) as i64 * 1_000_000;
            let step = Step { seconds: 15.0, load: host.load };
            for target in &mut host.targets {
                columns.scrape(target, ts, random, &step);
            }
        }
        let template = self.template.get_or_insert_with(|| template(&self.hosts));
        let rows = columns.into_rows(template);
        self.at += INTERVAL;
        self.scrapes += 1;
        rows
    }

    /// Logs and spans of the scrape that was last: `n` of each a pod, on the average.
    pub fn events(&mut self, n: f64) -> (Rows, Rows) {
        let pods = self.hosts.iter().flat_map(|host| &host.targets[1..]).map(|pod| pod.resource.as_str());
        events::events(&mut self.random, &pods.collect::<Vec<_>>(), self.at - INTERVAL, n)
    }

    fn roll_out(&mut self) {
        for n in 0..self.hosts.len() {
            if self.random.chance(REBOOTED) {
                let node = &mut self.hosts[n].targets[0];
                node.started = self.at;
                node.series.iter_mut().for_each(|series| series.process.reset());
            }
            for pod in 0..PODS {
                if self.random.chance(REPLACED) {
                    let name = self.hosts[n].name.clone();
                    self.hosts[n].targets[pod + 1] = self.pod(&name, n * PODS + pod, self.at);
                    self.template = None;
                }
            }
        }
    }
}

#[derive(Default)]
struct Columns {
    there: Vec<bool>,
    time: Vec<i64>,
    start: Vec<i64>,
    ints: Vec<Option<i64>>,
    doubles: Vec<Option<f64>>,
    /// Of the target at hand.
    values: Vec<Option<Value>>,
}

impl Columns {
    fn scrape(&mut self, target: &mut Target, ts: i64, random: &mut Random, step: &Step) {
        self.values.clear();
        for series in &mut target.series {
            let mut value = series.process.next(random, step, &self.values);
            if series.metric == "system.uptime" {
                value = Some(Value::Double((ts - target.started) as f64 / SECOND as f64));
            }
            self.values.push(value);
            self.there.push(value.is_some());
            self.time.push(ts);
            self.start.push(if series.kind == Kind::Gauge { 0 } else { target.started });
            self.ints.push(if let Some(Value::Int(value)) = value { Some(value) } else { None });
            self.doubles.push(if let Some(Value::Double(value)) = value { Some(value) } else { None });
        }
    }

    fn into_rows(self, template: &RecordBatch) -> Rows {
        let schema = template.schema();
        let mut columns = template.columns().to_vec();
        let mut put = |name: &str, array: ArrayRef| {
            columns[schema.index_of(name).unwrap()] = array;
        };
        put("time_unix_nano", Arc::new(TimestampNanosecondArray::from(self.time).with_timezone("UTC")));
        put("start_time_unix_nano", Arc::new(TimestampNanosecondArray::from(self.start).with_timezone("UTC")));
        put("value_int", Arc::new(Int64Array::from(self.ints)));
        put("value_double", Arc::new(Float64Array::from(self.doubles)));
        let rows = RecordBatch::try_new(schema, columns).unwrap();
        Rows::new([(Table::Metrics, filter_record_batch(&rows, &BooleanArray::from(self.there)).unwrap())])
    }
}

fn template(hosts: &[Host]) -> RecordBatch {
    let targets = || hosts.iter().flat_map(|host| &host.targets);
    let each = || targets().flat_map(|target| target.series.iter().map(move |series| (target, series)));
    let of = |get: fn(&Series) -> &str| text(&each().map(|(_, series)| get(series)).collect::<Vec<_>>());
    let kinds = || each().map(|(_, series)| series.kind);
    let given: [(&str, ArrayRef); 9] = [
        ("resource_attributes", text(&each().map(|(target, _)| target.resource.as_str()).collect::<Vec<_>>())),
        ("scope_name", text(&each().map(|(target, _)| target.scope).collect::<Vec<_>>())),
        ("metric_name", of(|series| series.metric)),
        ("description", of(|series| series::description(series.metric))),
        ("unit", of(|series| series.unit)),
        ("attributes", of(|series| &series.attributes)),
        (
            "metric_type",
            text(&kinds().map(|kind| if kind == Kind::Gauge { "gauge" } else { "sum" }).collect::<Vec<_>>()),
        ),
        (
            "aggregation_temporality",
            Arc::new(kinds().map(|kind| if kind == Kind::Gauge { 0 } else { 2 }).collect::<Int32Array>()),
        ),
        ("is_monotonic", Arc::new(kinds().map(|kind| Some(kind == Kind::Counter)).collect::<BooleanArray>())),
    ];
    let template = rows(Table::Metrics, each().count(), &given);
    // An edit that changes something makes the identities be computed.
    let marked = Rows::new([(Table::Metrics, template)]);
    let edit = |rows: &Rows, to: &str| rows.map_dictionary("scope_version", |_, _| Some(to.to_owned())).unwrap();
    edit(&edit(&marked, "0"), "0.160.0").table(Table::Metrics).unwrap().clone()
}

/// Real metrics: requests in a file of the `file` exporter (`format: proto`, `compression: zstd`).
pub fn recording(file: &Path) -> impl Iterator<Item = Rows> + use<> {
    requests(file).map(|otlp| Batch::from_otlp(Signal::Metrics, otlp.into()).unwrap().rows().clone())
}

/// The same as they are.
pub fn requests(file: &Path) -> impl Iterator<Item = Vec<u8>> + use<> {
    let mut bytes = Bytes::from(std::fs::read(file).unwrap());
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(bytes.get(..4)?.try_into().unwrap()) as usize;
        let record = bytes.get(4..4 + length).map(|record| bytes.slice_ref(record))?;
        bytes = bytes.slice(4 + length..);
        Some(zstd::decode_all(&record[..]).unwrap())
    })
}
