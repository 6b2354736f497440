//! `batch`: how many items exporters are given at once.
//!
//! Nothing is held here, before the acknowledgement: what exporters read from the durable log is grouped, so a
//! crash loses nothing that the Collector's processor would. Sizes are in items: points, log records, spans.

use std::time::Duration;

use catchment_pipeline::batch::Signal;
use catchment_pipeline::component::{Context, Grouping, ProcessorPlan, ProcessorSpec, Spec, Stability, Stage};
use catchment_pipeline::config::Section;

pub static SPEC: ProcessorSpec = Spec {
    kind: "batch",
    aliases: &[],
    summary: "Groups what exporters read from the log, up to a size and a time",
    signals: &Signal::TELEMETRY,
    stability: Stability::Beta,
    plan: |section| Box::new(Plan(read(section))),
};

struct Plan(Grouping);

fn read(section: &mut Section) -> Grouping {
    let grouping = Grouping {
        timeout: section.or("timeout", Duration::from_millis(200)),
        send_batch_size: section.or("send_batch_size", 8192),
        send_batch_max_size: section.or("send_batch_max_size", 0),
    };
    if (1..grouping.send_batch_size).contains(&grouping.send_batch_max_size) {
        let what = format!("it is below send_batch_size ({})", grouping.send_batch_size);
        section.mistake("send_batch_max_size", what, "raise it, lower send_batch_size, or write 0 for no maximum");
    }
    let no_metadata = "requests are grouped whatever their metadata: the log does not keep it";
    if section.get::<Vec<String>>("metadata_keys").is_some_and(|keys| !keys.is_empty()) {
        section.mistake("metadata_keys", no_metadata, "remove it");
    }
    section.accepted("metadata_cardinality_limit", no_metadata);
    grouping
}

impl ProcessorPlan for Plan {
    fn build(&self, _: Context) -> anyhow::Result<Stage> {
        Ok(Stage::Group(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(yaml: &str, expect: (u64, usize, usize)) {
        let mut section = Section::parse(yaml);
        let grouping = read(&mut section);
        assert_eq!(section.mistakes(), Vec::<String>::new());
        let timeout = Duration::from_millis(expect.0);
        assert_eq!(grouping, Grouping { timeout, send_batch_size: expect.1, send_batch_max_size: expect.2 });
    }

    #[test]
    fn the_collector_s_keys_and_defaults() {
        check("", (200, 8192, 0));
        check("send_batch_size: 10000\ntimeout: 10s", (10_000, 10_000, 0));
        check("send_batch_size: 10\nsend_batch_max_size: 10\nmetadata_keys: []", (200, 10, 10));
        check("timeout: 0\nsend_batch_size: 0\nsend_batch_max_size: 5", (0, 0, 5));
    }

    #[test]
    fn mistakes() {
        let mut section = Section::parse("send_batch_max_size: 10\nmetadata_keys: [tenant]\ntimout: 1s");
        read(&mut section);
        let found = section.mistakes().join("\n");
        for part in ["it is below send_batch_size (8192)", "the log does not keep it", "did you mean \"timeout\"?"] {
            assert!(found.contains(part), "{found}");
        }
    }
}
