//! OTLP requests for tests, made and read with the official types: the oracle.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::SystemTime;

use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{Admission, Context, MemoryGauge, ProcessorSpec, Refused, Stage, Tally};
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
