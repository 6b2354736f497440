use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;

use super::World;
use crate::batch::Signal;
use crate::component::{
    ConnectorPlan, ConnectorSpec, Context, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, ExtensionPlan,
    ExtensionSpec, Grouping, ProcessorPlan, ProcessorSpec, Receiver, ReceiverPlan, ReceiverSpec, Relay, Spec,
    Stability, Stage,
};
use crate::config::{Encoding, LogLevel, Plan, Registry, Secret, Section, plan};

struct Fake(ExporterSettings);

#[async_trait]
impl ReceiverPlan for Fake {
    async fn build(&self, _: Context) -> anyhow::Result<Box<dyn Receiver>> {
        anyhow::bail!("never built")
    }
}

impl ConnectorPlan for Fake {
    fn puts_out(&self, signal: Signal) -> &'static [Signal] {
        if signal == Signal::Traces { &[Signal::Metrics] } else { &[Signal::Logs] }
    }

    fn build(&self, _: Context) -> anyhow::Result<Box<dyn Relay>> {
        anyhow::bail!("never built")
    }
}

impl ProcessorPlan for Fake {
    fn build(&self, _: Context) -> anyhow::Result<Stage> {
        Ok(Stage::Group(Grouping { timeout: self.0.timeout, send_batch_size: 1, send_batch_max_size: 0 }))
    }
}

#[async_trait]
impl ExporterPlan for Fake {
    fn settings(&self) -> ExporterSettings {
        self.0.clone()
    }

    async fn build(&self, _: Context) -> anyhow::Result<std::sync::Arc<dyn Exporter>> {
        anyhow::bail!("never built")
    }
}

impl ExtensionPlan for Fake {}

fn fake(section: &mut Section) -> Box<Fake> {
    Box::new(Fake(ExporterSettings::read(section, Duration::from_secs(5))))
}

fn plain(_: &mut Section) -> Box<Fake> {
    fake(&mut Section::parse(""))
}

static OTLP: ReceiverSpec = Spec {
    kind: "otlp",
    aliases: &[],
    summary: "",
    signals: &Signal::ALL,
    stability: Stability::Beta,
    plan: |section| {
        if let Some(mut protocols) = section.section("protocols") {
            for name in ["grpc", "http"] {
                if let Some(mut protocol) = protocols.section(name) {
                    protocol.get::<String>("endpoint");
                    protocol.get::<u64>("max_recv_msg_size_mib");
                }
            }
        }
        plain(section)
    },
};
static HOST_METRICS: ReceiverSpec = Spec {
    kind: "host_metrics",
    aliases: &["hostmetrics"],
    summary: "",
    signals: &[Signal::Metrics],
    stability: Stability::Beta,
    plan: |section| {
        section.get::<Duration>("collection_interval");
        section.sections("scrapers");
        plain(section)
    },
};
static BATCH: ProcessorSpec = Spec {
    kind: "batch",
    aliases: &[],
    summary: "",
    signals: &Signal::ALL,
    stability: Stability::Beta,
    plan: |section| {
        section.get::<Duration>("timeout");
        section.get::<u64>("send_batch_size");
        plain(section)
    },
};
static SPAN_METRICS: ConnectorSpec = Spec {
    kind: "span_metrics",
    aliases: &["spanmetrics"],
    summary: "",
    signals: &[Signal::Traces, Signal::Logs],
    stability: Stability::Beta,
    plan: |section| plain(section),
};
static OTLP_HTTP: ExporterSpec = Spec {
    kind: "otlp_http",
    aliases: &["otlphttp"],
    summary: "",
    signals: &Signal::ALL,
    stability: Stability::Beta,
    plan: |section| {
        section.required::<String>("endpoint");
        section.get::<BTreeMap<String, Secret>>("headers");
        fake(section)
    },
};
static DEBUG: ExporterSpec = Spec {
    kind: "debug",
    aliases: &[],
    summary: "",
    signals: &Signal::ALL,
    stability: Stability::Beta,
    plan: |section| {
        section.choice("verbosity", &[("basic", ()), ("normal", ()), ("detailed", ())]);
        plain(section)
    },
};
static LAKE: ExtensionSpec = Spec {
    kind: "lake",
    aliases: &[],
    summary: "",
    signals: &[],
    stability: Stability::Beta,
    plan: |section| {
        section.get::<String>("path");
        plain(section)
    },
};

const REGISTRY: Registry<'static> = Registry {
    receivers: &[&HOST_METRICS, &OTLP],
    processors: &[&BATCH],
    exporters: &[&DEBUG, &OTLP_HTTP],
    connectors: &[&SPAN_METRICS],
    extensions: &[&LAKE],
};

fn world() -> World {
    World::default().var("TOKEN", "s3cret").var("PORT", "4317")
}

fn read(yaml: &str) -> Result<Plan, String> {
    let sources = ["c.yaml".to_owned()];
    plan(&sources, &[], &world().file("c.yaml", yaml), &REGISTRY)
        .map_err(|mistakes| mistakes.iter().map(|mistake| format!("{mistake}\n")).collect())
}

const GOOD: &str = "
extensions:
  lake/a: { path: ./data }
  lake/b:
receivers:
  otlp: { protocols: { grpc: { endpoint: 'localhost:${PORT}' }, http: } }
  hostmetrics/slow: { collection_interval: 1m, scrapers: { cpu: } }
processors:
  batch:
exporters:
  otlphttp:
    endpoint: http://x
    headers: { authorization: 'Bearer ${env:TOKEN}', written: out }
  debug/unused:
service:
  extensions: [lake/b, lake/a]
  admission: { request_limit_mib: 64 }
  telemetry:
    resource: { service.name: me, service.instance.id: }
    logs: { level: WARN, encoding: json }
    metrics:
      readers:
      - pull: { exporter: { prometheus: { host: 0.0.0.0, port: 9 } } }
      - periodic: { interval: 5000, exporter: { otlp: { protocol: grpc, endpoint: 'http://y:4317' } } }
    traces:
      processors:
      - batch: { exporter: { otlp: { protocol: grpc, endpoint: 'z:4317', insecure: true } } }
  pipelines:
    metrics/host: { receivers: [otlp, hostmetrics/slow], processors: [batch], exporters: [otlphttp] }
    traces: { receivers: [otlp], exporters: [otlphttp] }
";

#[test]
fn a_good_configuration_is_planned() {
    let plan = read(GOOD).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let ids = plan.receivers.iter().map(|planned| (planned.id.as_str(), planned.spec.kind)).collect::<Vec<_>>();
    assert_eq!(ids, [("otlp", "otlp"), ("hostmetrics/slow", "host_metrics")]);
    assert_eq!(plan.exporters.len(), 1);
    assert_eq!(plan.extensions.iter().map(|planned| planned.id.as_str()).collect::<Vec<_>>(), ["lake/b", "lake/a"]);
    let pipeline = &plan.pipelines[0];
    assert_eq!((pipeline.id.as_str(), pipeline.signal), ("metrics/host", Signal::Metrics));
    assert_eq!(pipeline.receivers, ["otlp", "hostmetrics/slow"]);
    assert_eq!(
        (&pipeline.processors[..], &pipeline.exporters[..]),
        (&["batch".to_owned()][..], &["otlphttp".to_owned()][..])
    );
    let remarks = plan.remarks.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        remarks,
        ["c.yaml:14:3: warning: exporters::debug/unused: this exporter is not used\n    \
          help: list it in a pipeline, or remove it"]
    );

    assert_eq!(plan.admission, Some(64 << 20));
    let telemetry = plan.telemetry;
    assert_eq!((telemetry.log_level, telemetry.log_encoding), (LogLevel::Warn, Encoding::Json));
    assert_eq!(telemetry.prometheus, ["0.0.0.0:9"]);
    assert_eq!(telemetry.metric_exports[0].interval, Duration::from_secs(5));
    assert_eq!(telemetry.trace_exports[0].target.endpoint, "http://z:4317");
    assert_eq!(telemetry.resource["service.name"].as_deref(), Some("me"));
    assert_eq!(telemetry.resource["service.instance.id"], None);
}

#[test]
fn secrets_are_shown_as_references_or_not_at_all() {
    let plan = read(GOOD).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let (redacted, unexpanded) = (plan.redacted(), plan.unexpanded());
    assert!(redacted.contains("authorization: \"[REDACTED]\"") && redacted.contains("endpoint: localhost:4317"));
    assert!(unexpanded.contains("\"Bearer ${env:TOKEN}\"") && unexpanded.contains("written: \"[REDACTED]\""));
    assert!(!redacted.contains("s3cret") && !unexpanded.contains("s3cret"));
    assert!(plan.unredacted().contains("Bearer s3cret"));
}

#[test]
fn only_what_changed_has_another_fingerprint() {
    let prints = |yaml: &str| {
        let plan = read(yaml).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let receivers = plan.receivers.iter().map(|planned| planned.fingerprint).collect::<Vec<_>>();
        (receivers, plan.exporters[0].fingerprint)
    };
    let (before, after) = (prints(GOOD), prints(&GOOD.replace("1m", "2m").replace("written: out", "written: 'out'")));
    assert_eq!(before.0[0], after.0[0]);
    assert_ne!(before.0[1], after.0[1]);
    assert_eq!(before.1, after.1);
    // What a variable holds counts, not only how it is referred to.
    assert_ne!(before.0[0], prints(&GOOD.replace("${PORT}", "4318")).0[0]);
}

/// One file per mistake, and beside it the whole message: `c.yaml` stands for the file's name.
#[test]
fn mistakes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/testdata/mistakes");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        seen += 1;
        let yaml = std::fs::read_to_string(&path).unwrap();
        let expect = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        let got = read(&yaml).err().unwrap_or_else(|| "no mistake\n".to_owned());
        if got != expect {
            wrong.push(format!("{}\n--- expected\n{expect}--- got\n{got}", path.display()));
        }
    }
    assert!(seen >= 25, "{seen} files in {}", folder.display());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

proptest! {
    /// Lines of a good configuration, shuffled, cut and doubled: a plan or mistakes, never a panic.
    #[test]
    fn garbage_never_panics(picks in proptest::collection::vec((0usize..40, 0usize..30, 0usize..3), 0..40)) {
        let lines = GOOD.lines().collect::<Vec<_>>();
        let text = picks.iter().map(|(line, from, indent)| {
            let line = lines.get(*line).copied().unwrap_or_default();
            format!("{}{}\n", " ".repeat(*indent), line.get(*from % (line.len() + 1)..).unwrap_or_default())
        });
        if let Err(mistakes) = read(&text.collect::<String>()) {
            prop_assert!(!mistakes.is_empty());
        }
    }
}
