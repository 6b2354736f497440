//! What a day of a host's metrics at 10 s takes in memory and on disk.
//!
//! Recorded scrapes, one for every 10 s of the last day, over and over until it is full, are sent as fast as they are taken; then memory is
//! looked at when nothing is left to do, and again in a process that opens the same lake.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, metric};
use prost::Message;

use super::harness::{Catchment, grpc, lake_config, resident};
use super::{fleet, mib, settled};

const STEP: u64 = 10_000_000_000;
const SCRAPES: u64 = 8_640;

pub async fn run() {
    let Some(recordings) = std::env::var_os("RECORDING") else {
        println!("day: RECORDING names no recording of a host");
        return;
    };
    let recordings = recordings.to_string_lossy().split(',').map(PathBuf::from).collect::<Vec<_>>();
    let dir = tempfile::tempdir().unwrap();
    // Maintenance looks for work often, so that it is done when the process rests.
    let config = lake_config(dir.path(), "").replace("lake: { path:", "lake: { maintenance: { interval: 2s }, path:");
    let catchment = Catchment::start(&config);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let begin = (now - SCRAPES * STEP) / STEP * STEP;
    let client = grpc::client();
    let (mut points, mut peak) = (0, 0);
    for file in &recordings {
        let scrapes = fleet::requests(file).collect::<Vec<_>>();
        let first = Scrape::read(&scrapes[0]).time();
        for n in 0..SCRAPES {
            let mut scrape = Scrape::read(&scrapes[n as usize % scrapes.len()]);
            points += scrape.move_to(begin + n * STEP, begin.wrapping_sub(first));
            let frame = grpc::frame(&scrape.0.encode_to_vec());
            while !grpc::export(&client, catchment.address("otlp/grpc"), frame.clone()).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            peak = peak.max(resident(catchment.pid()));
        }
    }
    // The last flush is due a minute after the one before.
    tokio::time::sleep(Duration::from_secs(65)).await;
    settled(catchment.pid()).await;
    let rows = catchment.sql("SELECT count(*) FROM metrics").await[0][0].clone();
    let series = catchment.sql("SELECT count(*) FROM series").await[0][0].clone();
    println!(
        "day: {SCRAPES} scrapes of {} recordings: {points} points, {rows} rows of {series} series",
        recordings.len()
    );
    println!("  peak while it was sent as fast as it was taken {:.1} MiB", peak as f64 / f64::from(1 << 20));
    println!("  at rest {:.1} MiB", mib(catchment.pid()));
    let panel = "SELECT date_bin(INTERVAL '5 minutes', ts), avg(value) FROM metrics WHERE metric_name = 'system.cpu.utilization' GROUP BY 1";
    catchment.sql(panel).await;
    println!("  after a panel of the whole day {:.1} MiB", mib(catchment.pid()));
    assert_eq!(catchment.stop(), Some(0));
    println!("  on disk {:.2} MiB, of it `metrics` {:.2}", bytes(dir.path()), bytes(&dir.path().join("metrics")));
    let catchment = Catchment::start(&config);
    settled(catchment.pid()).await;
    println!("  a process that opens that lake, at rest {:.1} MiB", mib(catchment.pid()));
    catchment.sql(panel).await;
    println!("  and after the panel {:.1} MiB", mib(catchment.pid()));
}

/// MiB of all files below.
fn bytes(folder: &Path) -> f64 {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let size = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => bytes(&entry.path()),
        false => entry.metadata().unwrap().len() as f64 / f64::from(1 << 20),
    };
    entries.map(size).sum()
}

struct Scrape(ExportMetricsServiceRequest);

impl Scrape {
    fn read(otlp: &[u8]) -> Scrape {
        Scrape(ExportMetricsServiceRequest::decode(otlp).unwrap())
    }

    fn points(&mut self) -> impl Iterator<Item = &mut NumberDataPoint> {
        let scopes = self.0.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
        let metrics = scopes.flat_map(|scope| &mut scope.metrics);
        metrics.flat_map(|metric| match &mut metric.data {
            Some(metric::Data::Gauge(gauge)) => gauge.data_points.as_mut_slice(),
            Some(metric::Data::Sum(sum)) => sum.data_points.as_mut_slice(),
            _ => &mut [],
        })
    }

    fn time(mut self) -> u64 {
        self.points().next().unwrap().time_unix_nano
    }

    /// All points at one time; when counters began is moved by `by`, always the same. How many points there are.
    fn move_to(&mut self, time: u64, by: u64) -> u64 {
        let mut count = 0;
        for point in self.points() {
            point.time_unix_nano = time;
            if point.start_time_unix_nano != 0 {
                point.start_time_unix_nano = point.start_time_unix_nano.wrapping_add(by).min(time);
            }
            count += 1;
        }
        count
    }
}
