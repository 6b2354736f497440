//! The worst that small bytes can become in memory.

use super::{check, decode};
use crate::batch::Signal;
use crate::otlp::MEMORY_FACTOR;

fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

fn nest(numbers: &[u32], content: Vec<u8>) -> Vec<u8> {
    numbers.iter().rev().fold(content, |content, number| field(*number, &content))
}

#[track_caller]
fn check_factor(signal: Signal, bytes: &[u8]) {
    check(signal, bytes).unwrap();
    let size = decode(signal, bytes).size();
    let factor = size as f64 / bytes.len() as f64;
    assert!(factor <= MEMORY_FACTOR as f64, "{} bytes became {size}: {factor:.1} times", bytes.len());
}

const N: usize = 200_000;

#[test]
fn the_smallest_items_allowed() {
    // Unknown fields, then a tag and a length around them.
    let six = [0xa0, 6, 1, 0xa0, 6, 1];
    for data in [5, 7, 9, 10, 11] {
        check_factor(Signal::Metrics, &nest(&[1, 2, 2, data], field(1, &six).repeat(N)));
    }
    // Many metrics and scopes of one point: the groups' columns count too.
    check_factor(Signal::Metrics, &nest(&[1, 2], nest(&[2, 5, 1], vec![0x40, 1]).repeat(N)));
    check_factor(Signal::Logs, &nest(&[1], nest(&[2, 2], vec![0x38, 1, 0x38, 1]).repeat(N)));
    check_factor(Signal::Logs, &nest(&[1, 2], field(2, &six).repeat(N)));
    check_factor(Signal::Traces, &nest(&[1, 2], field(2, &[0x4a, 4, 0x12, 2, 0x3a, 0]).repeat(N)));
}

#[test]
fn the_smallest_parts_of_items() {
    for (data, part) in [(5, 5), (9, 8), (10, 11), (11, 6)] {
        check_factor(Signal::Metrics, &nest(&[1, 2, 2, data, 1], field(part, &[]).repeat(N)));
    }
    check_factor(Signal::Metrics, &nest(&[1, 2, 2, 10, 1, 8], field(2, &vec![1; N])));
    check_factor(Signal::Traces, &nest(&[1, 2, 2], field(11, &[]).repeat(N)));
    check_factor(Signal::Traces, &nest(&[1, 2, 2], field(13, &[]).repeat(N)));
    check_factor(Signal::Logs, &nest(&[1, 2, 2, 5, 5], field(1, &[]).repeat(N)));
    check_factor(Signal::Logs, &nest(&[1, 2, 2, 5, 6], field(1, &[]).repeat(N)));
    check_factor(Signal::Logs, &nest(&[1, 2, 2], field(6, &[]).repeat(N)));
    check_factor(Signal::Logs, &nest(&[1, 2, 2, 6, 2, 1], vec![1; N]));
    check_factor(Signal::Logs, &nest(&[1, 1], field(3, &[]).repeat(N)));
}
