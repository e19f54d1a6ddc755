//! What the tests stand on: a real host on a free port, WebSocket clients, modules built from source, a
//! MariaDB that the tests start themselves, and a browser.

mod browser;
mod client;
mod database;
mod events;
mod guests;
mod host;
mod mariadb;
mod process;
pub mod raw;
mod wait;

pub use browser::Browser;
pub use client::{Client, Closed, refused};
pub use database::TestDatabase;
pub use events::{Event, Events, note, unlock};
pub use guests::{binary, cache, example, guest, marked, workspace};
pub use host::{TestHost, app, app_with_database};
pub use mariadb::MariaDb;
pub use process::{Finished, Process, hassock};
pub use raw::Raw;
pub use wait::{DEADLINE, eventually, within};
