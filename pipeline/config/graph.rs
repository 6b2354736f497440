//! The checked graph: every component planned, every pipeline wired, every mistake found in one go.

use std::collections::BTreeSet;

use super::expand::Environment;
use super::load::{Loaded, load};
use super::mistake::{Mistake, Report, Severity, suggest};
use super::node::{Entry, Node, Place, Value};
use super::print::{fingerprint, print};
use super::section::Section;
use super::telemetry::Telemetry;
use crate::batch::Signal;
use crate::component::{
    ExporterPlan, ExporterSpec, ExtensionPlan, ExtensionSpec, ProcessorPlan, ProcessorSpec, ReceiverPlan, ReceiverSpec,
    Spec,
};

/// What can be configured.
#[derive(Clone, Copy)]
pub struct Registry<'a> {
    pub receivers: &'a [&'static ReceiverSpec],
    pub processors: &'a [&'static ProcessorSpec],
    pub exporters: &'a [&'static ExporterSpec],
    pub extensions: &'a [&'static ExtensionSpec],
}

/// A component that some pipeline (or `service::extensions`) uses.
pub struct Planned<P: ?Sized + 'static> {
    /// As written: `otlp/front`.
    pub id: String,
    pub spec: &'static Spec<P>,
    pub plan: Box<P>,
    /// Equal when kind and expanded configuration are: then a reload leaves the component running.
    pub fingerprint: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// As written: `metrics`, `logs/audit`.
    pub id: String,
    pub signal: Signal,
    pub receivers: Vec<String>,
    /// In order; each pipeline gets instances of its own.
    pub processors: Vec<String>,
    pub exporters: Vec<String>,
}

/// A configuration that can be built.
pub struct Plan {
    pub receivers: Vec<Planned<dyn ReceiverPlan>>,
    pub processors: Vec<Planned<dyn ProcessorPlan>>,
    pub exporters: Vec<Planned<dyn ExporterPlan>>,
    /// In the order of `service::extensions`.
    pub extensions: Vec<Planned<dyn ExtensionPlan>>,
    pub pipelines: Vec<Pipeline>,
    pub telemetry: Telemetry,
    /// Bytes of requests that may be in flight, where the configuration says.
    pub admission: Option<u64>,
    /// Warnings and notes.
    pub remarks: Vec<Mistake>,
    pub loaded: Loaded,
    /// The paths of values that were read as secrets.
    pub secrets: BTreeSet<String>,
}

impl Plan {
    /// What runs, with every secret `[REDACTED]`.
    pub fn redacted(&self) -> String {
        print(&self.loaded.expanded, &self.secrets)
    }

    /// What was written, merged: `${...}` is still there. Secrets written out in full are `[REDACTED]`.
    pub fn unexpanded(&self) -> String {
        let referred = |path: &String| at(&self.loaded.written, path).is_some_and(|text| text.contains("${"));
        print(&self.loaded.written, &self.secrets.iter().filter(|path| !referred(path)).cloned().collect())
    }

    /// What runs, secrets included.
    pub fn unredacted(&self) -> String {
        print(&self.loaded.expanded, &BTreeSet::new())
    }
}

/// The text at `a::b[0]::c`.
fn at<'a>(node: &'a Node, path: &str) -> Option<&'a str> {
    let steps = path.split("::").flat_map(|step| step.split('[')).map(|step| step.trim_end_matches(']'));
    let found = steps.into_iter().try_fold(node, |node, step| match &node.value {
        Value::List(items) => items.get(step.parse::<usize>().ok()?),
        _ => node.get(step),
    });
    found.and_then(Node::text)
}

/// From the command line's arguments to a plan, or to everything that is wrong (warnings included).
pub fn plan(
    sources: &[String],
    sets: &[String],
    env: &dyn Environment,
    registry: &Registry<'_>,
) -> Result<Plan, Vec<Mistake>> {
    let report = Report::default();
    let Some(loaded) = load(sources, sets, env, &report) else { return Err(report.mistakes()) };
    let mut root = Section::new(&loaded.expanded, String::new(), &report);

    let mut receivers = define(&mut root, "receiver", registry.receivers, &report);
    let mut processors = define(&mut root, "processor", registry.processors, &report);
    let mut exporters = define(&mut root, "exporter", registry.exporters, &report);
    let mut extensions = define(&mut root, "extension", registry.extensions, &report);
    no_connectors(&mut root, &report);

    let mut pipelines = Vec::new();
    let mut telemetry = Telemetry::default();
    let mut admission = None;
    match root.section("service") {
        None => root.mistake("", "there is no service", "add service: { pipelines: { metrics: { ... } } }"),
        Some(mut service) => {
            let listed = names(&mut service, "extensions");
            extensions.refer_all(&service.path_of("extensions"), &listed, &report);
            extensions.in_order_of(&listed);
            telemetry = service.section("telemetry").map(Telemetry::read).unwrap_or_default();
            admission = service.section("admission").and_then(read_admission);
            for (id, place, mut section) in pipelines_of(&mut service) {
                let Some(signal) = signal_of(&id, &place, section.path(), &report) else {
                    // Its lists are fine as far as anyone can tell.
                    for key in ["receivers", "processors", "exporters"] {
                        names(&mut section, key);
                    }
                    continue;
                };
                pipelines.push(Pipeline {
                    signal,
                    receivers: receivers.wire(&mut section, signal, &report),
                    processors: processors.wire(&mut section, signal, &report),
                    exporters: exporters.wire(&mut section, signal, &report),
                    id,
                });
            }
        }
    }
    drop(root);

    let (receivers, processors) = (receivers.used(&report), processors.used(&report));
    let (exporters, extensions) = (exporters.used(&report), extensions.used(&report));
    let remarks = report.mistakes();
    if remarks.iter().any(|mistake| mistake.severity == Severity::Error) {
        return Err(remarks);
    }
    let secrets = report.secrets();
    Ok(Plan { receivers, processors, exporters, extensions, pipelines, telemetry, admission, remarks, loaded, secrets })
}

/// `admission: { request_limit_mib: 64 }`: named as in the Collector's OTel-Arrow receiver, but for all receivers together.
fn read_admission(mut section: Section) -> Option<u64> {
    let mib = section.get::<u64>("request_limit_mib")?;
    if !(1..=1 << 20).contains(&mib) {
        let mend = "write MiB from 1 to 1048576, or leave it out for a sixteenth of the memory";
        section.mistake("request_limit_mib", format!("{mib} MiB of requests cannot be in flight"), mend);
    }
    Some(mib << 20)
}

/// Everything defined under `receivers:` or one of its siblings.
struct Defined<P: ?Sized + 'static> {
    /// `receiver`, ...
    role: &'static str,
    components: Vec<Component<P>>,
}

struct Component<P: ?Sized + 'static> {
    id: String,
    place: Place,
    used: bool,
    /// `None`: a mistake was recorded; references to it are fine all the same.
    planned: Option<Planned<P>>,
}

fn define<P: ?Sized>(
    root: &mut Section,
    role: &'static str,
    specs: &[&'static Spec<P>],
    report: &Report,
) -> Defined<P> {
    let key = format!("{role}s");
    let plan_entry = |entry: &Entry| {
        let path = format!("{key}::{}", entry.key);
        let spec = spec_of(entry, role, &path, specs, report);
        let planned = spec.map(|spec| {
            let plan = (spec.plan)(&mut Section::new(&entry.value, path, report));
            Planned { id: entry.key.clone(), spec, plan, fingerprint: fingerprint(spec.kind, &entry.value) }
        });
        Component { id: entry.key.clone(), place: entry.place.clone(), used: false, planned }
    };
    Defined { role, components: root.entries(&key).iter().map(plan_entry).collect() }
}

/// What the id `type[/name]` asks for.
fn spec_of<P: ?Sized>(
    entry: &Entry,
    role: &str,
    path: &str,
    specs: &[&'static Spec<P>],
    report: &Report,
) -> Option<&'static Spec<P>> {
    let (kind, name) = match entry.key.split_once('/') {
        Some((kind, name)) => (kind, Some(name)),
        None => (entry.key.as_str(), None),
    };
    let word = kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && kind.len() <= 63
        && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let named = name.is_none_or(|name| {
        !name.is_empty() && name.len() <= 1024 && !name.contains(|c: char| c.is_whitespace() || c.is_control())
    });
    if !word || !named {
        let what = format!("\"{}\" is not a valid id", entry.key);
        report.error(&entry.place, path, what, "write type or type/name: letters, digits and _, no spaces");
        return None;
    }
    let found = specs.iter().copied().find(|spec| spec.kind == kind || spec.aliases.contains(&kind));
    if found.is_none() {
        let known = specs.iter().flat_map(|spec| std::iter::once(spec.kind).chain(spec.aliases.iter().copied()));
        let mend = suggest(kind, known, &format!("{role}s"));
        report.error(&entry.place, path, format!("unknown {role} \"{kind}\""), mend);
    }
    found
}

impl<P: ?Sized> Defined<P> {
    /// One of a pipeline's three lists.
    fn wire(&mut self, pipeline: &mut Section, signal: Signal, report: &Report) -> Vec<String> {
        let key = format!("{}s", self.role);
        let listed = names(pipeline, &key);
        if listed.is_empty() && self.role != "processor" {
            let what = format!("must have at least one {}", self.role);
            pipeline.mistake("", what, format!("add {key}: [...]"));
        }
        let path = pipeline.path().to_owned();
        self.refer_all(&path, &listed, report);
        for (id, place) in &listed {
            let role = self.role;
            let spec = self.find(id).and_then(|component| component.planned.as_ref()).map(|planned| planned.spec);
            if let Some(spec) = spec.filter(|spec| !spec.signals.contains(&signal)) {
                let what = format!("{role} \"{id}\" does not support {}", signal.name());
                let names = spec.signals.iter().map(|signal| signal.name()).collect::<Vec<_>>().join(", ");
                report.error(place, &path, what, format!("remove it here; it supports: {names}"));
            }
        }
        listed.into_iter().map(|(id, _)| id).collect()
    }

    /// Checks that what is listed is defined, and is listed once.
    fn refer_all(&mut self, path: &str, listed: &[(String, Place)], report: &Report) {
        for (index, (id, place)) in listed.iter().enumerate() {
            if listed.iter().take(index).any(|(earlier, _)| earlier == id) {
                let what = format!("references {} \"{id}\" multiple times", self.role);
                report.error(place, path, what, "list it once");
            } else if let Some(component) = self.find(id) {
                component.used = true;
            } else {
                let what = format!("references {} \"{id}\" which is not configured", self.role);
                let known = self.components.iter().map(|component| component.id.as_str());
                let mend = suggest(id, known, &format!("configured {}s", self.role));
                report.error(place, path, what, mend);
            }
        }
    }

    fn find(&mut self, id: &str) -> Option<&mut Component<P>> {
        self.components.iter_mut().find(|component| component.id == id)
    }

    fn in_order_of(&mut self, listed: &[(String, Place)]) {
        self.components.sort_by_key(|component| listed.iter().position(|(id, _)| *id == component.id));
    }

    /// What is to be built; what nothing uses is reported.
    fn used(self, report: &Report) -> Vec<Planned<P>> {
        let role = self.role;
        let (used, unused) = self.components.into_iter().partition::<Vec<_>, _>(|component| component.used);
        for component in unused {
            let path = format!("{role}s::{}", component.id);
            let mend = match role {
                "extension" => "list it in service::extensions, or remove it",
                _ => "list it in a pipeline, or remove it",
            };
            report.warning(&component.place, &path, format!("this {role} is not used"), mend);
        }
        used.into_iter().filter_map(|component| component.planned).collect()
    }
}

/// A list of ids, each with its place.
fn names(section: &mut Section, key: &str) -> Vec<(String, Place)> {
    let nodes = section.get::<Vec<Node>>(key).unwrap_or_default();
    let mut names = Vec::with_capacity(nodes.len());
    for node in nodes {
        match node.text() {
            Some(text) => names.push((text.trim().to_owned(), node.place)),
            None => section.mistake(key, format!("expected ids, got {}", node.what()), "write [a, b]"),
        }
    }
    names
}

fn pipelines_of(service: &mut Section) -> Vec<(String, Place, Section)> {
    let places = service.entries("pipelines");
    let sections = service.sections("pipelines");
    if sections.is_empty() {
        service.mistake(
            "pipelines",
            "must have at least one pipeline",
            "add metrics: { receivers: [...], exporters: [...] }",
        );
    }
    sections.into_iter().zip(places).map(|((id, section), entry)| (id, entry.place, section)).collect()
}

fn signal_of(id: &str, place: &Place, path: &str, report: &Report) -> Option<Signal> {
    let kind = id.split('/').next().unwrap_or_default();
    let signal = Signal::ALL.into_iter().find(|signal| signal.name() == kind);
    let well_formed = !id.ends_with('/') && !id.contains(char::is_whitespace);
    if signal.is_none() || !well_formed {
        let known = Signal::ALL.map(Signal::name);
        let (what, mend) = match well_formed {
            true => (format!("unknown signal \"{kind}\""), suggest(kind, known, "signals")),
            false => (format!("\"{id}\" is not a valid id"), "write signal or signal/name, no spaces".to_owned()),
        };
        report.error(place, path, what, mend);
        return None;
    }
    signal
}

/// The Collector's key is known; there is nothing yet that could stand under it.
fn no_connectors(root: &mut Section, report: &Report) {
    for entry in root.entries("connectors") {
        let path = format!("connectors::{}", entry.key);
        report.error(&entry.place, &path, format!("unknown connector \"{}\"", entry.key), "there are no connectors");
    }
}
