//! Attribute text, as processors edit it and SQL reads it.
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

fuzz_target!(|text: &str| {
    properties::attribute_text(text);
});
