//! Decodes any bytes as the frames of a client, in any pieces, and compares with tungstenite.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../frames/tests/properties/mod.rs"]
mod properties;

fuzz_target!(|input: &[u8]| properties::check(input));
