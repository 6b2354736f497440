//! OTLP requests for tests, made and read with the official types: the oracle.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

use std::sync::Arc;
use std::time::SystemTime;

use catchment_pipeline::batch::build::{Interval, Kind, Number, PointsBuilder, Series};
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{
    Admission, Context, MemoryGauge, Out, ProcessorSpec, Refused, Relay, Stage, Tally,
};
use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;

pub fn texts(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let text = |text: &str| Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    pairs
        .iter()
        .map(|(key, value)| KeyValue { key: (*key).to_owned(), value: text(value), ..Default::default() })
        .collect()
}

/// `key=value` of every text, sorted.
pub fn show(attributes: &[KeyValue]) -> String {
    let mut shown = attributes
        .iter()
        .map(|pair| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => format!("{}={text}", pair.key),
            Some(Value::IntValue(int)) => format!("{}={int}i", pair.key),
            Some(Value::BoolValue(bool)) => format!("{}={bool}b", pair.key),
            other => format!("{}={other:?}", pair.key),
        })
        .collect::<Vec<_>>();
    shown.sort();
    shown.join(" ")
}

/// `request` after the processor that `yaml` asks for.
pub fn process(spec: &ProcessorSpec, yaml: &str, signal: Signal, request: &impl Message) -> Batch {
    let batch = Batch::from_otlp(signal, request.encode_to_vec().into()).unwrap();
    let (mut out, _) = run(spec, yaml, batch).unwrap();
    assert_eq!(out.len(), 1);
    out.remove(0)
}

/// What comes of `batch`, and what was taken out of it.
pub fn run(spec: &ProcessorSpec, yaml: &str, batch: Batch) -> Result<(Vec<Batch>, Arc<Tally>), Refused> {
    let mut section = Section::parse(yaml);
    let plan = (spec.plan)(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    let (memory, admission) = (Arc::new(MemoryGauge::default()), Arc::new(Admission::new(1 << 20)));
    let tally = Arc::new(Tally::default());
    let context = Context { id: spec.kind.to_owned(), memory, admission, tally: tally.clone(), ..Context::default() };
    let Stage::Transform(mut processor) = plan.build(context).unwrap() else { panic!("not a transform") };
    let (signal, came) = (batch.signal(), batch.items());
    let mut out = Vec::new();
    processor.process(batch, SystemTime::UNIX_EPOCH, &mut out)?;
    let left = out.iter().map(Batch::items).sum::<usize>();
    let taken = tally.taken_out().values().sum::<u64>() as usize;
    assert_eq!(came, left + taken, "every item is accounted for");
    assert!(out.iter().all(|batch| batch.signal() == signal && !batch.is_empty()));
    Ok((out, tally))
}

/// A stage that remembers, as `yaml` asks for it.
pub fn relay(spec: &ProcessorSpec, yaml: &str) -> (Box<dyn Relay>, Arc<Tally>) {
    let mut section = Section::parse(yaml);
    let plan = (spec.plan)(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    let tally = Arc::new(Tally::default());
    let context = Context { id: spec.kind.to_owned(), tally: tally.clone(), ..Context::default() };
    let Stage::Relay(relay) = plan.build(context).unwrap() else { panic!("not a relay") };
    (relay, tally)
}

pub fn mistakes(spec: &ProcessorSpec, yaml: &str) -> String {
    let mut section = Section::parse(yaml);
    let _plan = (spec.plan)(&mut section);
    section.mistakes().join("\n")
}

/// `seconds` after 1970.
pub fn at(seconds: f64) -> SystemTime {
    crate::state::time((seconds * 1e9) as i64)
}

/// What a relay puts out for this batch.
pub fn feed(relay: &mut dyn Relay, batch: Batch, now: SystemTime) -> Vec<Batch> {
    let mut out = Out::default();
    relay.process(batch, now, &mut out);
    batches(out)
}

pub fn tick(relay: &mut dyn Relay, now: SystemTime) -> Vec<Batch> {
    let mut out = Out::default();
    relay.tick(now, &mut out);
    batches(out)
}

pub fn finish(relay: &mut dyn Relay, now: SystemTime) -> Vec<Batch> {
    let mut out = Out::default();
    relay.finish(now, &mut out);
    batches(out)
}

fn batches(mut out: Out) -> Vec<Batch> {
    out.take().into_iter().map(|(batch, _)| batch).collect()
}

/// Another of the same settings that goes on where this one is.
pub fn restarted(relay: &dyn Relay, spec: &ProcessorSpec, yaml: &str) -> (Box<dyn Relay>, Arc<Tally>) {
    let mut state = Vec::new();
    relay.save(&mut state);
    let (mut other, tally) = self::relay(spec, yaml);
    other.restore(&state).unwrap();
    let mut again = Vec::new();
    other.save(&mut again);
    assert!(state == again, "what was restored saves as it was");
    for cut in [0, 1, state.len() / 2, state.len().saturating_sub(1)] {
        assert!(state.is_empty() || self::relay(spec, yaml).0.restore(&state[..cut]).is_err());
    }
    (other, tally)
}

/// A number point, flat.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub name: String,
    pub resource: String,
    pub attributes: String,
    /// `gauge`, `sum delta monotonic`, ...
    pub kind: String,
    /// Seconds.
    pub start: f64,
    pub time: f64,
    pub value: f64,
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shown { name, attributes, kind, start, time, value, .. } = self;
        write!(f, "{name}{attributes} {kind} ({start}, {time}] {value}")
    }
}

pub fn numbers(batches: &[Batch]) -> Vec<Shown> {
    let mut shown = Vec::new();
    for batch in batches {
        let Some(rows) = batch.rows().table(catchment_pipeline::batch::Table::Metrics) else { continue };
        let rows = crate::state::columns::Numbers::new(rows).unwrap();
        for row in 0..rows.points.time.len() {
            let series = rows.points.series(row);
            let kind = match (rows.metric_type.get(row), rows.temporality[row], rows.monotonic.value(row)) {
                ("gauge", ..) => "gauge".to_owned(),
                (_, temporality, monotonic) => format!(
                    "sum {} {}",
                    ["?", "delta", "cumulative"][temporality as usize],
                    if monotonic { "monotonic" } else { "up-down" }
                ),
            };
            shown.push(Shown {
                name: series.name.to_owned(),
                resource: series.resource_attributes.to_owned(),
                attributes: series.attributes.to_owned(),
                kind,
                start: rows.points.start[row] as f64 / 1e9,
                time: rows.points.time[row] as f64 / 1e9,
                value: match rows.value(row) {
                    Some(Number::Int(int)) => int as f64,
                    Some(Number::Double(double)) => double,
                    None => f64::NAN,
                },
            });
        }
    }
    shown
}

pub fn lines(batches: &[Batch]) -> Vec<String> {
    numbers(batches).iter().map(ToString::to_string).collect()
}

/// Replayable chance.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// When the points of tests are, seconds since 1970.
pub const T: f64 = 1_000_000_000.0;

/// Seconds since [`T`].
pub fn interval(start: f64, time: f64) -> Interval {
    let nanos = |time: f64| ((T + time) * 1e9) as i64;
    Interval { start: nanos(start), time: nanos(time) }
}

pub fn sums(kind: Kind, name: &str, points: &[(f64, f64, i64)]) -> Batch {
    let mut builder = PointsBuilder::default();
    for (start, time, value) in points {
        let series = Series { name, ..Series::default() };
        builder.number(&series, interval(*start, *time), kind, Number::Int(*value), &[]);
    }
    builder.finish().unwrap()
}

/// Start, time and value of each point.
pub fn shown(batches: &[Batch]) -> Vec<(f64, f64, f64)> {
    numbers(batches).iter().map(|p| (p.start - T, p.time - T, p.value)).collect()
}
