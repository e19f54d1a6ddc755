//! Reads any text as a transcript, and checks what must hold for it.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../transcript/tests/properties/mod.rs"]
mod properties;

fuzz_target!(|text: &str| properties::check(text));
