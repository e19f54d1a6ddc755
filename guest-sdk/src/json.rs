//! Values that are written as JSON.

/// A value that is written as JSON: the message of a client, see [`FromMessage`](crate::FromMessage), or the value of
/// a column, see [`FromValue`](crate::sql::FromValue).
///
/// ```no_run
/// # use hassock_sdk::prelude::*;
/// # fn main() -> Result<()> {
/// # let row = Database::open("main")?.query("SELECT tags FROM post", [])?.one()?;
/// let Json(tags): Json<Vec<String>> = row.get("tags")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);
