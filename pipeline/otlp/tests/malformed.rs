//! Bytes that are wrong: where prost refuses, we refuse; nothing panics.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use proptest::prelude::*;

use super::{check, decode, properties, request, sample, seed};
use crate::batch::{Batch, Signal};
use crate::otlp::{MAX_BYTES, MAX_DEPTH, json};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn cut_anywhere(seed in seed()) {
        for signal in Signal::ALL {
            let bytes = request(signal, &seed);
            let step = (bytes.len() / 100).max(1);
            (0..bytes.len()).step_by(step).for_each(|len| properties::bytes(signal, &bytes[..len]));
        }
    }

    #[test]
    fn any_bit_flipped(seed in seed(), flips in prop::collection::vec(any::<prop::sample::Index>(), 1..40)) {
        for signal in Signal::ALL {
            let bytes = request(signal, &seed);
            if bytes.is_empty() {
                continue;
            }
            for flip in &flips {
                let bit = flip.index(bytes.len() * 8);
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                properties::bytes(signal, &bytes);
            }
        }
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        Signal::ALL.into_iter().for_each(|signal| properties::bytes(signal, &bytes));
    }

    /// Small numbers look like tags and lengths: deeper into the decoder than fully random bytes come.
    #[test]
    fn bytes_like_protobuf(bytes in prop::collection::vec(prop_oneof![Just(0x0a), Just(0x12), 0u8..40, Just(0x3a), any::<u8>()], 0..80)) {
        Signal::ALL.into_iter().for_each(|signal| properties::bytes(signal, &bytes));
    }
}

#[test]
fn every_cut_of_a_small_request() {
    for signal in Signal::ALL {
        let bytes = sample(signal, 0);
        (0..bytes.len()).for_each(|len| properties::bytes(signal, &bytes[..len]));
    }
}

/// Begins the fuzzers' corpora anew: `cargo test -p catchment-pipeline write_corpus -- --ignored`.
#[test]
#[ignore = "writes files"]
fn write_corpus() {
    for signal in Signal::ALL {
        for number in 0..4 {
            let (bytes, mut text) = (sample(signal, number), Vec::new());
            json::print(signal, &bytes, &mut text).unwrap();
            fs::write(corpus("otlp").join(format!("{}-{number}", signal.name())), bytes).unwrap();
            fs::write(corpus("json").join(format!("{}-{number}.json", signal.name())), text).unwrap();
        }
        let batch = Batch::from_otlp(signal, sample(signal, 4).into()).unwrap();
        let (_, table) = batch.rows().tables().next().unwrap();
        for column in ["resource_attributes", "attributes"] {
            let values = table.column_by_name(column).unwrap().as_dictionary::<Int32Type>().values().clone();
            let first = values.as_string::<i32>().value(0);
            fs::write(corpus("attributes").join(format!("{}-{column}.json", signal.name())), first).unwrap();
        }
    }
}

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn each_of(target: &str, mut check: impl FnMut(Vec<u8>)) {
    let mut files = 0;
    for entry in fs::read_dir(corpus(target)).unwrap() {
        check(fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files > 5);
}

#[test]
fn the_corpora_of_the_fuzzers() {
    each_of("otlp", |bytes| Signal::ALL.into_iter().for_each(|signal| properties::bytes(signal, &bytes)));
    each_of("json", |text| Signal::ALL.into_iter().for_each(|signal| properties::text(signal, &text)));
    each_of("attributes", |text| properties::attribute_text(&String::from_utf8_lossy(&text)));
}

fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

fn record(content: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, content)))
}

#[test]
fn errors_name_the_place() {
    let check = |content: &[u8], expected: &str| {
        assert_eq!(check(Signal::Logs, &record(content)).unwrap_err().to_string(), expected);
    };
    check(&field(9, &[1; 15]), "malformed OTLP at byte 6, in LogRecord.trace_id: a trace id has 16 bytes, or none");
    check(&field(3, &[0xff]), "malformed OTLP at byte 6, in LogRecord.severity_text: text is not UTF-8");
    check(&[0x18, 1], "malformed OTLP at byte 6, in LogRecord.severity_text: another wire type than this field has");
    check(&[0x1a, 5, b'a'], "malformed OTLP at byte 8, in LogRecord: longer than what holds it");
}

#[test]
fn depth_is_limited_where_prost_limits_it() {
    for lists in 40..60 {
        let value = (0..lists).fold(vec![0x18, 1], |value, _| field(5, &field(1, &value)));
        properties::bytes(Signal::Logs, &record(&field(5, &value)));
        // Unknown groups, too; in the record (depth 3) and by themselves.
        let groups = [[0xa3, 0x06].repeat(lists * 2), [0xa4, 0x06].repeat(lists * 2)].concat();
        properties::bytes(Signal::Logs, &record(&groups));
        properties::bytes(Signal::Logs, &groups);
    }
    let bomb = [0xa3, 0x06].repeat(1 << 20);
    assert!(check(Signal::Logs, &bomb).is_err());
    let bomb = (0..5000).fold(Vec::new(), |value, _| field(5, &field(1, &value)));
    assert!(check(Signal::Logs, &record(&field(5, &bomb))).is_err());
    decode(Signal::Logs, &record(&field(5, &bomb)));
    assert_eq!(MAX_DEPTH, 100, "prost's limit");
}

#[test]
fn sizes_are_limited() {
    let large = vec![0; MAX_BYTES + 1];
    assert!(check(Signal::Traces, &large).unwrap_err().to_string().contains("128 MiB"));
    let empty_points = field(1, &field(2, &field(2, &[0x0a, 0].repeat(100_000))));
    assert!(check(Signal::Metrics, &empty_points).is_ok(), "not points but names");
    let empty_records = field(1, &field(2, &[0x12, 0].repeat(100_000)));
    assert!(check(Signal::Logs, &empty_records).unwrap_err().to_string().contains("items"));
    let few = field(1, &field(2, &[0x12, 0].repeat(1000)));
    assert_eq!(check(Signal::Logs, &few), Ok(1000));
}
