#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use catchment_pipeline::otlp::json;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use prost::Message;
use serde_json::Value as Json;

use super::*;
use crate::testing::run;

/// What a real Collector decided about the same spans and records: `testdata/record.py`.
#[test]
fn decisions_are_those_of_the_collector() {
    let recorded: Json = serde_json::from_str(include_str!("testdata/decisions.json")).unwrap();
    let batch = |signal, request: &Json| {
        let bytes = json::parse(signal, request.to_string().as_bytes()).unwrap();
        Batch::from_otlp(signal, bytes.into()).unwrap()
    };
    let (spans, logs) = (batch(Signal::Traces, &recorded["spans"]), batch(Signal::Logs, &recorded["logs"]));
    let decisions = recorded["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 13);
    for decision in decisions {
        let config = decision["config"].as_str().unwrap();
        let (out, _) = run(&SPEC, config, spans.clone()).unwrap();
        assert_eq!(kept_spans(&out), wanted(&decision["spans"], |text| text.as_str().unwrap().to_owned()), "{config}");
        let (out, _) = run(&SPEC, config, logs.clone()).unwrap();
        let two = |pair: &Json| format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        assert_eq!(kept_logs(&out), wanted(&decision["logs"], two), "{config}");
    }
}

fn wanted(kept: &Json, text: impl Fn(&Json) -> String) -> BTreeMap<String, String> {
    kept.as_object().unwrap().iter().map(|(id, said)| (id.clone(), text(said))).collect()
}

fn kept_spans(batches: &[Batch]) -> BTreeMap<String, String> {
    let decode = |batch: &Batch| ExportTraceServiceRequest::decode(batch.otlp().clone()).unwrap().resource_spans;
    let spans = batches.iter().flat_map(decode).flat_map(|of| of.scope_spans).flat_map(|scope| scope.spans);
    spans.map(|span| (crate::actions::hex(&span.span_id), span.trace_state)).collect()
}

fn kept_logs(batches: &[Batch]) -> BTreeMap<String, String> {
    let decode = |batch: &Batch| ExportLogsServiceRequest::decode(batch.otlp().clone()).unwrap().resource_logs;
    let records = batches.iter().flat_map(decode).flat_map(|of| of.scope_logs).flat_map(|scope| scope.log_records);
    let said = |record: &opentelemetry_proto::tonic::logs::v1::LogRecord, key: &str| {
        let found = record.attributes.iter().find(|pair| pair.key == key)?;
        match found.value.as_ref()?.value.as_ref()? {
            any_value::Value::StringValue(text) => Some(text.clone()),
            _ => None,
        }
    };
    let pair = |record: opentelemetry_proto::tonic::logs::v1::LogRecord| {
        let [threshold, randomness] =
            ["sampling.threshold", "sampling.randomness"].map(|key| said(&record, key).unwrap_or_default());
        (record.time_unix_nano.to_string(), format!("{threshold} {randomness}"))
    };
    records.map(pair).collect()
}

/// The Collector's documentation: 25% is `th:c`; randomness 9b8233f7e3a151 is kept at 50%, which makes `th:0` `th:8`.
#[test]
fn the_collector_s_examples() {
    assert_eq!(decide::threshold(0.25, 4), Some(0xc0_0000_0000_0000));
    let state = State::parse("ot=th:0;rv:9b8233f7e3a151").unwrap();
    for mode in [Mode::Proportional, Mode::Equalizing] {
        let settings = Settings {
            percentage: 50.0,
            mode: Some(mode),
            hash_seed: 0,
            precision: 4,
            fail_closed: true,
            source: Source::TraceId,
            from_attribute: None,
            priority: None,
        };
        let decision = Sampler::new(&settings, false).decide(None, None, Some(state.clone()), Priority::Defer, true);
        assert!(decision.sampled);
        assert_eq!(decision.state.unwrap().to_string(), "ot=rv:9b8233f7e3a151;th:8");
    }
}

/// The specification: what a lower probability keeps, a higher one keeps.
#[test]
fn shares_are_consistent() {
    let ids = (0..1000u64).map(|i| xorshift(i + 1)).collect::<Vec<_>>();
    for mode in ["hash_seed", "proportional", "equalizing"] {
        let mut before = vec![false; ids.len()];
        for percentage in [1, 10, 25, 50, 75, 100] {
            let mut section = Section::parse(&format!(
                "{{ mode: {mode}, sampling_percentage: {percentage}, sampling_precision: 8 }}"
            ));
            let sampler = Sampler::new(&read(&mut section), false);
            let decide =
                |id: &[u8; 16]| sampler.decide(Some(id), None, Some(State::default()), Priority::Defer, true).sampled;
            let kept = ids.iter().map(decide).collect::<Vec<_>>();
            assert!(before.iter().zip(&kept).all(|(less, more)| *more || !less), "{mode} {percentage}");
            let share = kept.iter().filter(|kept| **kept).count() as f64 / 10.0;
            assert!((share - f64::from(percentage)).abs() < 5.0, "{mode} {percentage}: {share}");
            before = kept;
        }
    }
}

fn xorshift(seed: u64) -> [u8; 16] {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let (a, b) = (next(), next());
    let mut id = [0; 16];
    id[..8].copy_from_slice(&a.to_be_bytes());
    id[8..].copy_from_slice(&b.to_be_bytes());
    id
}

#[test]
fn mistakes() {
    for (yaml, expect) in [
        ("sampling_percentage: -1", "-1 is no percentage"),
        ("sampling_percentage: .inf", "no percentage"),
        ("sampling_precision: 0", "0 digits are not possible"),
        ("sampling_precision: 15", "15 digits are not possible"),
        ("mode: dice", "\"dice\" is not one of the choices"),
        ("attribute_source: record", "nothing says which attribute"),
        ("sampling_percent: 5", "did you mean \"sampling_percentage\"?"),
    ] {
        let mut section = Section::parse(yaml);
        let _settings = read(&mut section);
        assert!(section.mistakes().join("\n").contains(expect), "{yaml}: {:#?}", section.mistakes());
    }
}
