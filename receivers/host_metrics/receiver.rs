//! The plan of `host_metrics`, and the loop that scrapes at ticks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use async_trait::async_trait;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{Context, Outlet, Receiver, ReceiverPlan, Refused};
use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use prost::Message as _;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::host::Host;
use super::instrument::text;
use super::schedule::{Schedule, Tick};
use super::scrapers::Scraper;

/// A tick that is this early is the timer's rounding, not a clock that was set back.
const EARLY: Duration = Duration::from_millis(20);

pub struct Plan {
    initial_delay: Duration,
    root: PathBuf,
    host_name: bool,
    os_type: bool,
    scrapers: Vec<Scraper>,
    intervals: Vec<Duration>,
}

pub fn plan(section: &mut Section) -> Plan {
    let interval = interval(section, Duration::from_secs(60));
    let mut plan = Plan {
        initial_delay: section.or("initial_delay", Duration::from_secs(1)),
        root: section.or("root_path", String::from("/")).into(),
        host_name: true,
        os_type: true,
        scrapers: Vec::new(),
        intervals: Vec::new(),
    };
    section.accepted("timeout", "a scrape reads the kernel's files, and waits for nobody");
    section.accepted("metadata_collection_interval", "it is about entity events, which are not made here");
    if plan.root.as_os_str().is_empty() {
        plan.root = "/".into();
    }
    if !plan.root.is_absolute() {
        section.mistake("root_path", "is not an absolute path", "write where the host's / is mounted, such as /hostfs");
    }
    if let Some(mut attributes) = section.section("resource_attributes") {
        let mut enabled = |name| attributes.section(name).is_none_or(|mut inner| inner.or("enabled", true));
        plan.host_name = enabled("host.name");
        plan.os_type = enabled("os.type");
    }
    if let Some(mut scrapers) = section.section("scrapers") {
        for name in Scraper::names() {
            let Some(mut inner) = scrapers.section(name) else { continue };
            plan.intervals.push(self::interval(&mut inner, interval));
            plan.scrapers.extend(Scraper::plan(name, &mut inner));
        }
    }
    if plan.scrapers.is_empty() {
        let known = Scraper::names().collect::<Vec<_>>().join(", ");
        section.mistake("scrapers", "no scraper is configured", format!("add some of {known}, each with a colon"));
    }
    plan
}

fn interval(section: &mut Section, default: Duration) -> Duration {
    let interval = section.or("collection_interval", default);
    if interval.is_zero() {
        section.mistake("collection_interval", "must be more than zero", "write 10s, say");
        return default;
    }
    interval
}

#[async_trait]
impl ReceiverPlan for Plan {
    async fn build(&self, context: Context) -> anyhow::Result<Box<dyn Receiver>> {
        Ok(Box::new(self.open(context.id, Arc::new(SystemTime::now))?))
    }
}

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

impl Plan {
    pub fn open(&self, id: String, now: Clock) -> anyhow::Result<HostMetrics> {
        let mut host = Host::open(&self.root).with_context(|| format!("root_path {}", self.root.display()))?;
        let resource = self.resource(&mut host);
        let scrape = Scrape { host, resource, scrapers: self.scrapers.clone() };
        let schedule = Schedule::new(self.intervals.clone());
        Ok(HostMetrics { id, initial_delay: self.initial_delay, schedule, scrape, now })
    }

    fn resource(&self, host: &mut Host) -> Vec<KeyValue> {
        // Inside a container the kernel knows only the container's name.
        let files = if self.root.parent().is_some() {
            ["etc/hostname", "proc/sys/kernel/hostname"]
        } else {
            ["proc/sys/kernel/hostname", "etc/hostname"]
        };
        let name = files.iter().find_map(|file| host.text(file).ok().map(|name| name.trim().to_owned()));
        let name = name.filter(|name| self.host_name && !name.is_empty()).map(|name| text("host.name", name));
        name.into_iter().chain(self.os_type.then(|| text("os.type", "linux"))).collect()
    }
}

pub struct HostMetrics {
    id: String,
    initial_delay: Duration,
    schedule: Schedule,
    pub scrape: Scrape,
    now: Clock,
}

/// What moves to a blocking thread and back.
pub struct Scrape {
    host: Host,
    resource: Vec<KeyValue>,
    pub scrapers: Vec<Scraper>,
}

impl Scrape {
    /// One `ExportMetricsServiceRequest` with what the scrapers that are due give.
    pub fn collect(&mut self, tick: &Tick) -> ExportMetricsServiceRequest {
        let time = tick.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let mut resource_metrics = Vec::new();
        for index in &tick.due {
            if let Some(scraper) = self.scrapers.get_mut(*index) {
                resource_metrics.extend(scraper.scrape(&mut self.host, &self.resource, time));
            }
        }
        ExportMetricsServiceRequest { resource_metrics }
    }
}

#[async_trait]
impl Receiver for HostMetrics {
    async fn run(self: Box<Self>, outlet: Outlet, shutdown: CancellationToken) -> anyhow::Result<()> {
        let HostMetrics { id, initial_delay, schedule, mut scrape, now } = *self;
        if shutdown.run_until_cancelled(tokio::time::sleep(initial_delay)).await.is_none() {
            return Ok(());
        }
        let mut dropped = Dropped { id, count: 0 };
        let mut tick = schedule.first(now());
        loop {
            let (batch, back, done) = tokio::task::spawn_blocking(move || {
                let bytes = scrape.collect(&tick).encode_to_vec();
                (Batch::from_otlp(Signal::Metrics, bytes.into()), scrape, tick)
            })
            .await?;
            (scrape, tick) = (back, done);
            let batch = batch.context("a scrape that is not OTLP")?;
            let wait = |next: &Tick| next.time.duration_since(now()).unwrap_or_default();
            // A timer that fired early must not scrape the same tick twice.
            let mut next = schedule.next(if early(tick.time, now()) { tick.time } else { now() });
            let offer = tokio::time::timeout(wait(&next), offer(&outlet, batch, &shutdown));
            dropped.note(offer.await.unwrap_or_else(|_| Err("the pipelines were busy until the next scrape".into())));
            loop {
                if shutdown.run_until_cancelled(tokio::time::sleep(wait(&next))).await.is_none() {
                    return Ok(());
                }
                let late = now().duration_since(next.time);
                if late.is_ok_and(|late| late < schedule.shortest()) || early(next.time, now()) {
                    break;
                }
                debug!(receiver = dropped.id, "the clock was set, or the machine slept: waiting for the next tick");
                next = schedule.next(now());
            }
            tick = next;
        }
    }
}

fn early(tick: SystemTime, now: SystemTime) -> bool {
    tick.duration_since(now).is_ok_and(|early| early <= EARLY)
}

/// Offers a batch until it is taken, or refused for good; once shutting down, only once more.
async fn offer(outlet: &Outlet, batch: Batch, shutdown: &CancellationToken) -> Result<(), String> {
    loop {
        match outlet.send(batch.clone()).await {
            Ok(_) => return Ok(()),
            Err(Refused::Rejected { reason }) => return Err(reason),
            Err(Refused::Busy { reason, .. }) if shutdown.is_cancelled() => return Err(reason),
            Err(Refused::Busy { retry_after, .. }) => {
                let pause = tokio::time::sleep(retry_after.max(Duration::from_millis(100)));
                shutdown.run_until_cancelled(pause).await;
            }
        }
    }
}

/// Scrapes that no pipeline took, since the last one that was.
struct Dropped {
    id: String,
    count: u64,
}

impl Dropped {
    fn note(&mut self, outcome: Result<(), String>) {
        match outcome {
            Ok(()) if self.count > 0 => {
                info!(receiver = self.id, dropped = self.count, "scrapes are taken again");
                self.count = 0;
            }
            Ok(()) => {}
            Err(reason) => {
                self.count += 1;
                if self.count == 1 {
                    warn!(
                        receiver = self.id,
                        reason, "a scrape was dropped; more that follow are counted, and said when one is taken"
                    );
                }
            }
        }
    }
}
