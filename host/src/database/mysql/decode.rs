//! MySQL's binary row format. The driver's decoders need calendar types that cannot represent all values of MySQL, such
//! as `0000-00-00` or `-838:59:59`, so this module reads the bytes.

use super::super::value::Value;
use sqlx::mysql::{MySqlRow, MySqlTypeInfo};
use sqlx::{Column, Decode, MySql, Row, Type, TypeInfo};

/// All values of a row.
///
/// # Errors
/// [`sqlx::Error::Decode`] if the bytes do not fit the column's type, which would be a bug of the driver or the server.
pub(super) fn row(row: &MySqlRow) -> Result<Vec<Value>, sqlx::Error> {
    let columns = row.columns().iter();
    columns.map(|column| value(row, column.ordinal(), column.type_info())).collect()
}

fn value(row: &MySqlRow, index: usize, info: &MySqlTypeInfo) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(index)?;
    // Only a real NULL has no bytes; `is_null` also returns true for a zero date.
    let Ok(bytes) = <&[u8] as Decode<MySql>>::decode(raw) else {
        return Ok(Value::Null);
    };
    convert(bytes, info).ok_or_else(|| {
        let reason = format!("column {index} does not contain a {} that the host can decode", info.name());
        sqlx::Error::Decode(reason.into())
    })
}

fn convert(bytes: &[u8], info: &MySqlTypeInfo) -> Option<Value> {
    match info.name() {
        "NULL" => Some(Value::Null),
        "BOOLEAN" => boolean(bytes, info),
        "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => signed(bytes).map(Value::S64),
        "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED" | "BIGINT UNSIGNED"
        | "YEAR" => unsigned(bytes).map(Value::U64),
        "FLOAT" => Some(Value::F64(f64::from(f32::from_le_bytes(bytes.try_into().ok()?)))),
        "DOUBLE" => Some(Value::F64(f64::from_le_bytes(bytes.try_into().ok()?))),
        "DECIMAL" => text(bytes).map(Value::Decimal),
        "BIT" => bits(bytes).map(Value::U64),
        "DATE" => date(bytes).map(Value::Date),
        "TIME" => time(bytes).map(Value::Time),
        "DATETIME" => datetime(bytes).map(Value::Datetime),
        "TIMESTAMP" => datetime(bytes).map(|text| Value::Timestamp(text + "Z")),
        "JSON" => text(bytes).map(Value::Json),
        _ => Some(string(bytes, info)),
    }
}

/// The type's name does not tell text with a `_bin` collation from bytes. Its collation does, and the driver checks it.
fn string(bytes: &[u8], info: &MySqlTypeInfo) -> Value {
    let is_text = <str as Type<MySql>>::compatible(info) || info.name() == "SET";
    match text(bytes) {
        Some(text) if is_text => Value::Text(text),
        _ => Value::Bytes(bytes.to_vec()),
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    str::from_utf8(bytes).ok().map(str::to_owned)
}

/// `TINYINT(1)`, signed or unsigned, which may contain other numbers than 0 and 1.
fn boolean(bytes: &[u8], info: &MySqlTypeInfo) -> Option<Value> {
    match bytes {
        [0] => Some(Value::Boolean(false)),
        [1] => Some(Value::Boolean(true)),
        _ if *info == <u8 as Type<MySql>>::type_info() => unsigned(bytes).map(Value::U64),
        _ => signed(bytes).map(Value::S64),
    }
}

/// A little-endian number of one to eight bytes.
fn unsigned(bytes: &[u8]) -> Option<u64> {
    let mut whole = [0; 8];
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(whole))
}

/// A little-endian number of one to eight bytes, in two's complement.
fn signed(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last()? & 0x80 != 0;
    let mut whole = [if negative { 0xff } else { 0 }; 8];
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(whole))
}

/// `BIT(n)`: big-endian, one to eight bytes.
fn bits(bytes: &[u8]) -> Option<u64> {
    if bytes.len() > 8 {
        return None;
    }
    Some(bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
}

/// The length byte, then year, month and day, unless all of them are zero.
fn date(bytes: &[u8]) -> Option<String> {
    match bytes {
        [0] => Some("0000-00-00".to_owned()),
        [4 | 7 | 11, low, high, month, day, ..] => {
            let year = u16::from_le_bytes([*low, *high]);
            Some(format!("{year:04}-{month:02}-{day:02}"))
        }
        _ => None,
    }
}

fn datetime(bytes: &[u8]) -> Option<String> {
    let date = date(bytes)?;
    match bytes.get(5..).unwrap_or_default() {
        [] => Some(format!("{date}T00:00:00")),
        [hour, minute, second, micros @ ..] => {
            let fraction = fraction(micros)?;
            Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}"))
        }
        _ => None,
    }
}

/// The length byte, the sign, the days and the time of day. The text has one number of hours.
fn time(bytes: &[u8]) -> Option<String> {
    match bytes {
        [0] => Some("00:00:00".to_owned()),
        [8 | 12, negative, d0, d1, d2, d3, hour, minute, second, micros @ ..] => {
            let sign = if *negative == 0 { "" } else { "-" };
            let days = u64::from(u32::from_le_bytes([*d0, *d1, *d2, *d3]));
            let hours = days * 24 + u64::from(*hour);
            let fraction = fraction(micros)?;
            Some(format!("{sign}{hours:02}:{minute:02}:{second:02}{fraction}"))
        }
        _ => None,
    }
}

/// Microseconds. Empty if there are none.
fn fraction(bytes: &[u8]) -> Option<String> {
    let micros = match bytes {
        [] => 0,
        _ => u32::from_le_bytes(bytes.try_into().ok()?),
    };
    Some(if micros == 0 { String::new() } else { format!(".{micros:06}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_as_mysql_sends_them() {
        assert_eq!(date(&[0]).as_deref(), Some("0000-00-00"));
        assert_eq!(date(&[4, 0xea, 7, 1, 31]).as_deref(), Some("2026-01-31"));
        assert_eq!(date(&[4, 0, 0]), None);
        assert_eq!(datetime(&[0]).as_deref(), Some("0000-00-00T00:00:00"));
        assert_eq!(datetime(&[4, 0xea, 7, 1, 31]).as_deref(), Some("2026-01-31T00:00:00"));
        assert_eq!(
            datetime(&[11, 0xea, 7, 1, 31, 13, 5, 59, 1, 0, 0, 0]).as_deref(),
            Some("2026-01-31T13:05:59.000001")
        );
        assert_eq!(time(&[12, 1, 34, 0, 0, 0, 22, 59, 59, 1, 0, 0, 0]).as_deref(), Some("-838:59:59.000001"));
        assert_eq!(time(&[8, 0, 0, 0, 0, 0, 1, 2, 3]).as_deref(), Some("01:02:03"));
    }

    #[test]
    fn numbers_keep_their_sign() {
        assert_eq!(signed(&[0xff]), Some(-1));
        assert_eq!(signed(&[0, 0x80]), Some(-32768));
        assert_eq!(unsigned(&[0xff, 0xff]), Some(65535));
        assert_eq!(unsigned(&[0; 9]), None);
        assert_eq!(bits(&[1, 0]), Some(256));
    }
}
