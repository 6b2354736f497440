//! `alerting`: rules over the lake, and who is told of what they find. A connector: ends pipelines of metrics, logs and traces, and begins those of alerts,
//! whose exporters are the channels. `docs/alerting.md`.
//!
//! ```yaml
//! alerting:
//!   rule_files: [rules/*.yaml]
//!   groups:
//!     - name: hosts
//!       interval: 30s
//!       rules:
//!         - alert: DiskFull
//!           expr: SELECT host_name, mountpoint, max(value) AS value FROM "system.filesystem.utilization" WHERE $range GROUP BY 1, 2 HAVING max(value) > 0.9
//!           for: 5m
//!           labels: { severity: page }
//!           annotations: { summary: '{{ $labels.mountpoint }} of {{ $labels.host_name }} is {{ $value | humanizePercentage }} full' }
//!         - { metric: system.cpu.utilization, condition: greater_than, threshold: 0.85, for: 10m, channels: [email] }
//! ```
//!
//! What decides is a relay, and pure: `rules` and `policy`. What looks is its source: `evaluator`. Both are made of the same rules, which are read
//! when the connector is built.

mod decide;
mod evaluator;
mod policy;
mod rules;
mod settings;
mod template;
pub mod unit;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use catchment_pipeline::alerts::{Event, Input};
use catchment_pipeline::batch::build::{Interval, Kind, Number, PointsBuilder, Series};
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{
    ConnectorPlan, ConnectorSpec, Context, Out, Receiver, Relay, Spec, Stability, Tally,
};
use catchment_pipeline::config::Section;
use tokio::sync::watch;

use crate::state::{nanos, time};
use decide::Decider;
use evaluator::Source;
use policy::Policy;
use rules::{Group, Machine, Recorded};
use settings::Settings;

/// Events of one batch.
const EVENTS: usize = 500;

pub static SPEC: ConnectorSpec = Spec {
    kind: "alerting",
    aliases: &[],
    summary: "Watches the lake by rules, and tells who is to be told",
    signals: &[Signal::Metrics, Signal::Logs, Signal::Traces],
    stability: Stability::Beta,
    plan,
};

fn plan(section: &mut Section) -> Box<dyn ConnectorPlan> {
    let settings = Arc::new(settings::read(section));
    let policy = Arc::new(policy::Settings::read(section));
    let rules = settings.groups.iter().flat_map(|group| &group.rules).filter_map(|rule| rule.alerting());
    let bound = rules.flat_map(|alerting| alerting.channels.iter().cloned());
    // A rule's channel may be a receiver's name.
    let bound = bound.flat_map(|name| policy.receiver(&name).channels);
    let mut exporters: Vec<String> = policy.names_exporters().into_iter().chain(bound).collect();
    exporters.sort();
    exporters.dedup();
    Box::new(Plan { settings, policy, exporters, shared: Mutex::default() })
}

struct Plan {
    settings: Arc<Settings>,
    policy: Arc<policy::Settings>,
    /// Named by routes, receivers and rules.
    exporters: Vec<String>,
    /// Of the relay that was built last: what its source works with.
    shared: Mutex<Option<Arc<Shared>>>,
}

/// What the relay and whoever looks have in common.
struct Shared {
    groups: Vec<Group>,
    decider: Mutex<Decider>,
    /// When the relay was told something last, in nanoseconds.
    heard: watch::Sender<i64>,
}

impl Shared {
    fn decider(&self) -> MutexGuard<'_, Decider> {
        lock(&self.decider)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl ConnectorPlan for Plan {
    fn puts_out(&self, _: Signal) -> &'static [Signal] {
        &[Signal::Alerts, Signal::Metrics]
    }

    fn names_exporters(&self) -> Vec<&str> {
        self.exporters.iter().map(String::as_str).collect()
    }

    fn build(&self, context: Context) -> anyhow::Result<Box<dyn Relay>> {
        let settings::Loaded { groups, mistakes } = settings::load(&self.settings);
        if !mistakes.is_empty() {
            anyhow::bail!("rules that cannot be used:\n{}", mistakes.join("\n"));
        }
        let machine = Machine::new(self.settings.global.clone(), &groups);
        let decider = Decider::new(machine, Policy::new(self.policy.clone()));
        let shared = Arc::new(Shared { groups, decider: Mutex::new(decider), heard: watch::Sender::new(0) });
        *lock(&self.shared) = Some(shared.clone());
        Ok(Box::new(Alerting { shared, tally: context.tally }))
    }

    fn has_source(&self) -> bool {
        true
    }

    async fn source(&self, context: Context) -> anyhow::Result<Option<Box<dyn Receiver>>> {
        let Some(shared) = lock(&self.shared).clone() else { return Ok(None) };
        let source = Source::new(context, shared, self.settings.as_data_arrives)?;
        Ok(Some(Box::new(source)))
    }

    fn keeps_state(&self) -> bool {
        true
    }
}

struct Alerting {
    shared: Arc<Shared>,
    tally: Arc<Tally>,
}

impl Alerting {
    fn put_out(&self, mut decider: MutexGuard<'_, Decider>, now: i64, out: &mut Out) {
        let (events, recorded) = decider.take_out();
        drop(decider);
        for events in events.chunks(EVENTS) {
            out.push(Event::batch(events, now));
        }
        self.tally.put_in("alerts", events.len());
        self.tally.put_in("recorded", recorded.len());
        if !recorded.is_empty() {
            out.push(points(&recorded));
        }
    }
}

impl Relay for Alerting {
    fn process(&mut self, batch: Batch, now: SystemTime, out: &mut Out) {
        if batch.signal() != Signal::Alerts {
            // The lake has it, and rules ask the lake.
            self.tally.take_out("looked_at", batch.items());
            return;
        }
        self.tally.take_out("decided", batch.items());
        let now = nanos(now);
        let mut decider = self.shared.decider();
        Input::read(&batch).into_iter().for_each(|input| decider.input(now, input));
        self.put_out(decider, now, out);
        self.shared.heard.send_replace(now);
    }

    fn due(&self) -> Option<SystemTime> {
        self.shared.decider().due().map(time)
    }

    fn tick(&mut self, now: SystemTime, out: &mut Out) {
        let now = nanos(now);
        let mut decider = self.shared.decider();
        decider.tick(now);
        self.put_out(decider, now, out);
    }

    fn save(&self, state: &mut Vec<u8>) {
        self.shared.decider().save(state);
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        self.shared.decider().restore(state)
    }
}

/// What recording rules gave, as gauges.
fn points(recorded: &[Recorded]) -> Batch {
    let mut points = PointsBuilder::default();
    for sample in recorded {
        let labels = sample.labels.iter().map(|(name, value)| {
            let name = if name.starts_with('$') { format!("${name}") } else { name.to_owned() };
            (name, serde_json::Value::from(value))
        });
        let attributes = serde_json::Value::Object(labels.collect()).to_string();
        let series = Series { name: &sample.name, attributes: &attributes, ..Series::default() };
        let at = Interval { start: 0, time: sample.at };
        points.number(&series, at, Kind::Gauge, Number::Double(sample.value), &[]);
    }
    points.finish().unwrap_or_else(|error| {
        tracing::error!(%error, "data lost: recorded samples do not fit one batch");
        Batch::concat(&[])
    })
}
