//! Conversions from Rust types to the values of a database.

use super::{Decimal, Value};

/// The parameters of a statement: `params![room, &name, 5, None::<i64>]`. Each becomes a [`Value`](crate::sql::Value)
/// through `From`; a value behind `&` is cloned.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { [$($crate::sql::Value::from($value)),*] as [$crate::sql::Value; _] };
}

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
    i8 => value: Self::S64(value.into()),
    i16 => value: Self::S64(value.into()),
    i32 => value: Self::S64(value.into()),
    i64 => value: Self::S64(value),
    u8 => value: Self::U64(value.into()),
    u16 => value: Self::U64(value.into()),
    u32 => value: Self::U64(value.into()),
    u64 => value: Self::U64(value),
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
