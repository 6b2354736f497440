//! Protobuf from outside.
#![no_main]

#[path = "../../otlp/tests/oracle.rs"]
mod oracle;
#[path = "../properties.rs"]
#[allow(dead_code)]
mod properties;

// For the files above, which say `crate`.
#[allow(unused_imports)]
use catchment_pipeline::{batch, otlp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    batch::Signal::TELEMETRY.into_iter().for_each(|signal| properties::bytes(signal, bytes));
});
