#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! prost with the official types is the oracle: `oracle` flattens its messages to one text a row, `arbitrary` makes them.

mod arbitrary;
mod malformed;
mod memory;
mod merging;
mod oracle;
#[path = "../../fuzz/properties.rs"]
pub(crate) mod properties;

use proptest::prelude::*;
use prost::Message;

use self::arbitrary::Source;
use self::oracle::rows_of;
use self::properties::{round_trip, similar};
use super::{check, decode, encode};
use crate::batch::ids::mix;
use crate::batch::{Batch, Rows, Signal};

fn request(signal: Signal, seed: &[u8]) -> Vec<u8> {
    let mut source = Source::new(seed);
    match signal {
        Signal::Metrics => source.metrics().encode_to_vec(),
        Signal::Logs | Signal::Alerts => source.logs().encode_to_vec(),
        Signal::Traces => source.traces().encode_to_vec(),
    }
}

/// A request of some hundred bytes, the same in every run; another for another `number`.
fn sample(signal: Signal, number: u64) -> Vec<u8> {
    let seeds = (0..).map(|i| (0..600u64).map(|byte| mix(number * 1000 + i, byte) as u8).collect::<Vec<_>>());
    let mut requests = seeds.map(|seed| request(signal, &seed));
    requests.find(|bytes| (300..900).contains(&bytes.len())).unwrap()
}

fn seed() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..1500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn decoding_and_encoding_keeps_every_field(seed in seed()) {
        for signal in Signal::ALL {
            round_trip(signal, &request(signal, &seed));
        }
    }

    #[test]
    fn slices_and_joins_keep_every_row(seed in seed(), size in 1usize..9) {
        for signal in Signal::ALL {
            let bytes = request(signal, &seed);
            let expected = rows_of(signal, &bytes).unwrap();
            let batch = Batch::from_otlp(signal, bytes.into()).unwrap();
            let parts = batch.split(size);
            prop_assert!(parts.iter().all(|part| part.items() <= size));
            let split = parts.iter().flat_map(|part| rows_of(signal, part.otlp()).unwrap()).collect::<Vec<_>>();
            similar(&split, &expected);
            // `otlp` was made for each part above: this joins bytes; the next, rows.
            let joined = Batch::concat(&parts);
            prop_assert_eq!(joined.items(), expected.len());
            similar(&sorted(rows_of(signal, joined.otlp()).unwrap()), &sorted(expected.clone()));
            let rows = Rows::concat(parts.iter().map(Batch::rows)).unwrap();
            similar(&rows_of(signal, Batch::from_rows(signal, rows).otlp()).unwrap(), &expected);
        }
    }
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

#[test]
fn neighbours_of_one_metric_share_its_group() {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    let bytes = arbitrary::steady_metrics(3, 5).encode_to_vec();
    let twice = [&bytes[..], &bytes[..]].concat();
    let encoded = encode(Signal::Metrics, &decode(Signal::Metrics, &twice));
    let request = ExportMetricsServiceRequest::decode(&encoded[..]).unwrap();
    assert_eq!(request.resource_metrics.len(), 1);
    let scope = &request.resource_metrics[0].scope_metrics;
    assert_eq!((scope.len(), scope[0].metrics.len()), (1, 6));
    round_trip(Signal::Metrics, &twice);
}

#[test]
fn repeated_attribute_sets_are_one_dictionary_value() {
    use arrow::array::AsArray;
    use arrow::datatypes::Int32Type;
    let bytes = arbitrary::steady_metrics(3, 5).encode_to_vec();
    let rows = decode(Signal::Metrics, &[&bytes[..], &bytes[..]].concat());
    let table = rows.table(crate::batch::Table::Metrics).unwrap();
    assert_eq!(table.num_rows(), 30);
    let values = |column| table.column_by_name(column).unwrap().as_dictionary::<Int32Type>().values().len();
    assert_eq!((values("metric_name"), values("resource_attributes")), (3, 1));
    // A set is kept from the second time on: what this process has not met before is there twice.
    assert!((5..=10).contains(&values("attributes")), "{}", values("attributes"));
}

/// Long sets bypass the cache, and more sets than it holds empty it half-way.
#[test]
fn sets_beyond_the_cache_are_kept_whole() {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    let record = |i: usize| {
        // Each comes twice: a set is kept from the second time on.
        let i = i / 2;
        let text = if i.is_multiple_of(100) { "long".repeat(2000) } else { format!("value {i}") };
        let value = Some(AnyValue { value: Some(Value::StringValue(text)) });
        let attributes = vec![KeyValue { key: "k".into(), value, ..Default::default() }];
        LogRecord { time_unix_nano: i as u64 + 1, attributes, ..Default::default() }
    };
    let scope = ScopeLogs { log_records: (0..132_000).map(record).collect(), ..Default::default() };
    let resource_logs = vec![ResourceLogs { scope_logs: vec![scope], ..Default::default() }];
    round_trip(Signal::Logs, &ExportLogsServiceRequest { resource_logs }.encode_to_vec());
}

/// Computed apart, with the reference XXH3 (Python's `xxhash`), after `crate::batch::ids`: stored data depends on them.
#[test]
fn ids_are_stable() {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    let bytes = arbitrary::steady_metrics(1, 1).encode_to_vec();
    let rows = decode(Signal::Metrics, &bytes);
    let table = rows.table(crate::batch::Table::Metrics).unwrap();
    let id = |column: &str| table.column_by_name(column).unwrap().as_primitive::<Int64Type>().value(0);
    assert_eq!(id("resource_id"), RESOURCE_ID);
    assert_eq!(id("series_id"), SERIES_ID);
    let edited = rows.map_dictionary("resource_attributes", |_, _| Some(r#"{"service.name":"other"}"#.into())).unwrap();
    let back = edited.map_dictionary("resource_attributes", |_, _| Some(r#"{"service.name":"shop"}"#.into())).unwrap();
    let table = edited.table(crate::batch::Table::Metrics).unwrap();
    assert_ne!(table.column(0).as_primitive::<Int64Type>().value(0), RESOURCE_ID);
    assert_ne!(table.column(10).as_primitive::<Int64Type>().value(0), SERIES_ID);
    let table = back.table(crate::batch::Table::Metrics).unwrap();
    assert_eq!(table.column(0).as_primitive::<Int64Type>().value(0), RESOURCE_ID);
    assert_eq!(table.column(10).as_primitive::<Int64Type>().value(0), SERIES_ID);
}

const RESOURCE_ID: i64 = 7068590706844117534;
const SERIES_ID: i64 = 3929347666730477421;
