//! Bytes that pass the check decode, encode and pass again with as many items; no bytes panic.
#![no_main]

use catchment_pipeline::batch::Signal;
use catchment_pipeline::otlp::{check, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for signal in Signal::ALL {
        let rows = decode(signal, bytes);
        if let Ok(items) = check(signal, bytes) {
            assert_eq!(rows.len(), items);
            let encoded = encode(signal, &rows);
            assert_eq!(check(signal, &encoded), Ok(items));
            assert_eq!(encode(signal, &decode(signal, &encoded)), encoded);
        }
    }
});
