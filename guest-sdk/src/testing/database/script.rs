//! A database whose answers come from a function of the test.

use std::cell::RefCell;

use crate::sql::{Outcome, RowSet, SqlError as Error, Value};

pub(super) type Function = Box<dyn FnMut(&str, &[Value]) -> Result<Scripted, Error>>;

/// The answer of a scripted database to a statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Scripted(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Rows(RowSet),
    Outcome(Outcome),
}

impl Scripted {
    /// Rows, for a `query`: the names of the columns, and for each row its values.
    ///
    /// ```
    /// # use hassock_sdk::{params, testing::Scripted};
    /// let found = Scripted::rows(["id", "name"], [params![1, "Ann"], params![2, None::<&str>]]);
    /// let nothing = Scripted::rows::<_, [_; 2]>(["id", "name"], []);
    /// ```
    ///
    /// # Panics
    /// If a row does not have one value for each column.
    #[track_caller]
    pub fn rows<C: Into<String>, R: Into<Vec<Value>>>(
        columns: impl IntoIterator<Item = C>,
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        let rows: Vec<Vec<Value>> = rows.into_iter().map(Into::into).collect();
        for row in &rows {
            assert_eq!(row.len(), columns.len(), "the columns are {columns:?} and a row is {row:?}");
        }
        Self(Kind::Rows(RowSet { columns, rows }))
    }

    /// How many rows an `execute` changed.
    pub fn changed(affected_rows: u64) -> Self {
        Self(Kind::Outcome(Outcome { affected_rows, last_insert_id: None }))
    }

    /// The id of the row that an `execute` inserted.
    pub fn inserted(id: u64) -> Self {
        Self(Kind::Outcome(Outcome { affected_rows: 1, last_insert_id: Some(id) }))
    }

    /// A statement that returns no rows has none for `query` either.
    pub(super) fn into_rows(self) -> RowSet {
        match self.0 {
            Kind::Rows(rows) => rows,
            Kind::Outcome(_) => RowSet { columns: Vec::new(), rows: Vec::new() },
        }
    }

    /// A statement that returns rows changes none.
    pub(super) fn into_outcome(self) -> Outcome {
        match self.0 {
            Kind::Rows(_) => Outcome { affected_rows: 0, last_insert_id: None },
            Kind::Outcome(outcome) => outcome,
        }
    }
}

pub(super) struct Script(RefCell<Function>);

impl Script {
    pub(super) fn new(function: Function) -> Self {
        Self(RefCell::new(function))
    }

    pub(super) fn ask(&self, sql: &str, values: &[Value]) -> Result<Scripted, Error> {
        match self.0.try_borrow_mut() {
            Ok(mut function) => function(sql, values),
            Err(_) => Err(Error::Other("the script of this database asks the database itself".into())),
        }
    }
}
