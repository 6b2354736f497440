//! Senders may split and repeat fields; protobuf says what that means, and prost does it.

use super::properties::round_trip;
use crate::batch::Signal;

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 128);
    [&[number << 3 | 2, content.len() as u8], content].concat()
}

fn attribute(key: &str, any: &[u8]) -> Vec<u8> {
    [field(1, key.as_bytes()), field(2, any)].concat()
}

fn log(content: &[u8]) {
    let record = field(2, &[content, b"\x09timetime"].concat());
    round_trip(Signal::Logs, &field(1, &field(2, &record)));
}

#[test]
fn parts_of_values_are_joined() {
    let one = field(1, b"one");
    let list = field(5, &field(1, &one));
    let map = field(6, &field(1, &attribute("k", &one)));
    for any in [
        [list.clone(), list.clone()].concat(),
        [map.clone(), map.clone()].concat(),
        [list.clone(), one.clone(), list.clone()].concat(),
        [list.clone(), map.clone(), list.clone()].concat(),
        [one.clone(), vec![0x18, 7]].concat(),
        [one.clone(), vec![0x40, 7]].concat(),
        vec![],
    ] {
        log(&field(5, &any));
        log(&field(6, &attribute("a", &any)));
        log(&[field(5, &list), field(5, &any)].concat());
        let split = [field(2, &list), field(1, b"k"), field(2, &any), field(1, b"key")].concat();
        log(&field(6, &split));
    }
}

#[test]
fn scattered_attributes_are_one_set() {
    let [a, b] = ["a", "b"].map(|key| field(6, &attribute(key, &field(1, b"x"))));
    log(&[b.clone(), vec![0x38, 3], a.clone(), vec![0x38, 4], b].concat());
}

#[test]
fn the_last_of_repeated_scalars_counts() {
    log(&[&field(3, b"INFO")[..], &field(3, b"WARN"), &[0x10, 1, 0x10, 2], &field(9, &[1; 16]), &field(9, &[])]
        .concat());
}

#[test]
fn resource_and_scope_may_be_split_and_late() {
    let [a, b] = ["a", "b"].map(|key| field(1, &field(1, &attribute(key, &field(1, b"x")))));
    let [name, version] = [field(1, &field(1, b"name")), field(1, &field(2, b"1"))];
    let records = field(2, &field(2, b"\x09timetime"));
    let scope = field(2, &[&name[..], &field(2, b"\x09TIMEtime"), &version, &field(3, b"url")].concat());
    round_trip(Signal::Logs, &field(1, &[a, records, scope, b, field(3, b"URL")].concat()));
}

#[test]
fn metric_data_is_joined_within_a_kind_and_replaced_across() {
    let point = field(1, &[0x19, 1, 0, 0, 0, 0, 0, 0, 0]);
    let gauge = field(5, &point);
    let sum = field(7, &[&point[..], &[0x10, 2, 0x18, 1]].concat());
    let late_sum = field(7, &[&[0x10, 1][..], &point].concat());
    for data in [
        vec![&gauge, &gauge],
        vec![&gauge, &sum],
        vec![&sum, &gauge, &sum],
        vec![&sum, &late_sum],
        vec![&gauge, &sum, &gauge],
    ] {
        let metric = [field(1, b"name"), data.into_iter().flatten().copied().collect()].concat();
        round_trip(Signal::Metrics, &field(1, &field(2, &field(2, &metric))));
    }
}

#[test]
fn buckets_and_status_are_joined() {
    let buckets = [field(8, &[0x08, 3, 0x10, 1, 0x12, 2, 5, 6]), field(8, &[0x12, 1, 9])].concat();
    let metric = field(10, &field(1, &buckets));
    round_trip(Signal::Metrics, &field(1, &field(2, &field(2, &metric))));
    let unpacked = [0x31, 1, 0, 0, 0, 0, 0, 0, 0, 0x39, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f];
    round_trip(Signal::Metrics, &field(1, &field(2, &field(2, &field(9, &field(1, &unpacked))))));
    let span = [field(15, &field(2, b"late")), field(15, &[0x18, 2]), field(15, &field(2, b"later"))].concat();
    round_trip(Signal::Traces, &field(1, &field(2, &field(2, &span))));
}

#[test]
fn unknown_fields_and_groups_are_passed_over() {
    // Field 100: varint, 8 bytes, bytes, group with a group in it, 4 bytes.
    let unknown = [
        &[0xa0, 0x06, 1, 0xa1, 0x06][..],
        &[0; 8],
        &[0xa2, 0x06, 2, 0xff, 0xff, 0xa3, 0x06, 0x0b, 0x08, 1, 0x0c, 0xa4, 0x06, 0xa5, 0x06, 0, 0, 0, 0],
    ]
    .concat();
    log(&unknown);
    log(&field(5, &unknown));
    log(&field(6, &[unknown.clone(), attribute("k", &unknown)].concat()));
    round_trip(Signal::Logs, &[unknown.clone(), field(1, &unknown)].concat());
    round_trip(
        Signal::Metrics,
        &field(1, &field(2, &field(2, &field(5, &[&unknown[..], &field(1, &unknown)].concat())))),
    );
}
