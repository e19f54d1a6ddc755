//! What the tests stand on: a real host on a free port, WebSocket clients, modules built from source, and
//! a MariaDB that the tests start themselves.

mod client;
mod guests;
mod host;
mod mariadb;
mod wait;

pub use client::{Client, Closed, refused};
pub use guests::{example, guest, workspace};
pub use host::{TestHost, app, app_with_database};
pub use mariadb::MariaDb;
pub use wait::{DEADLINE, eventually, within};
