//! Lists, names and configurations.

use std::collections::BTreeSet;

use catchment_pipeline::component::{ConnectorSpec, ExporterSpec, ExtensionSpec, ProcessorSpec, ReceiverSpec, Spec};
use catchment_pipeline::config::Section;

const RECEIVERS: &[&ReceiverSpec] = catchment_receivers::SPECS;
const PROCESSORS: &[&ProcessorSpec] = catchment_processors::SPECS;
const CONNECTORS: &[&ConnectorSpec] = catchment_processors::CONNECTORS;
const EXPORTERS: &[&ExporterSpec] = catchment_exporters::SPECS;
const NO_EXTENSIONS: &[&ExtensionSpec] = &[];

#[test]
fn lists_are_sorted_and_names_are_told_apart() {
    fn check<P: ?Sized>(specs: &[&'static Spec<P>]) {
        assert!(specs.is_sorted_by_key(|spec| spec.kind), "sort the list by kind");
        let mut names = BTreeSet::new();
        for spec in specs {
            for name in std::iter::once(&spec.kind).chain(spec.aliases) {
                assert!(names.insert(*name), "{name} is there twice");
                let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                assert!(!name.is_empty() && name.chars().all(good), "{name}: lower case, digits and _");
            }
            let summary = spec.summary;
            assert!(!summary.is_empty() && summary.len() <= 120 && !summary.contains('\n'), "{}: {summary}", spec.kind);
            assert!(!summary.ends_with('.'), "{}: a summary is a line, not a sentence", spec.kind);
            assert!(!spec.signals.is_empty() && spec.signals.is_sorted(), "{}", spec.kind);
        }
    }
    check(RECEIVERS);
    check(PROCESSORS);
    check(CONNECTORS);
    check(EXPORTERS);
    assert!(NO_EXTENSIONS.is_empty());
}

#[test]
fn every_example_is_taken_and_is_about_a_component() {
    fn check<P: ?Sized>(role: &str, specs: &[&'static Spec<P>]) {
        for spec in specs {
            let yaml = super::example(role, spec.kind)
                .replace("SINK_GRPC", "4317")
                .replace("SINK_HTTP", "4318")
                .replace("SINK_SMTP", "4318");
            let mut section = Section::parse(&yaml);
            let _plan = (spec.plan)(&mut section);
            assert_eq!(section.mistakes(), Vec::<String>::new(), "{role} {}", spec.kind);
        }
        let kinds: Vec<&str> = super::EXAMPLES.iter().filter(|(r, ..)| *r == role).map(|(_, kind, _)| *kind).collect();
        assert_eq!(kinds, specs.iter().map(|spec| spec.kind).collect::<Vec<_>>());
    }
    check("receiver", RECEIVERS);
    check("processor", PROCESSORS);
    check("connector", CONNECTORS);
    check("exporter", EXPORTERS);
}

/// Each key of the example in turn gets a value of the wrong sort, and the whole section too.
#[test]
fn wrong_configurations_are_mistakes_with_a_mend() {
    fn mistakes<P: ?Sized>(spec: &'static Spec<P>, yaml: &str) -> Vec<String> {
        let mut section = Section::parse(yaml);
        let _plan = (spec.plan)(&mut section);
        section.mistakes()
    }
    fn check<P: ?Sized>(specs: &[&'static Spec<P>]) {
        for spec in specs {
            for yaml in ["[1, 2]", "just a text", "12"] {
                assert!(!mistakes(spec, yaml).is_empty(), "{} takes {yaml:?}", spec.kind);
            }
            let unknown = mistakes(spec, "no_component_has_this_key: 1").join("\n");
            assert!(unknown.contains("no_component_has_this_key"), "{}: {unknown}", spec.kind);
            for mistake in mistakes(spec, "{}") {
                assert!(mistake.contains("help:"), "{} requires something and does not say what: {mistake}", spec.kind);
            }
            // Nothing here may panic, whatever it makes of it.
            for yaml in
                ["{}", "", "~", "{timeout: -1s, endpoint: 5, protocols: 7, actions: {}, scrapers: []}", "a: &a [*a]"]
            {
                mistakes(spec, yaml);
            }
        }
    }
    check(RECEIVERS);
    check(PROCESSORS);
    check(EXPORTERS);
}
