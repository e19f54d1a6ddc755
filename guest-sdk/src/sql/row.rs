//! What a query found.

use std::rc::Rc;

use serde::de::DeserializeOwned;

use super::deserialize::RowDeserializer;
use super::{FromValue, Value, ValueError};
use crate::Result;

/// What a query found, as it comes from the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RowSet {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
}

/// The rows that a query found. `for row in rows` gives each [`Row`].
#[derive(Clone, Debug)]
pub struct Rows {
    columns: Rc<[String]>,
    rows: Vec<Row>,
}

impl Rows {
    /// The names of the columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The first row, if there is any.
    pub fn first(&self) -> Option<&Row> {
        self.rows.first()
    }

    /// The only row, such as that of `SELECT COUNT(*)`.
    ///
    /// # Errors
    /// A [`ValueError`] if there is none, or more than one.
    pub fn one(mut self) -> Result<Row> {
        match (self.rows.pop(), self.rows.len()) {
            (Some(row), 0) => Ok(row),
            (None, _) => Err(ValueError::new("there is no row").into()),
            (Some(_), more) => Err(ValueError::new(format!("there are {} rows and not one", more + 1)).into()),
        }
    }

    /// All rows, each read as [`Row::get_as`] does.
    ///
    /// # Errors
    /// A [`ValueError`] about the first row that is not a `T`.
    pub fn get_as<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        self.iter().map(Row::get_as).collect()
    }

    /// An iterator over references to the rows.
    pub fn iter(&self) -> std::slice::Iter<'_, Row> {
        self.rows.iter()
    }
}

impl IntoIterator for Rows {
    type Item = Row;
    type IntoIter = std::vec::IntoIter<Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

impl<'a> IntoIterator for &'a Rows {
    type Item = &'a Row;
    type IntoIter = std::slice::Iter<'a, Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<RowSet> for Rows {
    fn from(found: RowSet) -> Self {
        let columns: Rc<[String]> = found.columns.into();
        let row = |values| Row { columns: Rc::clone(&columns), values };
        let rows = found.rows.into_iter().map(row).collect();
        Self { columns, rows }
    }
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Rc<[String]>,
    values: Vec<Value>,
}

impl Row {
    /// The value of a column; the name is written as in the query's result. If several columns have this name, the
    /// first one. [`FromValue`] lists the possible types.
    ///
    /// # Errors
    /// A [`ValueError`], which lists the columns if there is none of that name, or says what the value is
    /// if it is not a `T`.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T> {
        let value = T::from_value(self.value(column)?);
        Ok(value.map_err(|error| ValueError::new(format!("column `{column}`: {error}")))?)
    }

    /// The row as a serde type: a struct by the names of the columns, a tuple by their order, anything else from the
    /// only column. Values are read as [`FromValue`] reads them; a field that is a struct, a map or a list is read from
    /// JSON, and `Option` is `None` for NULL.
    ///
    /// ```no_run
    /// # use hassock_sdk::prelude::*;
    /// #[derive(serde::Deserialize)]
    /// struct Guest {
    ///     id: u64,
    ///     name: Option<String>,
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// # let database = Database::open("main")?;
    /// let guest: Guest = database.query("SELECT id, name FROM guest WHERE id = ?", params![7])?.one()?.get_as()?;
    /// let pairs: Vec<(u64, Option<String>)> = database.query_as("SELECT id, name FROM guest", [])?;
    /// let ids: Vec<u64> = database.query_as("SELECT id FROM guest", [])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A [`ValueError`], which names the column, if the row is not a `T`.
    pub fn get_as<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(T::deserialize(RowDeserializer::new(&self.columns, &self.values))?)
    }

    /// The value of a column as it is.
    ///
    /// # Errors
    /// A [`ValueError`], which lists the columns, if there is no such column.
    pub fn value(&self, column: &str) -> Result<&Value> {
        let index = self.columns.iter().position(|name| name == column);
        let none = || ValueError::new(format!("there is no column `{column}`, only `{}`", self.columns.join("`, `")));
        Ok(index.and_then(|index| self.values.get(index)).ok_or_else(none)?)
    }

    /// The names of the columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The values, in the order of the columns.
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: i64) -> Rows {
        let columns = vec!["id".to_owned(), "name".to_owned()];
        let rows = (0..count).map(|id| vec![Value::S64(id), Value::Null]).collect();
        Rows::from(RowSet { columns, rows })
    }

    fn text<T>(result: Result<T>) -> String {
        result.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn rows_come_in_order() {
        let ids: Vec<u8> = rows(3).into_iter().filter_map(|row| row.get("id").ok()).collect();
        assert_eq!(ids, [0, 1, 2]);
        assert_eq!((&rows(3)).into_iter().count(), 3);
    }

    #[test]
    fn errors_say_what_is_there() {
        let Some(row) = rows(1).into_iter().next() else { unreachable!() };
        assert_eq!(text(row.get::<i64>("nmae")), "there is no column `nmae`, only `id`, `name`");
        assert_eq!(text(row.get::<String>("id")), "column `id`: it is the integer 0, not a text");
        assert_eq!(text(row.get::<String>("name")), "column `name`: it is NULL, not a text");
        assert_eq!(row.get::<Option<String>>("name").ok(), Some(None));
    }

    #[test]
    fn one_is_one() {
        assert_eq!(rows(1).one().and_then(|row| row.get("id")).ok(), Some(0));
        assert_eq!(text(rows(0).one()), "there is no row");
        assert_eq!(text(rows(3).one()), "there are 3 rows and not one");
    }
}
