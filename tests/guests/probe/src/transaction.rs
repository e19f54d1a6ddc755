//! A transaction, step by step. Each step answers on its own, so that a test sees what follows an error.

use hassock_sdk::prelude::*;
use serde::Deserialize;
use serde_json::{Value as Any, json};

use crate::values;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Query {
        sql: String,
        #[serde(default)]
        values: Vec<Any>,
    },
    Execute {
        sql: String,
        #[serde(default)]
        values: Vec<Any>,
    },
    /// A query beside the transaction, in the same call.
    Beside {
        sql: String,
        #[serde(default)]
        values: Vec<Any>,
    },
    /// Tell other connections how far it is.
    Publish {
        topic: String,
        text: String,
    },
    /// Publish when the transaction is committed.
    Enqueue {
        topic: String,
        text: String,
    },
    /// The same with a binary message of so many bytes.
    EnqueueBytes {
        topic: String,
        count: usize,
    },
    /// Have the transaction wait for a while.
    Sleep,
    /// Begin another one beside it, and drop that.
    Begin,
    /// Begin another one beside it, and leave that open.
    LeakAnother,
    Commit,
    Rollback,
    /// Drop it: the SDK's handle goes out of scope.
    Drop,
    /// Keep the handle for ever, and so leave the transaction open.
    Leak,
}

/// The answers of the steps, each `{"ok": …}` or `{"error": …}`.
pub fn run(steps: Vec<Step>) -> Result<Any> {
    let database = Database::open("main")?;
    let mut transaction = Some(database.begin()?);
    let answers: Vec<Any> = steps
        .into_iter()
        .map(|step| match take(step, &database, &mut transaction) {
            Ok(answer) => json!({ "ok": answer }),
            Err(error) => values::error(&error),
        })
        .collect();
    Ok(json!(answers))
}

fn take(step: Step, database: &Database, transaction: &mut Option<Transaction>) -> Result<Any> {
    let open = transaction.as_ref().context("the transaction is over");
    Ok(match step {
        Step::Query { sql, values } => values::to_json(&open?.query(&sql, values::from_json(values)?)?),
        Step::Execute { sql, values } => json!(open?.execute(&sql, values::from_json(values)?)?.affected_rows),
        Step::Beside { sql, values } => values::to_json(&database.query(&sql, values::from_json(values)?)?),
        Step::Publish { topic, text } => json!(topics::publish(&topic, text)?),
        Step::Enqueue { topic, text } => json!(open?.publish(&topic, text)?),
        Step::EnqueueBytes { topic, count } => json!(open?.publish(&topic, vec![7; count])?),
        Step::Sleep => json!(std::thread::sleep(std::time::Duration::from_millis(300))),
        Step::Begin => json!(drop(database.begin()?)),
        Step::LeakAnother => json!(std::mem::forget(database.begin()?)),
        Step::Commit => json!(transaction.take().context("the transaction is over")?.commit()?),
        Step::Rollback => json!(transaction.take().context("the transaction is over")?.rollback()?),
        Step::Drop => json!(drop(transaction.take())),
        Step::Leak => json!(std::mem::forget(transaction.take())),
    })
}
