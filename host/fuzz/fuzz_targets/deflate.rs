//! Decodes any bytes as the frames of a client that may compress, in any pieces, and as the data of a compressed message,
//! which is compared with what another implementation makes of it.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../frames/tests/deflated/mod.rs"]
mod deflated;

fuzz_target!(|input: &[u8]| deflated::check(input));
