//! The transactional outbox: rows that programs insert into `hassock_outbox` are published when they are committed, in that
//! order, and never otherwise (invariant 11).

mod ends;
mod hosts;
mod modules;
mod order;
mod programs;
mod rows;

use hassock::database::{OutboxOrder, OutboxReport};
use hassock_tests::{TestDatabase, TestHost, app, guest};

/// The database `main` with an outbox, and `probe` with a grant to write there. No time is lost at the start.
fn config(database: &TestDatabase, keys: &str) -> String {
    let app = app("probe", &guest("probe"));
    let main = database.config("connect_timeout = \"500ms\"\nquery_timeout = \"2s\"");
    format!("{main}[databases.main.outbox]\nstart_delay = \"0s\"\n{keys}\n{app}databases.main = \"read-write\"\n")
}

/// The same without the outbox.
fn without_outbox(database: &TestDatabase) -> String {
    format!("{}{}databases.main = \"read-write\"\n", database.config(""), app("probe", &guest("probe")))
}

/// A host for [`config`], with the table.
async fn host(database: &TestDatabase, keys: &str) -> TestHost {
    database.create_outbox(OutboxOrder::Commits).await;
    TestHost::start(&config(database, keys)).await
}

/// What a host has counted of its only outbox.
fn report(host: &TestHost) -> OutboxReport {
    host.host.control().database_reports()[0].outbox.unwrap()
}
