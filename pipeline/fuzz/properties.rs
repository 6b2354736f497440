//! What must hold for any input, for the fuzzer and for the crate's own tests, which include this file.
//! prost with the official types is the oracle.

use super::oracle::{invalid_items, item_times, rows_of};
use crate::batch::attributes::{self, Attributes, Value};
use crate::batch::{Batch, Signal};
use crate::otlp::{check, decode, encode, json};

/// Our verdict is prost's, but for the ids and the sizes that OTLP or we say are invalid; what is taken is taken whole.
pub fn bytes(signal: Signal, bytes: &[u8]) {
    let ours = check(signal, bytes);
    match rows_of(signal, bytes) {
        Ok(_) => match ours {
            Ok(_) => {
                round_trip(signal, bytes);
                printed(signal, bytes);
                times(signal, bytes);
                without_invalid(signal, bytes);
            }
            Err(error) => {
                assert!(error.what.ends_with("bytes, or none") || error.what.contains("items"), "{error}");
            }
        },
        Err(theirs) => assert!(ours.is_err(), "prost refuses {bytes:?}: {theirs}"),
    }
    // Unchecked bytes may decode to anything, but do not panic.
    decode(signal, bytes);
    let _ = json::print(signal, bytes, &mut Vec::new());
}

/// Every row of `bytes`, as prost reads them, is what prost reads from our decoding and encoding of them.
pub fn round_trip(signal: Signal, bytes: &[u8]) {
    let expected = rows_of(signal, bytes).expect("prost takes it");
    assert_eq!(check(signal, bytes), Ok(expected.len()));
    let rows = decode(signal, bytes);
    assert_eq!(rows.len(), expected.len());
    let encoded = encode(signal, &rows);
    assert_eq!(check(signal, &encoded), Ok(expected.len()));
    similar(&rows_of(signal, &encoded).expect("prost takes our bytes"), &expected);
    assert_eq!(encode(signal, &decode(signal, &encoded)), encoded, "our own bytes are a fixed point");
}

/// The same through JSON.
pub fn printed(signal: Signal, bytes: &[u8]) {
    let expected = rows_of(signal, bytes).expect("prost takes it");
    let mut text = Vec::new();
    json::print(signal, bytes, &mut text).expect("what was checked prints");
    let again = json::parse(signal, &text).expect("what we print parses");
    similar(&rows_of(signal, &again).expect("prost takes what we parsed"), &expected);
}

/// Invalid items are counted as prost's messages have them, and all of them can be taken out.
pub fn without_invalid(signal: Signal, bytes: &[u8]) {
    let batch = Batch::from_otlp(signal, bytes.to_vec().into()).expect("it was checked");
    let invalid = invalid_items(signal, bytes).expect("prost takes it");
    assert_eq!(batch.invalid_items(), invalid);
    let (items, kept) = (batch.items(), batch.without_invalid());
    assert_eq!(kept.items(), items - invalid);
    assert_eq!(invalid_items(signal, kept.otlp()), Ok(0));
}

/// The walk's times are the items', or wider; the rows' are theirs.
pub fn times(signal: Signal, bytes: &[u8]) {
    let batch = Batch::from_otlp(signal, bytes.to_vec().into()).expect("it was checked");
    let items = item_times(signal, bytes).expect("prost takes it");
    let walked = batch.times();
    assert!(items.iter().all(|time| (walked.earliest..=walked.latest).contains(time)), "{items:?} in {walked:?}");
    let exact = Batch::from_rows(signal, batch.rows().clone()).times();
    let expected = items.iter().min().zip(items.iter().max());
    assert_eq!(expected, expected.and(Some((&exact.earliest, &exact.latest))));
}

/// Text from the JSON door: refused, or JSON whose bytes are whole and no larger than promised.
pub fn text(signal: Signal, text: &[u8]) {
    let Ok(bytes) = json::parse(signal, text) else { return };
    if let Err(theirs) = serde_json::from_slice::<serde::de::IgnoredAny>(text) {
        assert!(theirs.to_string().contains("recursion limit"), "serde_json refuses it: {theirs}");
    }
    assert!(bytes.len() <= json::GROWTH * text.len(), "{} bytes from {}", bytes.len(), text.len());
    self::bytes(signal, &bytes);
}

/// Attribute text: what parses is written in one way, and single look-ups find what is in the whole.
pub fn attribute_text(text: &str) {
    let keys = ["k", "$k", "", "host.name"];
    let found =
        keys.map(|key| (attributes::get(text, key), attributes::get_str(text, key), attributes::get_text(text, key)));
    let Ok(value) = Value::parse(text) else { return };
    let json = value.to_json();
    assert_eq!(Value::parse(&json).expect("what we write parses").to_json(), json);
    let Ok(set) = Attributes::parse(text) else { return };
    for (key, (value, string, _)) in keys.into_iter().zip(found) {
        assert_eq!(value.map(|value| value.to_json()), set.get(key).map(Value::to_json), "{key}");
        let expected = set.get(key).and_then(|value| if let Value::String(text) = value { Some(text) } else { None });
        assert_eq!(string.as_deref(), expected.map(String::as_str), "{key}");
    }
}

pub fn similar(got: &[String], expected: &[String]) {
    for (got, expected) in got.iter().zip(expected) {
        assert_eq!(got, expected);
    }
    assert_eq!(got.len(), expected.len());
}
