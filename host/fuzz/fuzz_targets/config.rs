//! Reads any text as a config, and checks what must hold for it.

#![no_main]
#![allow(dead_code, unused_imports, reason = "the rest of the host uses it")]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/config/mod.rs"]
mod config;

fuzz_target!(|text: &str| config::properties::check(text));
