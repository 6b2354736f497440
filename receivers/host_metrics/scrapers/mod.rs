//! One file a scraper: its metrics, its keys, and how it reads the kernel's figures.

mod cpu;
mod disk;
mod filesystem;
mod load;
mod memory;
mod network;
mod paging;
mod process;
mod processes;
mod system;

use std::ops::{Deref, DerefMut};

use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::host::Host;
use super::instrument::{Declaration, Instruments};

/// The version of the semantic conventions whose names these are.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.9.0";

trait Scrape {
    fn scrape(&mut self, host: &mut Host, out: &mut Output) -> anyhow::Result<()>;
}

/// A scraper with its metrics and what it remembers between scrapes.
#[derive(Clone, Debug)]
pub struct Scraper {
    pub name: &'static str,
    instruments: Instruments,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Cpu(cpu::Cpu),
    Disk(disk::Disk),
    Filesystem(filesystem::Filesystem),
    Load(load::Load),
    Memory(memory::Memory),
    Network(network::Network),
    Paging(paging::Paging),
    Process(process::Process),
    Processes(processes::Processes),
    System(system::System),
}

type Plan = fn(&mut Section, &mut Declaration) -> Kind;

/// Sorted by name.
const SCRAPERS: &[(&str, Plan)] = &[
    ("cpu", |section, metrics| Kind::Cpu(cpu::plan(section, metrics))),
    ("disk", |section, metrics| Kind::Disk(disk::plan(section, metrics))),
    ("filesystem", |section, metrics| Kind::Filesystem(filesystem::plan(section, metrics))),
    ("load", |section, metrics| Kind::Load(load::plan(section, metrics))),
    ("memory", |section, metrics| Kind::Memory(memory::plan(section, metrics))),
    ("network", |section, metrics| Kind::Network(network::plan(section, metrics))),
    ("paging", |section, metrics| Kind::Paging(paging::plan(section, metrics))),
    ("process", |section, metrics| Kind::Process(process::plan(section, metrics))),
    ("processes", |section, metrics| Kind::Processes(processes::plan(section, metrics))),
    ("system", |section, metrics| Kind::System(system::plan(section, metrics))),
];

impl Scraper {
    pub fn names() -> impl Iterator<Item = &'static str> {
        SCRAPERS.iter().map(|(name, _)| *name)
    }

    /// Plans the scraper called `name` from its section.
    pub fn plan(name: &str, section: &mut Section) -> Option<Scraper> {
        let (name, plan) = SCRAPERS.iter().find(|(known, _)| *known == name)?;
        let mut metrics = Declaration::new(section);
        let kind = plan(section, &mut metrics);
        Some(Scraper { name, instruments: metrics.finish(), kind })
    }

    /// One scrape, its points at `time` (ns since the epoch).
    pub fn scrape(&mut self, host: &mut Host, resource: &[KeyValue], time: u64) -> Vec<ResourceMetrics> {
        let mut out =
            Output { instruments: &mut self.instruments, scraper: self.name, resource, time, taken: Vec::new() };
        let scrape: &mut dyn Scrape = match &mut self.kind {
            Kind::Cpu(scraper) => scraper,
            Kind::Disk(scraper) => scraper,
            Kind::Filesystem(scraper) => scraper,
            Kind::Load(scraper) => scraper,
            Kind::Memory(scraper) => scraper,
            Kind::Network(scraper) => scraper,
            Kind::Paging(scraper) => scraper,
            Kind::Process(scraper) => scraper,
            Kind::Processes(scraper) => scraper,
            Kind::System(scraper) => scraper,
        };
        // What was read before an error is kept.
        match scrape.scrape(host, &mut out) {
            Ok(()) => host.recovered(self.name, "scrape"),
            Err(error) => {
                host.complain(self.name, "scrape", || format!("the {} scraper failed: {error:#}", self.name));
            }
        }
        out.emit(host.boot, Vec::new());
        out.taken
    }
}

/// What a scraper fills.
struct Output<'a> {
    instruments: &'a mut Instruments,
    scraper: &'static str,
    /// The host's attributes.
    resource: &'a [KeyValue],
    /// Of this scrape, ns since the epoch.
    time: u64,
    taken: Vec<ResourceMetrics>,
}

impl Deref for Output<'_> {
    type Target = Instruments;

    fn deref(&self) -> &Instruments {
        self.instruments
    }
}

impl DerefMut for Output<'_> {
    fn deref_mut(&mut self) -> &mut Instruments {
        self.instruments
    }
}

impl Output<'_> {
    /// Ends a resource: the points since the last one belong to the host and `attributes`, and count from `start`.
    fn emit(&mut self, start: u64, attributes: Vec<KeyValue>) {
        let metrics = self.instruments.take(start, self.time);
        if metrics.is_empty() {
            return;
        }
        let attributes = self.resource.iter().cloned().chain(attributes).collect();
        let scope = InstrumentationScope {
            name: format!("catchment/host_metrics/{}", self.scraper),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        self.taken.push(ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() }],
            schema_url: SCHEMA.to_owned(),
        });
    }
}
