//! The values of a database, and the Rust types that they are read as.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Json, Result};

/// A value of a row, or for a `?` in a statement. A value that was read can be bound again, and stays the same.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// NULL.
    Null,
    /// 0 or 1 in a `BOOLEAN` column: `TINYINT(1)` in MySQL, a column that is declared `BOOLEAN` in SQLite.
    Boolean(bool),
    /// A signed integer.
    S64(i64),
    /// MySQL's `UNSIGNED` and `BIT` columns. SQLite has no such type: a number above 2^63-1 is kept as 8 bytes, most
    /// significant first, which sort after all other numbers. A column that is declared with an integer type returns it
    /// as `U64`.
    U64(u64),
    /// A floating-point number. MariaDB has no infinity, and some versions have no negative zero. Neither engine has
    /// NaN.
    F64(f64),
    /// An exact decimal number, such as `-12.50`. SQLite keeps it exactly only in a `TEXT` column.
    Decimal(String),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// `2026-01-31`. MySQL's zero date is `0000-00-00`.
    Date(String),
    /// `13:05:59` or `-838:59:59.000001`: MySQL's `TIME` is a duration.
    Time(String),
    /// `2026-01-31T13:05:59` or with six digits after the second; it has no time zone.
    Datetime(String),
    /// `2026-01-31T13:05:59Z`: a point in time, always UTC.
    Timestamp(String),
    /// JSON as text. MariaDB and SQLite, which keep JSON in text columns, return `Text`.
    Json(String),
}

/// A row has no such column, or a value is not of the requested type; the text says which and why. It does not repeat
/// texts and bytes of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError(String);

impl ValueError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ValueError {}

/// A type that [`Row::get`](super::Row::get) can read.
///
/// | type | from |
/// |---|---|
/// | `bool` | boolean, and the integers 0 and 1 |
/// | `i8` … `i64`, `u8` … `u64` | an integer, boolean (0 or 1) or whole decimal that fits |
/// | `f64` | f64, decimal (the nearest `f64`), and integers up to 2^53, which are exact |
/// | `String` | text, decimal, date, time, datetime, timestamp, JSON |
/// | [`Decimal`] | decimal, integers, text |
/// | `Vec<u8>` | bytes, and the UTF-8 of a text |
/// | [`Json<T>`] | JSON, and text that is JSON |
/// | `Option<T>` | NULL is `None`, anything else as `T` |
/// | [`Value`] | everything, as it is |
pub trait FromValue: Sized {
    /// Read a value.
    ///
    /// # Errors
    /// An error that says what the value is, if it is not a `Self`.
    fn from_value(value: &Value) -> Result<Self, ValueError>;
}

/// An exact decimal number as text: `-12.50`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal(pub String);

impl Value {
    /// `value` as JSON, to be bound to a `?`.
    ///
    /// # Errors
    /// A [`serde_json::Error`] if it cannot be written as JSON.
    pub fn to_json(value: &impl Serialize) -> Result<Self> {
        Ok(Self::Json(serde_json::to_string(value)?))
    }

    /// What the value is, for an error. Texts and bytes are not repeated: they can be long, or secret.
    fn describe(&self) -> String {
        match self {
            Self::Null => "NULL".into(),
            Self::Boolean(value) => format!("the boolean {value}"),
            Self::S64(value) => format!("the integer {value}"),
            Self::U64(value) => format!("the integer {value}"),
            Self::F64(value) => format!("the floating-point number {value}"),
            Self::Decimal(value) => format!("the decimal {value}"),
            Self::Text(_) => "a text".into(),
            Self::Bytes(_) => "bytes".into(),
            Self::Date(_) => "a date".into(),
            Self::Time(_) => "a time".into(),
            Self::Datetime(_) => "a datetime".into(),
            Self::Timestamp(_) => "a timestamp".into(),
            Self::Json(_) => "JSON".into(),
        }
    }

    /// The value as an integer, if it is one. `i128` holds both `i64` and `u64`.
    pub(super) fn integer(&self) -> Option<i128> {
        match self {
            Self::Boolean(value) => Some(i128::from(*value)),
            Self::S64(value) => Some(i128::from(*value)),
            Self::U64(value) => Some(i128::from(*value)),
            // MySQL's SUM of integers is a decimal.
            Self::Decimal(text) => text.parse().ok(),
            _ => None,
        }
    }
}

pub(super) fn wrong<T>(value: &Value, wanted: &str) -> Result<T, ValueError> {
    Err(ValueError(format!("it is {}, not {wanted}", value.describe())))
}

impl FromValue for Value {
    fn from_value(value: &Value) -> Result<Self, ValueError> {
        Ok(value.clone())
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Result<Self, ValueError> {
        if matches!(value, Value::Null) { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Result<Self, ValueError> {
        match value {
            Value::Boolean(value) => Ok(*value),
            Value::S64(0) | Value::U64(0) => Ok(false),
            Value::S64(1) | Value::U64(1) => Ok(true),
            _ => wrong(value, "a boolean"),
        }
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Result<Self, ValueError> {
        // Every integer up to this one is an f64, so the cast is exact.
        const EXACT: u128 = 1 << f64::MANTISSA_DIGITS;
        match value {
            Value::F64(value) => return Ok(*value),
            Value::Decimal(text) => text.parse().ok(),
            Value::S64(_) | Value::U64(_) => {
                value.integer().filter(|value| value.unsigned_abs() <= EXACT).map(|value| value as Self)
            }
            _ => None,
        }
        .map_or_else(|| wrong(value, "an f64"), Ok)
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Result<Self, ValueError> {
        match value {
            Value::Text(text) | Value::Decimal(text) | Value::Json(text) => Ok(text.clone()),
            Value::Date(text) | Value::Time(text) | Value::Datetime(text) | Value::Timestamp(text) => Ok(text.clone()),
            _ => wrong(value, "a text"),
        }
    }
}

impl FromValue for Decimal {
    fn from_value(value: &Value) -> Result<Self, ValueError> {
        match value {
            Value::Decimal(text) | Value::Text(text) => Ok(Self(text.clone())),
            Value::S64(value) => Ok(Self(value.to_string())),
            Value::U64(value) => Ok(Self(value.to_string())),
            _ => wrong(value, "a decimal"),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: &Value) -> Result<Self, ValueError> {
        match value {
            Value::Bytes(bytes) => Ok(bytes.clone()),
            Value::Text(text) => Ok(text.clone().into_bytes()),
            _ => wrong(value, "bytes"),
        }
    }
}

impl<T: DeserializeOwned> FromValue for Json<T> {
    fn from_value(value: &Value) -> Result<Self, ValueError> {
        match value {
            Value::Json(text) | Value::Text(text) => match serde_json::from_str(text) {
                Ok(value) => Ok(Self(value)),
                Err(error) => Err(ValueError(format!("it is not the JSON that was expected: {error}"))),
            },
            _ => wrong(value, "JSON"),
        }
    }
}

/// Reads integers, if they fit.
macro_rules! integers {
    ($($type:ty,)*) => {$(
        impl FromValue for $type {
            fn from_value(value: &Value) -> Result<Self, ValueError> {
                let integer = value.integer().and_then(|integer| Self::try_from(integer).ok());
                integer.map_or_else(|| wrong(value, concat!("an integer that fits `", stringify!($type), "`")), Ok)
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64,);

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
