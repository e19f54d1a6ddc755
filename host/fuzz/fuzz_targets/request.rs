//! Reads any text as the fields of a request, and checks what must hold for it.

#![no_main]
#![allow(dead_code, unused_imports, reason = "the rest of the host uses it")]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/config/mod.rs"]
mod config;
#[path = "../../src/request/mod.rs"]
mod request;

fuzz_target!(|text: &str| request::properties::check(text));
