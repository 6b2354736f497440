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
    ConnectorPlan, ConnectorSpec, ExporterPlan, ExporterSpec, ExtensionPlan, ExtensionSpec, ProcessorPlan,
    ProcessorSpec, ReceiverPlan, ReceiverSpec, Spec,
};

/// What can be configured.
#[derive(Clone, Copy)]
pub struct Registry<'a> {
    pub receivers: &'a [&'static ReceiverSpec],
    pub processors: &'a [&'static ProcessorSpec],
    pub exporters: &'a [&'static ExporterSpec],
    pub connectors: &'a [&'static ConnectorSpec],
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
    pub connectors: Vec<Planned<dyn ConnectorPlan>>,
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
    let mut connectors = define(&mut root, "connector", registry.connectors, &report);
    connectors.no_namesakes(&receivers, &report);
    connectors.no_namesakes(&exporters, &report);

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
                    receivers: receivers.wire(&mut section, signal, &connectors, &report),
                    processors: processors.wire(&mut section, signal, &connectors, &report),
                    exporters: exporters.wire(&mut section, signal, &connectors, &report),
                    id,
                });
            }
        }
    }
    join(&mut connectors, &pipelines, &report);
    drop(root);

    let (receivers, processors) = (receivers.used(&report), processors.used(&report));
    let (exporters, connectors) = (exporters.used(&report), connectors.used(&report));
    let extensions = extensions.used(&report);
    let remarks = report.mistakes();
    if remarks.iter().any(|mistake| mistake.severity == Severity::Error) {
        return Err(remarks);
    }
    let secrets = report.secrets();
    Ok(Plan {
        receivers,
        processors,
        exporters,
        connectors,
        extensions,
        pipelines,
        telemetry,
        admission,
        remarks,
        loaded,
        secrets,
    })
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
    fn wire(
        &mut self,
        pipeline: &mut Section,
        signal: Signal,
        connectors: &Defined<dyn ConnectorPlan>,
        report: &Report,
    ) -> Vec<String> {
        let key = format!("{}s", self.role);
        let listed = names(pipeline, &key);
        if listed.is_empty() && self.role != "processor" {
            let what = format!("must have at least one {}", self.role);
            pipeline.mistake("", what, format!("add {key}: [...]"));
        }
        let path = pipeline.path().to_owned();
        // Connectors are looked at when all pipelines are known.
        let joins = |id: &str| self.role != "processor" && connectors.components.iter().any(|one| one.id == id);
        let own: Vec<_> = listed.iter().filter(|(id, _)| !joins(id)).cloned().collect();
        self.refer_all(&path, &own, report);
        for (id, place) in &own {
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

    /// A pipeline's lists name receivers, exporters and connectors alike.
    fn no_namesakes<Q: ?Sized>(&self, others: &Defined<Q>, report: &Report) {
        for own in self.components.iter().filter(|own| others.components.iter().any(|other| other.id == own.id)) {
            let what =
                format!("\"{}\" is also the id of an {}", own.id, others.role).replace("an receiver", "a receiver");
            report.error(
                &own.place,
                &format!("{}s::{}", self.role, own.id),
                what,
                "give one of them another name: type/name",
            );
        }
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
    // The log calls what is between the stages of a pipeline `pipeline#processor`.
    let well_formed = !id.ends_with('/') && !id.contains(|c: char| c.is_whitespace() || c == '#');
    if signal.is_none() || !well_formed {
        let known = Signal::ALL.map(Signal::name);
        let (what, mend) = match well_formed {
            true => (format!("unknown signal \"{kind}\""), suggest(kind, known, "signals")),
            false => {
                (format!("\"{id}\" is not a valid id"), "write signal or signal/name, no spaces and no #".to_owned())
            }
        };
        report.error(place, path, what, mend);
        return None;
    }
    signal
}

/// Every connector ends pipelines and begins others, of signals that it carries; none feeds itself.
fn join(connectors: &mut Defined<dyn ConnectorPlan>, pipelines: &[Pipeline], report: &Report) {
    let ends = |id: &str| {
        pipelines.iter().filter(|pipeline| pipeline.exporters.iter().any(|one| one == id)).collect::<Vec<_>>()
    };
    let begins = |id: &str| {
        pipelines.iter().filter(|pipeline| pipeline.receivers.iter().any(|one| one == id)).collect::<Vec<_>>()
    };
    let ids: BTreeSet<String> = connectors.components.iter().map(|connector| connector.id.clone()).collect();
    let mut loops = BTreeSet::new();
    for connector in &mut connectors.components {
        let (id, place) = (&connector.id, &connector.place);
        let path = format!("connectors::{id}");
        let (from, to) = (ends(id), begins(id));
        connector.used = !from.is_empty() || !to.is_empty();
        let sends_by_itself = connector.planned.as_ref().is_some_and(|planned| planned.plan.has_source());
        let missing = match (from.is_empty(), to.is_empty()) {
            (false, true) => Some(("nothing receives from it", "receivers")),
            (true, false) if !sends_by_itself => Some(("no pipeline sends to it", "exporters")),
            _ => None,
        };
        if let Some((what, list)) = missing {
            let mend = format!("list it among the {list} of a pipeline too: a connector joins two");
            report.error(place, &path, format!("connector \"{id}\" is wired at one end only: {what}"), mend);
        }
        let Some(planned) = &connector.planned else { continue };
        let carried = planned.spec.signals;
        for pipeline in from.iter().filter(|pipeline| !carried.contains(&pipeline.signal)) {
            let names = carried.iter().map(|signal| signal.name()).collect::<Vec<_>>().join(", ");
            let what = format!("connector \"{id}\" cannot end pipeline \"{}\"", pipeline.id);
            report.error(place, &path, what, format!("list it among exporters of pipelines of: {names}"));
        }
        for pipeline in planned.plan.sends_to() {
            if !to.iter().any(|begun| begun.id == pipeline) && !to.is_empty() {
                let what = format!("connector \"{id}\" sends to \"{pipeline}\", which does not receive from it");
                let known = to.iter().map(|begun| begun.id.as_str());
                let mend = suggest(pipeline, known, "pipelines that do");
                report.error(place, &path, what, mend);
            }
        }
        for exporter in planned.plan.names_exporters() {
            let known = || to.iter().flat_map(|begun| begun.exporters.iter().map(String::as_str));
            if !known().any(|id| id == exporter) && !to.is_empty() {
                let what = format!("connector \"{id}\" names exporter \"{exporter}\", which no pipeline after it has");
                report.error(
                    place,
                    &path,
                    what,
                    suggest(exporter, known(), "exporters of pipelines that receive from it"),
                );
            }
        }
        let ended =
            from.iter().map(|pipeline| pipeline.signal).chain(carried.iter().copied().filter(|_| sends_by_itself));
        let out: BTreeSet<Signal> = ended.flat_map(|signal| planned.plan.puts_out(signal)).copied().collect();
        for pipeline in to.iter().filter(|pipeline| !out.is_empty() && !out.contains(&pipeline.signal)) {
            let names = out.iter().map(|signal| signal.name()).collect::<Vec<_>>().join(", ");
            let what = format!("connector \"{id}\" cannot begin pipeline \"{}\"", pipeline.id);
            report.error(place, &path, what, format!("what it puts out is of: {names}"));
        }
        // Every pipeline that data can get to from here.
        let (mut reached, mut next) = (BTreeSet::new(), vec![id.clone()]);
        while let Some(one) = next.pop() {
            for pipeline in begins(&one) {
                for exporter in pipeline.exporters.iter().filter(|exporter| ids.contains(*exporter)) {
                    if reached.insert(exporter.clone()) {
                        next.push(exporter.clone());
                    }
                }
            }
        }
        if reached.contains(id) && loops.is_disjoint(&reached) {
            let what =
                format!("connector \"{id}\" feeds itself: {}", reached.iter().cloned().collect::<Vec<_>>().join(", "));
            report.error(place, &path, what, "take it out of one pipeline: data would go round for ever");
        }
        if reached.contains(id) {
            loops.insert(id.clone());
        }
    }
}
