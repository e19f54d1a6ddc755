//! What the tests use: a real host on a free port, WebSocket clients, modules built from source, a MariaDB that the
//! tests start themselves, and a browser.

pub mod admin;
mod attack;
mod browser;
mod bystanders;
mod certificates;
mod client;
mod database;
mod events;
mod guests;
mod host;
mod limits;
mod mariadb;
pub mod markdown;
mod marked;
mod process;
mod proxy;
pub mod raw;
mod separate;
mod silent;
pub mod site;
mod talkers;
mod tls;
mod versions;
mod wait;

pub use admin::Operator;
pub use attack::{Attack, AttackedHost, Attackers};
pub use browser::Browser;
pub use bystanders::Bystanders;
pub use certificates::Certificates;
pub use client::{Client, Closed, refused};
pub use database::TestDatabase;
pub use events::{Event, Events, note, unlock};
pub use guests::{binary, cache, crowded, example, growing_tables, guest, marked, target, workspace};
pub use host::{TestHost, app, app_with_database};
pub use mariadb::MariaDb;
pub use marked::{Marked, module_file, version_of};
pub use process::{Finished, Process, hassock};
pub use proxy::Proxy;
pub use raw::Raw;
pub use separate::{SeparateHost, Usage};
pub use silent::Silent;
pub use site::{Daemon, Site};
pub use talkers::{Talked, Talkers};
pub use tls::{Authority, TlsClient};
pub use wait::{DEADLINE, eventually, within};
