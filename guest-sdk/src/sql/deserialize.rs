//! Rows and values as serde reads them.

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::value::wrong;
use super::{FromValue, Value, ValueError};

impl serde::de::Error for ValueError {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self::new(text.to_string())
    }
}

/// One row: a map for a struct, a sequence for a tuple, or its only value.
#[derive(Clone, Copy)]
pub(super) struct RowDeserializer<'a> {
    columns: &'a [String],
    values: &'a [Value],
}

impl<'a> RowDeserializer<'a> {
    pub(super) fn new(columns: &'a [String], values: &'a [Value]) -> Self {
        Self { columns, values }
    }

    fn cells(self) -> impl Iterator<Item = (&'a str, Cell<'a>)> {
        let columns = self.columns.iter().map(String::as_str);
        columns.zip(self.values).map(|(column, value)| (column, Cell { column, value }))
    }

    fn only(self) -> Result<Cell<'a>, ValueError> {
        let mut cells = self.cells().map(|(_, cell)| cell);
        match (cells.next(), cells.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(ValueError::new(format!("the row has {} columns and not one", self.values.len()))),
        }
    }
}

/// Hand these methods over to the only column.
macro_rules! by_the_only_column {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            self.only()?.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for RowDeserializer<'_> {
    type Error = ValueError;

    by_the_only_column! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_map(MapDeserializer::new(self.cells()))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_seq(SeqDeserializer::new(self.cells().map(|(_, cell)| cell)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, ValueError> {
        let columns = self.values.len();
        if length != columns {
            return Err(ValueError::new(format!("the row has {columns} columns and not {length}")));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! { map struct identifier ignored_any unit unit_struct }
}

/// One value, with the name of its column for errors.
#[derive(Clone, Copy)]
struct Cell<'a> {
    column: &'a str,
    value: &'a Value,
}

impl Cell<'_> {
    fn read<T: FromValue>(self) -> Result<T, ValueError> {
        T::from_value(self.value).map_err(|error| self.name(&error))
    }

    fn name(self, error: &ValueError) -> ValueError {
        ValueError::new(format!("column `{}`: {error}", self.column))
    }

    /// The value as JSON, if it is a text.
    fn json(self) -> Result<serde_json::Value, ValueError> {
        match self.value {
            Value::Json(text) | Value::Text(text) => serde_json::from_str(text).map_err(|error| self.not_json(&error)),
            value => wrong(value, "JSON").map_err(|error| self.name(&error)),
        }
    }

    fn not_json(self, error: &serde_json::Error) -> ValueError {
        ValueError::new(format!("column `{}`: it is not the JSON that was expected: {error}", self.column))
    }
}

impl<'de, 'a> IntoDeserializer<'de, ValueError> for Cell<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Read these as [`FromValue`] does, so that both ways give the same result.
macro_rules! by_type {
    ($($method:ident as $type:ty => $visit:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            visitor.$visit(self.read::<$type>()?)
        }
    )*};
}

/// Read these from JSON.
macro_rules! by_json {
    ($($method:ident($($argument:ident: $type:ty),*),)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, ValueError> {
            self.json()?.$method($($argument,)* visitor).map_err(|error| self.not_json(&error))
        }
    )*};
}

impl<'de> Deserializer<'de> for Cell<'_> {
    type Error = ValueError;

    by_type! {
        deserialize_bool as bool => visit_bool,
        deserialize_i8 as i8 => visit_i8,
        deserialize_i16 as i16 => visit_i16,
        deserialize_i32 as i32 => visit_i32,
        deserialize_i64 as i64 => visit_i64,
        deserialize_u8 as u8 => visit_u8,
        deserialize_u16 as u16 => visit_u16,
        deserialize_u32 as u32 => visit_u32,
        deserialize_u64 as u64 => visit_u64,
        deserialize_f32 as f64 => visit_f64,
        deserialize_f64 as f64 => visit_f64,
        deserialize_char as String => visit_string,
        deserialize_str as String => visit_string,
        deserialize_string as String => visit_string,
        deserialize_bytes as Vec<u8> => visit_byte_buf,
        deserialize_byte_buf as Vec<u8> => visit_byte_buf,
    }

    by_json! {
        deserialize_map(),
        deserialize_struct(name: &'static str, fields: &'static [&'static str]),
        deserialize_tuple(length: usize),
        deserialize_tuple_struct(name: &'static str, length: usize),
    }

    /// Read the value as it is, for a type that accepts any value.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::S64(value) => visitor.visit_i64(*value),
            Value::U64(value) => visitor.visit_u64(*value),
            Value::F64(value) => visitor.visit_f64(*value),
            Value::Bytes(bytes) => visitor.visit_bytes(bytes),
            _ => self.deserialize_string(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    /// Read a list; bytes are also a list of numbers, because `Vec<u8>` asks for one.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.value {
            Value::Bytes(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            _ => self.json()?.deserialize_seq(visitor).map_err(|error| self.not_json(&error)),
        }
    }

    /// Read a variant without contents by its name, any other from JSON.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        let text: String = self.read()?;
        if variants.contains(&text.as_str()) {
            return visitor.visit_enum(StrDeserializer::new(&text));
        }
        match self.json() {
            Ok(json) => json.deserialize_enum(name, variants, visitor).map_err(|error| self.not_json(&error)),
            // It is not a name either. The text is not repeated: it can be long, or secret.
            Err(_) => Err(self.name(&ValueError::custom(format!("it is not one of `{}`", variants.join("`, `"))))),
        }
    }

    forward_to_deserialize_any! { i128 u128 unit unit_struct identifier ignored_any }
}

#[cfg(test)]
#[path = "deserialize_tests.rs"]
mod tests;
