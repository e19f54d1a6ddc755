//! Between the values of a database and the types of Rust.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Value;
use crate::{Error, Result};

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
    /// [`Error::Value`], which says what the value is, if it is not one of these.
    fn from_value(value: &Value) -> Result<Self>;
}

/// An exact decimal number as text: `-12.50`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal(pub String);

/// A value that a database keeps as JSON: `let tags: Json<Vec<String>> = row.get("tags")?`. To write one
/// use [`Value::to_json`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Json<T>(pub T);

impl Value {
    /// `value` as JSON, to be bound to a `?`.
    ///
    /// # Errors
    /// [`Error::Json`] if it cannot be written as JSON.
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
    fn integer(&self) -> Option<i128> {
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

fn wrong<T>(value: &Value, wanted: &str) -> Result<T> {
    Err(Error::Value(format!("it is {}, not {wanted}", value.describe())))
}

impl FromValue for Value {
    fn from_value(value: &Value) -> Result<Self> {
        Ok(value.clone())
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Result<Self> {
        if matches!(value, Value::Null) { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Boolean(value) => Ok(*value),
            Value::S64(0) | Value::U64(0) => Ok(false),
            Value::S64(1) | Value::U64(1) => Ok(true),
            _ => wrong(value, "a boolean"),
        }
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Result<Self> {
        // Up to here every integer is an f64, so the cast is exact.
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
    fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Text(text) | Value::Decimal(text) | Value::Json(text) => Ok(text.clone()),
            Value::Date(text) | Value::Time(text) | Value::Datetime(text) | Value::Timestamp(text) => Ok(text.clone()),
            _ => wrong(value, "a text"),
        }
    }
}

impl FromValue for Decimal {
    fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Decimal(text) | Value::Text(text) => Ok(Self(text.clone())),
            Value::S64(value) => Ok(Self(value.to_string())),
            Value::U64(value) => Ok(Self(value.to_string())),
            _ => wrong(value, "a decimal"),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Bytes(bytes) => Ok(bytes.clone()),
            Value::Text(text) => Ok(text.clone().into_bytes()),
            _ => wrong(value, "bytes"),
        }
    }
}

impl<T: DeserializeOwned> FromValue for Json<T> {
    fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Json(text) | Value::Text(text) => match serde_json::from_str(text) {
                Ok(value) => Ok(Self(value)),
                Err(error) => Err(Error::Value(format!("it is not the JSON that was expected: {error}"))),
            },
            _ => wrong(value, "JSON"),
        }
    }
}

/// Both directions for the integers, each as the wider of the host's two that it fits.
macro_rules! integers {
    ($($type:ty as $variant:ident,)*) => {$(
        impl FromValue for $type {
            fn from_value(value: &Value) -> Result<Self> {
                let integer = value.integer().and_then(|integer| Self::try_from(integer).ok());
                integer.map_or_else(|| wrong(value, concat!("an integer that fits `", stringify!($type), "`")), Ok)
            }
        }

        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

integers! {
    i8 as S64,
    i16 as S64,
    i32 as S64,
    i64 as S64,
    u8 as U64,
    u16 as U64,
    u32 as U64,
    u64 as U64,
}

/// From a type of Rust to the variant that holds it.
macro_rules! values {
    ($($type:ty => $value:ident: $made:expr,)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $made
            }
        }
    )*};
}

values! {
    bool => value: Self::Boolean(value),
    f64 => value: Self::F64(value),
    String => value: Self::Text(value),
    &str => value: Self::Text(value.to_owned()),
    Vec<u8> => value: Self::Bytes(value),
    &[u8] => value: Self::Bytes(value.to_vec()),
    Decimal => value: Self::Decimal(value.0),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Clone + Into<Value>> From<&T> for Value {
    fn from(value: &T) -> Self {
        value.clone().into()
    }
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
