//! Runs any statements as those of a module in real sessions of SQLite, and checks what must hold for the sessions.

#![no_main]
#![allow(dead_code, unused_imports, reason = "the rest of the host uses it")]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/config/mod.rs"]
mod config;
#[path = "../../src/database/mod.rs"]
mod database;
#[path = "../../src/external.rs"]
mod external;
#[path = "../../src/priority.rs"]
mod priority;

fuzz_target!(|text: &str| database::properties::check(text));
